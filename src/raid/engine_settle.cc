// After a write that could neither be finished nor recorded as missed: a member failed it twice,
// and losing that member would lose data. The user gets an I/O error. What must not happen is that
// parity and data disagree from now on, since strips that are lost already are nothing but the sum
// of the others.
//
// In this order: the old content is put back where it is known and the failing member turns out to
// hold it too; where nothing is lost, the stripe is made a codeword again around what cannot be
// written; otherwise what lost strips held there is given up, durably. (What remains: a parity
// strip that is stale beside strips that are lost already, in a group that was not at its limit.
// Only a further loss before the next write or resync of these rows would show it.)
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

Task<void> Engine::settle(StripeOp& op, const StripeWrite& write, const GroupRow& row,
                          GroupIndex group, StripeIndex stripe) {
    const auto failures = op.write_failures();
    for (const Segment& segment : write.segments()) {
        ec::StripMask failed = 0;
        for (const RowMask& failure : failures) {
            if (overlap(failure.rows, segment.rows)) failed |= failure.strips;
        }
        if (failed == 0 || op.scheme().kind != ec::CodeKind::parity) continue;
        StripeOp found(context(), row, movers_.find(group), group, stripe, segment.rows);
        // A member that the pool has lost for another reason meanwhile is as one whose loss was recorded.
        failed &= found.view().present;
        if (failed == 0) continue;
        const bool restored = co_await put_back(op, found, write, segment, failed);
        if (restored) continue;
        const ec::StripMask lost = op.view().lost() | found.view().lost();
        const ec::StripMask hidden = lost & op.scheme().data_mask();
        if (hidden == 0) co_await fit_to_failed(found, group, stripe, write, segment, failed);
        for (ec::StripMask left = hidden; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            (void)co_await faults_.range_lost(
                group, data_offset(op.scheme(), stripe, s, segment.rows.begin),
                segment.rows.length());
        }
    }
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

// True when the rows are as they were before the write, on all strips.
Task<bool> Engine::put_back(StripeOp& op, StripeOp& found, const StripeWrite& write,
                            const Segment& segment, ec::StripMask failed) {
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

// Nothing is lost. The strips that failed are left as they are, and the others are fitted to them:
// parity is computed from what the data strips hold. Where parity itself failed, as many of the
// written data strips take what fits it; they are blocks of the write that failed, and in a bad
// range unless that is the new content.
Task<void> Engine::fit_to_failed(StripeOp& found, GroupIndex group, StripeIndex stripe,
                                 const StripeWrite& write, const Segment& segment,
                                 ec::StripMask failed) {
    const ec::Scheme& scheme = found.scheme();
    const Rows rows = segment.rows;
    ec::StripMask fixed = failed & scheme.parity_mask();
    std::array<Error, ec::kStripsMax> errors;
    const ec::StripMask good = co_await found.read_slice(rows, scheme.data_mask() | fixed, errors);
    ec::StripMask fitted = 0;
    ec::StripMask kept = 0;
    for (ec::StripMask left = segment.touched & ~failed; left != 0 && fixed != 0;
         left &= left - 1) {
        fitted |= left & -left;
        kept |= fixed & -fixed;
        fixed &= fixed - 1;
    }
    if (good != (scheme.data_mask() | (failed & scheme.parity_mask())) || fixed != 0) co_return;
    if (fitted != 0 &&
        !decode_strips(found, rows, fitted | (scheme.parity_mask() & ~kept), fitted)) {
        co_return;
    }
    for (ec::StripMask left = fitted; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        const std::byte* wanted = write.strip_data(s, rows.begin);
        if (std::memcmp(found.at(s, rows.begin), wanted, rows.length()) == 0) continue;
        const std::uint64_t offset = data_offset(scheme, stripe, s, rows.begin);
        const auto told = co_await faults_.range_lost(group, offset, rows.length());
        if (!told) co_return;
    }
    encode_strips(found, rows);
    const ec::StripMask writes = fitted | (scheme.parity_mask() & ~kept);
    for (ec::StripMask left = writes & found.view().present; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        found.add_writes(s, rows, found.at(s, rows.begin), false);
    }
    (void)co_await found.run_writes();
}

}  // namespace xsan::raid
