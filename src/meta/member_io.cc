// Reads and writes of one member, in pieces that its device takes at once.
#include "meta/member_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "base/units.h"
#include "meta/layout.h"
#include "reactor/task_group.h"

namespace xsan::meta {
namespace {

std::uint64_t piece_bytes(const dev::BlockDevice& device) {
    return std::max<std::uint64_t>(round_down(device.limits().transfer_bytes_max, 4096), 4096);
}

// These copies, then a flush; `repair` tells afterwards which of them do not hold the superblock.
Task<Result<void>> write_copies(dev::BlockDevice& device, const Superblock& superblock,
                                std::vector<unsigned> copies,
                                std::array<bool, kSuperblockCopies>& repair) {
    std::vector<dev::AlignedBuffer> buffers;
    std::vector<Task<Result<void>>> tasks;
    for (const unsigned copy : copies) {
        buffers.emplace_back(kSuperblockBytes);
        encode_superblock(superblock, copy, buffers.back().span());
        const auto offset = superblock_offset(copy, superblock.layout.size_bytes);
        tasks.push_back(write_fully(device, offset, buffers.back().span(), false));
    }
    const auto results = co_await run_all(std::move(tasks));
    for (std::size_t i = 0; i < copies.size(); i++) {
        repair[copies[i]] = !results[i].has_value();
        if (!results[i] && results[i].error().code == Errc::device_gone)
            co_return results[i].error();
    }
    if (mutant(Mutant::superblock_no_flush)) co_return Result<void>();
    co_return co_await device.flush();
}

Task<Result<void>> zero_range(dev::BlockDevice& device, std::uint64_t offset, std::uint64_t bytes) {
    dev::AlignedBuffer zeros(bytes);
    co_return co_await write_fully(device, offset, zeros.span(), false);
}

}  // namespace

Task<Result<void>> read_fully(dev::BlockDevice& device, std::uint64_t offset,
                              std::span<std::byte> to) {
    const std::uint64_t most = piece_bytes(device);
    while (!to.empty()) {
        const auto piece = to.first(std::min<std::uint64_t>(to.size(), most));
        XSAN_CO_TRY_VOID(device.read(offset, piece));
        offset += piece.size();
        to = to.subspan(piece.size());
    }
    co_return Result<void>();
}

Task<Result<void>> write_fully(dev::BlockDevice& device, std::uint64_t offset,
                               std::span<const std::byte> from, bool fua) {
    const std::uint64_t most = piece_bytes(device);
    while (!from.empty()) {
        const auto piece = from.first(std::min<std::uint64_t>(from.size(), most));
        XSAN_CO_TRY_VOID(device.write(offset, piece, fua));
        offset += piece.size();
        from = from.subspan(piece.size());
    }
    co_return Result<void>();
}

Task<SuperblockCopies> read_superblocks(dev::BlockDevice& device) {
    Outcome<DecodedCopy> unread = Failure(Errc::not_found, "no superblock there");
    SuperblockCopies copies{unread, unread, unread, unread};
    std::uint64_t size = device.limits().size_bytes;
    if (size < 256 * kKiB) co_return copies;
    dev::AlignedBuffer buffer(kSuperblockBytes);
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        const auto offset = superblock_offset(i, size);
        const Result<void> read = co_await read_fully(device, offset, buffer.span());
        if (read) {
            copies[i] = decode_superblock(buffer.span(), CopyPlace{i, offset});
        } else {
            copies[i] = Failure(Errc::media_error, fmt::format("it cannot be read ({})",
                                                               errc_name(read.error().code)));
        }
        // A device that has grown keeps its last copies where its end was when it became a member.
        if (copies[i] && copies[i]->superblock.layout.size_bytes <= device.limits().size_bytes &&
            copies[i]->superblock.layout.size_bytes >= 256 * kKiB) {
            size = copies[i]->superblock.layout.size_bytes;
        }
    }
    co_return copies;
}

Task<Result<void>> write_superblock(dev::BlockDevice& device, SuperblockOnDevice& known,
                                    Superblock next) {
    std::vector<unsigned> bad;
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        if (known.repair[i]) bad.push_back(i);
    }
    if (!bad.empty()) {
        XSAN_CO_TRY_VOID(write_copies(device, known.content, std::move(bad), known.repair));
    }
    std::array<bool, kSuperblockCopies> missed{};
    std::vector<std::vector<unsigned>> steps{{0, 2}, {1, 3}};
    if (mutant(Mutant::superblock_at_once)) steps = {{0, 1, 2, 3}};
    for (std::size_t i = 0; i < steps.size(); i++) {
        std::vector<unsigned> copies = steps[i];
        XSAN_CO_TRY_VOID(write_copies(device, next, std::move(copies), missed));
        // With neither of two written the other two stay as they are: they are what is opened next.
        // With one, the other two are written one by one, so that a pair is whole at any instant.
        if (i == 0 && missed[0] && missed[2]) co_return Errc::io_error;
        if (i == 0 && (missed[0] || missed[2])) steps = {{0, 2}, {1}, {3}};
    }
    const auto written = std::count(missed.begin(), missed.end(), false);
    if (written < kSuperblockWriteQuorum) co_return Errc::io_error;
    known.content = std::move(next);
    known.repair = missed;
    co_return Result<void>();
}

Task<Result<void>> erase_superblocks(dev::BlockDevice& device, std::uint64_t member_bytes) {
    const std::uint64_t size = device.limits().size_bytes;
    if (size < kHeadBytes + kTailBytes) co_return Errc::invalid_argument;
    const std::uint64_t tail = superblock_offset(2, size);
    XSAN_CO_TRY_VOID(zero_range(device, 0, kHeadBytes));
    XSAN_CO_TRY_VOID(zero_range(device, tail, size - tail));
    if (member_bytes >= kMemberBytesMin && member_bytes <= tail) {
        XSAN_CO_TRY_VOID(zero_range(device, superblock_offset(2, member_bytes), kTailBytes));
    }
    co_return co_await device.flush();
}

Task<Result<void>> write_checkpoint(dev::BlockDevice& device, MemberLayout layout,
                                    std::uint32_t slot, const CheckpointImage& image) {
    XSAN_ASSERT(slot < 2 && image.bytes <= layout.checkpoint_slot_bytes);
    const auto pages = image.buffer.span().first(image.bytes);
    XSAN_CO_TRY_VOID(write_fully(device, layout.slot_offset(slot), pages, false));
    if (mutant(Mutant::superblock_before_checkpoint)) co_return Result<void>();
    co_return co_await device.flush();
}

Task<std::vector<Result<void>>> run_all(std::vector<Task<Result<void>>> tasks) {
    co_await when_all(std::span<Task<Result<void>>>(tasks));
    std::vector<Result<void>> results;
    for (auto& task : tasks)
        results.push_back(task.take());
    co_return results;
}

}  // namespace xsan::meta
