// State: everything a pool knows, in memory: members, schemes, the placement table, volumes and
// their maps, bad ranges. It changes only by applying records, the same ones that the metadata log
// holds, so that replaying a log gives the state that wrote it.
//
// Threads: mutated on the control reactor only. Rows and map entries are published atomically and
// are read on every reactor without a lock; a row that was replaced is kept until take_retired() is
// called, which its owner does after a grace period.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/group_row.h"
#include "base/result.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "ec/scheme.h"
#include "meta/facts.h"
#include "meta/records.h"
#include "meta/shared_table.h"

namespace xsan::meta {

// One map entry per cluster, readable without a lock while it grows.
class VolumeMap {
  public:
    explicit VolumeMap(std::uint64_t clusters) { table_.grow(clusters); }

    std::uint64_t clusters() const { return table_.limit(); }
    // Unmapped beyond clusters(). On any reactor.
    MapEntry get(ClusterIndex cluster) const { return {table_.get(cluster.get())}; }
    void set(ClusterIndex cluster, MapEntry entry);               // cluster < clusters()
    void grow(std::uint64_t clusters) { table_.grow(clusters); }  // never shrinks
    std::uint64_t mapped() const { return mapped_; }              // control reactor

    // The first mapped cluster from `from` on; clusters() when there is none. Control reactor.
    ClusterIndex next_mapped(ClusterIndex from) const {
        return ClusterIndex{table_.next_stored(from.get())};
    }
    // f(ClusterIndex, MapEntry) for every mapped cluster, in order. Control reactor.
    template <class F>
    void for_each_mapped(F&& f) const {
        table_.for_each(
            [&f](std::uint64_t i, std::uint64_t bits) { f(ClusterIndex{i}, MapEntry{bits}); });
    }

  private:
    SharedTable<std::uint64_t> table_;
    std::uint64_t mapped_ = 0;
};

struct Volume {
    VolumeInfo info;
    std::unique_ptr<VolumeMap> map;
};

// Sizes from which checkpoint.h computes how large a checkpoint of the state can get.
struct StateTally {
    std::uint64_t member_bytes = 0;  // of the members' records
    std::uint64_t scheme_count = 0;
    std::uint64_t group_limit = 0;
    std::uint64_t row_bytes = 0;  // of the rows as a checkpoint holds them
    std::uint64_t volume_count = 0;
    std::uint64_t mapped_count = 0;
    std::uint64_t bad_count = 0;
};

class State final : public Facts {
  public:
    State() = default;
    State(State&&) = default;
    State& operator=(State&&) = default;

    // Checks that the record fits the state (known member, free index, bounds), then applies it. On
    // failure (Errc::corrupt, with a sentence) nothing has changed. Records made by this process
    // always fit: a caller that commits asserts success.
    //
    // Beyond the record's own words: member_stale raises the generation of the rows it changes by
    // one; a strip of state `none` loses its member and extent; group_remove takes the group's bad
    // ranges along.
    Outcome<void> apply(const Record& record);

    const PoolInfo& pool() const override { return pool_; }
    const std::vector<std::optional<Member>>& members() const {
        return members_;
    }  // by MemberIndex
    const std::vector<std::optional<ec::Scheme>>& schemes() const { return schemes_; }
    const std::map<VolumeId, Volume>& volumes() const { return volumes_; }
    const std::vector<BadRange>& bad_ranges() const { return bad_ranges_; }  // sorted, apart

    // Groups are numbered densely from 0 with holes where one was removed. Readable on any reactor.
    std::uint32_t group_limit() const { return static_cast<std::uint32_t>(rows_->limit()); }
    const GroupRow* row(GroupIndex group) const {
        return rows_->get(group.get());
    }                                       // nullptr: none
    bool is_dirty(GroupIndex group) const;  // control reactor
    std::uint64_t dirty_count() const { return dirty_count_; }

    // Rows replaced since the last call, to be freed after a grace period.
    std::vector<GroupRow::Ptr> take_retired() { return std::exchange(retired_, {}); }

    // Equal content, for tests and for comparing members.
    bool equals(const State& other) const;

    StateTally tally() const;

    // Facts, and what allocation asks. Control reactor.
    const Member* find_member(MemberIndex index) const override;
    bool is_member_uuid_used(const Uuid& uuid, MemberIndex except) const override;
    std::uint32_t used_extents(MemberIndex index) const override;
    bool is_extent_used(MemberIndex index, ExtentIndex extent) const override;
    const ec::Scheme* find_scheme(SchemeId id) const override;
    std::optional<RowFacts> find_row(GroupIndex group) const override;
    std::uint64_t mapped_in_group(GroupIndex group) const override;
    const VolumeInfo* find_volume(VolumeId id) const override;
    std::uint64_t volume_count() const override { return volumes_.size(); }
    std::uint64_t cluster_total() const override { return cluster_total_; }
    bool is_volume_name_used(std::string_view name, VolumeId except) const override;
    bool is_mapped_from(VolumeId id, ClusterIndex first) const override;

  private:
    // The table owns its rows; those that were replaced are in retired_.
    struct RowTable : SharedTable<GroupRow*> {
        ~RowTable();
    };
    struct MemberExtents {
        std::vector<bool> used;
        std::uint32_t count = 0;
    };

    void set_member(MemberIndex index, const Member& member);
    void set_row(GroupIndex group, SchemeId scheme, std::uint32_t generation,
                 std::span<const StripRef> strips);
    void publish_row(GroupIndex group, GroupRow::Ptr row);
    void count_row(const GroupRow& row, bool use);
    void make_member_stale(MemberIndex index);
    void remove_group(GroupIndex group);
    void set_dirty(GroupIndex group, bool dirty);
    void set_volume(const VolumeInfo& info);
    void remove_volume(VolumeId id);
    void set_map(Volume& volume, ClusterIndex cluster, MapEntry entry);
    void add_bad(BadRange bad);
    void clear_bad(BadRange bad);

    PoolInfo pool_;
    std::vector<std::optional<Member>> members_;
    std::vector<MemberExtents> extents_;
    std::vector<std::optional<ec::Scheme>> schemes_;
    std::unique_ptr<RowTable> rows_ = std::make_unique<RowTable>();
    std::uint64_t row_bytes_ = 0;
    std::vector<bool> dirty_;
    std::uint64_t dirty_count_ = 0;
    std::vector<std::uint32_t> group_mapped_;  // clusters mapped to each group
    std::uint64_t mapped_count_ = 0;
    std::uint64_t cluster_total_ = 0;
    std::map<VolumeId, Volume> volumes_;
    std::vector<BadRange> bad_ranges_;
    std::vector<GroupRow::Ptr> retired_;
};

// Bytes of one row, and at most of one member, in a checkpoint.
std::uint64_t stored_row_bytes(std::size_t strips);
std::uint64_t stored_member_bytes(const Member& member);

}  // namespace xsan::meta
