// Placement: which members hold the strips of a group, and which open group gives the next cluster.
// The pool asks; an implementation answers from what the request says and from what it has been
// told. Pure policy: no I/O, no coroutines, no clock, no randomness but the request's seed.
//
// Invariants that hold for every implementation, whatever its policy:
//  - The members of an answer are candidates of the request, distinct, healthy, with a free extent,
//  not in
//    `members_used`; no two of them, and none of them and `domains_used`, share a failure domain.
//  - A spare is never answered unless the request admits spares.
//  - The same calls with the same arguments give the same answers.
// Everything is called on the pool's control reactor, between start() and stop().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strong.h"

namespace xsan::wl {

// What fails together. A member without a given domain is a domain of its own: kNoDomain.
using DomainId = Strong<struct DomainIdTag, std::uint32_t>;
inline constexpr DomainId kNoDomain{UINT32_MAX};

// Wear is counted in points of rated endurance: 0 (new) .. 100 (used up). Fractions matter:
// policies compare members that differ by less than a point.
inline constexpr double kWearMax = 100;

// A member as placement sees it at one moment.
struct MemberCandidate {
    MemberIndex member;
    DomainId domain = kNoDomain;
    std::uint32_t extents_free = 0;
    std::uint32_t extents_total = 0;
    bool spare = false;             // holds no extents until a rebuild needs it
    bool healthy = true;            // false: never chosen
    bool slow = false;              // takes much longer than the others
    bool worn_out = false;          // low on spare blocks: what it holds is to leave it
    std::uint32_t outstanding = 0;  // requests in flight: its load
    double wear = 0;                // points, 0..kWearMax
    double endurance_bytes = 0;     // rated, over its whole life; 0: not known, goes by its size

    // Chosen only where the group could not be complete without it.
    bool is_last_resort() const { return slow || worn_out; }
    friend bool operator==(const MemberCandidate&, const MemberCandidate&) = default;
};

// What the placement wants relocation to bring about (wl/planner.h).
enum class WearGoal : std::uint8_t {
    none,     // members fill alike, wear is left as it is
    placed,   // fill follows wear at placement; only members that are nearly full are relieved
    level,    // all members equally worn
    stagger,  // the most worn members apart from each other, so that they do not end together
};

enum class SpareUse : std::uint8_t {
    never,   // new groups
    prefer,  // replacements: a spare with room goes before all others
};

// Asks for members for all strips of a new group, or for some strips of an existing one.
// The spans belong to the caller and are read during the call only.
struct MemberRequest {
    std::span<const MemberCandidate> candidates;  // in ascending order of member
    std::span<const MemberIndex> members_used;    // hold other strips of the group already
    std::span<const DomainId> domains_used;       // of those; kNoDomain entries are ignored
    std::uint32_t strips = 0;                     // wanted
    std::uint32_t parity_strips = 0;  // the last so many of them carry parity (before rotation)
    // Parity does not rotate: the last `parity_strips` members of the answer take one write for
    // each write to any data strip. With rotation all members of a group take the same writes, and
    // which of them holds which strip makes no difference to wear.
    bool parity_fixed = false;
    std::uint32_t strips_min = 0;  // fewer than this: refuse
    SpareUse spares = SpareUse::never;
    bool fill_in_order = false;      // `linear`: the first members that have room, nothing else
    std::uint64_t seed = 0;          // decides ties
    std::string* reasons = nullptr;  // where given, one line per choice is appended: why this one
};

// One entry per strip asked for, in strip order; nullopt: on no member. Those come last.
using StripMembers = std::vector<std::optional<MemberIndex>>;

// A group from which clusters can be taken.
struct OpenGroup {
    GroupIndex group;
    std::uint32_t clusters_free = 0;
};

// Asks where the next cluster of a volume comes from.
struct ClusterRequest {
    std::span<const OpenGroup> open;  // of the volume's scheme, in ascending order of group
    std::optional<GroupIndex>
        previous;  // holds the neighbouring cluster; nullopt when none is mapped
};

// Completed I/O since the last report, summed up by reactor.
struct MemberIo {
    MemberIndex member;
    std::uint32_t reads = 0;
    std::uint32_t writes = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
};
struct GroupIo {
    GroupIndex group;
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
};
struct IoReport {
    std::span<const MemberIo> members;
    std::span<const GroupIo> groups;
};

// What an implementation may look at when it starts. Implemented by the pool; outlives stop().
class PoolView {
  public:
    virtual ~PoolView() = default;
    virtual std::vector<MemberCandidate> members() const = 0;
    using VisitGroup = std::function<void(std::span<const MemberIndex>)>;
    // Calls `visit` once per group of the placement table with the members that hold strips of it.
    virtual void each_group(const VisitGroup& visit) const = 0;
};

class Placement {
  public:
    Placement() = default;
    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;
    virtual ~Placement() = default;

    virtual std::string_view name() const = 0;

    // Takes over a pool: forgets what it knew and reads the groups that exist.
    virtual void start(const PoolView& pool) = 0;
    virtual void stop() = 0;

    // Chooses members. The answer counts as carried out: where it is not (the commit failed), and
    // whenever strips leave their members, the pool says so with on_strips_released. Errors:
    // no_space with a sentence when fewer than strips_min can be placed.
    virtual Outcome<StripMembers> select_members(const MemberRequest& request) = 0;

    // Strips of one group left the members `released`; `kept` still hold strips of it (empty when
    // the group is gone).
    virtual void on_strips_released(std::span<const MemberIndex> released,
                                    std::span<const MemberIndex> kept) = 0;

    // A strip came to `member` without being asked for: relocation put it there.
    virtual void on_strip_placed(MemberIndex /*member*/, std::span<const MemberIndex> /*kept*/) {}

    // Chooses one of `request.open` that has a free cluster; nullopt when none has. Neighbouring
    // clusters come from different groups where there are several.
    virtual std::optional<GroupIndex> select_group(const ClusterRequest& request) = 0;

    virtual void on_io(const IoReport& report) = 0;

    // 0..kWearMax as this implementation accounts for it; 0 for members it does not know.
    virtual double wear_level(MemberIndex member) const = 0;

    virtual WearGoal goal() const { return WearGoal::none; }
    // Of an implementation that changes its ways by what it sees: which ones now; empty: it has one.
    virtual std::string_view mode_name() const { return {}; }
};

}  // namespace xsan::wl
