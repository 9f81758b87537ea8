// Encoding, decoding and scanning of the metadata log.
#include "meta/log.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "base/byte_span.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "base/units.h"
#include "meta/records.h"

namespace xsan::meta {
namespace {

// Magic is compared; everything behind the CRC is under it.
constexpr std::size_t kCrcFrom = offsetof(LogEntryHeader, length);

std::optional<LogEntry> next_entry(std::span<const std::byte> region, const LogPosition& at,
                                   const Uuid& pool_uuid) {
    for (const std::uint64_t offset : {at.offset, std::uint64_t{0}}) {
        const auto entry = decode_log_entry(region, offset, pool_uuid);
        if (entry && entry->sequence == at.sequence + 1 && entry->previous_crc == at.crc &&
            entry->epoch >= at.epoch &&
            log_place(at.offset, entry->length, region.size()) == offset) {
            return entry;
        }
    }
    return std::nullopt;
}

}  // namespace

std::uint64_t log_entry_bytes(std::uint64_t record_bytes) {
    return round_up(sizeof(LogEntryHeader) + record_bytes, kLogBlockBytes);
}

std::uint64_t log_place(std::uint64_t offset, std::uint64_t length, std::uint64_t region_bytes) {
    return length <= region_bytes - offset ? offset : 0;
}

LogPosition log_advance(const LogPosition& at, std::uint64_t length, std::uint64_t region_bytes) {
    const std::uint64_t place = log_place(at.offset, length, region_bytes);
    const std::uint64_t skipped = place == at.offset ? 0 : region_bytes - at.offset;
    LogPosition next = at;
    next.offset = place + length;
    next.total_bytes += skipped + length;
    return next;
}

dev::AlignedBuffer encode_log_entry(const LogEntryInput& input) {
    const std::uint64_t length = log_entry_bytes(input.records.size());
    XSAN_ASSERT(length <= input.region_bytes && length <= kLogEntryBytesMax);
    XSAN_ASSERT(input.epoch >= input.after.epoch);
    dev::AlignedBuffer buffer(length);
    LogEntryHeader header{};
    header.magic = kLogMagic;
    header.length = static_cast<std::uint32_t>(length);
    header.version = kLogVersion;
    header.flags = input.flags;
    header.record_count = input.record_count;
    header.record_bytes = static_cast<std::uint32_t>(input.records.size());
    header.previous_crc = input.after.crc;
    header.epoch = input.epoch;
    header.sequence = input.after.sequence + 1;
    header.own_offset = log_place(input.after.offset, length, input.region_bytes);
    header.pool_uuid = input.pool_uuid.bytes;
    header.lineage = input.lineage.bytes;
    std::memcpy(buffer.data(), &header, sizeof header);
    if (!input.records.empty()) {
        std::memcpy(buffer.data() + sizeof header, input.records.data(), input.records.size());
    }
    header.crc = crc32c(buffer.span().subspan(kCrcFrom));
    std::memcpy(buffer.data(), &header, sizeof header);
    return buffer;
}

std::uint32_t decode_log_crc(std::span<const std::byte> entry) {
    LogEntryHeader header;
    XSAN_ASSERT(entry.size() >= sizeof header);
    std::memcpy(&header, entry.data(), sizeof header);
    return header.crc;
}

std::optional<LogEntry> decode_log_entry(std::span<const std::byte> region, std::uint64_t offset,
                                         const Uuid& pool_uuid) {
    if (offset % kLogBlockBytes != 0 || offset > region.size() ||
        region.size() - offset < kLogBlockBytes) {
        return std::nullopt;
    }
    LogEntryHeader h;
    std::memcpy(&h, region.data() + offset, sizeof h);
    if (h.magic != kLogMagic || h.version != kLogVersion) return std::nullopt;
    if (h.epoch >= kSequenceEnd || h.sequence >= kSequenceEnd) return std::nullopt;
    if (h.length < kLogBlockBytes || h.length % kLogBlockBytes != 0 ||
        h.length > kLogEntryBytesMax || h.length > region.size() - offset || h.record_bytes > h.length - sizeof h) {
        return std::nullopt;
    }
    const auto bytes = region.subspan(offset, h.length);
    if (h.crc != crc32c(bytes.subspan(kCrcFrom)) && !mutant(Mutant::crc_entry)) return std::nullopt;
    if (h.own_offset != offset || h.pool_uuid != pool_uuid.bytes) return std::nullopt;
    if (!all_zero(std::as_bytes(std::span(h.reserved)))) return std::nullopt;

    LogEntry entry;
    entry.sequence = h.sequence;
    entry.epoch = h.epoch;
    entry.lineage.bytes = h.lineage;
    entry.crc = h.crc;
    entry.previous_crc = h.previous_crc;
    entry.flags = h.flags;
    entry.offset = offset;
    entry.length = h.length;
    entry.record_count = h.record_count;
    entry.records = bytes.subspan(sizeof h, h.record_bytes);
    return entry;
}

LogScan scan_log(std::span<const std::byte> region, const LogPosition& start,
                 const LogIdentity& identity) {
    LogScan scan;
    scan.end = start;
    while (auto entry = next_entry(region, scan.end, identity.pool_uuid)) {
        LogPosition next = log_advance(scan.end, entry->length, region.size());
        if (next.total_bytes - start.total_bytes > region.size()) break;  // laps itself: hostile
        next.sequence = entry->sequence;
        next.epoch = entry->epoch;
        next.lineage = entry->lineage;
        next.crc = entry->crc;
        scan.end = next;
        scan.entries.push_back(*entry);
    }
    // An entry is only written when its predecessors are durable on all members of the log, so one
    // that is newer, of this history and whole proves that what is missing before it was once
    // there.
    std::uint64_t step = kLogBlockBytes;
    for (std::uint64_t offset = 0; offset < region.size(); offset += step) {
        const auto entry = decode_log_entry(region, offset, identity.pool_uuid);
        step = entry ? entry->length : kLogBlockBytes;  // nothing else is inside a whole entry
        if (entry && entry->sequence > scan.end.sequence && entry->epoch >= scan.end.epoch &&
            (entry->lineage == scan.end.lineage || entry->lineage == identity.lineage)) {
            scan.unreachable_sequence = std::max(scan.unreachable_sequence, entry->sequence);
        }
    }
    return scan;
}

}  // namespace xsan::meta
