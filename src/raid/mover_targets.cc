// What a mover does to its targets: writes what a stripe holds to them, zeroes what it does not hold, flushes.
//
// A target that holds an older state of its strips (a member that was away) is brought up to date by what it
// missed: each strip is read, compared with what the others say it must be, and written only from the first row that
// differs to the last. Nothing is believed because of where the member was or what was recorded of it, and
// nobody else reads from it before the table says so; what a comparison saves is writes. See
// docs/decisions/0007-stale-members-catch-up.md.
#include <algorithm>
#include <cstring>

#include "base/mutant.h"
#include "raid/engine.h"

namespace xsan::raid {
namespace {

// The rows in which two strips differ, in whole blocks; none: an empty range.
Rows span_of_difference(std::span<const std::byte> a, std::span<const std::byte> b, std::uint32_t block) {
    const auto bytes = static_cast<std::uint32_t>(a.size());
    const auto differs = [&](std::uint32_t row) {
        return std::memcmp(&a[row], &b[row], std::min(block, bytes - row)) != 0;
    };
    Rows rows{0, bytes};
    while (rows.begin < bytes && !differs(rows.begin)) rows.begin += block;
    if (rows.begin >= bytes) return {0, 0};
    while (!differs(rows.end - block)) rows.end -= block;
    return rows;
}

}  // namespace

// The rows of a strip that the target must be given. What cannot be read must be written.
Task<Rows> Engine::differing_rows(Mover& mover, const MoveTarget& target, std::uint64_t offset,
                                  std::span<const std::byte> content) {
    const Rows all{0, static_cast<std::uint32_t>(content.size())};
    if (!target.holds_older || !mover.compares()) co_return all;
    Scratch scratch(here().buffers);
    const std::span<std::byte> older(scratch.take(content.size()), content.size());
    const auto read = co_await target.device->read(offset, older);
    if (!read) co_return all;
    traffic_.count_read(target.member, older.size());
    const std::size_t compared = mutant(Mutant::stale_compared_in_part) ? content.size() / 2 : content.size();
    const std::uint32_t block = target.device->limits().logical_block_bytes;
    const Rows rows = span_of_difference(content.first(compared), older.first(compared), block);
    mover.compared(rows.length() == all.length());
    co_return rows;
}

Task<Result<void>> Engine::write_targets(Mover& mover, StripeIndex stripe, StripeOp& op) {
    const std::uint32_t strip_bytes = op.scheme().strip_bytes;
    std::vector<dev::IoRequest> writes(mover.targets().size());
    dev::IoBatch batch;
    for (std::size_t i = 0; i < writes.size(); i++) {
        const MoveTarget& target = mover.targets()[i];
        const unsigned s = ec::strip_in(op.scheme(), stripe, ec::SlotIndex{target.slot}).get();
        const std::uint64_t offset = target.offset + std::uint64_t{stripe.get()} * strip_bytes;
        const std::span<std::byte> content(op.buffer(s), strip_bytes);
        const Rows rows = co_await differing_rows(mover, target, offset, content);
        writes[i].kind = dev::IoKind::write;
        writes[i].stable_buffer = true;
        writes[i].offset = offset + rows.begin;
        writes[i].set_buffer(&content[rows.begin], rows.length());
        if (rows.length() > 0) batch.submit(*target.device, writes[i]);
    }
    co_await batch.wait();
    co_return co_await take_target_errors(mover, writes);
}

// The strips of a stripe without mapped data are zero on all members, and so they are on new extents.
Task<Result<void>> Engine::zero_targets(Mover& mover, StripeIndex stripe, const ec::Scheme& scheme) {
    std::vector<dev::IoRequest> writes(mover.targets().size());
    dev::IoBatch batch;
    for (std::size_t i = 0; i < writes.size(); i++) {
        const MoveTarget& target = mover.targets()[i];
        if (!target.holds_older || mutant(Mutant::stale_free_space)) continue;
        writes[i].kind = dev::IoKind::write_zeroes;
        writes[i].offset = target.offset + std::uint64_t{stripe.get()} * scheme.strip_bytes;
        writes[i].length = scheme.strip_bytes;
        batch.submit(*target.device, writes[i]);
    }
    co_await batch.wait();
    co_return co_await take_target_errors(mover, writes);
}

// Requests of length 0 were not sent.
Task<Result<void>> Engine::take_target_errors(Mover& mover, std::span<dev::IoRequest> writes) {
    for (std::size_t i = 0; i < writes.size(); i++) {
        const MemberIndex member = mover.targets()[i].member;
        if (writes[i].length == 0) continue;
        if (writes[i].error.is_ok()) {
            const WriteKind kind = mover.gives_up() ? WriteKind::rebuild : WriteKind::relocation;
            traffic_.count_write(member, kind, writes[i].length);
            continue;
        }
        mover.fail();
        (void)co_await faults_.member_failed(member, writes[i].error);
    }
    if (mover.has_failed()) co_return Error{Errc::aborted};
    co_return Result<void>{};
}

// The targets must hold everything before the table says so; those that were not written as well, since what was
// read from them may lie in their caches only.
Task<Result<void>> Engine::flush_targets(Mover& mover) {
    Result<void> result;
    for (const MoveTarget& target : mover.targets()) {
        if (map_.live_device(target.member) != target.device) {
            // Lost for another reason meanwhile: the table must not point there.
            mover.fail();
            result = Error{Errc::aborted};
            continue;
        }
        const auto flushed = co_await flush_device(target.member, *target.device);
        if (flushed) continue;
        mover.fail();
        result = Error{Errc::aborted};
        (void)co_await faults_.member_failed(target.member, flushed.error());
    }
    co_return result;
}

}  // namespace xsan::raid
