// GroupTable: the placement table at run time, as the engine and the allocator see it.
//
// What it adds to the durable rows: which places of a group are free (control reactor), and flags per group
// that every reactor reads: marked (the durable dirty bit is set), touched (written since the cleaner last
// looked), suspect (dirty at an unclean start, not resynced yet), unmapping (a cluster of it is on its way
// out, so writers ask the control reactor first), has-bad (some of its data is lost until rewritten).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ec/codec.h"
#include "meta/state.h"
#include "pool/members.h"
#include "raid/geometry.h"
#include "raid/group_map.h"

namespace xsan::pool {

class GroupTable final : public raid::GroupMap {
  public:
    static constexpr std::size_t kSchemesMax = meta::kSchemesMax;

    // The state must be loaded: it says how large the pool can get.
    GroupTable(const meta::State& state, MemberTable& members);

    // raid::GroupMap
    const GroupRow* row(GroupIndex group) const override { return state_.row(group); }
    const ec::Codec& codec(SchemeId scheme) const override { return *codecs_[scheme.get()]; }
    dev::BlockDevice* live_device(MemberIndex member) const override { return members_.live(member); }
    std::uint64_t extent_offset(MemberIndex member, ExtentIndex extent) const override {
        return members_.slot(member).data_offset.load(std::memory_order_acquire) +
               extent_bytes_ * extent.get();
    }
    std::uint64_t extent_bytes() const override { return extent_bytes_; }
    unsigned member_limit() const override { return member_limit_.load(std::memory_order_acquire); }
    bool may_be_torn(GroupIndex group, StripeIndex) const override { return flag(group, kSuspect); }
    bool is_mapped(GroupIndex group, std::uint64_t data_offset) const override;
    bool has_bad_ranges(GroupIndex group) const override { return flag(group, kHasBad); }
    bool takes_writes(GroupIndex group) const override { return !flag(group, kFrozen); }

    // Group numbers are below this: the growth limit of the pool, since a group has an extent at least.
    std::uint32_t groups_max() const { return state_.pool().extents_max; }

    // Called once the durable state is loaded, and after each change of schemes or members.
    void load();
    void refresh_schemes();
    void set_member_limit(unsigned limit) { member_limit_.store(limit, std::memory_order_release); }

    enum Flag : std::uint8_t {
        kMarked = 1,
        kTouched = 2,
        kSuspect = 4,
        kUnmapping = 8,
        kHasBad = 16,
        kFrozen = 32,
    };
    bool flag(GroupIndex group, Flag f) const {
        return (flags_[group.get()].load(std::memory_order_acquire) & f) != 0;
    }
    void set_flag(GroupIndex group, Flag f, bool on) {
        if (flag(group, f) == on) return;  // the usual case costs no shared write
        auto& flags = flags_[group.get()];
        if (on) {
            flags.fetch_or(f, std::memory_order_acq_rel);
        } else {
            flags.fetch_and(static_cast<std::uint8_t>(~f), std::memory_order_acq_rel);
        }
    }

    // Places (clusters) of a group. Control reactor.
    std::uint32_t cluster_bytes(SchemeId scheme) const { return cluster_bytes_[scheme.get()]; }
    std::uint32_t places(SchemeId scheme) const;
    // None of a group that is just being removed.
    std::uint32_t free_places(GroupIndex group) const;
    std::uint32_t mapped_places(GroupIndex group) const;
    void group_created(GroupIndex group);
    void group_removed(GroupIndex group);  // its row is still there
    std::uint64_t strips_in_use() const { return strips_in_use_; }  // of all groups
    // The lowest free place, taken; the group must have one.
    std::uint32_t take_place(GroupIndex group);
    void give_place_back(GroupIndex group, std::uint32_t place);

    // Strips of a group that are lost now: not ok in the table, or on a member that is not live.
    ec::SlotMask lost_slots(const GroupRow& row) const;
    // Can every stripe of the row be decoded with these slots lost?
    bool survives(const GroupRow& row, ec::SlotMask lost) const;

  private:
    const meta::State& state_;
    MemberTable& members_;
    std::uint64_t extent_bytes_ = 0;
    std::atomic<unsigned> member_limit_{0};
    std::vector<std::unique_ptr<ec::Codec>> codecs_;
    std::vector<std::uint32_t> cluster_bytes_;
    std::unique_ptr<std::atomic<std::uint8_t>[]> flags_;

    struct Places {
        std::vector<bool> used;
        std::uint32_t used_count = 0;
    };
    std::map<GroupIndex, Places> used_places_;
    std::uint64_t strips_in_use_ = 0;
};

// The members that hold these strips of a group, without one.
std::vector<MemberIndex> holders(std::span<const StripRef> strips, std::optional<MemberIndex> except = {});

// Bytes of data per cluster: a power of two of stripes, as near below 1 MiB as they come, at least one.
std::uint32_t cluster_bytes_of(const ec::Scheme& scheme, std::uint64_t extent_bytes);

}  // namespace xsan::pool
