// The write path: joining, planning, encoding, writing.
#include <algorithm>
#include <array>

#include "raid/engine.h"
#include "raid/stripe_write.h"
#include "reactor/task_group.h"

namespace xsan::raid {
namespace {

constexpr ec::StripMask bit(unsigned strip) { return ec::strip_bit(ec::StripIndex{strip}); }

// The data strip whose content a strip of a copying scheme holds.
unsigned origin_of(const ec::Scheme& scheme, unsigned strip) {
    if (scheme.kind == ec::CodeKind::mirror) return 0;
    return strip % scheme.data_strips;
}

// Calls fn(Rows) for each maximal run of rows over consecutive segments whose `mask` holds the strip.
template <class Mask, class Fn>
void for_each_run(std::span<const Segment> segments, unsigned strip, Mask&& mask, Fn&& fn) {
    Rows run;
    for (const Segment& segment : segments) {
        if ((mask(segment) & bit(strip)) == 0) continue;
        if (run.length() > 0 && run.end == segment.rows.begin) {
            run.end = segment.rows.end;
            continue;
        }
        if (run.length() > 0) fn(run);
        run = segment.rows;
    }
    if (run.length() > 0) fn(run);
}

// Computes the parities that a segment writes into the operation's buffers.
Result<void> encode_segment(StripeOp& op, const StripeWrite& write, const Segment& segment) {
    const ec::Scheme& scheme = op.scheme();
    const std::size_t length = segment.rows.length();
    const auto at = [&](unsigned strip) {
        return op.buffer(strip) + (segment.rows.begin - op.rows().begin);
    };
    if (segment.plan.kind == PlanKind::decode) {
        std::array<std::byte*, ec::kStripsMax> strips{};
        const ec::StripMask involved = segment.plan.reads | segment.plan.decoded;
        for (unsigned s = 0; s < scheme.total_strips(); s++) {
            if ((involved & bit(s)) != 0) strips[s] = at(s);
        }
        const ec::StripMask unreadable = scheme.all_mask() & ~op.readable();
        XSAN_TRY_VOID(
            op.codec().decode(unreadable, std::span(strips.data(), scheme.total_strips()), length));
    }
    std::array<std::byte*, ec::kCopyStripsMax> parity{};
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        if ((segment.plan.writes & bit(scheme.data_strips + j)) != 0) parity[j] = at(scheme.data_strips + j);
    }
    const auto parities = std::span(parity.data(), scheme.parity_strips);
    if (segment.plan.kind == PlanKind::delta) {
        for (unsigned s = 0; s < scheme.data_strips; s++) {
            if ((segment.touched & bit(s)) == 0) continue;
            ec::xor_blocks(at(s), at(s), write.strip_data(s, segment.rows.begin), length);
            op.codec().update(ec::StripIndex{s}, at(s), parities, length);
        }
        return {};
    }
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        data[s] = (segment.touched & bit(s)) != 0 ? write.strip_data(s, segment.rows.begin) : at(s);
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips), parities, length);
    return {};
}

}  // namespace

// Lives in the frame of the write that opened it; the others wait in its list.
struct Engine::Pending {
    struct Joiner {
        std::coroutine_handle<> handle;
        Result<void>* result;
    };
    GroupIndex group;
    StripeIndex stripe;
    std::array<WriteFragment, StripeWrite::kFragmentsMax> fragments;
    std::array<Joiner, StripeWrite::kFragmentsMax> joiners;
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    bool fua = false;
    bool may_be_torn = false;

    bool takes(GroupIndex g, StripeIndex s) const {
        return group == g && stripe == s && count < fragments.size();
    }
    void add(const WriteFragment& fragment, WriteFlags flags) {
        fragments[count++] = fragment;
        bytes += fragment.part.length;
        fua |= flags.fua;
        may_be_torn |= flags.may_be_torn;
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

Task<Result<void>> Engine::write_part(GroupIndex group, StripePart part, const std::byte* data,
                                      WriteFlags flags) {
    const std::uint64_t stripe_key = key(group, part.stripe);
    auto& table = here().pending;
    Pending*& slot = table[(stripe_key * 0x9E3779B97F4A7C15ull) >> 54];
    const WriteFragment fragment{part, data, flags.stable_buffer};
    if (slot != nullptr && slot->takes(group, part.stripe)) {
        Result<void> result;
        struct Join {
            Pending& pending;
            Result<void>& result;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) {
                pending.joiners[pending.count - 1] = {h, &result};
            }
            void await_resume() const noexcept {}
        };
        slot->add(fragment, flags);
        here().counters.merged_writes++;
        co_await Join{*slot, result};
        co_return result;
    }
    Pending pending;
    pending.group = group;
    pending.stripe = part.stripe;
    pending.add(fragment, flags);
    if (slot == nullptr) slot = &pending;
    const auto result = co_await run_pending(pending);
    co_return result;
}

Task<Result<void>> Engine::run_pending(Pending& pending) {
    const std::uint64_t stripe_key = key(pending.group, pending.stripe);
    co_await gate_.acquire(pending.group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, pending.group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(stripe_key, KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, stripe_key, KeyedLock::Mode::exclusive);

    const GroupRow* row = map_.row(pending.group);
    Result<void> result = Error{Errc::not_found};
    if (row != nullptr) {
        // A partial write waits for the end of the batch of completions that brought it: what else arrives
        // for its stripe joins it, and a sequential stream fills the stripe.
        const ec::Scheme& scheme = map_.codec(row->scheme()).scheme();
        if (pending.bytes < scheme.stripe_data_bytes()) co_await yield();
    }
    Pending*& slot = here().pending[(stripe_key * 0x9E3779B97F4A7C15ull) >> 54];
    if (slot == &pending) slot = nullptr;
    if (row != nullptr) result = co_await write_locked(pending);
    for (std::size_t i = 1; i < pending.count; i++) {
        *pending.joiners[i].result = result;
        Reactor::current().make_ready(pending.joiners[i].handle);
    }
    co_return result;
}

Task<Result<void>> Engine::write_locked(Pending& pending) {
    const GroupRow& row = *map_.row(pending.group);
    const ec::Scheme& scheme = map_.codec(row.scheme()).scheme();
    StripeWrite write(scheme, std::span(pending.fragments.data(), pending.count));
    StripeOp op(context(), row, movers_.find(pending.group), pending.group, pending.stripe,
                write.hull());
    Scratch gathered(here().buffers);
    write.gather(gathered);
    const bool delta_allowed =
        !pending.may_be_torn && !map_.may_be_torn(pending.group, pending.stripe);
    const auto segments = write.segments();

    for (;;) {
        for (Segment& segment : segments) {
            XSAN_CO_CHECK(segment.plan, choose_plan(op.codec(), {op.view().present, op.readable(),
                                                                 segment.touched, delta_allowed}));
        }
        for (unsigned s = 0; s < scheme.total_strips(); s++) {
            for_each_run(segments, s, [](const Segment& g) { return g.plan.reads; }, [&](Rows rows) {
                op.add_read({s, rows, op.buffer(s) + (rows.begin - op.rows().begin), false});
            });
        }
        if (co_await op.run_reads()) break;
    }
    EngineCounters& counters = here().counters;
    for (const Segment& segment : segments) {
        if (segment.plan.kind == PlanKind::copy) continue;
        XSAN_CO_CHECK_VOID(encode_segment(op, write, segment));
        if (segment.plan.kind == PlanKind::full_stripe) counters.full_stripe_writes++;
        if (segment.plan.kind == PlanKind::delta) counters.delta_writes++;
        if (segment.plan.kind == PlanKind::reconstruct) counters.reconstruct_writes++;
    }
    const bool parity_code = scheme.kind == ec::CodeKind::parity;
    for (unsigned s = 0; s < scheme.total_strips(); s++) {
        for_each_run(segments, s, [](const Segment& g) { return g.plan.writes; }, [&](Rows rows) {
            const bool computed = parity_code && s >= scheme.data_strips;
            std::byte* data =
                computed ? op.buffer(s) + (rows.begin - op.rows().begin)
                         : const_cast<std::byte*>(write.strip_data(origin_of(scheme, s), rows.begin));
            op.add_write({s, rows, data, false}, pending.fua);
            if ((op.view().doubled & bit(s)) != 0) op.add_write({s, rows, data, true}, pending.fua);
        });
    }
    const auto written = co_await op.run_writes();
    co_return written;
}

}  // namespace xsan::raid
