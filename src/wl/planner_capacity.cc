// Planning for capacity, and for members that are to hold nothing.
#include <algorithm>
#include <functional>

#include "wl/planner_state.h"

namespace xsan::wl::internal {
namespace {

using Entry = std::pair<double, std::size_t>;  // fill, place

double fill_at(const PlannerState& state, std::size_t place) { return fill_of(state.members[place].candidate); }

std::set<Entry> holders_by_fill(const PlannerState& state) {
    std::set<Entry> by_fill;
    for (std::size_t place = 0; place < state.members.size(); place++) {
        if (state.members[place].is_holder) by_fill.emplace(fill_at(state, place), place);
    }
    return by_fill;
}

}  // namespace

// To the emptiest member that may have it, without regard to fill_limit(): fill_max is the only bound.
void plan_leaving(const PlannerSettings& settings, PlannerState& state) {
    std::set<Entry> by_fill = holders_by_fill(state);
    for (std::size_t from = 0; from < state.members.size(); from++) {
        if (!state.members[from].is_leaving) continue;
        std::vector<StripPlace> strips = state.members[from].strips;
        std::ranges::stable_sort(strips, std::ranges::greater(), &StripPlace::rate);
        for (const StripPlace& strip : strips) {
            if (state.moves.size() == settings.moves_max) return;
            const auto may_take = [&](const Entry& to) {
                return state.may_move(strip, from, to.second, settings.fill_max);
            };
            const auto found = std::ranges::find_if(by_fill, may_take);
            if (found == by_fill.end()) continue;
            const std::size_t to = found->second;
            by_fill.erase(found);
            state.move(strip, from, to, MoveReason::worn_out, 0);
            by_fill.emplace(fill_at(state, to), to);
        }
    }
}

// From the fullest member over the limit its coldest strip to the emptiest that may have it. With u
// of t extents used, a move changes the sum of u^2 / t by (2 u_to + 1) / t_to - (2 u_from - 1) /
// t_from.
void plan_capacity(const PlannerSettings& settings, PlannerState& state) {
    const double limit = fill_limit(settings, state.fill);
    const auto fill = [&](std::size_t place) { return fill_at(state, place); };
    std::set<Entry> by_fill = holders_by_fill(state);
    std::vector<std::size_t> full;
    for (auto at = by_fill.rbegin(); at != by_fill.rend() && at->first > limit; ++at) {
        full.push_back(at->second);
    }
    // What moved for wear stays where it is.
    std::set<std::pair<GroupIndex, std::uint32_t>> done;
    for (const Move& move : state.moves)
        done.emplace(move.group, move.slot);
    for (const std::size_t from : full) {
        MemberState& source = state.members[from];
        std::vector<StripPlace> strips = source.strips;
        std::stable_sort(strips.begin(), strips.end(),
                         [](const StripPlace& a, const StripPlace& b) { return a.rate > b.rate; });
        while (fill(from) > limit && !strips.empty() && state.moves.size() < settings.moves_max) {
            const StripPlace strip = strips.back();
            strips.pop_back();
            if (done.contains({state.group_of(strip), strip.slot})) continue;
            for (const auto& [fill_to, to] : by_fill) {
                const MemberState& target = state.members[to];
                const double after = (target.used() + 0.5) / target.candidate.extents_total;
                const double before = (source.used() - 0.5) / source.candidate.extents_total;
                if (after >= before) break;
                if (!state.may_move(strip, from, to, limit)) continue;
                const std::size_t place = to;
                by_fill.erase({fill(from), from});
                by_fill.erase({fill_to, to});
                state.move(strip, from, place, MoveReason::capacity, 0);
                by_fill.emplace(fill(from), from);
                by_fill.emplace(fill(place), place);
                break;
            }
        }
    }
}

}  // namespace xsan::wl::internal
