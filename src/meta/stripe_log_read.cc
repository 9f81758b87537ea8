// Reads the stripe log of one member.
#include "meta/stripe_log_read.h"

#include <algorithm>

#include "base/mutant.h"

namespace xsan::meta {
namespace {

// What is read at a time doubles from one block up to this, so that little is read behind the end of a short log.
constexpr std::uint64_t kReadBytes = 256 * 1024;

struct Ring {
    dev::BlockDevice& device;
    std::uint64_t offset;  // of the ring on the device
    StripeLogPlace place;
};

// Errors may pass.
Task<Result<void>> read_twice(dev::BlockDevice& device, std::uint64_t offset,
                              std::span<std::byte> out) {
    const auto read = co_await device.read(offset, out);
    if (read) co_return read;
    co_return co_await device.read(offset, out);
}

// Bytes of the ring from `place` on, at most up to its end; empty when they cannot be read.
Task<dev::AlignedBuffer> read_ring(const Ring& ring, std::uint64_t bytes) {
    const std::uint64_t inside = ring.place.position % ring.place.lane_bytes;
    auto buffer =
        dev::AlignedBuffer::try_allocate(std::min(bytes, ring.place.lane_bytes - inside));
    if (!buffer) co_return dev::AlignedBuffer();
    const auto read = co_await read_twice(ring.device, ring.offset + inside, buffer->span());
    if (!read) co_return dev::AlignedBuffer();
    co_return std::move(*buffer);
}

// Follows the chain from ring.place; where the next batch would begin a new lap it is looked for
// there too.
Task<void> read_lane(MemberStripeLog& log, Ring ring) {
    bool skipped = false;
    std::uint64_t chunk = kStripeLogBlockBytes;
    std::uint64_t needed_before = 0;  // of the batch at hand, when it did not fit into a chunk
    for (;;) {
        dev::AlignedBuffer buffer = co_await read_ring(ring, chunk);
        if (buffer.size() == 0 && chunk > kStripeLogBlockBytes && needed_before == 0) {
            // What cannot be read may lie far behind the end.
            chunk = kStripeLogBlockBytes;
            continue;
        }
        if (buffer.size() == 0) {
            log.is_damaged = true;
            co_return;
        }
        log.read_bytes += buffer.size();
        std::uint64_t used = 0;
        std::uint64_t needed = 0;
        while (used + kStripeLogBlockBytes <= buffer.size()) {
            const auto rest = buffer.span().subspan(used);
            const std::uint32_t bytes = peek_stripe_log_batch(rest, ring.place);
            needed = bytes > rest.size() ? bytes : 0;
            if (bytes == 0 || needed != 0) break;
            auto batch = decode_stripe_log_batch(rest, ring.place);
            if (!batch) break;
            log.batches.push_back(std::move(*batch));
            used += bytes;
            ring.place.position += bytes;
            skipped = false;
        }
        const bool all_used = used == buffer.size() && used != 0;
        if (used != 0) log.memory.push_back(std::move(buffer));
        chunk = needed != 0 ? needed : std::min(2 * chunk, kReadBytes);
        needed_before = needed;
        if (all_used || needed != 0) continue;
        const std::uint64_t inside = ring.place.position % ring.place.lane_bytes;
        if (skipped || inside == 0) co_return;
        ring.place.position += ring.place.lane_bytes - inside;
        skipped = true;
        chunk = kStripeLogBlockBytes;
    }
}

}  // namespace

Task<Result<std::optional<StripeLogTail>>> read_stripe_log_tail(dev::BlockDevice& device,
                                                                MemberLayout layout,
                                                                StripeLogIdentity identity) {
    std::optional<StripeLogTail> newest;
    dev::AlignedBuffer block(kStripeLogBlockBytes);
    for (std::uint64_t i = 0; i < 2; i++) {
        const std::uint64_t at = layout.stripe_log_offset + stripe_log_tail_offset(i);
        XSAN_CO_TRY_VOID(read_twice(device, at, block.span()));
        auto tail = decode_stripe_log_tail(block.span(), identity, layout.stripe_log_bytes);
        const bool later = tail && newest && tail->number > newest->number;
        if (tail && (!newest || later != mutant(Mutant::tail_older_read))) newest = std::move(tail);
    }
    co_return newest;
}

Task<MemberStripeLog> read_stripe_log(dev::BlockDevice& device, MemberLayout layout,
                                      StripeLogIdentity identity) {
    MemberStripeLog log;
    const auto newest = co_await read_stripe_log_tail(device, layout, identity);
    if (!newest || !*newest) {
        log.is_damaged = true;
        co_return log;
    }
    log.has_tail = true;
    log.tail = **newest;
    for (unsigned lane = 0; lane < log.tail.position.size(); lane++) {
        const std::uint64_t offset =
            layout.stripe_log_offset + stripe_log_ring_offset(lane, log.tail.lane_bytes);
        const StripeLogPlace place{log.tail.incarnation, lane, log.tail.position[lane],
                                   log.tail.lane_bytes};
        const Ring ring{device, offset, place};
        co_await read_lane(log, ring);
    }
    co_return log;
}

}  // namespace xsan::meta
