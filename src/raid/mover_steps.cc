// The steps of a mover: copy or reconstruct one stripe at a time to the targets, then let the table
// change.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/mutant.h"
#include "raid/engine.h"

namespace xsan::raid {
namespace {

// The strips of a stripe that the mover's targets take.
ec::StripMask moved_strips(const Mover& mover, const ec::Scheme& scheme, StripeIndex stripe) {
    ec::StripMask strips = 0;
    for (const MoveTarget& target : mover.targets()) {
        strips |= ec::strip_bit(ec::strip_in(scheme, stripe, ec::SlotIndex{target.slot}));
    }
    return strips;
}

// Data strips of a slice that nothing gives any more (or nothing that can be trusted), `unknown`
// being the strips that could not be had. Pairs that are missing as a whole are no business of this slice.
ec::StripMask lost_data(const StripeOp& op, ec::StripMask unknown) {
    const ec::Scheme& scheme = op.scheme();
    ec::StripMask lost = unknown & op.doubtful();
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const ec::StripMask strip = strip_mask(s);
        if ((unknown & strip) == 0 || op.codec().can_decode(unknown, strip)) continue;
        const bool is_pair = scheme.kind == ec::CodeKind::mirror_pairs;
        const ec::StripMask pair = strip | strip_mask(s + scheme.data_strips);
        if (!is_pair || (op.view().present & pair) != 0) lost |= strip;
    }
    return lost;
}

// Zeros in place of the lost data; the other unknown data decoded; parity of all that, in the
// buffers.
Result<void> fill_slice(StripeOp& op, Rows slice, ec::StripMask unknown, ec::StripMask lost) {
    const ec::Scheme& scheme = op.scheme();
    ec::StripMask decoded = 0;
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const ec::StripMask strip = strip_mask(s);
        if ((unknown & ~lost & strip) != 0 && op.codec().can_decode(unknown, strip)) decoded |= strip;
    }
    std::array<std::byte*, ec::kStripsMax> strips{};
    for (unsigned s = 0; s < scheme.total_strips(); s++) {
        const bool had = (unknown & strip_mask(s)) == 0;
        if (had || (decoded & strip_mask(s)) != 0) strips[s] = op.at(s, slice.begin);
    }
    if (decoded != 0) {
        const auto all = std::span(strips.data(), scheme.total_strips());
        XSAN_TRY_VOID(op.codec().decode(unknown, all, slice.length()));
    }
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    std::array<std::byte*, ec::kCopyStripsMax> parity{};
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        if ((lost & strip_mask(s)) != 0) std::memset(op.at(s, slice.begin), 0, slice.length());
        data[s] = op.at(s, slice.begin);
    }
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        parity[j] = op.at(scheme.data_strips + j, slice.begin);
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips),
                      std::span(parity.data(), scheme.parity_strips), slice.length());
    return {};
}

}  // namespace

Task<Result<void>> Engine::start_mover(Mover& mover) {
    const std::uint64_t group = mover.group().get();
    co_await gate_.acquire(group, KeyedLock::Mode::exclusive);
    KeyedLock::Guard gate(gate_, group, KeyedLock::Mode::exclusive);
    if (!movers_.try_add(mover)) co_return Error{Errc::busy};
    co_return Result<void>{};
}

Task<Result<void>> Engine::move_stripe(Mover& mover, StripeIndex stripe) {
    Quiescence::Scope scope(quiescence_);
    const GroupIndex group = mover.group();
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    if (mover.has_failed()) co_return Error{Errc::aborted};
    if (mover.is_done(stripe)) co_return Result<void>{};
    const GroupRow* row = map_.row(group);
    XSAN_ASSERT(row != nullptr);
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    if (!map_.is_mapped(group, stripe.get() * scheme.stripe_data_bytes())) {
        const auto zeroed = co_await zero_targets(mover, stripe, scheme);
        if (zeroed) mover.set_done(stripe);
        co_return zeroed;
    }
    if (mutant(Mutant::mover_done_early)) mover.set_done(stripe);
    StripeOp op(context(), *row, &mover, group, stripe, {0, scheme.strip_bytes});
    const RowMask want{op.rows(), moved_strips(mover, scheme, stripe)};
    const auto loaded = co_await op.load(std::span(&want, 1));
    // Nothing is given up for an error that may pass: the group is moved another time.
    const bool may_pass = op.bad_slices().empty() || !is_media_error(loaded.error());
    if (!loaded && (may_pass || !mover.gives_up())) co_return loaded;
    const auto bad_slices = op.bad_slices();
    for (const Rows& bad : bad_slices) {
        XSAN_CO_TRY_VOID(salvage(op, group, stripe, bad));
    }
    const auto written = co_await write_targets(mover, stripe, op);
    if (written) mover.set_done(stripe);
    co_return written;
}

// Gives up what cannot be read nor computed of a slice, and makes the slice a codeword again.
Task<Result<void>> Engine::salvage(StripeOp& op, GroupIndex group, StripeIndex stripe, Rows slice) {
    const ec::Scheme& scheme = op.scheme();
    std::array<Error, ec::kStripsMax> errors;
    const ec::StripMask asked = op.readable();
    const ec::StripMask have = co_await op.read_slice(slice, asked, errors);
    for (ec::StripMask left = asked & ~have & op.view().present; left != 0; left &= left - 1) {
        const Error error = errors[static_cast<unsigned>(std::countr_zero(left))];
        if (!is_media_error(error)) co_return Error{Errc::io_error, error.os_errno};
    }
    const ec::StripMask unknown = scheme.all_mask() & ~have;
    const ec::StripMask lost = lost_data(op, unknown);
    for (ec::StripMask left = lost; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        const std::uint64_t offset = data_offset(scheme, stripe, s, slice.begin);
        // Before anything is written: a crash in between must not let the zeros pass for data.
        XSAN_CO_TRY_VOID(faults_.range_lost(group, offset, slice.length()));
    }
    XSAN_CO_CHECK_VOID(fill_slice(op, slice, unknown, lost));
    // Parity follows the zeros, and rewriting what could not be read heals it.
    const ec::StripMask rewrite = (unknown | scheme.parity_mask()) & op.view().present;
    for (ec::StripMask left = rewrite; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        op.add_writes(s, slice, op.at(s, slice.begin), false);
    }
    const auto written = co_await op.run_writes();
    // What still cannot be written is in a bad range already, or is recorded as lost with its
    // member.
    if (!written && lost == 0) co_return written;
    co_return Result<void>{};
}

Task<Result<void>> Engine::finish_mover(Mover& mover, Commit commit, void* argument) {
    const std::uint64_t group = mover.group().get();
    using Mode = KeyedLock::Mode;
    const Mode mode = mutant(Mutant::mover_gate) ? Mode::shared : Mode::exclusive;
    co_await gate_.acquire(group, mode);
    KeyedLock::Guard gate(gate_, group, mode);
    Result<void> result;
    if (mover.has_failed()) {
        result = Error{Errc::aborted};
    } else if (commit != nullptr) {
        XSAN_ASSERT(mover.all_done());
        if (!mutant(Mutant::mover_no_flush)) result = co_await flush_targets(mover);
        if (result) result = co_await commit(argument);
    }
    movers_.remove(mover);
    co_return result;
}

}  // namespace xsan::raid
