// WeightedRandom: members are drawn at random, in proportion to the writes that they can still
// take, so that no pattern in the order of allocation meets a pattern in placement.
//
// A draw without replacement by a race of exponential clocks (the form that Efraimidis and
// Spirakis, 2006, give weighted reservoir sampling; CRUSH's straw2 buckets do the same by hashing):
// member i next comes up after a time that is exponentially distributed with rate w_i, and who
// comes up first is taken. Times are kept from one group to the next; those left over stay
// exponential (they have no memory), and the ordered index of ScoredPlacement is the queue, so that
// a choice costs O(log members).
//
// w = size x (life left)^kSharpness x (room below kFillHigh). Deterministic: the clocks come from
// the seed of the requests.
#pragma once

#include <string_view>
#include <vector>

#include "base/rng.h"
#include "wl/scored_placement.h"

namespace xsan::wl {

class WeightedRandom final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "weighted_random";
    static constexpr double kSharpness = 2;  // half the life left: a quarter of the draws

    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::placed; }
    void stop() override;

    static double weight(const MemberCandidate& candidate);

  protected:
    double score(const MemberCandidate& candidate) override;
    double slack(const MemberCandidate&) const override { return 0; }
    void begin(std::uint64_t seed) override;
    void on_taken(MemberIndex member, double score) override;
    std::string explain(const MemberCandidate& candidate) const override;

  private:
    struct Clock {
        double rings_at = 0;
        double weight = 0;  // 0: not set yet
    };
    double wait(double rate);  // a draw from the exponential distribution

    Rng rng_{0};
    std::uint64_t selections_ = 0;
    std::vector<Clock> clocks_;  // by member
    double now_ = 0;             // the latest time at which a member was taken
};

}  // namespace xsan::wl
