// Choosing how to choose.
#include "wl/adaptive.h"

#include <fmt/format.h>

#include <algorithm>

#include "wl/water_level.h"
#include "wl/wear_policies.h"

namespace xsan::wl {
namespace {

// A member that should take no writes at all still counts as something, or its fill had no unit.
constexpr double kWeightMin = 0.02;

bool crosses(bool is_above, double value, double enter, double leave) {
    return value > (is_above ? leave : enter);
}

struct Range {
    double low = 0;
    double high = 0;
    double width() const { return high - low; }
};

template <class Value>
Range range_of(const std::vector<const MemberCandidate*>& members, const Value& value) {
    if (members.empty()) return {};
    Range range{value(*members[0]), value(*members[0])};
    for (const auto* member : members) {
        range.low = std::min(range.low, value(*member));
        range.high = std::max(range.high, value(*member));
    }
    return range;
}

}  // namespace

std::string_view adaptive_mode_name(Adaptive::Mode mode) {
    switch (mode) {
        case Adaptive::Mode::even:
            return "even";
        case Adaptive::Mode::load:
            return "load";
        case Adaptive::Mode::wear:
            return "wear";
    }
    return "?";
}

std::string_view Adaptive::mode_name() const {
    return adaptive_mode_name(mode_);
}

void Adaptive::stop() {
    ScoredPlacement::stop();
    mode_ = Mode::even;
    wear_is_uneven_ = load_is_uneven_ = false;
    weights_.clear();
}

double Adaptive::weight(MemberIndex member) const {
    return member.get() < weights_.size() ? std::max(weights_[member.get()], kWeightMin) : 1;
}

double Adaptive::score(const MemberCandidate& candidate) {
    const double fill = fill_of(candidate);
    switch (mode_) {
        case Mode::even:
            return fill;
        case Mode::load:
            return fill + load_of(candidate) + full_penalty(candidate);
        case Mode::wear:
            return fill / weight(candidate.member) + full_penalty(candidate);
    }
    return fill;
}

double Adaptive::slack(const MemberCandidate& candidate) const {
    const double one = extent_share(candidate);
    return mode_ == Mode::wear ? one / weight(candidate.member) : one;
}

bool Adaptive::members_changed(const MemberTable& table) {
    std::vector<const MemberCandidate*> members;
    table.each([&](const MemberCandidate& c) {
        if (c.healthy && !c.spare) members.push_back(&c);
    });
    const Range wear = range_of(members, [](const MemberCandidate& c) { return c.wear; });
    const Range load = range_of(members, load_of);
    wear_is_uneven_ = crosses(wear_is_uneven_, wear.width(), kSpreadEnter, kSpreadLeave);
    load_is_uneven_ = crosses(load_is_uneven_, load.width(), kLoadEnter, kLoadLeave);
    const Mode before = mode_;
    mode_ = wear_is_uneven_ ? Mode::wear : load_is_uneven_ ? Mode::load : Mode::even;

    std::vector<double> weights;
    if (mode_ == Mode::wear) {
        const bool endurance_known = std::all_of(
            members.begin(), members.end(), [](const auto* c) { return c->endurance_bytes > 0; });
        std::vector<WearState> states;
        double size = 0;
        for (const auto* c : members) {
            const double extents = std::max(c->extents_total, 1u);
            states.push_back({c->wear, endurance_known ? c->endurance_bytes : extents});
            size += extents;
        }
        const std::vector<double> shares = level_shares(states, kGrowth);
        for (std::size_t i = 0; i < members.size(); i++) {
            const std::size_t at = members[i]->member.get();
            if (weights.size() <= at) weights.resize(at + 1);
            weights[at] = shares[i] * size / std::max(members[i]->extents_total, 1u);
        }
    }
    const bool changed = mode_ != before || weights != weights_;
    weights_ = std::move(weights);
    return changed;
}

std::string Adaptive::explain(const MemberCandidate& candidate) const {
    return fmt::format(", mode {}, wear {:.2f}, weight {:.2f}", adaptive_mode_name(mode_),
                       candidate.wear, weight(candidate.member));
}

}  // namespace xsan::wl
