// Planning for capacity.
#include <algorithm>

#include "wl/planner_state.h"

namespace xsan::wl::internal {

// From the fullest member over the limit its coldest strip to the emptiest that may have it. With u
// of t extents used, a move changes the sum of u^2 / t by (2 u_to + 1) / t_to - (2 u_from - 1) /
// t_from.
void plan_capacity(const PlannerSettings& settings, PlannerState& state) {
    const double limit = fill_limit(settings, state.fill);
    using Entry = std::pair<double, std::size_t>;  // fill, place
    std::set<Entry> by_fill;
    const auto fill = [&](std::size_t place) { return fill_of(state.members[place].candidate); };
    for (std::size_t place = 0; place < state.members.size(); place++) {
        if (state.members[place].is_holder) by_fill.emplace(fill(place), place);
    }
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
