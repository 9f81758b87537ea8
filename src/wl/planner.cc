// Planning relocation: what leaves worn-out members first, then wear, then capacity.
#include "wl/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "wl/planner_state.h"

namespace xsan::wl {

Outcome<void> check_settings(const PlannerSettings& s) {
    const auto refuse = [](const char* name, const char* range, double value) {
        return Failure(Errc::invalid_argument,
                       fmt::format("{} must be {}, not {}", name, range, value));
    };
    if (!(s.spread_start > 0)) return refuse("spread_start", "above 0", s.spread_start);
    if (!(s.spread_stop >= 0 && s.spread_stop < s.spread_start)) {
        return refuse("spread_stop", "0 or more and below spread_start", s.spread_stop);
    }
    if (!(s.outlook_seconds >= 0)) return refuse("outlook_seconds", "0 or more", s.outlook_seconds);
    if (!(s.growth > 0)) return refuse("growth", "above 0", s.growth);
    if (!(s.horizon_seconds > 0)) return refuse("horizon_seconds", "above 0", s.horizon_seconds);
    if (!(s.gain_min >= 1)) return refuse("gain_min", "1 or more", s.gain_min);
    if (!(s.fill_max > 0 && s.fill_max <= 0.95)) {
        return refuse("fill_max", "above 0 and at most 0.95", s.fill_max);
    }
    if (!(s.fill_slack >= 0 && s.fill_slack <= 1)) {
        return refuse("fill_slack", "0 to 1", s.fill_slack);
    }
    if (s.extent_bytes == 0) return refuse("extent_bytes", "above 0", 0);
    if (!(s.stagger.gap >= 0)) return refuse("stagger.gap", "0 or more", s.stagger.gap);
    if (!(s.stagger.complete_at > s.stagger.begins_at)) {
        return refuse("stagger.complete_at", "above stagger.begins_at", s.stagger.complete_at);
    }
    return {};
}

double fill_limit(const PlannerSettings& settings, double fill) {
    const double slack = settings.fill_slack * (settings.goal == WearGoal::none ? 0.25 : 1);
    return std::min(settings.fill_max, fill + slack * (1 - fill));
}

std::string describe(const Move& move) {
    return fmt::format("group {} slot {}: member {} -> {}, {}, {:.1f} bytes spared per byte moved",
                       move.group.get(), move.slot, move.from.get(), move.to.get(),
                       move_reason_name(move.reason), move.gain_per_byte);
}

std::string_view move_reason_name(MoveReason reason) {
    switch (reason) {
        case MoveReason::wear:
            return "wear";
        case MoveReason::room:
            return "room";
        case MoveReason::capacity:
            return "capacity";
        case MoveReason::worn_out:
            return "worn_out";
    }
    return "?";
}

Planner::Planner(const PlannerSettings& settings) : settings_(settings) {
    XSAN_ASSERT(check_settings(settings).has_value());
}

Plan Planner::plan(std::span<const MemberCandidate> members, std::span<const PlannerGroup> groups) {
    internal::PlannerState state(settings_, members, groups);
    Plan plan;
    plan.spread = state.spread(0);
    plan.spread_predicted = state.spread(settings_.outlook_seconds);
    const double worst = std::max(plan.spread, plan.spread_predicted);
    const double threshold = is_levelling_ ? settings_.spread_stop : settings_.spread_start;
    const bool wants_level =
        settings_.goal == WearGoal::level || settings_.goal == WearGoal::stagger;
    is_levelling_ = wants_level && worst > threshold;
    plan.levels_wear = is_levelling_;
    internal::plan_leaving(settings_, state);
    if (is_levelling_ && state.load_all > 0) internal::plan_wear(settings_, state);
    internal::plan_capacity(settings_, state);
    plan.moves = std::move(state.moves);
    return plan;
}

}  // namespace xsan::wl
