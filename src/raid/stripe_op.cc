// Steps of a stripe operation.
#include "raid/stripe_op.h"

#include <algorithm>

#include "base/assert.h"

namespace xsan::raid {
namespace {

constexpr ec::StripMask bit(unsigned strip) { return ec::strip_bit(ec::StripIndex{strip}); }

}  // namespace

StripeOp::StripeOp(const Context& context, const GroupRow& row, Mover* mover, GroupIndex group,
                   StripeIndex stripe, Rows rows)
    : context_(context),
      row_(row),
      group_(group),
      stripe_(stripe),
      rows_(rows),
      scratch_(context.buffers) {
    look_at(view_, context.map, row, mover, stripe);
    XSAN_ASSERT(rows.begin < rows.end && rows.end <= scheme().strip_bytes);
}

std::byte* StripeOp::buffer(unsigned strip) {
    if (buffers_[strip] == nullptr) buffers_[strip] = scratch_.take(rows_.length());
    return buffers_[strip];
}

StripIo& StripeOp::add(StripIoList& list, dev::IoKind kind, const Io& io) {
    XSAN_ASSERT((view_.present & bit(io.strip)) != 0);
    StripIo& out = list.add();
    out.request = {};
    out.request.kind = kind;
    out.strip = io.strip;
    out.rows = io.rows;
    out.place = io.second ? view_.second[io.strip] : view_.at[io.strip];
    out.request.offset = out.place.offset + io.rows.begin;
    out.request.stable_buffer = true;
    out.request.set_buffer(io.data, io.rows.length());
    return out;
}

Task<void> StripeOp::run(StripIoList& list) {
    dev::IoBatch batch;
    for (std::size_t i = 0; i < list.size(); i++) {
        StripIo& io = list[i];
        batch.submit(*io.place.device, io.request);
    }
    co_await batch.wait();
    for (std::size_t i = 0; i < list.size(); i++) {
        const StripIo& io = list[i];
        if (!io.request.error.is_ok()) continue;
        if (io.request.kind == dev::IoKind::read) {
            context_.traffic.count_read(io.place.member, io.request.length);
        } else {
            context_.traffic.count_write(io.place.member, io.request.length);
        }
    }
}

Task<bool> StripeOp::run_reads() {
    co_await run(reads_);
    bool all_good = true;
    for (std::size_t i = 0; i < reads_.size(); i++) {
        if (reads_[i].request.error.is_ok()) continue;
        all_good = false;
        co_await on_read_error(reads_[i]);
    }
    reads_.truncate(0);
    co_return all_good;
}

Task<Result<void>> StripeOp::load(ec::StripMask wanted) {
    ec::StripMask decode_now = 0;
    ec::StripMask lost = 0;
    for (;;) {
        lost = scheme().all_mask() & ~readable();
        decode_now = wanted & lost & ~loaded_;
        if (!codec().can_decode(lost, decode_now)) {
            co_return Error{unreadable_ != 0 ? Errc::media_error : Errc::too_many_failures};
        }
        const ec::StripMask reads =
            ((wanted & ~lost) | codec().sources(lost, decode_now)) & ~loaded_;
        for (unsigned strip = 0; strip < scheme().total_strips(); strip++) {
            if ((reads & bit(strip)) != 0) add_read({strip, rows_, buffer(strip), false});
        }
        if (co_await run_reads()) {
            loaded_ |= reads;
            break;
        }
        // What failed was dropped from readable(), or healed and is read again with the rest.
    }
    if (decode_now == 0) co_return Result<void>{};
    std::array<std::byte*, ec::kStripsMax> strips{};
    const ec::StripMask sources = codec().sources(lost, decode_now);
    for (unsigned strip = 0; strip < scheme().total_strips(); strip++) {
        if (((sources | decode_now) & bit(strip)) != 0) strips[strip] = buffer(strip);
    }
    const auto decoded = codec().decode(
        lost, std::span(strips.data(), scheme().total_strips()), rows_.length());
    if (decoded) loaded_ |= decode_now;
    co_return decoded;
}

Task<void> StripeOp::on_read_error(const StripIo& io) {
    const ec::StripMask strip_bit = bit(io.strip);
    const StripPlace place = io.place;
    const Error why = io.request.error;
    if (place.is_target) {
        // The group's other strips still give the content: only the mover is lost.
        view_.mover->fail();
        view_.present &= ~strip_bit;
        co_return;
    }
    if (why.code == Errc::device_gone) {
        const auto recorded = co_await context_.faults.member_failed(place.member, why);
        if (recorded) {
            view_.present &= ~strip_bit;
        } else {
            unreadable_ |= strip_bit;
        }
        co_return;
    }
    const Rows rows = io.rows;
    unreadable_ |= strip_bit;
    bool corrected = false;
    if ((healed_ & strip_bit) == 0) {
        healed_ |= strip_bit;
        corrected = co_await heal(io.strip, rows);
        if (corrected) unreadable_ &= ~strip_bit;
    }
    co_await context_.faults.read_failed(place.member, place.offset + rows.begin, why, corrected);
}

// Reconstructs the rows of a strip that cannot be read and writes them back.
Task<bool> StripeOp::heal(unsigned strip, Rows rows) {
    StripeOp inner(context_, row_, view_.mover, group_, stripe_, rows);
    inner.view_.present = view_.present;
    inner.unreadable_ = unreadable_;
    inner.healed_ = ~ec::StripMask{0};  // no healing inside healing: each error found there is final
    const auto loaded = co_await inner.load(bit(strip));
    if (!loaded) co_return false;
    inner.add_write({strip, rows, inner.buffer(strip), false}, true);
    const auto written = co_await inner.run_writes();
    co_return written.has_value();
}

Task<Result<void>> StripeOp::run_writes() {
    co_await run(writes_);
    Result<void> result;
    for (std::size_t i = 0; i < writes_.size(); i++) {
        const StripIo& io = writes_[i];
        if (io.request.error.is_ok()) continue;
        const Error why = io.request.error;
        if (io.place.is_target) view_.mover->fail();
        const auto recorded = co_await context_.faults.member_failed(io.place.member, why);
        if (!recorded && !io.place.is_target) {
            result = Error{Errc::io_error, why.os_errno};
        } else if (!io.second) {
            view_.present &= ~bit(io.strip);
        }
    }
    writes_.truncate(0);
    if (result && scheme().kind == ec::CodeKind::parity && !codec().can_decode(view_.lost())) {
        co_return Error{Errc::too_many_failures};
    }
    co_return result;
}

}  // namespace xsan::raid
