// Pace: keeps long work below a rate. It is told what was moved, and sleeps until that would have taken its time.
// Tasks of one reactor may share it. The rate may change from call to call; then rescale() or reset()
// what an older one still asks for.
#pragma once

#include <algorithm>

#include "reactor/reactor.h"
#include "reactor/task.h"

namespace xsan::pool {

class Pace {
  public:
    void reset() { until_ = 0; }
    // What is still asked for takes as long as at the new rate. Rates > 0, bytes a second.
    void rescale(std::uint64_t from, std::uint64_t to, TimeNs now) {
        if (until_ <= now) return;
        const double left = static_cast<double>(until_ - now) * static_cast<double>(from) / static_cast<double>(to);
        until_ = now + static_cast<TimeNs>(left);
    }

    // `rate` in bytes a second, 0: no limit. Returns early when `stopping` becomes true.
    Task<void> keep(std::uint64_t bytes, std::uint64_t rate, const bool& stopping) {
        return keep_unless(bytes, rate, [&stopping] { return stopping; });
    }
    // Returns early when `is_over` becomes true.
    template <class F>
    Task<void> keep_unless(std::uint64_t bytes, std::uint64_t rate, F is_over) {
        if (rate == 0) co_return;
        const TimeNs now = Reactor::current().now();
        // In floating point: the product overflows with large stripes.
        const double seconds = static_cast<double>(bytes) / static_cast<double>(rate);
        const auto cost = static_cast<TimeNs>(seconds * static_cast<double>(kSecond));
        until_ = std::max(until_, now - std::min(now, kCredit)) + cost;
        while (!is_over() && Reactor::current().now() < until_) {
            const TimeNs left = until_ - Reactor::current().now();
            co_await sleep_for(std::min<TimeNs>(left, 100 * kMillisecond));
        }
    }

  private:
    // How much of the time that the work itself took counts.
    static constexpr TimeNs kCredit = 100 * kMillisecond;

    TimeNs until_ = 0;
};

}  // namespace xsan::pool
