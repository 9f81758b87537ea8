// Steps of a stripe operation where all goes well; what happens when reads fail is in
// stripe_heal.cc.
#include "raid/stripe_op.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/mutant.h"

namespace xsan::raid {

StripeOp::StripeOp(const Context& context, const GroupRow& row, Mover* mover, GroupIndex group,
                   StripeIndex stripe, Rows rows)
    : context_(context),
      row_(row),
      group_(group),
      stripe_(stripe),
      rows_(rows),
      body_(context.bodies.get()) {
    look_at(body_.view, context.map, row, mover, stripe);
    const bool is_parity = scheme().kind == ec::CodeKind::parity;
    torn_ = is_parity && context.map.may_be_torn(group, stripe);
    unsettled_ = is_parity && context.doubts.is_unsettled(DoubtTable::key(group, stripe));
    XSAN_ASSERT(rows.begin < rows.end && rows.end <= scheme().strip_bytes);
}

StripeOp::~StripeOp() {
    for (unsigned strip = 0; strip < scheme().total_strips(); strip++) {
        body_.buffers[strip] = nullptr;
        body_.memory[strip].release();
    }
    body_.reads.truncate(0);
    body_.writes.truncate(0);
    context_.bodies.put(body_);
}

std::byte* StripeOp::buffer(unsigned strip) {
    if (body_.buffers[strip] == nullptr) {
        body_.memory[strip] = context_.buffers.acquire(rows_.length());
        body_.buffers[strip] = body_.memory[strip].data();
    }
    return body_.buffers[strip];
}

StripIo& StripeOp::add(StripIoList& list, dev::IoKind kind, const Io& io) {
    XSAN_ASSERT((body_.view.present & strip_mask(io.strip)) != 0);
    StripIo& out = list.add();
    out.request = {};
    out.request.kind = kind;
    out.strip = io.strip;
    out.second = io.second;
    out.rows = io.rows;
    out.place = io.second ? body_.view.second[io.strip] : body_.view.at[io.strip];
    out.request.offset = out.place.offset + io.rows.begin;
    out.request.stable_buffer = true;
    out.request.set_buffer(io.data, io.rows.length());
    return out;
}

void StripeOp::add_writes(unsigned strip, Rows rows, std::byte* data, bool fua) {
    add_write({strip, rows, data, false}, fua);
    if ((body_.view.doubled & strip_mask(strip)) != 0) add_write({strip, rows, data, true}, fua);
}

Task<void> StripeOp::run(StripIoList& list) {
    dev::IoBatch batch;
    for (std::size_t i = 0; i < list.size(); i++) {
        batch.submit(*list[i].place.device, list[i].request);
    }
    co_await batch.wait();
    for (std::size_t i = 0; i < list.size(); i++) {
        const StripIo& io = list[i];
        if (!io.request.error.is_ok()) continue;
        if (io.request.kind == dev::IoKind::read) {
            context_.traffic.count_read(io.place.member, io.request.length);
        } else {
            context_.traffic.count_write(io.place.member, kind_of(io), io.request.length);
        }
    }
}

WriteKind StripeOp::kind_of(const StripIo& io) const {
    return io.strip < scheme().data_strips ? WriteKind::data : WriteKind::parity;
}

Result<void> StripeOp::decode(Rows rows, ec::StripMask lost, ec::StripMask sources,
                              ec::StripMask wanted) {
    std::array<std::byte*, ec::kStripsMax> strips{};
    for (ec::StripMask left = sources | wanted; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        strips[strip] = at(strip, rows.begin);
    }
    return codec().decode(lost, std::span(strips.data(), scheme().total_strips()), rows.length());
}

Task<Result<void>> StripeOp::load(std::span<const RowMask> wants) {
    XSAN_ASSERT(wants.size() <= PartRows::kMax);
    for (;;) {
        const ec::StripMask lost = scheme().all_mask() & ~readable();
        for (const RowMask& want : wants) {
            if (unsettled_ && (want.strips & lost) != 0) co_return Error{Errc::io_error};
            if (codec().can_decode(lost, want.strips & lost)) continue;
            co_return unreadable_ != 0 ? read_error(0, {}) : Error{Errc::too_many_failures};
        }
        const ReadOutcome outcome = co_await load_once(wants);
        if (outcome == ReadOutcome::media_error) {
            if (unsettled_) co_return Error{Errc::io_error};
            if (lent_) co_return co_await load_slices_apart(wants);
            co_return co_await load_slices(wants);
        }
        if (outcome == ReadOutcome::changed) continue;
        for (const RowMask& want : wants) {
            const ec::StripMask wanted = want.strips & lost;
            if (wanted == 0) continue;
            XSAN_CO_CHECK_VOID(decode(want.rows, lost, codec().sources(lost, wanted), wanted));
        }
        co_return Result<void>{};
    }
}

// Reads what load() needs, all at once.
Task<StripeOp::ReadOutcome> StripeOp::load_once(std::span<const RowMask> wants) {
    const ec::StripMask lost = scheme().all_mask() & ~readable();
    std::array<RowMask, PartRows::kMax> needs;
    for (std::size_t i = 0; i < wants.size(); i++) {
        const ec::StripMask sources = codec().sources(lost, wants[i].strips & lost);
        needs[i] = {wants[i].rows, (wants[i].strips & ~lost) | sources};
    }
    for (unsigned strip = 0; strip < scheme().total_strips(); strip++) {
        for_each_run(
            std::span(needs.data(), wants.size()), strip, [](const RowMask& n) { return n.rows; },
            [](const RowMask& n) { return n.strips; },
            [&](Rows rows) {
                add_read({strip, rows, at(strip, rows.begin), false});
            });
    }
    co_await run(body_.reads);
    ReadOutcome outcome = ReadOutcome::good;
    for (std::size_t i = 0; i < body_.reads.size(); i++) {
        const StripIo& io = body_.reads[i];
        if (io.request.error.is_ok()) continue;
        if (co_await lose_vanished(io)) {
            if (outcome == ReadOutcome::good) outcome = ReadOutcome::changed;
        } else {
            outcome = ReadOutcome::media_error;
        }
    }
    body_.reads.truncate(0);
    co_return outcome;
}

Task<Result<void>> StripeOp::run_writes() {
    StripIoList& writes = body_.writes;
    co_await run(writes);
    ec::StripMask written = 0;
    Result<void> result;
    write_failures_.clear();
    for (std::size_t i = 0; i < writes.size(); i++) {
        StripIo& io = writes[i];
        written |= strip_mask(io.strip);
        if (io.request.error.is_ok()) continue;
        const auto taken = co_await take_write_error(io);
        if (taken) continue;
        result = taken;
        write_failures_.push_back({io.rows, strip_mask(io.strip)});
    }
    writes.truncate(0);
    const ec::StripMask lost = body_.view.lost();
    if (result && !codec().can_decode(lost, lost & written)) {
        co_return Error{Errc::too_many_failures};
    }
    co_return result;
}

// Success: the write need not be there any more, or is there after all. A request that the device
// calls invalid is our mistake, or a limit that it did not tell: no reason to lose the member.
Task<Result<void>> StripeOp::take_write_error(StripIo& io) {
    const Error why = io.request.error;
    if (io.place.is_target) {
        // The group has its content elsewhere: only the mover is lost, whatever becomes of the
        // member.
        body_.view.mover->fail();
        if (why.code != Errc::invalid_argument) {
            (void)co_await context_.faults.member_failed(io.place.member, why);
        }
        if (io.second) {
            body_.view.doubled &= ~strip_mask(io.strip);
        } else {
            body_.view.present &= ~strip_mask(io.strip);
        }
        co_return Result<void>{};
    }
    if (why.code != Errc::invalid_argument) {
        if (mutant(Mutant::ack_write_error)) co_return Result<void>{};
        const auto recorded = co_await context_.faults.member_failed(io.place.member, why);
        if (recorded) {
            drop(strip_mask(io.strip));
            co_return Result<void>{};
        }
    }
    // The member stays, so what it holds must be right.
    dev::IoBatch batch;
    batch.submit(*io.place.device, io.request);
    co_await batch.wait();
    if (!io.request.error.is_ok()) co_return Error{Errc::io_error, why.os_errno};
    context_.traffic.count_write(io.place.member, kind_of(io), io.request.length);
    co_return Result<void>{};
}

// After the fault sink was told something: members may have been recorded as lost.
void StripeOp::refresh() {
    StripeView& view = body_.view;
    for (ec::StripMask left = view.present; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        const StripPlace& place = view.at[strip];
        if (!place.is_target && context_.map.live_device(place.member) != place.device) {
            drop(strip_mask(strip));
        }
    }
}

// The strip's member is lost. What this operation writes from now on goes past a mover's target that doubles the
// strip: nobody may take the target for the strip any more.
void StripeOp::drop(ec::StripMask strip) {
    StripeView& view = body_.view;
    view.present &= ~strip;
    if ((view.doubled & strip) == 0) return;
    view.doubled &= ~strip;
    view.mover->fail();
}

}  // namespace xsan::raid
