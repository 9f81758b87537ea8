// The stripe log on disk: one region on each member, two tails and a ring per lane. Pure: values
// and bytes, no I/O. docs/on-disk-format.md, "Stripe log".
//
// A batch is what one lane appends to one member at a time: a header, descriptors, their contents,
// zeros up to a multiple of 4096 bytes. Batches of a ring follow each other and never wrap; one that
// does not fit before the ring's end begins at the next lap. There is one append in flight per
// ring, so the first batch that is not whole ends the chain, and none of its writes had begun.
//
// Invariants:
//  - A batch counts when it is whole, carries the incarnation of the member's newest tail, and lies
//    at the position that it names: bytes of an earlier use of the region never do.
//  - Records below the highest `retired` of any tail or batch of the pool are durable in place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/endian.h"
#include "base/strong.h"
#include "base/uuid.h"

namespace xsan::meta {

inline constexpr std::size_t kStripeLogBlockBytes = 4096;
inline constexpr std::uint64_t kStripeLogTailMagic = 0x314c494154415358;   // "XSATAIL1"
inline constexpr std::uint64_t kStripeLogBatchMagic = 0x3148435442415358;  // "XSABTCH1"
inline constexpr unsigned kStripeLogLanesMax = 256;
inline constexpr std::uint64_t kStripeLogNumberMax = 1ull << 62;  // of sequences and positions
inline constexpr std::uint64_t kStripeLogLaneBytesMin = 512 * 1024;

struct StripeLogTailOnDisk {
    Le64 magic;
    Le32 crc;  // over the block, with this field zero
    Le16 version;
    Le16 lanes;
    std::array<std::uint8_t, 16> pool_uuid;    // against a region of another pool
    std::array<std::uint8_t, 16> member_uuid;  // against a misdirected write
    Le64 epoch;                                // of the pool, when the region was set up
    Le64 incarnation;                          // of this use of the region: batches carry it too
    Le64 number;                               // of this tail; the higher one of the two counts
    Le64 retired;                              // records below this sequence are durable in place
    Le64 lane_bytes;
    std::array<std::uint8_t, 40> reserved;
    std::array<Le64, kStripeLogLanesMax> position;  // by lane: where reading begins
    std::array<std::uint8_t, 1920> reserved_end;
};
static_assert(sizeof(StripeLogTailOnDisk) == kStripeLogBlockBytes);

struct StripeLogBatchOnDisk {
    Le64 magic;
    Le32 crc;  // over header and descriptors, with this field zero
    Le32 content_crc;
    Le64 incarnation;
    Le64 position;  // its own, in the lane's stream of bytes
    Le64 retired;   // as in a tail, when it was made
    Le32 header_bytes;   // with descriptors, padded to a block
    Le32 content_bytes;  // of all records, not padded
    Le16 lane;
    Le16 record_count;
    Le32 bytes;  // of the whole batch, padded to a block
    std::array<std::uint8_t, 8> reserved;
};
static_assert(sizeof(StripeLogBatchOnDisk) == 64);

struct StripeLogDescriptorOnDisk {
    Le64 sequence;
    Le64 touched;
    Le32 group;
    Le32 generation;
    Le32 stripe;
    Le32 row_begin;
    Le32 row_end;
    Le32 content_bytes;
    std::array<std::uint8_t, 1> kind;
    std::array<std::uint8_t, 1> strip;  // the parity strip of this copy
    Le16 granule_bytes;                 // of an overwrite's checksums
    std::array<std::uint8_t, 20> reserved;
};
static_assert(sizeof(StripeLogDescriptorOnDisk) == 64);

// The place of a region and whose it is.
struct StripeLogIdentity {
    Uuid pool_uuid;
    Uuid member_uuid;
};

struct StripeLogTail {
    std::uint64_t epoch = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t number = 0;
    std::uint64_t retired = 0;
    std::uint64_t lane_bytes = 0;
    std::vector<std::uint64_t> position;  // one per lane
};

struct StripeLogDescriptor {
    std::uint64_t sequence = 0;
    std::uint64_t touched = 0;
    GroupIndex group;
    std::uint32_t generation = 0;
    StripeIndex stripe;
    std::uint32_t row_begin = 0;
    std::uint32_t row_end = 0;
    std::uint32_t content_bytes = 0;
    std::uint8_t kind = 0;
    std::uint8_t strip = 0;
    std::uint16_t granule_bytes = 0;
};

struct StripeLogBatchHead {
    std::uint64_t incarnation = 0;
    std::uint64_t position = 0;
    std::uint64_t retired = 0;
    unsigned lane = 0;
};

// Offset of tail 0 or 1, and of a lane's ring, in the region.
constexpr std::uint64_t stripe_log_tail_offset(std::uint64_t number) {
    return number % 2 * kStripeLogBlockBytes;
}
constexpr std::uint64_t stripe_log_ring_offset(unsigned lane, std::uint64_t lane_bytes) {
    return 2 * kStripeLogBlockBytes + lane * lane_bytes;
}
// The largest ring that lets so many lanes fit, in whole blocks; 0: too many lanes.
std::uint64_t stripe_log_lane_bytes(std::uint64_t region_bytes, unsigned lanes);

// Of a batch with that many records and bytes of content; the header's part alone.
std::uint32_t stripe_log_header_bytes(std::size_t records);
std::uint64_t stripe_log_batch_bytes(std::size_t records, std::uint64_t content_bytes);
// Where a batch of that size goes that follows `position`.
std::uint64_t stripe_log_place(std::uint64_t position, std::uint64_t bytes, std::uint64_t lane_bytes);

// `out`: one block.
void encode_stripe_log_tail(const StripeLogTail& tail, const StripeLogIdentity& identity,
                            std::span<std::byte> out);
// nullopt: no whole tail of this member is there.
std::optional<StripeLogTail> decode_stripe_log_tail(std::span<const std::byte> block,
                                                    const StripeLogIdentity& identity,
                                                    std::uint64_t region_bytes);

// `out`: stripe_log_batch_bytes() of it; the contents are in place already, from header_bytes on.
void encode_stripe_log_batch(const StripeLogBatchHead& head,
                             std::span<const StripeLogDescriptor> records, std::span<std::byte> out);

struct StripeLogBatch {
    StripeLogBatchHead head;
    std::uint32_t bytes = 0;
    std::vector<StripeLogDescriptor> records;
    std::vector<std::span<const std::byte>> contents;  // of each record; views into `in`
};
struct StripeLogPlace {
    std::uint64_t incarnation = 0;
    unsigned lane = 0;
    std::uint64_t position = 0;
    std::uint64_t lane_bytes = 0;
};
// Bytes of the batch that begins in this block, by its header alone; 0: none begins there.
std::uint32_t peek_stripe_log_batch(std::span<const std::byte> block, const StripeLogPlace& place);
// The batch at the start of `in`, which holds peek_stripe_log_batch() bytes; nullopt: not whole.
std::optional<StripeLogBatch> decode_stripe_log_batch(std::span<const std::byte> in,
                                                      const StripeLogPlace& place);

}  // namespace xsan::meta
