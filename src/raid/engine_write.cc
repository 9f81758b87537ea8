// The write path: joining, planning, encoding, writing.
#include <algorithm>

#include "raid/engine.h"
#include "raid/stripe_write.h"
#include "raid/write_encode.h"
#include "reactor/task_group.h"

namespace xsan::raid {

// Lives in the frame of the write that opened it; the others wait in its list, each in its own
// frame.
struct Engine::Pending {
    struct Joiner : WriteFragment {
        std::coroutine_handle<> handle;
        Result<void> result;
    };
    GroupIndex group;
    StripeIndex stripe;
    Joiner first;
    Joiner* last = &first;
    std::uint64_t bytes = 0;
    bool fua = false;
    bool may_be_torn = false;

    bool takes(GroupIndex g, StripeIndex s) const { return group == g && stripe == s; }
    void count(const WriteFragment& fragment, WriteFlags flags) {
        bytes += fragment.part.length;
        fua |= flags.fua;
        may_be_torn |= flags.may_be_torn;
    }
    void join(Joiner& joiner, WriteFlags flags) {
        last->next = &joiner;
        last = &joiner;
        count(joiner, flags);
    }
    void answer_joiners(Result<void> result) {
        for (WriteFragment* f = first.next; f != nullptr;) {
            auto& joiner = static_cast<Joiner&>(*f);
            f = f->next;
            joiner.result = result;
            Reactor::current().make_ready(joiner.handle);
        }
    }
};

Task<Result<void>> Engine::write(GroupRange range, const std::byte* data, WriteFlags flags) {
    const GroupRow* row = map_.row(range.group);
    if (row == nullptr) co_return Error{Errc::not_found};
    const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
    const std::uint64_t stripe_bytes = scheme.stripe_data_bytes();
    if (range.offset % stripe_bytes + range.length <= stripe_bytes) {
        const StripePart only{StripeIndex{static_cast<std::uint32_t>(range.offset / stripe_bytes)},
                              range.offset % stripe_bytes, range.length, 0};
        co_return co_await write_part(range.group, only, data, flags);
    }
    std::vector<Task<Result<void>>> parts;
    parts.reserve(range.length / stripe_bytes + 2);
    for_each_stripe(scheme, range.offset, range.length, [&](const StripePart& part) {
        parts.push_back(write_part(range.group, part, data, flags));
    });
    co_await when_all(std::span(parts));
    Result<void> result;
    for (auto& part : parts) {
        const auto one = part.take();
        if (!one) result = one;
    }
    co_return result;
}

// The one who opens a Pending does the work for all who join, and is as many steps away from its
// caller as they are: the next requests of a sequential stream then arrive in one batch again.
Task<Result<void>> Engine::write_part(GroupIndex group, StripePart part, const std::byte* data,
                                      WriteFlags flags) {
    const std::uint64_t stripe_key = key(group, part.stripe);
    PerReactor& reactor = here();
    Pending*& slot = reactor.pending[(stripe_key * 0x9E3779B97F4A7C15ull) >> 54];
    if (slot != nullptr && slot->takes(group, part.stripe)) {
        Pending::Joiner joiner;
        joiner.part = part;
        joiner.data = data;
        joiner.stable = flags.stable_buffer;
        struct Answer {
            Pending::Joiner& joiner;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) const noexcept { joiner.handle = h; }
            void await_resume() const noexcept {}
        };
        slot->join(joiner, flags);
        reactor.merged_writes++;
        co_await Answer{joiner};
        co_return joiner.result;
    }
    Pending pending;
    pending.group = group;
    pending.stripe = part.stripe;
    pending.first.part = part;
    pending.first.data = data;
    pending.first.stable = flags.stable_buffer;
    pending.count(pending.first, flags);
    if (slot == nullptr) slot = &pending;

    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(stripe_key, KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, stripe_key, KeyedLock::Mode::exclusive);
    const GroupRow* row = map_.row(group);
    if (row != nullptr) {
        // A partial write waits for the end of the batch of completions that brought it: what else
        // arrives for its stripe joins it, and a sequential stream fills the stripe.
        const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
        if (pending.bytes < scheme.stripe_data_bytes()) co_await yield();
    }
    if (slot == &pending) slot = nullptr;
    Result<void> result = Error{Errc::not_found};
    if (row != nullptr && !map_.takes_writes(group)) {
        result = Error{Errc::io_error};
    } else if (row != nullptr) {
        result = Result<void>{};
        if (!doubts_.is_empty()) result = co_await clear_doubt(group, part.stripe);
        if (result) result = co_await write_locked(pending);
    }
    if (result) group_traffic_.count_write(Reactor::current().index(), group, pending.bytes);
    if (result && map_.has_bad_ranges(group)) {
        // Durable first: else a power cut could leave what stands in for the lost data, unmarked.
        result = co_await flush();
        if (result) result = co_await tell_rewritten(group, part.stripe, pending.first);
    }
    pending.answer_joiners(result);
    co_return result;
}

Task<Result<void>> Engine::write_locked(Pending& pending) {
    const GroupRow& row = *map_.row(pending.group);
    const ec::Scheme& scheme = map_.codec(row.scheme()).scheme();
    StripeWrite write(scheme, pending.first);
    StripeOp op(context(), row, movers_.find(pending.group), pending.group, pending.stripe,
                write.hull());
    Scratch gathered(here().buffers);
    write.gather(gathered);
    const bool delta_allowed =
        !pending.may_be_torn && !map_.may_be_torn(pending.group, pending.stripe);
    const auto segments = write.segments();

    for (;;) {
        for (Segment& segment : segments) {
            const PlanInput input{op.view().present, op.readable(), segment.touched, delta_allowed,
                                  op.doubtful()};
            XSAN_CO_CHECK(segment.plan, choose_plan(op.codec(), input));
        }
        for (unsigned s = 0; s < scheme.total_strips(); s++) {
            for_each_run(
                segments, s, [](const Segment& g) { return g.rows; },
                [](const Segment& g) { return g.plan.reads; },
                [&](Rows rows) {
                    op.add_read({s, rows, op.at(s, rows.begin), false});
                });
        }
        if (co_await op.run_reads()) break;
    }
    PerReactor& reactor = here();
    for (const Segment& segment : segments) {
        XSAN_CO_CHECK_VOID(encode_segment(op, write, segment));
        if (segment.plan.kind == PlanKind::full_stripe) reactor.full_stripe_writes++;
        if (segment.plan.kind == PlanKind::delta) reactor.delta_writes++;
        if (segment.plan.kind == PlanKind::reconstruct) reactor.reconstruct_writes++;
        if (segment.plan.kind == PlanKind::decode) reactor.reconstruct_writes++;
    }
    if (log_ != nullptr && scheme.parity_strips > 0) {
        const Logging logging{pending.group, pending.stripe, &row, row.generation(), pending.fua};
        co_return co_await write_logged(op, write, logging);
    }
    add_segment_writes(op, write, write.segments(), pending.fua);
    const auto written = co_await op.run_writes();
    if (!written && !op.write_failures().empty()) {
        // Without a record nothing could finish it later: torn is all that can be said.
        (void)co_await settle(op, write, write.segments(), row, pending.group, pending.stripe);
    }
    co_return written;
}

}  // namespace xsan::raid
