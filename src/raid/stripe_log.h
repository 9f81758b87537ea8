// StripeLog: what the engine asks of the log that closes the write hole; the pool implements it.
//
// Before parity and data of a stripe are written in place, the log holds durably, on each parity
// member of the stripe, either the new data and that member's new parity (payload), or the
// checksums of what is being written (overwrite), or just the fact (copies). Replay (raid/replay.h)
// makes whole what a power cut left half done.
//
// Invariants:
//  - Sequences are taken under the stripe's interlock: of two records of one stripe the later one
//    has the higher sequence, and was appended after the earlier one's writes had completed.
//  - A record stays until its in-place writes are durable: retire() says that they have completed.
//    keep() says that they never will be in this run: it stays for the next one's replay.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "dev/block_device.h"
#include "ec/scheme.h"
#include "raid/rows.h"
#include "reactor/task.h"

namespace xsan::raid {

// What a record holds beside its place; the values are on disk.
enum class LogKind : std::uint8_t {
    payload = 1,    // the touched strips' new data, and the new parity of the copy's own strip
    overwrite = 2,  // all data strips are new: a checksum for each granule of each strip
    copies = 3,     // mirrors: nothing, any copy will do
};

// Checksums of `overwrite` cover this many rows each, at multiples of it: no smaller part of a
// strip is told from its neighbours at replay.
inline constexpr std::uint32_t kLogGranuleMax = 4096;

// One segment of a stripe write.
struct LogRecord {
    LogKind kind = LogKind::payload;
    GroupIndex group;
    std::uint32_t generation = 0;
    StripeIndex stripe;
    Rows rows;
    ec::StripMask touched = 0;  // data strips
    ec::StripMask holders = 0;  // parity strips whose members receive a copy; at least one
    unsigned total_strips = 0;
    // New content from rows.begin on. payload: touched and holders; overwrite: all strips.
    std::array<const std::byte*, ec::kStripsMax> content;
    // Of the holders.
    std::array<MemberIndex, ec::kStripsMax> member;
    std::array<dev::BlockDevice*, ec::kStripsMax> device;
};

// One append, from append() to retire(): lives in the writer's frame.
struct LogTicket {
    std::uint64_t sequence = 0;  // of the first record; 0: not appended
    unsigned lane = 0;
    LogTicket* previous = nullptr;  // the log's
    LogTicket* next = nullptr;
};

// The sequences of one append: [begin, end).
struct LogSpan {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

class StripeLog {
  public:
    virtual ~StripeLog() = default;

    // Returns when the records are durable on every holder, or the holders that failed are durably
    // recorded as lost. The caller holds the stripe's interlock and looks again at who is present.
    // io_error: nothing may be written in place. The content must stay as it is until then. In any
    // case retire() or keep() follows.
    virtual Task<Result<void>> append(LogTicket& ticket, std::span<const LogRecord> records) = 0;
    // The in-place writes have completed, or will not be done. On the reactor of append().
    virtual void retire(LogTicket& ticket) = 0;
    // Returns when a replay cannot do the records of this span any more, which are retired. The
    // caller still holds the interlock. io_error: some member could not be told.
    virtual Task<Result<void>> pass(LogSpan records) = 0;
    // Instead of retire(): the write has failed halfway, and only a replay can make its stripe whole.
    // Nothing from these records on is forgotten until they are released.
    virtual void keep(LogTicket& ticket) = 0;
    virtual void release(LogSpan records) = 0;

    // Bytes of content that one append may carry to one holder.
    virtual std::uint64_t append_bytes_max() const = 0;
    // Rows for which a checksum of an `overwrite` record stands: the smallest block of any volume.
    virtual std::uint32_t granule_bytes() const = 0;
};

// Bytes that a record takes on one holder, beside its descriptor.
inline std::uint64_t log_content_bytes(LogKind kind, Rows rows, ec::StripMask touched,
                                       unsigned total_strips, std::uint32_t granule_bytes) {
    switch (kind) {
        case LogKind::payload:
            return (static_cast<unsigned>(std::popcount(touched)) + 1ull) * rows.length();
        case LogKind::overwrite: {
            const std::uint64_t granules = (rows.end + granule_bytes - 1) / granule_bytes -
                                           rows.begin / granule_bytes;
            return granules * total_strips * 4;
        }
        case LogKind::copies: return 0;
    }
    return 0;
}

}  // namespace xsan::raid
