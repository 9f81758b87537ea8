// Facts: what a record is checked against. State is one; Draft is a State with records on top that
// are not durable yet. check_record() is the one place that says which records fit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "meta/records.h"

namespace xsan::meta {

struct RowFacts {
    SchemeId scheme;
    std::uint32_t generation = 0;
    std::span<const StripRef> strips;
};

class Facts {
  public:
    virtual ~Facts() = default;
    virtual const PoolInfo& pool() const = 0;
    virtual const Member* find_member(MemberIndex index) const = 0;
    virtual bool is_member_uuid_used(const Uuid& uuid, MemberIndex except) const = 0;
    virtual std::uint32_t used_extents(MemberIndex index) const = 0;
    virtual bool is_extent_used(MemberIndex index, ExtentIndex extent) const = 0;
    virtual const ec::Scheme* find_scheme(SchemeId id) const = 0;
    virtual std::optional<RowFacts> find_row(GroupIndex group) const = 0;
    virtual std::uint64_t mapped_in_group(GroupIndex group) const = 0;
    virtual const VolumeInfo* find_volume(VolumeId id) const = 0;
    virtual std::uint64_t volume_count() const = 0;
    virtual std::uint64_t cluster_total() const = 0;  // of all volumes, mapped or not
    virtual bool is_volume_name_used(std::string_view name, VolumeId except) const = 0;
    // Whether any cluster at or behind `first` is mapped.
    virtual bool is_mapped_from(VolumeId id, ClusterIndex first) const = 0;

  protected:
    Facts() = default;
    Facts(const Facts&) = default;
    Facts& operator=(const Facts&) = default;
};

// How many clusters of the volume's size one group of the scheme holds.
std::uint64_t places_in_group(const PoolInfo& pool, const ec::Scheme& scheme,
                              std::uint32_t cluster_bytes);

// Whether the record may be applied where these facts hold; Errc::corrupt and a sentence when not.
// Assumes nothing about the record: it may come from hostile bytes.
Outcome<void> check_record(const Record& record, const Facts& facts);

// [A-Za-z0-9][A-Za-z0-9._-]{0,31}: of a pool or a volume.
bool is_name(std::string_view name);

// Whether the regions lie inside the member, in order, without overlap.
Outcome<void> check_layout(const MemberLayout& layout, std::uint64_t extent_bytes);

}  // namespace xsan::meta
