// Reading one device: superblock quorum, log scan, and the state that checkpoint and log give.
#include "meta/examine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "meta/checkpoint.h"
#include "meta/member_io.h"
#include "meta/record_codec.h"

namespace xsan::meta {
namespace {

constexpr std::uint64_t kReadBytes = 64 * kKiB;

Failure named(const dev::BlockDevice& device, const Failure& failure) {
    return Failure(failure.code, fmt::format("{}: {}", device.identity().path, failure.message));
}

// The whole log region. What cannot be read stays zero, as if it had never been written, and is
// reported.
struct LogRegion {
    dev::AlignedBuffer bytes;
    bool is_readable = true;
    LogScan scan;
};

LogPosition start_of(const Superblock& s) {
    LogPosition start;
    start.sequence = s.checkpoint.sequence;
    start.epoch = s.checkpoint.epoch;
    start.lineage = s.checkpoint.lineage;
    start.crc = s.checkpoint.chain_crc;
    start.offset = s.checkpoint.log_offset;
    return start;
}

Task<LogRegion> read_log(dev::BlockDevice& device, Superblock superblock) {
    const MemberLayout& layout = superblock.layout;
    LogRegion region;
    region.bytes = dev::AlignedBuffer(layout.metadata_log_bytes);
    for (std::uint64_t at = 0; at < layout.metadata_log_bytes; at += kReadBytes) {
        const auto length = std::min(kReadBytes, layout.metadata_log_bytes - at);
        const auto piece = region.bytes.span().subspan(at, length);
        const Result<void> read = co_await read_fully(device, layout.log_offset() + at, piece);
        if (read) continue;
        std::fill(piece.begin(), piece.end(), std::byte{0});
        region.is_readable = false;
    }
    region.scan = scan_log(region.bytes.span(), start_of(superblock),
                           LogIdentity{superblock.pool_uuid, superblock.lineage});
    co_return region;
}

Outcome<void> replay(State& state, const LogScan& scan) {
    for (const auto& entry : scan.entries) {
        XSAN_TRY(const auto records, decode_records(entry.records, entry.record_count));
        for (const auto& record : records) {
            XSAN_TRY_VOID(state.apply(record));
        }
    }
    return {};
}

// What the superblock says of the pool is what the pool says, and the store can work with it.
Outcome<void> check_loaded(const State& state, const Superblock& superblock) {
    const auto differs = [](const char* what) {
        return Failure(Errc::corrupt,
                       fmt::format("its superblock and its metadata name different {}", what));
    };
    const PoolInfo& pool = state.pool();
    if (pool.uuid != superblock.pool_uuid) return differs("pools");
    if (pool.name != superblock.pool_name) return differs("names of the pool");
    if (pool.extent_bytes != superblock.extent_bytes ||
        pool.extents_max != superblock.extents_max) {
        return differs("sizes of the pool");
    }
    if (checkpoint_bytes_max(state.tally()) > superblock.layout.checkpoint_slot_bytes) {
        return Failure(Errc::corrupt, "its metadata is larger than the place for it");
    }
    return check_places(state);
}

}  // namespace

Task<Outcome<Examined>> examine(dev::BlockDevice& device) {
    const SuperblockCopies copies = co_await read_superblocks(device);
    const auto choice = choose_superblock(copies);
    if (!choice) co_return named(device, choice.error());
    if (choice->superblock.layout.size_bytes > device.limits().size_bytes) {
        co_return named(device,
                        Failure(Errc::corrupt,
                                fmt::format("it has shrunk: the member on it has {}, the device {}",
                                            format_size(choice->superblock.layout.size_bytes),
                                            format_size(device.limits().size_bytes))));
    }
    Examined found;
    found.device = &device;
    found.superblock = choice->superblock;
    found.copies_valid = choice->copies_valid;
    found.note = choice->note;
    found.repair = choice->repair;
    const LogRegion log = co_await read_log(device, choice->superblock);
    found.end = log.scan.end;
    found.newest_sequence = found.end.sequence;
    found.newest_epoch = found.end.epoch;
    found.has_entries = !log.scan.entries.empty();
    if (found.has_entries) found.previous_crc = log.scan.entries.back().previous_crc;
    found.is_clean = log.scan.is_clean();
    found.unreachable_sequence = log.scan.unreachable_sequence;
    found.is_log_damaged = !log.is_readable || found.unreachable_sequence > 0;
    if (found.is_log_damaged) {
        found.note += fmt::format("{}its metadata log is damaged behind entry {}",
                                  found.note.empty() ? "" : "; ", found.end.sequence);
    }
    co_return found;
}

Task<Outcome<State>> load_state(Examined from) {
    dev::BlockDevice& device = *from.device;
    const CheckpointRef& ref = from.superblock.checkpoint;
    auto pages = dev::AlignedBuffer::try_allocate(ref.bytes);
    if (!pages) {
        const Failure failure(Errc::corrupt, "its checkpoint is larger than the memory there is");
        co_return named(device, failure);
    }
    const Result<void> read =
        co_await read_fully(device, from.superblock.layout.slot_offset(ref.slot), pages->span());
    if (!read) {
        const Failure failure(read.error().code, "its checkpoint cannot be read");
        co_return named(device, failure);
    }
    const CheckpointIdentity identity{from.superblock.pool_uuid, ref.sequence};
    auto state = decode_checkpoint(pages->span(), ref.crc, identity);
    if (!state) co_return named(device, state.error());
    const LogRegion log = co_await read_log(device, from.superblock);
    const auto replayed = replay(*state, log.scan);
    if (!replayed) co_return named(device, replayed.error());
    const auto fits = check_loaded(*state, from.superblock);
    if (!fits) co_return named(device, fits.error());
    if (!log.scan.end.same_point(from.end)) {
        const Failure failure(Errc::corrupt, "its metadata log changes while it is read");
        co_return named(device, failure);
    }
    co_return std::move(state);
}

}  // namespace xsan::meta
