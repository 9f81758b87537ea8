// Averages of load, and the verdict.
#include "wl/member_load.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace xsan::wl {

MemberLoad::MemberLoad(double window_seconds) : window_seconds_(window_seconds) {
    XSAN_ASSERT(window_seconds > 0);
}

void MemberLoad::add(const LoadSample& sample) {
    if (!(sample.elapsed_seconds > 0)) return;
    const double kept = std::exp(-sample.elapsed_seconds / window_seconds_);
    // A look after a long time stands for that time, but not for more than the window.
    const double weight = std::min(sample.elapsed_seconds, window_seconds_);
    observed_seconds_ = std::min(observed_seconds_ + sample.elapsed_seconds, window_seconds_ / 2);
    seconds_ = seconds_ * kept + weight;
    in_flight_seconds_ = in_flight_seconds_ * kept + sample.in_flight * weight;
    completed_ = completed_ * kept +
                 static_cast<double>(sample.completed) * weight / sample.elapsed_seconds;
    meetings_ = meetings_ * kept + sample.in_flight;
}

double MemberLoad::in_flight() const {
    return seconds_ > 0 ? in_flight_seconds_ / seconds_ : 0;
}

double MemberLoad::rate() const {
    return seconds_ > 0 ? completed_ / seconds_ : 0;
}

std::optional<double> MemberLoad::service_seconds() const {
    if (completed_ < kRequestsMin || observed_seconds_ < window_seconds_ / 2) return std::nullopt;
    return in_flight_seconds_ / completed_;
}

namespace {

// Of all but the one at `rank`; at least two others.
double median_without(std::span<const double> sorted, std::size_t rank) {
    const auto other = [&](std::size_t index) { return sorted[index < rank ? index : index + 1]; };
    const std::size_t count = sorted.size() - 1;
    return (other((count - 1) / 2) + other(count / 2)) / 2;
}

bool is_slow(const MemberLoad& member, double seconds, double others, const SlowRule& rule) {
    if (member.slow()) return seconds >= rule.factor_again * others && seconds >= rule.seconds_min / 2;
    return seconds > rule.factor * others && seconds > rule.seconds_min && member.meetings() >= rule.meetings_min;
}

}  // namespace

void judge_slow(std::span<MemberLoad* const> members, const SlowRule& rule) {
    std::vector<double> sorted;
    for (const MemberLoad* member : members) {
        if (member == nullptr) continue;
        if (const auto seconds = member->service_seconds()) sorted.push_back(*seconds);
    }
    std::sort(sorted.begin(), sorted.end());
    for (MemberLoad* member : members) {
        if (member == nullptr) continue;
        const auto seconds = member->service_seconds();
        if (!seconds || sorted.size() < 3) {
            member->set_slow(false);
            continue;
        }
        const auto rank = std::lower_bound(sorted.begin(), sorted.end(), *seconds) - sorted.begin();
        const double others = median_without(sorted, static_cast<std::size_t>(rank));
        member->set_slow(is_slow(*member, *seconds, others, rule));
    }
}

}  // namespace xsan::wl
