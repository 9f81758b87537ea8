// The planner's working state: members with their load and share, groups as planned so far. Private
// to the planner's parts (what leaves worn-out members, wear, capacity).
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "wl/member_table.h"
#include "wl/planner.h"

namespace xsan::wl::internal {

struct StripPlace {
    std::size_t group = 0;  // place in the caller's list
    std::uint32_t slot = 0;
    double rate = 0;
};

struct MemberState {
    MemberCandidate candidate;
    double endurance = 0;            // bytes, or the member's size where endurance is unknown
    double offset = 0;               // of the stagger, points
    double load = 0;                 // bytes per second
    double share = 0;                // of all load, 0..1
    std::vector<StripPlace> strips;  // of groups that may move, not yet considered in this plan
    bool is_leaving = false;         // worn out: gives all it can, and counts for nothing else
    bool is_holder = false;          // its strips count, and may go elsewhere
    bool is_target = false;          // may take strips: a holder that is not slow

    std::uint32_t used() const { return candidate.extents_total - candidate.extents_free; }
    // Load above the share, in units of endurance: what levelling compares.
    double excess(double load_all) const { return (load - share * load_all) / endurance; }
};

class PlannerState {
  public:
    PlannerState(const PlannerSettings& settings, std::span<const MemberCandidate> members,
                 std::span<const PlannerGroup> groups);

    std::vector<MemberState> members;
    double load_all = 0;
    double endurance_all = 0;
    double fill = 0;  // of the pool: members that hold data

    // Whether no other strip of the group shares `to` or its domain; and whether there is room as
    // well.
    bool may_join(const StripPlace& strip, std::size_t to) const;
    bool may_move(const StripPlace& strip, std::size_t from, std::size_t to, double limit) const;
    void move(const StripPlace& strip, std::size_t from, std::size_t to, MoveReason reason,
              double gain_per_byte);

    GroupIndex group_of(const StripPlace& strip) const { return groups_[strip.group].group; }

    // max - min of wear with offsets, in points, after so long at today's rates.
    double spread(double outlook_seconds) const;
    std::vector<Move> moves;

  private:
    std::size_t place_of(MemberIndex member) const;

    std::span<const PlannerGroup> groups_;
    std::vector<std::size_t> places_;                // by member: place in `members`
    std::vector<std::vector<std::size_t>> holders_;  // by group: places of its members, in slots
};

void plan_leaving(const PlannerSettings& settings, PlannerState& state);
void plan_wear(const PlannerSettings& settings, PlannerState& state);
void plan_capacity(const PlannerSettings& settings, PlannerState& state);

}  // namespace xsan::wl::internal
