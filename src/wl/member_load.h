// Load of members: how many requests wait at each, how long one takes, and who is slower than the rest.
// Values and arithmetic: whoever owns the members looks at them now and then (1 to 10 times a second)
// and feeds what it saw.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace xsan::wl {

// One look at a member.
struct LoadSample {
    unsigned in_flight = 0;         // requests, at this moment
    std::uint64_t completed = 0;    // requests, since the look before
    double elapsed_seconds = 0;     // since then; > 0, else the look is ignored
};

// Averages over about the last `window_seconds`: what is older by t counts e^(-t / window).
//
// Time of a request by Little's law (J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W",
// Operations Research 9(3), 1961): mean requests in flight = rate x mean time. So no request needs to be
// timed. The time is from submit to completion, waiting in the drive's queue included.
class MemberLoad {
  public:
    static constexpr double kWindowSeconds = 30;
    // Completions within the window below which a time would be chance.
    static constexpr double kRequestsMin = 64;

    explicit MemberLoad(double window_seconds = kWindowSeconds);  // > 0

    void add(const LoadSample& sample);
    // Of looks, not of requests: 0 before the first.
    double in_flight() const;
    double rate() const;  // requests completed in a second
    // nullopt: too few requests lately, or looked at for less than half a window.
    std::optional<double> service_seconds() const;
    // The requests in flight that looks met lately, summed up: of how many the time is made. A member that
    // is mostly idle is met busy by chance, and what follows from few such meetings is no figure.
    double meetings() const { return meetings_; }

    // The last verdict of judge_slow(); false before it.
    bool slow() const { return slow_; }
    void set_slow(bool slow) { slow_ = slow; }

  private:
    double window_seconds_;
    double observed_seconds_ = 0;  // in all, up to half a window
    // Decayed alike, so that their ratios are averages from the first look on.
    double seconds_ = 0;
    double in_flight_seconds_ = 0;
    double completed_ = 0;
    double meetings_ = 0;
    bool slow_ = false;
};

struct SlowRule {
    double factor = 4;           // times the median of the others
    double factor_again = 2;     // a slow one is not slow any more below this
    double seconds_min = 0.005;  // nobody is slow whose requests take less; a slow one stays so down to half of it
    double meetings_min = 12;    // a figure made of fewer does not make a member slow
};

// Sets the verdict of all `members` (nullptr: not there) against each other. Without a time of its own, and
// where fewer than three members have one, a member is not slow: also one that was, since nobody knows then.
// Half of the members can never be slow at once.
void judge_slow(std::span<MemberLoad* const> members, const SlowRule& rule = {});

}  // namespace xsan::wl
