// Checkpoint: a whole State as typed pages, from which it is read back. Pure.
//
// Pages are 4 to 64 KiB, each with its own header and CRC, in the order of their types. The
// superblock names the checkpoint by slot, length and a CRC over the pages' CRCs. Decoding refuses,
// with a sentence, whatever could not have come from a State: unknown types, wrong order, rows that
// share extents. Whether clusters share places is asked when the log was replayed: check_places().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/endian.h"
#include "base/result.h"
#include "base/uuid.h"
#include "dev/aligned_buffer.h"
#include "meta/state.h"

namespace xsan::meta {

inline constexpr std::size_t kPageBytesMin = 4096;
inline constexpr std::size_t kPageBytesMax = 65536;
inline constexpr std::uint32_t kPageMagic = 0x50534e58;  // "XNSP"
inline constexpr std::uint16_t kPageVersion = 1;

enum class PageType : std::uint16_t {
    pool = 1,        // one record pool_set
    members = 2,     // records member_set
    schemes = 3,     // records scheme_set
    group_rows = 4,  // RowOnDisk and its strips
    dirty_bits = 5,  // DirtyHeader, then a bit per group
    volumes = 6,     // records volume_set
    map = 7,         // MapHeader, then runs: MapRun and its entries
    bad_ranges = 8,  // records bad_set
};

struct PageHeader {
    Le32 magic;
    Le32 crc;
    Le32 length;
    Le32 used_bytes;
    Le16 type;
    Le16 version;
    Le32 index;
    Le64 sequence;
    Le32 item_count;
    std::array<std::uint8_t, 16> pool_uuid;
    std::array<std::uint8_t, 12> reserved;
};
static_assert(sizeof(PageHeader) == 64);

struct RowOnDisk {
    Le32 group;
    Le32 generation;
    Le16 scheme;
    Le16 strip_count;  // strips follow, six bytes each
};
static_assert(sizeof(RowOnDisk) == 12);

struct StripOnDisk {
    Le16 member_and_state;  // 14 bits of member, 2 bits of StripState
    Le32 extent;
};
static_assert(sizeof(StripOnDisk) == 6);

struct DirtyHeader {
    Le32 first_group;  // of bit 0; bits go from the lowest of the first byte
    Le32 group_count;
};
static_assert(sizeof(DirtyHeader) == 8);

struct MapHeader {
    Le32 volume;
    Le32 reserved;
    Le64 base_cluster;
};
static_assert(sizeof(MapHeader) == 16);

struct MapRun {
    Le32 first;  // cluster, counted from base_cluster; ascending
    Le32 count;  // entries of eight bytes that follow, 0 for unmapped
};
static_assert(sizeof(MapRun) == 8);

struct CheckpointIdentity {
    Uuid pool_uuid;
    std::uint64_t sequence = 0;  // of the last entry that the state contains
};

struct CheckpointImage {
    dev::AlignedBuffer buffer;
    std::uint64_t bytes = 0;  // of buffer
    std::uint32_t crc = 0;
};
CheckpointImage encode_checkpoint(const State& state, const CheckpointIdentity& identity);

// Failures: checksum_mismatch (damaged), version_mismatch, corrupt.
Outcome<State> decode_checkpoint(std::span<const std::byte> image, std::uint32_t crc,
                                 const CheckpointIdentity& identity);

// No two clusters share a place in a group: true of a state when its log has been replayed, too.
Outcome<void> check_places(const State& state);

// At most how large a checkpoint of a state with these sizes is. A commit that would make it larger
// than a slot is refused with no_space.
std::uint64_t checkpoint_bytes_max(const StateTally& tally);

}  // namespace xsan::meta
