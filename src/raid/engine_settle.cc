// After a write that could neither be finished nor recorded as missed: a member failed it twice,
// and losing that member would lose data. The user gets an I/O error. What must not happen is that
// parity and data disagree from now on, since strips that are lost already are nothing but the sum
// of the others.
//
// In this order: the old content is put back where it is known and the failing member turns out to
// hold it too; else the stripe is made a codeword again around what cannot be written, also where
// strips are lost, as long as the others still give their content; otherwise what lost strips held
// there is given up, durably. Copies are made to agree with what the failing member holds. Where the
// stripe is no codeword after all that, the fault sink is told, and resync comes back to it. Where not
// even the giving up could be recorded the stripe stays unsettled (raid/doubt.h).
#include <array>
#include <bit>
#include <cstring>

#include "raid/engine.h"
#include "raid/write_encode.h"

namespace xsan::raid {
namespace {

bool overlap(Rows a, Rows b) {
    return a.begin < b.end && b.begin < a.end;
}

// Which of the strips hold over the segment's rows what the operation's buffers hold?
ec::StripMask agreeing(StripeOp& op, StripeOp& found, Rows rows, ec::StripMask strips) {
    ec::StripMask same = 0;
    for (ec::StripMask left = strips; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        if (std::memcmp(op.at(s, rows.begin), found.at(s, rows.begin), rows.length()) == 0) {
            same |= strip_mask(s);
        }
    }
    return same;
}

// All data strips are in the operation's buffers; all parities follow.
void encode_strips(StripeOp& op, Rows rows) {
    const ec::Scheme& scheme = op.scheme();
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    std::array<std::byte*, ec::kCopyStripsMax> parity{};
    for (unsigned s = 0; s < scheme.data_strips; s++)
        data[s] = op.at(s, rows.begin);
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        parity[j] = op.at(scheme.data_strips + j, rows.begin);
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips),
                      std::span(parity.data(), scheme.parity_strips), rows.length());
}

// As many of the candidates as there are parities that cannot be written.
ec::StripMask choose_fitted(unsigned count, ec::StripMask first, ec::StripMask then) {
    ec::StripMask fitted = 0;
    for (ec::StripMask left = first; left != 0 && count > 0; left &= left - 1, count--)
        fitted |= left & -left;
    for (ec::StripMask left = then; left != 0 && count > 0; left &= left - 1, count--)
        fitted |= left & -left;
    return count == 0 ? fitted : 0;
}

// A mover's target holds what its strip holds, also where that could not be written.
void add_second(StripeOp& op, Rows rows, unsigned strip) {
    if ((op.view().doubled & strip_mask(strip)) == 0) return;
    op.add_write({strip, rows, op.at(strip, rows.begin), true}, false);
}

// Computes `wanted`, a subset of `lost`, from the strips that are not in `lost`.
bool decode_strips(StripeOp& op, Rows rows, ec::StripMask lost, ec::StripMask wanted) {
    std::array<std::byte*, ec::kStripsMax> strips{};
    const ec::StripMask involved = (op.scheme().all_mask() & ~lost) | wanted;
    for (ec::StripMask left = involved; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        strips[s] = op.at(s, rows.begin);
    }
    const auto all = std::span(strips.data(), op.scheme().total_strips());
    return op.codec().decode(lost, all, rows.length()).has_value();
}

}  // namespace

// `segments`: what was being written; all other rows are as they were. False: the stripe is unsettled.
Task<bool> Engine::settle(StripeOp& op, const StripeWrite& write, std::span<const Segment> segments,
                          const GroupRow& row, GroupIndex group, StripeIndex stripe) {
    const auto failures = op.write_failures();
    bool is_settled = true;
    for (const Segment& segment : segments) {
        ec::StripMask failed = 0;
        for (const RowMask& failure : failures) {
            if (overlap(failure.rows, segment.rows)) failed |= failure.strips;
        }
        if (failed != 0 && op.scheme().parity_strips == 0) {
            // What a mover's target holds now is not what its source holds.
            if ((failed & op.view().doubled) != 0) op.view().mover->fail();
            continue;
        }
        if (failed == 0) continue;
        StripeOp found(context(), row, movers_.find(group), group, stripe, segment.rows);
        // A member that the pool has lost for another reason meanwhile is as one whose loss was recorded.
        failed &= found.view().present;
        if (failed == 0) continue;
        bool is_codeword = false;
        if (op.scheme().kind != ec::CodeKind::parity) {
            is_codeword = co_await fit_copies(found, segment, failed);
        } else {
            is_codeword = co_await put_back(op, found, write, segment, failed);
            const ec::StripMask lost = op.view().lost() | found.view().lost();
            if (!is_codeword) {
                is_codeword =
                    co_await fit_to_failed(found, group, stripe, write, segment, failed, lost);
            }
            if (!is_codeword) {
                is_settled &= co_await give_up(group, stripe, op.scheme(), segment.rows, lost);
            }
        }
        if (!is_codeword) co_await faults_.stripe_torn(group, stripe);
    }
    co_return is_settled;
}

// Data strips that are lost, and of which the others say something else now. False when that cannot
// be recorded; and while more may be lost, since one that is lost later would be computed from strips
// that do not fit: the stripe has to be made whole first.
Task<bool> Engine::give_up(GroupIndex group, StripeIndex stripe, const ec::Scheme& scheme, Rows rows,
                           ec::StripMask lost) {
    bool is_recorded = static_cast<unsigned>(std::popcount(lost)) >= scheme.parity_strips;
    for (ec::StripMask left = lost & scheme.data_mask(); left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        const auto told = co_await faults_.range_lost(
            group, data_offset(scheme, stripe, s, rows.begin), rows.length());
        is_recorded &= told.has_value();
    }
    co_return is_recorded;
}

// Before a write, under the interlock. io_error: the stripe takes none.
Task<Result<void>> Engine::clear_doubt(GroupIndex group, StripeIndex stripe) {
    const auto doubt = doubts_.find(key(group, stripe));
    if (!doubt) co_return Result<void>{};
    if (doubt->is_unsettled) co_return Error{Errc::io_error};
    XSAN_CO_TRY_VOID(log_->pass(doubt->records));
    doubts_.erase(key(group, stripe));
    co_return Result<void>{};
}

// The stripe has been made a codeword.
void Engine::doubt_is_settled(GroupIndex group, StripeIndex stripe) {
    auto doubt = doubts_.find(key(group, stripe));
    if (!doubt || !doubt->is_unsettled) return;
    log_->release(doubt->records);
    doubt->is_unsettled = false;
    doubts_.set(key(group, stripe), *doubt);
}

// All copies of a strip take what one that could not be written holds. These are blocks of the write
// that failed.
Task<bool> Engine::fit_copies(StripeOp& found, const Segment& segment, ec::StripMask failed) {
    const ec::Scheme& scheme = found.scheme();
    const Rows rows = segment.rows;
    std::array<Error, ec::kStripsMax> errors;
    if (co_await found.read_slice(rows, failed, errors) != failed) co_return false;
    const unsigned data = scheme.data_strips;
    for (unsigned origin = 0; origin < data; origin++) {
        ec::StripMask copies = 0;
        for (unsigned s = origin; s < scheme.total_strips(); s += data) copies |= strip_mask(s);
        if ((copies & failed) == 0) continue;
        const auto kept = static_cast<unsigned>(std::countr_zero(copies & failed));
        std::byte* content = found.at(kept, rows.begin);
        for (ec::StripMask left = copies & found.view().present; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            if ((failed & strip_mask(s)) == 0) {
                found.add_writes(s, rows, content, false);
                continue;
            }
            if (std::memcmp(found.at(s, rows.begin), content, rows.length()) != 0) co_return false;
            add_second(found, rows, s);
        }
    }
    const auto written = co_await found.run_writes();
    co_return written.has_value();
}

// After a write that succeeded.
Task<Result<void>> Engine::tell_rewritten(GroupIndex group, StripeIndex stripe,
                                          const WriteFragment& first) {
    const GroupRow& row = *map_.row(group);
    const std::uint64_t begin =
        stripe.get() * map_.codec(row.scheme()).scheme().stripe_data_bytes();
    for (const WriteFragment* f = &first; f != nullptr; f = f->next) {
        XSAN_CO_TRY_VOID(faults_.range_rewritten(group, begin + f->part.offset, f->part.length));
    }
    co_return Result<void>{};
}

// True when the rows are as they were before the write, on all strips; else on those that are not in
// `failed` afterwards, or they are as the write wanted them.
Task<bool> Engine::put_back(StripeOp& op, StripeOp& found, const StripeWrite& write,
                            const Segment& segment, ec::StripMask& failed) {
    if (!restore_old_content(op, write, segment)) co_return false;
    const ec::StripMask strips = segment.plan.writes & op.view().present;
    for (ec::StripMask left = strips; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        op.add_writes(s, segment.rows, op.at(s, segment.rows.begin), false);
    }
    const auto written = co_await op.run_writes();
    if (written) co_return true;
    for (const RowMask& failure : op.write_failures())
        failed |= failure.strips;
    failed &= found.view().present;
    std::array<Error, ec::kStripsMax> errors;
    const ec::StripMask good = co_await found.read_slice(segment.rows, failed, errors);
    co_return good == failed&& agreeing(op, found, segment.rows, failed) == failed;
}

// The strips that failed are left as they are, and the others are fitted to them: parity is computed
// from what the data strips hold, lost ones from what is left while that is enough. Where parity
// itself failed, as many of the written data strips (lost ones too) take what fits it; they are blocks
// of the write that failed, and in a bad range unless that is the new content. True when the rows are a codeword.
Task<bool> Engine::fit_to_failed(StripeOp& found, GroupIndex group, StripeIndex stripe,
                                 const StripeWrite& write, const Segment& segment,
                                 ec::StripMask failed, ec::StripMask lost) {
    const ec::Scheme& scheme = found.scheme();
    const Rows rows = segment.rows;
    const ec::StripMask unknown = lost | failed;
    const ec::StripMask kept = failed & scheme.parity_mask();
    const ec::StripMask fitted = choose_fitted(static_cast<unsigned>(std::popcount(kept)),
                                               segment.touched & ~unknown, segment.touched & lost);
    const ec::StripMask hidden = lost & scheme.data_mask() & ~fitted;
    if ((kept != 0 && fitted == 0) || !found.codec().can_decode(unknown, hidden)) co_return false;
    const ec::StripMask reads = (scheme.data_mask() & ~lost) | kept |
                                found.codec().sources(unknown, hidden);
    if ((reads & ~found.readable()) != 0) co_return false;
    std::array<Error, ec::kStripsMax> errors;
    if (co_await found.read_slice(rows, reads, errors) != reads) co_return false;
    if (hidden != 0 && !decode_strips(found, rows, unknown, hidden)) co_return false;
    if (fitted != 0 &&
        !decode_strips(found, rows, fitted | (scheme.parity_mask() & ~kept), fitted)) {
        co_return false;
    }
    for (ec::StripMask left = fitted; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        const std::byte* wanted = write.strip_data(s, rows.begin);
        if (std::memcmp(found.at(s, rows.begin), wanted, rows.length()) == 0) continue;
        const std::uint64_t offset = data_offset(scheme, stripe, s, rows.begin);
        const auto told = co_await faults_.range_lost(group, offset, rows.length());
        if (!told) co_return false;
    }
    encode_strips(found, rows);
    const ec::StripMask writes = fitted | (scheme.parity_mask() & ~kept);
    for (ec::StripMask left = writes & found.view().present & ~lost; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        found.add_writes(s, rows, found.at(s, rows.begin), false);
    }
    for (ec::StripMask left = failed; left != 0; left &= left - 1) {
        add_second(found, rows, static_cast<unsigned>(std::countr_zero(left)));
    }
    const auto written = co_await found.run_writes();
    co_return written.has_value();
}

}  // namespace xsan::raid
