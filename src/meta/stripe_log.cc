// Bytes of the stripe log: tails and batches.
#include "meta/stripe_log.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/byte_span.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "base/units.h"

namespace xsan::meta {
namespace {

constexpr std::uint16_t kStripeLogVersion = 1;

// The CRC of bytes that hold it themselves, taken as zero there.
std::uint32_t crc_without(std::span<const std::byte> bytes, std::size_t crc_at) {
    const std::array<std::byte, 4> zero{};
    std::uint32_t crc = crc32c(bytes.first(crc_at));
    crc = crc32c(zero, crc);
    return crc32c(bytes.subspan(crc_at + zero.size()), crc);
}

StripeLogDescriptorOnDisk to_disk(const StripeLogDescriptor& d) {
    StripeLogDescriptorOnDisk out{};
    out.sequence = d.sequence;
    out.touched = d.touched;
    out.group = d.group.get();
    out.generation = d.generation;
    out.stripe = d.stripe.get();
    out.row_begin = d.row_begin;
    out.row_end = d.row_end;
    out.content_bytes = d.content_bytes;
    out.kind[0] = d.kind;
    out.strip[0] = d.strip;
    out.granule_bytes = d.granule_bytes;
    return out;
}

StripeLogDescriptor from_disk(const StripeLogDescriptorOnDisk& d) {
    StripeLogDescriptor out;
    out.sequence = d.sequence;
    out.touched = d.touched;
    out.group = GroupIndex{d.group.get()};
    out.generation = d.generation;
    out.stripe = StripeIndex{d.stripe.get()};
    out.row_begin = d.row_begin;
    out.row_end = d.row_end;
    out.content_bytes = d.content_bytes;
    out.kind = d.kind[0];
    out.strip = d.strip[0];
    out.granule_bytes = d.granule_bytes;
    return out;
}

}  // namespace

std::uint64_t stripe_log_lane_bytes(std::uint64_t region_bytes, unsigned lanes) {
    if (lanes == 0 || lanes > kStripeLogLanesMax) return 0;
    const std::uint64_t rings = region_bytes - std::min<std::uint64_t>(
                                                   region_bytes, 2 * kStripeLogBlockBytes);
    const std::uint64_t bytes = round_down(rings / lanes, kStripeLogBlockBytes);
    return bytes < kStripeLogLaneBytesMin ? 0 : bytes;
}

std::uint32_t stripe_log_header_bytes(std::size_t records) {
    return static_cast<std::uint32_t>(round_up(
        sizeof(StripeLogBatchOnDisk) + records * sizeof(StripeLogDescriptorOnDisk),
        kStripeLogBlockBytes));
}

std::uint64_t stripe_log_batch_bytes(std::size_t records, std::uint64_t content_bytes) {
    return round_up(stripe_log_header_bytes(records) + content_bytes, kStripeLogBlockBytes);
}

std::uint64_t stripe_log_place(std::uint64_t position, std::uint64_t bytes,
                               std::uint64_t lane_bytes) {
    XSAN_ASSERT(bytes <= lane_bytes);
    return position % lane_bytes + bytes <= lane_bytes ? position : round_up(position, lane_bytes);
}

void encode_stripe_log_tail(const StripeLogTail& tail, const StripeLogIdentity& identity,
                            std::span<std::byte> out) {
    XSAN_ASSERT(out.size() == kStripeLogBlockBytes && tail.position.size() <= kStripeLogLanesMax);
    StripeLogTailOnDisk disk{};
    disk.magic = kStripeLogTailMagic;
    disk.version = kStripeLogVersion;
    disk.lanes = static_cast<std::uint16_t>(tail.position.size());
    disk.pool_uuid = identity.pool_uuid.bytes;
    disk.member_uuid = identity.member_uuid.bytes;
    disk.epoch = tail.epoch;
    disk.incarnation = tail.incarnation;
    disk.number = tail.number;
    disk.retired = tail.retired;
    disk.lane_bytes = tail.lane_bytes;
    for (std::size_t i = 0; i < tail.position.size(); i++) disk.position[i] = tail.position[i];
    std::memcpy(out.data(), &disk, sizeof disk);
    disk.crc = crc_without(out, offsetof(StripeLogTailOnDisk, crc));
    std::memcpy(out.data(), &disk, sizeof disk);
}

std::optional<StripeLogTail> decode_stripe_log_tail(std::span<const std::byte> block,
                                                    const StripeLogIdentity& identity,
                                                    std::uint64_t region_bytes) {
    StripeLogTailOnDisk disk;
    if (block.size() != sizeof disk) return std::nullopt;
    std::memcpy(&disk, block.data(), sizeof disk);
    if (disk.magic != kStripeLogTailMagic || disk.version != kStripeLogVersion ||
        disk.crc != crc_without(block, offsetof(StripeLogTailOnDisk, crc)) ||
        disk.pool_uuid != identity.pool_uuid.bytes ||
        disk.member_uuid != identity.member_uuid.bytes ||
        !all_zero(std::as_bytes(std::span(disk.reserved))) ||
        !all_zero(std::as_bytes(std::span(disk.reserved_end)))) {
        return std::nullopt;
    }
    const unsigned lanes = disk.lanes;
    const std::uint64_t most = stripe_log_lane_bytes(region_bytes, lanes);
    if (disk.lane_bytes == 0 || disk.lane_bytes > most ||
        disk.lane_bytes % kStripeLogBlockBytes != 0) {
        return std::nullopt;
    }
    if (disk.retired >= kStripeLogNumberMax || disk.number >= kStripeLogNumberMax) return std::nullopt;
    StripeLogTail tail;
    tail.epoch = disk.epoch;
    tail.incarnation = disk.incarnation;
    tail.number = disk.number;
    tail.retired = disk.retired;
    tail.lane_bytes = disk.lane_bytes;
    for (unsigned i = 0; i < lanes; i++) {
        if (disk.position[i] % kStripeLogBlockBytes != 0 || disk.position[i] >= kStripeLogNumberMax) {
            return std::nullopt;
        }
        tail.position.push_back(disk.position[i]);
    }
    if (!all_zero(std::as_bytes(std::span(disk.position).subspan(lanes)))) return std::nullopt;
    return tail;
}

void encode_stripe_log_batch(const StripeLogBatchHead& head,
                             std::span<const StripeLogDescriptor> records,
                             std::span<std::byte> out) {
    StripeLogBatchOnDisk disk{};
    std::uint64_t content_bytes = 0;
    for (const auto& record : records) content_bytes += record.content_bytes;
    disk.magic = kStripeLogBatchMagic;
    disk.incarnation = head.incarnation;
    disk.position = head.position;
    disk.retired = head.retired;
    disk.header_bytes = stripe_log_header_bytes(records.size());
    disk.content_bytes = static_cast<std::uint32_t>(content_bytes);
    disk.lane = static_cast<std::uint16_t>(head.lane);
    disk.record_count = static_cast<std::uint16_t>(records.size());
    disk.bytes =
        static_cast<std::uint32_t>(stripe_log_batch_bytes(records.size(), content_bytes));
    XSAN_ASSERT(out.size() == disk.bytes && records.size() <= UINT16_MAX);
    disk.content_crc = crc32c(out.subspan(disk.header_bytes, content_bytes));

    std::memset(out.data(), 0, disk.header_bytes);
    std::memset(out.data() + disk.header_bytes + content_bytes, 0,
                disk.bytes - disk.header_bytes - content_bytes);
    std::byte* at = out.data() + sizeof disk;
    for (const auto& record : records) {
        const StripeLogDescriptorOnDisk one = to_disk(record);
        std::memcpy(at, &one, sizeof one);
        at += sizeof one;
    }
    std::memcpy(out.data(), &disk, sizeof disk);
    disk.crc = crc_without(out.first(disk.header_bytes), offsetof(StripeLogBatchOnDisk, crc));
    std::memcpy(out.data(), &disk, sizeof disk);
}

std::uint32_t peek_stripe_log_batch(std::span<const std::byte> block, const StripeLogPlace& place) {
    StripeLogBatchOnDisk disk;
    if (block.size() < kStripeLogBlockBytes) return 0;
    std::memcpy(&disk, block.data(), sizeof disk);
    if (disk.magic != kStripeLogBatchMagic || disk.incarnation != place.incarnation ||
        disk.position != place.position || disk.lane != place.lane || disk.record_count == 0 ||
        disk.content_bytes > place.lane_bytes || disk.retired >= kStripeLogNumberMax ||
        !all_zero(std::as_bytes(std::span(disk.reserved)))) {
        return 0;
    }
    const std::uint64_t left = place.lane_bytes - place.position % place.lane_bytes;
    if (disk.header_bytes != stripe_log_header_bytes(disk.record_count) ||
        disk.bytes != stripe_log_batch_bytes(disk.record_count, disk.content_bytes) ||
        disk.bytes > left) {
        return 0;
    }
    return disk.bytes;
}

std::optional<StripeLogBatch> decode_stripe_log_batch(std::span<const std::byte> in,
                                                      const StripeLogPlace& place) {
    const std::uint32_t bytes = peek_stripe_log_batch(in, place);
    if (bytes == 0 || bytes > in.size()) return std::nullopt;
    StripeLogBatchOnDisk disk;
    std::memcpy(&disk, in.data(), sizeof disk);
    const auto header = in.first(disk.header_bytes);
    auto contents = in.subspan(disk.header_bytes, disk.content_bytes);
    if (disk.crc != crc_without(header, offsetof(StripeLogBatchOnDisk, crc)) ||
        (disk.content_crc != crc32c(contents) && !mutant(Mutant::crc_batch_content))) {
        return std::nullopt;
    }
    StripeLogBatch batch;
    batch.head = {disk.incarnation, disk.position, disk.retired, place.lane};
    batch.bytes = bytes;
    const std::byte* at = in.data() + sizeof disk;
    for (unsigned i = 0; i < disk.record_count; i++, at += sizeof(StripeLogDescriptorOnDisk)) {
        StripeLogDescriptorOnDisk one;
        std::memcpy(&one, at, sizeof one);
        if (one.content_bytes > contents.size() || one.sequence >= kStripeLogNumberMax ||
            !all_zero(std::as_bytes(std::span(one.reserved)))) {
            return std::nullopt;
        }
        batch.records.push_back(from_disk(one));
        batch.contents.push_back(contents.first(one.content_bytes));
        contents = contents.subspan(one.content_bytes);
    }
    const auto* header_end = header.data() + header.size();
    if (!all_zero({at, header_end}) || !contents.empty()) return std::nullopt;
    return batch;
}

}  // namespace xsan::meta
