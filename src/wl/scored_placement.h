// ScoredPlacement: what all placements of this library have in common. A policy says how good a
// member is (score), this class does the rest: the invariants of placement.h, capacity,
// declustering.
//
// How the strips of a group are chosen, one after another, each time among domains not taken yet:
//  1. The tiers in turn: spares where the request prefers them, then ordinary members, then slow
//  ones;
//     slow ones only where the group could not be complete without them.
//  2. For a new group, critical domains before others: those whose free extents are as many as the
//     groups that still fit (group_capacity). Passing one over would lose capacity, so that no
//     policy makes a pool smaller. With equal, equally filled members none is critical.
//  3. Otherwise the domain whose best member has the lowest score; among members whose scores
//  differ by
//     less than slack() the one that shares fewest groups with the members of the group so far;
//     then by score, then by a draw that the seed decides.
// Members are answered in ascending order, so that a pool with exactly K+P members has every strip
// of all groups in the same place (raid4's parity member, raid10's pairs). Where parity does not
// rotate and there are members to choose from, parity comes last, on the members of the group with
// the least wear.
//
// Cost: reading a request is a comparison per candidate; a choice of a strip is O(log members), and
// looks at kWindow ranked domains at most. Runs where Placement runs; owned by the pool.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wl/member_table.h"
#include "wl/placement.h"
#include "wl/shared_groups.h"

namespace xsan::wl {

class ScoredPlacement : public Placement {
  public:
    // Of so many of the best domains the least shared is found: all members of most pools. In
    // larger ones the draw of ties decides which are looked at.
    static constexpr std::size_t kWindow = 32;

    void start(const PoolView& pool) override;
    void stop() override;
    Outcome<StripMembers> select_members(const MemberRequest& request) final;
    void on_strips_released(std::span<const MemberIndex> released,
                            std::span<const MemberIndex> kept) override;
    void on_strip_placed(MemberIndex member, std::span<const MemberIndex> kept) override;
    std::optional<GroupIndex> select_group(const ClusterRequest& request) override;
    void on_io(const IoReport& report) override;
    double wear_level(MemberIndex member) const override;

    // What on_io has reported for a member since start().
    MemberIo totals(MemberIndex member) const;

  protected:
    // Lower is better; a function of the member alone and of what members_changed() has set.
    virtual double score(const MemberCandidate& candidate) = 0;
    // Scores that differ by no more are alike: one extent's worth by default.
    virtual double slack(const MemberCandidate& candidate) const;
    // Wear, health, load or membership changed: a policy whose scores depend on all members takes
    // its bearings here. True: every member is ranked anew.
    virtual bool members_changed(const MemberTable&) { return false; }
    // A selection begins; the seed is the request's.
    virtual void begin(std::uint64_t /*seed*/) {}
    virtual void on_taken(MemberIndex, double /*score*/) {}
    // How the policy came to its score, for `reasons`: "; wear 12.0" or nothing.
    virtual std::string explain(const MemberCandidate&) const { return {}; }

  private:
    class Choice;  // the state of one select_members call

    void rank(std::uint64_t seed, bool all);
    StripMembers in_order(const Choice& choice, const MemberRequest& request) const;

    MemberTable table_;
    SharedGroups shared_;
    std::vector<MemberIo> totals_;  // by member
    std::uint64_t rotation_ = 0;    // selections so far
};

// `place/all` of one extent: the change of fill that one more strip makes.
double extent_share(const MemberCandidate& candidate);

}  // namespace xsan::wl
