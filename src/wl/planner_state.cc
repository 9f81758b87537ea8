// Loads, shares and the rules that every move keeps.
#include "wl/planner_state.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/assert.h"

namespace xsan::wl::internal {
namespace {

constexpr std::size_t kNowhere = SIZE_MAX;

void set_offsets(const PlannerSettings& settings, std::vector<MemberState>& members) {
    if (settings.goal != WearGoal::stagger) return;
    std::vector<double> wear;
    for (const MemberState& m : members) {
        if (m.is_holder) wear.push_back(m.candidate.wear);
    }
    const std::vector<double> offsets = stagger_offsets(wear, settings.stagger);
    std::size_t next = 0;
    for (MemberState& m : members) {
        if (m.is_holder) m.offset = offsets[next++];
    }
}

// The most that each member could take of all load: it holds one strip of a group at most, and so
// many strips as the limit of fill allows.
std::vector<double> largest_shares(const std::vector<MemberState>& members,
                                   std::span<const PlannerGroup> groups, double load_all,
                                   double fill_max) {
    std::vector<double> rates;
    for (const PlannerGroup& group : groups) {
        double hottest = 0;
        for (const PlannerStrip& strip : group.strips) {
            hottest = std::max(hottest, strip.write_rate);
        }
        rates.push_back(hottest);
    }
    std::sort(rates.begin(), rates.end(), std::greater<>());
    std::partial_sum(rates.begin(), rates.end(), rates.begin());
    std::vector<double> caps;
    for (const MemberState& m : members) {
        if (!m.is_holder) continue;
        const auto strips = static_cast<std::size_t>(fill_max * m.candidate.extents_total);
        const std::size_t held = std::min(strips, rates.size());
        caps.push_back(held == 0 || load_all <= 0 ? 0 : rates[held - 1] / load_all);
    }
    return caps;
}

void set_shares(const PlannerSettings& settings, std::span<const double> caps,
                std::vector<MemberState>& members) {
    std::vector<WearState> states;
    for (const MemberState& m : members) {
        if (m.is_holder) states.push_back({m.candidate.wear + m.offset, m.endurance});
    }
    const std::vector<double> shares = level_shares(states, settings.growth, caps);
    std::size_t next = 0;
    for (MemberState& m : members) {
        if (m.is_holder) m.share = shares[next++];
    }
}

}  // namespace

PlannerState::PlannerState(const PlannerSettings& settings,
                           std::span<const MemberCandidate> candidates,
                           std::span<const PlannerGroup> groups)
    : groups_(groups) {
    const bool endurance_known = std::all_of(candidates.begin(), candidates.end(),
                                             [](const auto& c) { return c.endurance_bytes > 0; });
    double used = 0;
    double extents = 0;
    for (const MemberCandidate& c : candidates) {
        MemberState state;
        state.candidate = c;
        const double bytes = static_cast<double>(settings.extent_bytes) * c.extents_total;
        state.endurance = std::max(endurance_known ? c.endurance_bytes : bytes, 1.0);
        const bool may_hold = c.healthy && !c.spare && c.extents_total > 0;
        state.is_leaving = may_hold && c.worn_out;
        state.is_holder = may_hold && !c.worn_out;
        state.is_target = state.is_holder && !c.slow;
        if (state.is_holder) {
            endurance_all += state.endurance;
            used += state.used();
            extents += c.extents_total;
        }
        if (places_.size() <= c.member.get()) places_.resize(c.member.get() + 1u, kNowhere);
        places_[c.member.get()] = members.size();
        members.push_back(std::move(state));
    }
    fill = extents > 0 ? used / extents : 0;
    holders_.resize(groups.size());
    for (std::size_t g = 0; g < groups.size(); g++) {
        for (std::uint32_t slot = 0; slot < groups[g].strips.size(); slot++) {
            const PlannerStrip& strip = groups[g].strips[slot];
            if (groups[g].busy && place_of(strip.member) == kNowhere) continue;
            const std::size_t place = place_of(strip.member);
            XSAN_ASSERT(place != kNowhere);
            holders_[g].push_back(place);
            members[place].load += strip.write_rate;
            if (!members[place].is_holder && !members[place].is_leaving) continue;
            if (members[place].is_holder) load_all += strip.write_rate;
            if (!groups[g].busy) members[place].strips.push_back({g, slot, strip.write_rate});
        }
    }
    set_offsets(settings, members);
    const double limit = fill_limit(settings, fill);
    set_shares(settings, largest_shares(members, groups, load_all, limit), members);
}

std::size_t PlannerState::place_of(MemberIndex member) const {
    return member.get() < places_.size() ? places_[member.get()] : kNowhere;
}

bool PlannerState::may_join(const StripPlace& strip, std::size_t to) const {
    const DomainKey domain = domain_key(members[to].candidate);
    for (std::size_t slot = 0; slot < holders_[strip.group].size(); slot++) {
        if (slot == strip.slot) continue;  // it leaves its member and domain
        const std::size_t holder = holders_[strip.group][slot];
        if (holder == to || domain_key(members[holder].candidate) == domain) return false;
    }
    return true;
}

bool PlannerState::may_move(const StripPlace& strip, std::size_t from, std::size_t to,
                            double limit) const {
    const MemberState& target = members[to];
    if (to == from || !target.is_target || target.candidate.extents_free == 0) return false;
    if (target.used() + 1 > limit * target.candidate.extents_total) return false;
    return may_join(strip, to);
}

void PlannerState::move(const StripPlace& strip, std::size_t from, std::size_t to,
                        MoveReason reason, double gain_per_byte) {
    MemberState& source = members[from];
    MemberState& target = members[to];
    source.load -= strip.rate;
    target.load += strip.rate;
    if (!source.is_holder) load_all += strip.rate;
    source.candidate.extents_free++;
    target.candidate.extents_free--;
    holders_[strip.group][strip.slot] = to;
    moves.push_back({group_of(strip), strip.slot, source.candidate.member, target.candidate.member,
                     reason, gain_per_byte});
}

double PlannerState::spread(double outlook_seconds) const {
    double low = 0;
    double high = 0;
    bool is_first = true;
    for (const MemberState& m : members) {
        if (!m.is_holder) continue;
        const double wear =
            m.candidate.wear + m.offset + kWearMax * m.load * outlook_seconds / m.endurance;
        low = is_first ? wear : std::min(low, wear);
        high = is_first ? wear : std::max(high, wear);
        is_first = false;
    }
    return high - low;
}

}  // namespace xsan::wl::internal
