// What a stripe operation does when reads fail: it goes through the rows slice by slice, so that
// one bad block costs no more than itself, takes the content from other strips, writes it back and
// reports.
//
// In a stripe that may be torn a data strip is taken from parity only where two parities agree on it:
// what one of them says may be the sum of a write that was cut off.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/mutant.h"
#include "raid/stripe_op.h"

namespace xsan::raid {

// A vanished member is recorded as lost; a failed target ends its mover. False: an ordinary read
// error.
Task<bool> StripeOp::lose_vanished(const StripIo& io) {
    const StripPlace place = io.place;
    const ec::StripMask strip = strip_mask(io.strip);
    if (place.is_target) {
        // The group's other strips still give the content: only the mover is lost.
        body_.view.mover->fail();
        body_.view.present &= ~strip;
        co_return true;
    }
    if (io.request.error.code != Errc::device_gone) co_return false;
    const auto recorded = co_await context_.faults.member_failed(place.member, io.request.error);
    if (recorded) {
        drop(strip);
    } else {
        unreadable_ |= strip;
        silent_ |= strip;
    }
    co_return true;
}

// What to answer when these strips, which gave these errors, and those that are not read any more
// leave too little: media_error when all of them said so.
Error StripeOp::read_error(ec::StripMask strips, std::span<const Error> errors) const {
    for (ec::StripMask left = strips; left != 0; left &= left - 1) {
        const Error& error = errors[static_cast<unsigned>(std::countr_zero(left))];
        if (!is_media_error(error)) return {Errc::io_error, error.os_errno};
    }
    if ((silent_ & body_.view.present) != 0) return {Errc::io_error};
    return {Errc::media_error};
}

Task<bool> StripeOp::run_reads() {
    co_await run(body_.reads);
    bool all_good = true;
    for (std::size_t i = 0; i < body_.reads.size(); i++) {
        const StripIo& io = body_.reads[i];
        if (io.request.error.is_ok() || mutant(Mutant::delta_read_error)) continue;
        all_good = false;
        const ec::StripMask strip = strip_mask(io.strip);
        if (co_await lose_vanished(io)) continue;
        if (!is_media_error(io.request.error)) silent_ |= strip;
        if ((healed_ & strip) != 0 || (readable() & strip) == 0) {
            unreadable_ |= strip;
            continue;
        }
        healed_ |= strip;
        // An operation of its own, because this one's buffers hold what other reads brought.
        StripeOp inner(context_, row_, body_.view.mover, group_, stripe_, io.rows);
        inner.unreadable_ = unreadable_;
        inner.silent_ = silent_ & unreadable_;
        const RowMask want{io.rows, strip};
        const auto healed = co_await inner.load_slices(std::span(&want, 1));
        if (!healed) unreadable_ |= strip;
    }
    body_.reads.truncate(0);
    // A second piece of a strip that was healed above is read again with the rest.
    if (!all_good) refresh();
    co_return all_good;
}

// What is decoded here may be written back, so it is never computed in memory that the caller lent:
// its owner could change it meanwhile.
Task<Result<void>> StripeOp::load_slices_apart(std::span<const RowMask> wants) {
    StripeOp inner(context_, row_, body_.view.mover, group_, stripe_, rows_);
    inner.unreadable_ = unreadable_;
    inner.silent_ = silent_;
    const auto loaded = co_await inner.load_slices(wants);
    bad_slices_ = std::move(inner.bad_slices_);
    for (const RowMask& want : wants) {
        for (ec::StripMask left = want.strips; left != 0; left &= left - 1) {
            const auto strip = static_cast<unsigned>(std::countr_zero(left));
            std::copy_n(inner.at(strip, want.rows.begin), want.rows.length(),
                        at(strip, want.rows.begin));
        }
    }
    refresh();
    co_return loaded;
}

Task<Result<void>> StripeOp::load_slices(std::span<const RowMask> wants) {
    Result<void> result;
    for (const RowMask& want : wants) {
        for (std::uint32_t begin = want.rows.begin; begin < want.rows.end;) {
            const std::uint32_t boundary = begin / kSliceBytes * kSliceBytes + kSliceBytes;
            const Rows slice{begin, std::min(boundary, want.rows.end)};
            const auto one = co_await load_slice(slice, want.strips);
            if (!one && (result || is_media_error(result.error()))) result = one;
            begin = slice.end;
        }
    }
    co_return result;
}

Task<ec::StripMask> StripeOp::read_slice(Rows slice, ec::StripMask strips,
                                         std::span<Error> errors) {
    for (ec::StripMask left = strips; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        add_read({strip, slice, at(strip, slice.begin), false});
    }
    co_await run(body_.reads);
    ec::StripMask good = 0;
    for (std::size_t i = 0; i < body_.reads.size(); i++) {
        const StripIo& io = body_.reads[i];
        if (io.request.error.is_ok()) {
            good |= strip_mask(io.strip);
            continue;
        }
        errors[io.strip] = io.request.error;
        (void)co_await lose_vanished(io);
    }
    body_.reads.truncate(0);
    co_return good;
}

Task<Result<void>> StripeOp::load_slice(Rows slice, ec::StripMask wanted) {
    std::array<Error, ec::kStripsMax> errors;
    ec::StripMask have = 0;  // these rows are in their buffers
    ec::StripMask bad = 0;   // these rows of present strips could not be read
    for (;;) {
        const ec::StripMask lost = ((scheme().all_mask() & ~readable()) | bad) & ~have;
        const ec::StripMask missing = wanted & lost;
        const ec::StripMask doubted = missing & bad & doubtful();
        const ec::StripMask second = confirming(lost, doubted);
        bool lacking = !codec().can_decode(lost, missing) || (doubted != 0 && second == 0);
        ec::StripMask reads = 0;
        if (!lacking) {
            reads = ((wanted & ~lost) | codec().sources(lost, missing)) & ~have;
            if (doubted != 0) reads |= codec().sources(second, doubted) & ~have;
            lacking = reads == 0 && doubted != 0 && !confirmed(slice, lost, doubted);
        }
        if (lacking) {
            const Error why = (bad | unreadable_) != 0 ? read_error(bad, errors)
                                                       : Error{Errc::too_many_failures};
            bad_slices_.push_back(slice);
            co_await heal(slice, bad, 0, errors);
            co_return why;
        }
        if (reads == 0) {
            const ec::StripMask sources = codec().sources(lost, missing);
            if (missing != 0) XSAN_CO_CHECK_VOID(decode(slice, lost, sources, missing));
            break;
        }
        const ec::StripMask good = co_await read_slice(slice, reads, errors);
        have |= good;
        bad |= reads & ~good & readable();
    }
    if (bad != 0) co_await heal(slice, bad, have, errors);
    co_return Result<void>{};
}

// What counts as lost in a second computation of `wanted`, which then uses another parity; 0 where
// there is none.
ec::StripMask StripeOp::confirming(ec::StripMask lost, ec::StripMask wanted) const {
    if (wanted == 0 || !codec().can_decode(lost, wanted)) return 0;
    const ec::StripMask parity = codec().sources(lost, wanted) & scheme().parity_mask();
    const ec::StripMask second = lost | (parity & -parity);
    return codec().can_decode(second, wanted) ? second : 0;
}

// Do two computations agree? The content is in the buffers then. All sources of both are there.
bool StripeOp::confirmed(Rows slice, ec::StripMask lost, ec::StripMask wanted) {
    const ec::StripMask second = confirming(lost, wanted);
    if (second == 0 || !decode(slice, second, codec().sources(second, wanted), wanted)) return false;
    Scratch scratch(context_.buffers);
    std::array<const std::byte*, ec::kStripsMax> copies{};
    for (ec::StripMask left = wanted; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        std::byte* copy = scratch.take(slice.length());
        std::memcpy(copy, at(strip, slice.begin), slice.length());
        copies[strip] = copy;
    }
    if (!decode(slice, lost, codec().sources(lost, wanted), wanted)) return false;
    for (ec::StripMask left = wanted; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        if (std::memcmp(copies[strip], at(strip, slice.begin), slice.length()) != 0) return false;
    }
    return true;
}

// Reconstructs the slice of `bad` strips from those in `have`, rewrites and reports them. Where
// that is not possible they are reported as they are. What a drive answered an error for that is
// not the media's is there, for all we know, and stays untouched.
Task<void> StripeOp::heal(Rows slice, ec::StripMask bad, ec::StripMask have,
                          std::span<const Error> errors) {
    const ec::StripMask lost = scheme().all_mask() & ~have;
    bool content_known = codec().can_decode(lost, bad);
    // Of a torn stripe: parity from data that was read, or what two parities agree on.
    if (torn_ && (lost & scheme().data_mask()) != 0) {
        content_known = content_known && confirmed(slice, lost, bad);
    } else if (content_known) {
        const ec::StripMask sources = codec().sources(lost, bad);
        content_known = decode(slice, lost, sources, bad).has_value();
    }
    for (ec::StripMask left = bad; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        if ((readable() & strip_mask(strip)) == 0) continue;  // lost meanwhile
        const StripPlace place = body_.view.at[strip];
        Error verify_error;
        bool rewritten = false;
        if (errors[strip].code == Errc::invalid_argument) continue;
        if (content_known && is_media_error(errors[strip])) {
            rewritten = co_await rewrite(strip, slice, verify_error);
        }
        const std::uint64_t offset = place.offset + slice.begin;
        co_await context_.faults.read_failed(place.member, offset, errors[strip], rewritten);
        if (rewritten && !verify_error.is_ok()) {
            co_await context_.faults.read_failed(place.member, offset, verify_error, false);
        }
        refresh();
    }
}

// Writes a slice back and looks whether it can be read now. False when it could not be written.
Task<bool> StripeOp::rewrite(unsigned strip, Rows slice, Error& verify_error) {
    StripIoList& writes = body_.writes;
    XSAN_ASSERT(writes.size() == 0);
    // A mover's target too: of a stripe that was torn it may hold something else.
    add_writes(strip, slice, at(strip, slice.begin), true);
    const auto written = co_await run_writes();
    if (!written || (readable() & strip_mask(strip)) == 0) co_return false;
    dev::PoolBuffer again = context_.buffers.acquire(slice.length());
    const StripPlace place = body_.view.at[strip];
    const auto verified = co_await place.device->read(place.offset + slice.begin, again.span());
    verify_error = verified.error();
    co_return true;
}

}  // namespace xsan::raid
