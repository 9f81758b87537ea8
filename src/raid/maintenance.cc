// The steps of resync and scrub: one stripe at a time, under its interlock.
#include <cstring>

#include "raid/engine.h"

namespace xsan::raid {
namespace {

// The strips of a stripe that can be compared: those that are present, and the data strips that can
// be had.
ec::StripMask comparable(const StripeOp& op) {
    const ec::StripMask lost = op.view().lost();
    ec::StripMask strips = op.view().present;
    for (unsigned s = 0; s < op.scheme().data_strips; s++) {
        const ec::StripMask strip = strip_mask(s);
        if ((lost & strip) != 0 && op.codec().can_decode(lost, strip)) strips |= strip;
    }
    return strips;
}

// Loads all strips that can be had, computes what each present parity (or copy) should hold into
// `expected` (null for the others), and gives those that hold something else. A strip that had to
// be decoded agrees.
Task<Result<ec::StripMask>> find_mismatches(StripeOp& op, Scratch& scratch,
                                            std::array<std::byte*, ec::kCopyStripsMax>& expected) {
    const ec::Scheme& scheme = op.scheme();
    const RowMask want{op.rows(), comparable(op)};
    XSAN_CO_TRY_VOID(op.load(std::span(&want, 1)));
    const bool all_data = (want.strips & scheme.data_mask()) == scheme.data_mask();
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        if ((want.strips & strip_mask(s)) != 0) data[s] = op.buffer(s);
    }
    expected.fill(nullptr);
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const bool is_pair = scheme.kind == ec::CodeKind::mirror_pairs;
        const bool known = is_pair ? data[j] != nullptr : all_data;
        const bool readable = (op.readable() & strip_mask(scheme.data_strips + j)) != 0;
        if (known && readable) expected[j] = scratch.take(op.rows().length());
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips),
                      std::span<std::byte* const>(expected.data(), scheme.parity_strips),
                      op.rows().length());
    ec::StripMask mismatched = 0;
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const unsigned s = scheme.data_strips + j;
        if (expected[j] != nullptr &&
            std::memcmp(expected[j], op.buffer(s), op.rows().length()) != 0) {
            mismatched |= strip_mask(s);
        }
    }
    co_return mismatched;
}

}  // namespace

Task<Result<void>> Engine::resync_stripe(GroupIndex group, StripeIndex stripe) {
    Quiescence::Scope scope(quiescence_);
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    const GroupRow* row = map_.row(group);
    if (row == nullptr) co_return Result<void>{};
    if (!map_.takes_writes(group)) co_return Error{Errc::io_error};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    if (scheme.parity_strips == 0) co_return Result<void>{};
    StripeOp op(context(), *row, movers_.find(group), group, stripe, {0, scheme.strip_bytes});
    // With data lost there is nothing to trust but parity itself.
    if (scheme.kind == ec::CodeKind::parity && (op.view().lost() & scheme.data_mask()) != 0) {
        co_return Result<void>{};
    }
    Scratch scratch(here().buffers);
    std::array<std::byte*, ec::kCopyStripsMax> expected{};
    XSAN_CO_TRY(const ec::StripMask mismatched, find_mismatches(op, scratch, expected));
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const unsigned s = scheme.data_strips + j;
        if ((mismatched & strip_mask(s)) != 0) op.add_writes(s, op.rows(), expected[j], false);
    }
    const auto written = co_await op.run_writes();
    if (written && op.readable() == op.view().present) doubt_is_settled(group, stripe);
    co_return written;
}

Task<Result<StripeCheck>> Engine::check_stripe(GroupIndex group, StripeIndex stripe) {
    Quiescence::Scope scope(quiescence_);
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    StripeCheck check;
    const GroupRow* row = map_.row(group);
    if (row == nullptr) co_return check;
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    StripeOp op(context(), *row, movers_.find(group), group, stripe, {0, scheme.strip_bytes});
    Scratch scratch(here().buffers);
    std::array<std::byte*, ec::kCopyStripsMax> expected{};
    XSAN_CO_TRY(const ec::StripMask mismatched, find_mismatches(op, scratch, expected));
    check.complete = op.readable() == scheme.all_mask();
    check.agrees = mismatched == 0;
    co_return check;
}

}  // namespace xsan::raid
