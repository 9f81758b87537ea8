// Planner: which strips to move to which members, so that wear and fill become what the pool's
// placement wants. Pure: it is given what is known and returns a list; the pool carries it out, or
// shows it.
//
// Wear. A strip takes its heat with it: who holds hot strips wears fast. The planner compares what
// each member takes now (the sum of its strips' write rates) with what it should take (level_shares
// of the rate of all, over the wear, staggered or not), and moves strips from the member furthest
// above its share to the one furthest below, hottest first. It begins when max - min of wear passes
// `spread_start`, or would within `outlook_seconds` at today's rates, and ends below `spread_stop`.
//
// Members that are low on spare blocks give what they hold, hottest first, whatever the goal, to the emptiest that may
// have it; they count for nothing else.
//
// Capacity. Members over the fill limit give their coldest strips to the emptiest; the limit closes
// in on the mean as the pool fills (fill_limit).
//
// Invariants of a plan:
//  - Every prefix of it can be carried out: targets are healthy, neither slow nor spare, and at most fill_limit()
//    <= fill_max full afterwards; no two strips of a group share a member or a domain. Slow members only give.
//  - A strip moves once at most, and busy groups not at all: a plan ends.
//  - A wear move spares its source at least gain_min times the bytes that it costs its target, if
//  the heat
//    lasts for `horizon_seconds`; gain_min >= 1, so that it never moves more wear than it saves.
//  - A move lowers a sum over members that is never negative (strips of worn-out members, squared distance of load
//    from its share, or squared fill), so that planning and moving again and again with nothing else changing ends
//    too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "wl/placement.h"
#include "wl/water_level.h"

namespace xsan::wl {

// One strip of a group, in the order of slots. In a layout whose parity does not rotate the parity
// strips have the higher rates, which is how they are told from data here.
struct PlannerStrip {
    MemberIndex member;
    double write_rate = 0;  // bytes per second that its member writes for it
};

struct PlannerGroup {
    GroupIndex group;
    std::span<const PlannerStrip> strips;
    bool busy = false;  // is moved, rebuilt or incomplete: left alone
};

struct PlannerSettings {
    WearGoal goal = WearGoal::level;
    StaggerSettings stagger;
    double spread_start = 3;                    // points
    double spread_stop = 1;                     // points, < spread_start
    double outlook_seconds = 30 * kDaySeconds;  // how far ahead a spread is predicted
    double growth = 5;                          // points of mean wear over which to become level
    double horizon_seconds = 30 * kDaySeconds;  // how long heat is expected to last
    double gain_min = 2;                        // bytes spared per byte moved, >= 1
    double fill_max = 0.95;                     // 0..1
    double fill_slack = 0.8;                    // see fill_limit(), 0..1
    std::size_t moves_max = 1024;               // in one plan
    std::uint64_t extent_bytes = 0;             // > 0
};

// Errors: invalid_argument, naming the first setting that is out of its range.
Outcome<void> check_settings(const PlannerSettings& settings);

// How full a member may become in a pool that is `fill` full (0..1): fill + slack x (1 - fill), at
// most fill_max. A placement without a goal for wear has no reason for uneven fill: a quarter of
// the slack.
double fill_limit(const PlannerSettings& settings, double fill);

enum class MoveReason : std::uint8_t {
    wear,
    room,  // a cold strip leaves the target of the next move, which is full
    capacity,
    worn_out,  // its member is low on spare blocks
};
std::string_view move_reason_name(MoveReason reason);

struct Move {
    GroupIndex group;
    std::uint32_t slot = 0;  // of the strip in its group
    MemberIndex from;
    MemberIndex to;
    MoveReason reason = MoveReason::wear;
    // Bytes that the more worn member is spared over the horizon, per byte moved; of both together
    // for `room` and its next move; 0 for capacity and worn_out.
    double gain_per_byte = 0;
};

// "group 7 slot 2: member 4 -> 1, wear, 31.5 bytes spared per byte moved"
std::string describe(const Move& move);

struct Plan {
    std::vector<Move> moves;      // the most useful first
    double spread = 0;            // points, max - min of wear (with the stagger's offsets)
    double spread_predicted = 0;  // the same at the end of the outlook
    bool levels_wear = false;     // whether wear was looked at, after hysteresis
};

class Planner {
  public:
    // The settings must pass check_settings.
    explicit Planner(const PlannerSettings& settings);

    // `members` in ascending order; groups name only members that are among them. Remembers from
    // call to call only whether it is levelling. O(strips log strips).
    Plan plan(std::span<const MemberCandidate> members, std::span<const PlannerGroup> groups);

    const PlannerSettings& settings() const { return settings_; }

  private:
    PlannerSettings settings_;
    bool is_levelling_ = false;
};

}  // namespace xsan::wl
