// Draft: the facts as they will be when records that are not durable yet have been applied. A
// commit is checked against a draft before a byte of it is written, so that what is on disk always
// replays.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/facts.h"
#include "meta/state.h"

namespace xsan::meta {

class Draft final : public Facts {
  public:
    // `base` outlives the draft and does not change meanwhile.
    explicit Draft(const State& base)
        : base_(base), tally_(base.tally()), cluster_total_(base.cluster_total()) {}

    // Checks the record against the draft, then adds it.
    Outcome<void> add(const Record& record);

    // At most what the state will hold; see checkpoint_bytes_max().
    const StateTally& tally() const { return tally_; }
    // Extents of all members that groups may have to do with: one that is lost, and that no group
    // names any more, does not stand in the way of those that take its place.
    std::uint64_t extent_total() const;

    const PoolInfo& pool() const override { return pool_ ? *pool_ : base_.pool(); }
    const Member* find_member(MemberIndex index) const override;
    bool is_member_uuid_used(const Uuid& uuid, MemberIndex except) const override;
    std::uint32_t used_extents(MemberIndex index) const override;
    bool is_extent_used(MemberIndex index, ExtentIndex extent) const override;
    const ec::Scheme* find_scheme(SchemeId id) const override;
    std::optional<RowFacts> find_row(GroupIndex group) const override;
    std::uint64_t mapped_in_group(GroupIndex group) const override;
    const VolumeInfo* find_volume(VolumeId id) const override;
    std::uint64_t volume_count() const override { return tally_.volume_count; }
    std::uint64_t cluster_total() const override { return cluster_total_; }
    bool is_volume_name_used(std::string_view name, VolumeId except) const override;
    bool is_mapped_from(VolumeId id, ClusterIndex first) const override;

  private:
    struct Row {
        SchemeId scheme;
        std::uint32_t generation = 0;
        std::vector<StripRef> strips;
    };
    struct NewVolume {
        std::optional<VolumeInfo> info;  // nullopt: removed
        bool fresh = false;              // nothing of the base's volume of this id counts
    };

    void note(const Record& record);
    void note_row(GroupIndex group, std::optional<Row> next);
    void note_stale(MemberIndex index);
    void note_volume(const VolumeInfo& info);
    void note_volume_removed(VolumeId id);
    void note_map(const Record& record);
    MapEntry map_entry(VolumeId id, ClusterIndex cluster) const;
    bool is_base_volume_visible(VolumeId id) const;
    std::uint32_t member_limit() const;

    const State& base_;
    StateTally tally_;
    std::uint64_t cluster_total_ = 0;
    std::optional<PoolInfo> pool_;
    std::map<MemberIndex, Member> members_;
    std::map<SchemeId, ec::Scheme> schemes_;
    std::unordered_map<GroupIndex, std::optional<Row>> rows_;
    std::map<std::pair<MemberIndex, ExtentIndex>, bool> extents_;
    std::map<MemberIndex, std::int64_t> extents_used_;     // change against the base
    std::unordered_map<GroupIndex, std::int64_t> mapped_;  // change against the base
    std::map<VolumeId, NewVolume> volumes_;
    std::map<std::pair<VolumeId, ClusterIndex>, MapEntry> entries_;
};

}  // namespace xsan::meta
