// The metadata log: a circular region, at the same place and with the same content on all members.
// Pure.
//
// An entry is one commit: a header, records, zeros up to a multiple of 4096 bytes. Entries follow
// each other; one that does not fit before the region's end begins at 0. Each names its predecessor
// by CRC, so the log is a chain that starts where a checkpoint ends. Reading stops at the first
// entry that is not whole or not of the chain: a torn tail is absent, not an error. What lies
// behind it is of an earlier lap or of a history that was given up, unless a later entry of the
// same epoch exists: then the log is damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/endian.h"
#include "base/uuid.h"
#include "dev/aligned_buffer.h"

namespace xsan::meta {

inline constexpr std::size_t kLogBlockBytes = 4096;
inline constexpr std::uint64_t kLogMagic = 0x31474f4c4e415358;  // "XSANLOG1"
inline constexpr std::uint16_t kLogVersion = 1;
// A commit has at most 1 MiB of records; the rest is for the losses that the store adds, one record
// for each of kMembersMax members.
inline constexpr std::size_t kLogEntryBytesMax = 3u << 20;

enum LogFlags : std::uint16_t {
    kLogClean = 1,  // the pool was stopped in order: nothing was in flight behind this entry
};

struct LogEntryHeader {
    Le64 magic;
    Le32 crc;
    Le32 length;
    Le16 version;
    Le16 flags;
    Le32 record_count;
    Le32 record_bytes;
    Le32 previous_crc;
    Le64 epoch;
    Le64 sequence;
    Le64 own_offset;
    std::array<std::uint8_t, 16> pool_uuid;
    std::array<std::uint8_t, 16> lineage;
    std::array<std::uint8_t, 40> reserved;
};
static_assert(sizeof(LogEntryHeader) == 128);

// The end of a chain of entries: what the last one was and where the next one is looked for.
struct LogPosition {
    std::uint64_t sequence = 0;
    std::uint64_t epoch = 0;
    Uuid lineage;
    std::uint32_t crc = 0;
    std::uint64_t offset = 0;       // behind the last entry, may be the region's size
    std::uint64_t total_bytes = 0;  // of region used since some start, skipped ends included

    // Whether both are the same point of the same history.
    bool same_point(const LogPosition& o) const {
        return sequence == o.sequence && epoch == o.epoch && crc == o.crc && lineage == o.lineage;
    }
};

// An entry that was found whole; its records are views into the region's bytes.
struct LogEntry {
    std::uint64_t sequence = 0;
    std::uint64_t epoch = 0;
    Uuid lineage;
    std::uint32_t crc = 0;
    std::uint32_t previous_crc = 0;
    std::uint16_t flags = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t record_count = 0;
    std::span<const std::byte> records;
};

// Bytes of an entry with that many bytes of records, header and padding included.
std::uint64_t log_entry_bytes(std::uint64_t record_bytes);
// Where an entry of `length` goes that follows `offset`.
std::uint64_t log_place(std::uint64_t offset, std::uint64_t length, std::uint64_t region_bytes);
// The position behind an entry of `length` bytes that follows `at`; sequence and CRC are the
// caller's.
LogPosition log_advance(const LogPosition& at, std::uint64_t length, std::uint64_t region_bytes);

struct LogEntryInput {
    LogPosition after;  // the predecessor
    std::uint64_t epoch = 0;
    Uuid lineage;
    Uuid pool_uuid;
    std::uint16_t flags = 0;
    std::uint32_t record_count = 0;
    std::span<const std::byte> records;
    std::uint64_t region_bytes = 0;
};
// The entry's bytes, ready to be written at log_place(); its CRC is in the header.
dev::AlignedBuffer encode_log_entry(const LogEntryInput& input);

// The CRC in an entry's header: what its successor names.
std::uint32_t decode_log_crc(std::span<const std::byte> entry);

// The entry at `offset` of the region if it is whole and in place; nullopt otherwise.
std::optional<LogEntry> decode_log_entry(std::span<const std::byte> region, std::uint64_t offset,
                                         const Uuid& pool_uuid);

// Whose log is read: the lineage is the one in the superblock, which may be ahead of the entries.
struct LogIdentity {
    Uuid pool_uuid;
    Uuid lineage;
};

// All entries from `start` on that are whole and chained.
struct LogScan {
    std::vector<LogEntry> entries;
    LogPosition end;
    // Sequence of the newest entry that belongs behind `end` but cannot be reached; 0: none.
    std::uint64_t unreachable_sequence = 0;
    bool is_clean() const { return !entries.empty() && (entries.back().flags & kLogClean) != 0; }
};
LogScan scan_log(std::span<const std::byte> region, const LogPosition& start,
                 const LogIdentity& identity);

}  // namespace xsan::meta
