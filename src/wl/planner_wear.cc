// Planning for wear.
#include <algorithm>
#include <queue>

#include "base/assert.h"
#include "wl/planner_state.h"

namespace xsan::wl::internal {
namespace {

// A member this close above its share, in parts of the mean load, is left as it is.
constexpr double kDeadBand = 0.05;
// A move must lower the sum of squares by clearly more than nothing: at 0.5 it would not lower it.
constexpr double kImprovement = 0.75;
// So many of a full member's coldest strips are looked at for one that may make room.
constexpr int kSwapTries = 8;

bool is_hotter(const StripPlace& a, const StripPlace& b) {
    if (a.rate != b.rate) return a.rate > b.rate;
    return std::pair(a.group, a.slot) < std::pair(b.group, b.slot);
}

// Of the member furthest above its share the hottest strip that fits somewhere, until no member is
// above. With x the excess of load per endurance e, moving a rate h from a to b changes the sum of
// e x^2 / 2 by -h (x_a - x_b) + h^2 (1/e_a + 1/e_b) / 2.
//
// A member that should take the hottest strips is often full of cold ones. Then a cold strip goes
// the other way first: two moves, which shift the difference of their rates for the price of two
// extents.
class WearPlan {
  public:
    WearPlan(const PlannerSettings& settings, PlannerState& state);
    void run();

  private:
    struct Strips {
        std::size_t hottest = 0;  // everything before it was considered
        std::vector<bool> gone;   // moved already, by place in the member's list
    };
    using Entry = std::pair<double, std::size_t>;  // excess, place

    double excess(std::size_t place) const { return state_.members[place].excess(state_.load_all); }
    bool lowers_the_sum(double rate, std::size_t from, std::size_t to) const;
    bool try_strip(const StripPlace& strip, std::size_t from);
    std::optional<std::size_t> find_cold(const StripPlace& hot, std::size_t from,
                                         std::size_t to) const;
    void carry_out(const StripPlace& strip, std::size_t from, std::size_t to, MoveReason reason,
                   double gain_per_byte);
    double gain(double rate, double extents) const;

    const PlannerSettings& settings_;
    PlannerState& state_;
    double limit_;
    std::vector<Strips> strips_;  // by member
    std::set<Entry> targets_;     // members that may take strips
};

WearPlan::WearPlan(const PlannerSettings& settings, PlannerState& state)
    : settings_(settings),
      state_(state),
      limit_(fill_limit(settings, state.fill)),
      strips_(state.members.size()) {
    for (std::size_t place = 0; place < state.members.size(); place++) {
        MemberState& m = state.members[place];
        if (!m.is_holder) continue;
        std::sort(m.strips.begin(), m.strips.end(), is_hotter);
        strips_[place].gone.resize(m.strips.size());
        if (m.is_target) targets_.emplace(excess(place), place);
    }
}

// Bytes spared per byte moved, if `rate` is shifted for `extents` extents written.
double WearPlan::gain(double rate, double extents) const {
    return rate * settings_.horizon_seconds /
           (extents * static_cast<double>(settings_.extent_bytes));
}

bool WearPlan::lowers_the_sum(double rate, std::size_t from, std::size_t to) const {
    const double per_rate = 1 / state_.members[from].endurance + 1 / state_.members[to].endurance;
    return excess(from) - excess(to) >= kImprovement * rate * per_rate;
}

void WearPlan::run() {
    const double excess_min = kDeadBand * state_.load_all / state_.endurance_all;
    std::priority_queue<Entry> sources;
    for (std::size_t place = 0; place < state_.members.size(); place++) {
        if (state_.members[place].is_holder) sources.emplace(excess(place), place);
    }
    while (!sources.empty() && state_.moves.size() + 1 < settings_.moves_max) {
        const double excess_then = sources.top().first;
        const std::size_t from = sources.top().second;
        sources.pop();
        if (excess_then <= excess_min) return;
        // Its load changed since it was queued: it waits for its turn.
        if (excess(from) != excess_then) {
            sources.emplace(excess(from), from);
            continue;
        }
        const auto& strips = state_.members[from].strips;
        Strips& mine = strips_[from];
        while (mine.hottest < strips.size() && mine.gone[mine.hottest])
            mine.hottest++;
        if (mine.hottest == strips.size()) continue;
        const StripPlace strip = strips[mine.hottest];
        if (gain(strip.rate, 1) < settings_.gain_min) continue;  // and so do all that follow
        if (try_strip(strip, from)) mine.gone[mine.hottest] = true;
        mine.hottest++;
        sources.emplace(excess(from), from);
    }
}

// Gives the strip to the member furthest below its share that may take it.
bool WearPlan::try_strip(const StripPlace& strip, std::size_t from) {
    for (const auto& [excess_to, to] : targets_) {
        if (excess_to >= excess(from)) return false;
        const std::size_t target = to;
        if (lowers_the_sum(strip.rate, from, target) &&
            state_.may_move(strip, from, target, limit_)) {
            carry_out(strip, from, target, MoveReason::wear, gain(strip.rate, 1));
            return true;
        }
        const auto cold = find_cold(strip, from, target);
        if (!cold) continue;
        const StripPlace other = state_.members[target].strips[*cold];
        const double shifted = gain(strip.rate - other.rate, 2);
        strips_[target].gone[*cold] = true;
        carry_out(other, target, from, MoveReason::room, shifted);
        carry_out(strip, from, target, MoveReason::wear, shifted);
        return true;
    }
    return false;
}

// A strip of `to`, full as it is, that may change places with `hot`.
std::optional<std::size_t> WearPlan::find_cold(const StripPlace& hot, std::size_t from,
                                               std::size_t to) const {
    const MemberState& target = state_.members[to];
    // One that has room needs no swap, and one above the limit is to be relieved.
    const double used_max = limit_ * target.candidate.extents_total;
    if (target.used() + 1 <= used_max || target.used() > used_max) return std::nullopt;
    if (!state_.may_join(hot, to)) return std::nullopt;
    int tries = kSwapTries;
    for (std::size_t i = target.strips.size(); i-- > 0 && tries > 0;) {
        if (strips_[to].gone[i]) continue;
        const StripPlace& cold = target.strips[i];
        const double rate = hot.rate - cold.rate;
        if (gain(rate, 2) < settings_.gain_min) return std::nullopt;
        tries--;
        if (cold.group == hot.group || !lowers_the_sum(rate, from, to)) continue;
        if (state_.may_move(cold, to, from, limit_)) return i;
    }
    return std::nullopt;
}

void WearPlan::carry_out(const StripPlace& strip, std::size_t from, std::size_t to,
                         MoveReason reason, double gain_per_byte) {
    targets_.erase({excess(from), from});
    targets_.erase({excess(to), to});
    state_.move(strip, from, to, reason, gain_per_byte);
    for (const std::size_t place : {from, to}) {
        if (state_.members[place].is_target) targets_.emplace(excess(place), place);
    }
}

}  // namespace

void plan_wear(const PlannerSettings& settings, PlannerState& state) {
    WearPlan(settings, state).run();
}

}  // namespace xsan::wl::internal
