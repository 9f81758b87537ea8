// What a pool's metadata is made of, as values: members, volumes, bad ranges, and the Record, one
// change. These structs are what memory holds; record_codec.h says how they lie on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/group_row.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "ec/scheme.h"

namespace xsan::meta {

using VolumeId = Strong<struct VolumeIdTag, std::uint32_t>;  // never reused within a pool

// Limits of the format. A decoder refuses what is beyond them before it allocates.
inline constexpr std::size_t kNameBytesMax = 32;   // of a pool or a volume
inline constexpr std::size_t kTextBytesMax = 255;  // path, model, serial, domain
inline constexpr std::uint32_t kMembersMax = 1024;
inline constexpr std::uint32_t kSchemesMax = 64;
inline constexpr std::uint32_t kVolumesMax = 16384;
inline constexpr std::uint64_t kClustersMax = 1ull << 32;  // of one volume
inline constexpr std::uint64_t kClustersTotalMax = 1ull << 34;  // of all volumes
inline constexpr std::uint64_t kExtentBytesMax = 1ull << 30;
inline constexpr std::uint32_t kExtentsMax = 1u << 24;     // the largest growth limit
inline constexpr std::uint64_t kExtentsTotalMax = 1ull << 28;  // of all members there ever were
inline constexpr std::uint64_t kSequenceEnd = 1ull << 62;  // epochs and sequences are below
inline constexpr std::uint32_t kExtentsDefault = 131072;   // the usual one

enum class MemberState : std::uint8_t {
    in_sync = 1,  // holds all metadata, and every strip on it that the table calls ok
    missing = 2,  // was absent at an assembly, or vanished; what it holds is stale
    faulty = 3,   // failed by its errors or by the administrator
    removed = 4,  // left the pool; its index may be given to a new member
};

enum class Consistency : std::uint8_t { none = 0, resync = 1, log = 2 };

// Where the regions of a member begin; fixed when the member is made. Bytes.
struct MemberLayout {
    std::uint64_t size_bytes = 0;       // of the device, rounded down to 64 KiB
    std::uint64_t metadata_offset = 0;  // checkpoint slots, then the metadata log
    std::uint64_t checkpoint_slot_bytes = 0;
    std::uint64_t metadata_log_bytes = 0;
    std::uint64_t stripe_log_offset = 0;  // reserved for consistency `log`
    std::uint64_t stripe_log_bytes = 0;
    std::uint64_t data_offset = 0;  // extent 0
    std::uint32_t extent_count = 0;

    std::uint64_t slot_offset(std::uint32_t slot) const {
        return metadata_offset + slot * checkpoint_slot_bytes;
    }
    std::uint64_t log_offset() const { return metadata_offset + 2 * checkpoint_slot_bytes; }
    friend bool operator==(const MemberLayout&, const MemberLayout&) = default;
};

// What was written to a member by us, in bytes, since it joined.
struct MemberCounters {
    std::uint64_t written_bytes = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t corrected_errors = 0;
    friend bool operator==(const MemberCounters&, const MemberCounters&) = default;
};

struct Member {
    Uuid uuid;
    MemberState state = MemberState::in_sync;
    bool spare = false;     // holds no extents until a rebuild needs it
    bool removing = false;  // healthy, but everything is moving off it
    MemberLayout layout;
    MemberCounters counters;
    std::string path;    // where it was last seen; a hint
    std::string model;   //
    std::string serial;  //
    std::string domain;  // failure domain; empty: its own
    friend bool operator==(const Member&, const Member&) = default;
};

// A place in a group for one cluster; what one entry of a volume map says.
// 0 is "unmapped: reads as zeros". Otherwise: bit 63 set, bits 32..62 group, bits 8..31 place in
// the group (in clusters), bits 0..7 flags (none defined yet, zero).
struct MapEntry {
    std::uint64_t bits = 0;
    static MapEntry mapped(GroupIndex group, std::uint32_t place) {
        XSAN_ASSERT(group.get() < (1u << 31) && place < (1u << 24));
        return {(1ull << 63) | (std::uint64_t{group.get()} << 32) | (std::uint64_t{place} << 8)};
    }
    bool is_mapped() const { return (bits >> 63) != 0; }
    bool is_valid() const { return bits == 0 || (is_mapped() && (bits & 0xff) == 0); }
    GroupIndex group() const {
        return GroupIndex{static_cast<std::uint32_t>(bits >> 32) & 0x7fffffffu};
    }
    std::uint32_t place() const { return static_cast<std::uint32_t>(bits >> 8) & 0xffffffu; }
    friend bool operator==(const MapEntry&, const MapEntry&) = default;
};

struct VolumeInfo {
    VolumeId id;
    Uuid uuid;
    std::string name;
    SchemeId scheme;
    std::uint64_t size_bytes = 0;
    std::uint32_t block_bytes = 4096;
    std::uint32_t cluster_bytes = 0;  // of data: a whole number of stripes
    std::int32_t device_number = -1;  // of /dev/ublkbN when last attached; -1: never
    bool attached = false;            // the administrator wants it attached after a restart

    std::uint64_t clusters() const {
        return cluster_bytes == 0 ? 0
                                  : size_bytes / cluster_bytes + (size_bytes % cluster_bytes != 0);
    }
    friend bool operator==(const VolumeInfo&, const VolumeInfo&) = default;
};

// A range of one group's data space that is lost: EIO until it is rewritten. Bytes, block-aligned.
struct BadRange {
    GroupIndex group;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t end() const { return offset + length; }
    friend bool operator==(const BadRange&, const BadRange&) = default;
};

struct PoolInfo {
    Uuid uuid;
    std::string name;
    Consistency consistency = Consistency::resync;
    std::uint64_t extent_bytes = 0;
    std::uint32_t extents_max =
        kExtentsDefault;  // growth limit: sizes metadata on every member; fixed
    bool rebuild_paused = false;
    std::uint64_t rebuild_rate_max = 0;  // bytes/s, 0: unlimited
    friend bool operator==(const PoolInfo&, const PoolInfo&) = default;
};

// One change. A commit is a list of records that becomes durable as a whole.
// Only the fields of its kind are meaningful.
enum class RecordKind : std::uint8_t {
    pool_set = 1,       // pool
    member_set = 2,     // member_index, member
    member_stale = 3,   // member_index: every strip on it that is ok becomes stale
    scheme_set = 4,     // scheme_id, scheme
    group_set = 5,      // group, scheme_id, generation, strips (replaces)
    group_remove = 6,   // group: its extents are free; no cluster may be mapped to it
    group_dirty = 7,    // groups: dirty := flag, for all of them
    volume_set = 8,     // volume (creates, or changes; a larger size grows the map)
    volume_remove = 9,  // volume.id; none of its clusters may be mapped
    map_set = 10,       // volume.id, entries
    bad_set = 11,       // bad: added
    bad_clear = 12,     // bad: removed (the range or the part of it that this covers)
    counters_set = 13,  // member_index, member.counters
};

struct Record {
    struct MapChange {
        ClusterIndex cluster;
        MapEntry entry;
    };
    RecordKind kind = RecordKind::pool_set;
    PoolInfo pool;
    MemberIndex member_index;
    Member member;
    SchemeId scheme_id;
    ec::Scheme scheme;
    GroupIndex group;
    std::uint32_t generation = 0;  // group_set: of the row
    std::vector<StripRef> strips;  // group_set: of the row; its scheme is scheme_id
    std::vector<GroupIndex> groups;
    bool flag = false;
    VolumeInfo volume;
    std::vector<MapChange> entries;
    BadRange bad;
};

}  // namespace xsan::meta
