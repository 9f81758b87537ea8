// The steps of resync, scrub and movers: one stripe at a time, under its interlock.
#include <cstring>

#include "raid/engine.h"

namespace xsan::raid {
namespace {

constexpr ec::StripMask bit(unsigned strip) { return ec::strip_bit(ec::StripIndex{strip}); }

// What each parity (or copy) should hold by the data that is loaded in `op`, written to `expected`.
// Strips with a null entry are not computed.
void expect(StripeOp& op, std::span<std::byte* const> expected) {
    const ec::Scheme& scheme = op.scheme();
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    for (unsigned s = 0; s < scheme.data_strips; s++) data[s] = op.buffer(s);
    op.codec().encode(std::span(data.data(), scheme.data_strips), expected, op.rows().length());
}

// Holds gate and interlock of one stripe for a scope, and a token that keeps its row.
struct StripeScope {
    Quiescence& quiescence;
    Quiescence::Token token;
    ~StripeScope() { quiescence.leave(token); }
};

// The parities of a stripe that are present and disagree with its data. Loads everything that is needed;
// data that is lost is decoded, and then nothing can disagree with it.
Task<Result<ec::StripMask>> find_mismatches(StripeOp& op, Scratch& scratch,
                                            std::array<std::byte*, ec::kCopyStripsMax>& expected) {
    const ec::Scheme& scheme = op.scheme();
    const ec::StripMask present = op.view().present;
    XSAN_CO_TRY_VOID(op.load(present | scheme.data_mask()));
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        expected[j] = nullptr;
        if ((present & bit(scheme.data_strips + j)) != 0) expected[j] = scratch.take(op.rows().length());
    }
    expect(op, std::span<std::byte* const>(expected.data(), scheme.parity_strips));
    ec::StripMask mismatched = 0;
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const unsigned s = scheme.data_strips + j;
        if (expected[j] != nullptr && (op.readable() & bit(s)) != 0 &&
            std::memcmp(expected[j], op.buffer(s), op.rows().length()) != 0) {
            mismatched |= bit(s);
        }
    }
    co_return mismatched;
}

}  // namespace

Task<Result<void>> Engine::resync_stripe(GroupIndex group, StripeIndex stripe) {
    StripeScope scope{quiescence_, quiescence_.enter()};
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    const GroupRow* row = map_.row(group);
    if (row == nullptr) co_return Result<void>{};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    StripeOp op(context(), *row, movers_.find(group), group, stripe, {0, scheme.strip_bytes});
    // With data lost there is nothing to trust but parity itself.
    if (scheme.parity_strips == 0) co_return Result<void>{};
    if (scheme.kind == ec::CodeKind::parity && (op.view().lost() & scheme.data_mask()) != 0) {
        co_return Result<void>{};
    }
    Scratch scratch(here().buffers);
    std::array<std::byte*, ec::kCopyStripsMax> expected{};
    XSAN_CO_TRY(const ec::StripMask mismatched, find_mismatches(op, scratch, expected));
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const unsigned s = scheme.data_strips + j;
        if ((mismatched & bit(s)) == 0) continue;
        op.add_write({s, op.rows(), expected[j], false}, false);
        if ((op.view().doubled & bit(s)) != 0) op.add_write({s, op.rows(), expected[j], true}, false);
    }
    const auto written = co_await op.run_writes();
    co_return written;
}

Task<Result<StripeCheck>> Engine::check_stripe(GroupIndex group, StripeIndex stripe) {
    StripeScope scope{quiescence_, quiescence_.enter()};
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
    check.complete = op.view().present == scheme.all_mask();
    check.agrees = mismatched == 0;
    co_return check;
}

Task<Result<void>> Engine::start_mover(Mover& mover) {
    const std::uint64_t group = mover.group().get();
    co_await gate_.acquire(group, KeyedLock::Mode::exclusive);
    KeyedLock::Guard gate(gate_, group, KeyedLock::Mode::exclusive);
    if (!movers_.try_add(mover)) co_return Error{Errc::busy};
    co_return Result<void>{};
}

Task<Result<void>> Engine::move_stripe(Mover& mover, StripeIndex stripe) {
    StripeScope scope{quiescence_, quiescence_.enter()};
    const GroupIndex group = mover.group();
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);

    if (mover.has_failed()) co_return Error{Errc::aborted};
    const GroupRow* row = map_.row(group);
    XSAN_ASSERT(row != nullptr);
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    if (!map_.is_mapped(group, stripe.get() * scheme.stripe_data_bytes())) {
        mover.set_done(stripe);
        co_return Result<void>{};
    }
    StripeOp op(context(), *row, &mover, group, stripe, {0, scheme.strip_bytes});
    ec::StripMask wanted = 0;
    for (const MoveTarget& target : mover.targets()) {
        wanted |= ec::strip_bit(ec::strip_in(scheme, stripe, ec::SlotIndex{target.slot}));
    }
    XSAN_CO_TRY_VOID(op.load(wanted));

    std::vector<dev::IoRequest> writes(mover.targets().size());
    dev::IoBatch batch;
    for (std::size_t i = 0; i < writes.size(); i++) {
        const MoveTarget& target = mover.targets()[i];
        const unsigned s = ec::strip_in(scheme, stripe, ec::SlotIndex{target.slot}).get();
        writes[i].kind = dev::IoKind::write;
        writes[i].stable_buffer = true;
        writes[i].offset = target.offset + std::uint64_t{stripe.get()} * scheme.strip_bytes;
        writes[i].set_buffer(op.buffer(s), scheme.strip_bytes);
        batch.submit(*target.device, writes[i]);
    }
    co_await batch.wait();
    Result<void> result;
    for (std::size_t i = 0; i < writes.size(); i++) {
        if (writes[i].error.is_ok()) {
            traffic_.count_write(mover.targets()[i].member, writes[i].length);
            continue;
        }
        mover.fail();
        result = writes[i].error;
        co_await faults_.member_failed(mover.targets()[i].member, writes[i].error);
    }
    if (result) mover.set_done(stripe);
    co_return result;
}

Task<Result<void>> Engine::finish_mover(Mover& mover, Commit commit, void* argument) {
    const std::uint64_t group = mover.group().get();
    co_await gate_.acquire(group, KeyedLock::Mode::exclusive);
    KeyedLock::Guard gate(gate_, group, KeyedLock::Mode::exclusive);
    Result<void> result;
    if (mover.has_failed()) {
        result = Error{Errc::aborted};
    } else if (commit != nullptr) {
        // The targets must hold everything before the table says so.
        for (const MoveTarget& target : mover.targets()) {
            const auto flushed = co_await flush_member(target.member, *target.device);
            if (!flushed) result = flushed;
        }
        if (result) result = co_await commit(argument);
    }
    movers_.remove(mover);
    co_return result;
}

}  // namespace xsan::raid
