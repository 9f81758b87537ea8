// Superblock: what a member says about itself, and where its metadata is. Pure: values and bytes,
// no I/O.
//
// Four copies lie on each member, 0 and 1 at its start, 2 and 3 at its end. An update writes copies
// 0 and 2, flushes, writes 1 and 3, flushes: at any instant two copies of one version are whole.
// Opening needs two that match; the newest such pair wins and the others are repaired. With fewer
// the member is refused.
//
// Invariants: the 64 bytes in front (magic, version, CRC, place) keep their meaning in all
// versions; what differs between copies is only there, so that copies compare by the rest. Every
// byte of a copy is either compared with what it must be or under a CRC.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/endian.h"
#include "base/result.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "meta/records.h"

namespace xsan::meta {

inline constexpr std::size_t kSuperblockBytes = 4096;
inline constexpr unsigned kSuperblockCopies = 4;
inline constexpr unsigned kSuperblockOpenQuorum = 2;   // copies that must match to open
inline constexpr unsigned kSuperblockWriteQuorum = 3;  // copies that an update must reach
inline constexpr std::uint64_t kSuperblockMagic = 0x314b4c424e415358;  // "XSANBLK1"
inline constexpr std::uint16_t kFormatMajor = 1;
inline constexpr std::uint16_t kFormatMinor = 0;
inline constexpr std::uint64_t kKnownIncompat = 0;  // feature bits that this build understands
inline constexpr std::uint64_t kKnownReadOnlyCompat = 0;
inline constexpr std::size_t kAncestorsMax = 8;
inline constexpr std::size_t kAttributeBytesMax = 3072;

// Where copy 0..3 lies on a member of that size, which is the device's, in bytes.
std::uint64_t superblock_offset(unsigned copy, std::uint64_t size_bytes);

// A history that this one was split off from, by starting without members that may have known more.
struct Ancestor {
    Uuid lineage;
    std::uint64_t epoch = 0;     // of the last entry that both have
    std::uint64_t sequence = 0;  //
    friend bool operator==(const Ancestor&, const Ancestor&) = default;
};

// What a member is, as type and value; types that a version does not know are kept.
enum class AttributeType : std::uint16_t {
    failure_domain = 1,  // text
    media_class = 2,     // text: "nvme", "ssd", "hdd", "file"
    endurance = 3,       // Le64: bytes that the maker warrants to be written
    transport = 4,       // text: address of a remote member
    counters = 5,        // 3 x Le64 as of the last update: written, read, corrected
    model = 6,           // text
    serial = 7,          // text
    scrub_progress = 8,  // scrub_progress.h: of the pool, the same on all members
};
struct Attribute {
    std::uint16_t type = 0;
    std::string value;
    friend bool operator==(const Attribute&, const Attribute&) = default;
};

// A checkpoint on this member, and where the log continues it.
struct CheckpointRef {
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;  // of the last entry that it contains; 0: none
    std::uint64_t epoch = 0;     // of that entry
    Uuid lineage;                // of that entry
    std::uint64_t bytes = 0;
    std::uint32_t crc = 0;         // over the pages' CRCs
    std::uint32_t chain_crc = 0;   // of that entry: what the next one names as its predecessor
    std::uint64_t log_offset = 0;  // in the log: where the next entry is looked for
    friend bool operator==(const CheckpointRef&, const CheckpointRef&) = default;
};

struct Superblock {
    std::uint16_t minor = kFormatMinor;
    std::uint64_t compat = 0;
    std::uint64_t ro_compat = 0;
    std::uint64_t incompat = 0;
    Uuid pool_uuid;
    std::string pool_name;
    Uuid member_uuid;
    MemberIndex member_index;
    Uuid lineage;
    std::uint64_t epoch = 0;         // no entry of a lower epoch may be written any more
    std::uint64_t sequence = 0;      // of this superblock, on this member
    std::uint32_t previous_crc = 0;  // of its predecessor's body
    MemberLayout layout;
    std::uint64_t extent_bytes = 0;
    std::uint32_t extents_max = 0;  // growth limit
    CheckpointRef checkpoint;
    std::vector<Ancestor> ancestors;  // newest first
    std::vector<Attribute> attributes;
    friend bool operator==(const Superblock&, const Superblock&) = default;
};

struct AncestorOnDisk {
    std::array<std::uint8_t, 16> lineage;
    Le64 epoch;
    Le64 sequence;
};
static_assert(sizeof(AncestorOnDisk) == 32);

struct SuperblockCopy {
    Le64 magic;
    Le16 major;
    Le16 minor;
    Le32 copy_crc;
    Le32 copy_index;
    Le32 body_crc;
    Le64 own_offset;
    Le32 length;
    std::array<std::uint8_t, 28> reserved_head;
    std::array<std::uint8_t, 16> pool_uuid;
    std::array<std::uint8_t, 32> pool_name;
    std::array<std::uint8_t, 16> member_uuid;
    std::array<std::uint8_t, 16> lineage;
    Le64 epoch;
    Le64 sequence;
    Le64 compat;
    Le64 ro_compat;
    Le64 incompat;
    Le32 previous_crc;
    Le16 member_index;
    Le16 attribute_bytes;
    Le64 size_bytes;
    Le64 metadata_offset;
    Le64 checkpoint_slot_bytes;
    Le64 metadata_log_bytes;
    Le64 stripe_log_offset;
    Le64 stripe_log_bytes;
    Le64 data_offset;
    Le64 extent_bytes;
    Le32 extent_count;
    Le32 extents_max;
    Le64 checkpoint_sequence;
    Le64 checkpoint_epoch;
    std::array<std::uint8_t, 16> checkpoint_lineage;
    Le64 checkpoint_bytes;
    Le32 checkpoint_crc;
    Le32 checkpoint_chain_crc;
    Le64 checkpoint_log_offset;
    Le32 checkpoint_slot;
    Le32 ancestor_count;
    std::array<AncestorOnDisk, kAncestorsMax> ancestors;
    std::array<std::uint8_t, 440> reserved;
    std::array<std::uint8_t, kAttributeBytesMax> attributes;
};
static_assert(sizeof(SuperblockCopy) == kSuperblockBytes);
static_assert(offsetof(SuperblockCopy, pool_uuid) == 64);
static_assert(offsetof(SuperblockCopy, attributes) == 1024);

// Writes one copy to `out`, kSuperblockBytes of it. The attributes must fit (attributes_fit()).
void encode_superblock(const Superblock& superblock, unsigned copy, std::span<std::byte> out);
bool attributes_fit(const std::vector<Attribute>& attributes);

// CRC of what the copies have in common: names one version of a superblock.
std::uint32_t superblock_crc(const Superblock& superblock);

// Reads the copy that lies at `offset`. Failures: not_found (no magic there), version_mismatch (a
// newer major version), checksum_mismatch, corrupt (misplaced, or fields that cannot be).
struct DecodedCopy {
    Superblock superblock;
    std::uint32_t crc = 0;
};
struct CopyPlace {
    unsigned copy = 0;
    std::uint64_t offset = 0;
};
Outcome<DecodedCopy> decode_superblock(std::span<const std::byte> in, CopyPlace place);

// Which version of the superblock the copies of one member agree on.
struct SuperblockChoice {
    Superblock superblock;
    unsigned copies_valid = 0;                     // that hold this version
    std::array<bool, kSuperblockCopies> repair{};  // those that do not
    std::string note;                              // what was wrong with them; empty: nothing
};
using SuperblockCopies = std::array<Outcome<DecodedCopy>, kSuperblockCopies>;
// Failures as examine() in store.h says, without the device's name.
Outcome<SuperblockChoice> choose_superblock(const SuperblockCopies& copies);

// Whether `next` may follow `old` on a member: asserted before each update.
bool is_valid_successor(const Superblock& old, const Superblock& next);

}  // namespace xsan::meta
