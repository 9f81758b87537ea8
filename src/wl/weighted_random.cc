// Exponential clocks.
#include "wl/weighted_random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "wl/wear_policies.h"

namespace xsan::wl {
namespace {

// A member without life or room left still comes up where nothing else does.
constexpr double kWeightMin = 1e-9;
// A clock was set for the weight that its member had then. Beyond this ratio it is set anew, which
// an exponential clock may be at any time.
constexpr double kWeightDrift = 1.25;

}  // namespace

void WeightedRandom::stop() {
    ScoredPlacement::stop();
    clocks_.clear();
    now_ = 0;
    selections_ = 0;
}

double WeightedRandom::weight(const MemberCandidate& candidate) {
    const double life = std::clamp(1 - candidate.wear / kWearMax, 0.0, 1.0);
    const double room = std::max(0.0, kFillHigh - fill_of(candidate)) / kFillHigh;
    return candidate.extents_total * std::max(std::pow(life, kSharpness) * room, kWeightMin);
}

void WeightedRandom::begin(std::uint64_t seed) {
    rng_ = Rng(seed + selections_++);
}

double WeightedRandom::wait(double rate) {
    constexpr double kStep = 0x1p-53;
    const double uniform = (static_cast<double>(rng_.next() >> 11) + 1) * kStep;  // (0, 1]
    return -std::log(uniform) / rate;
}

double WeightedRandom::score(const MemberCandidate& candidate) {
    const std::size_t at = candidate.member.get();
    if (clocks_.size() <= at) clocks_.resize(at + 1);
    Clock& clock = clocks_[at];
    const double wanted = weight(candidate);
    if (wanted > clock.weight * kWeightDrift || wanted * kWeightDrift < clock.weight) {
        clock.rings_at = now_ + wait(wanted);
        clock.weight = wanted;
    }
    return clock.rings_at;
}

// The member's next turn comes after this one, so that a turn that another member of its domain
// took away is not lost.
void WeightedRandom::on_taken(MemberIndex member, double score) {
    Clock& clock = clocks_[member.get()];
    now_ = std::max(now_, score);
    clock.rings_at += wait(clock.weight);
}

std::string WeightedRandom::explain(const MemberCandidate& candidate) const {
    return fmt::format(", wear {:.2f}, weight {:.3g}", candidate.wear, weight(candidate));
}

}  // namespace xsan::wl
