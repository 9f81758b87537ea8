// RoundRobin: the first placement. Members fill alike, by fraction of their size, and groups
// decluster evenly: any two members share about the same number of groups, so that the rebuild of a
// lost member reads from and writes to all others alike.
//
// How a group is chosen (select_members), step by step, each time among domains not taken yet:
//  1. Critical domains first: those whose free extents are as many as the groups that still fit
//     (group_capacity). Passing one over would lose capacity; with equal members none is critical.
//  2. Otherwise the members whose fill is within kLevelSlack extents of level; of these the one
//  that shares
//     fewest groups with the members chosen so far; ties by fill, then by a rotation that the seed
//     moves.
// Slow members come after all others. Members are answered in ascending order, so that a pool with
// exactly K+P members has every strip of all groups in the same place (raid4's parity member,
// raid10's pairs).
//
// The count of shared groups is read from the pool at start, and kept up by answers and releases.
// It is a hint: an error in it costs evenness, never safety.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "wl/placement.h"

namespace xsan::wl {

class RoundRobin final : public Placement {
  public:
    static constexpr std::string_view kName = "round_robin";
    static constexpr std::uint32_t kLevelSlack = 1;         // extents
    static constexpr std::size_t kSharedMembersMax = 1024;  // beyond, shared groups are not counted

    std::string_view name() const override { return kName; }
    void start(const PoolView& pool) override;
    void stop() override;
    Outcome<StripMembers> select_members(const MemberRequest& request) override;
    void on_strips_released(std::span<const MemberIndex> released,
                            std::span<const MemberIndex> kept) override;
    std::optional<GroupIndex> select_group(const ClusterRequest& request) override;
    void on_io(const IoReport& report) override;
    unsigned wear_level(MemberIndex member) const override;

    // Bytes that on_io has reported for a member since start().
    MemberIo totals(MemberIndex member) const;

  private:
    struct Choice;  // the state of one select_members call

    std::uint32_t shared(MemberIndex a, MemberIndex b) const;
    void count_shared(std::span<const MemberIndex> some, std::span<const MemberIndex> others,
                      int by);
    void count_within(std::span<const MemberIndex> members, int by);
    void add_shared(MemberIndex a, MemberIndex b, int by);

    std::size_t width_ = 0;  // members that shared_ has room for
    std::vector<std::uint32_t>
        shared_;                      // width_ x width_, symmetric: groups that two members share
    std::vector<std::uint8_t> wear_;  // the last reading, by member
    std::vector<MemberIo> totals_;    // by member
    std::uint64_t rotation_ = 0;      // selections so far
};

}  // namespace xsan::wl
