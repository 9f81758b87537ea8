// After a write that could neither be finished nor recorded as missed: a member failed it twice, and losing
// that member would lose data. The user gets an I/O error. What must not happen is that parity and data
// disagree from now on, since strips that are lost already are nothing but the sum of the others.
//
// In this order: the old content is put back where it is known and the failing member turns out to hold it
// too; parity is made to agree with what data strips hold; what lost strips held is given up, durably.
#include <array>
#include <bit>
#include <cstring>

#include "raid/engine.h"
#include "raid/write_encode.h"

namespace xsan::raid {
namespace {

bool overlap(Rows a, Rows b) { return a.begin < b.end && b.begin < a.end; }

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
        const bool restored = co_await put_back(op, found, write, segment, failed);
        if (restored) continue;
        const ec::StripMask hidden = op.view().lost() & op.scheme().data_mask();
        if (hidden == 0) co_await agree_with_data(op, found, segment, failed);
        for (ec::StripMask left = hidden; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            (void)co_await faults_.range_lost(group, data_offset(op.scheme(), stripe, s, segment.rows.begin),
                                              segment.rows.length());
        }
    }
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
    for (const RowMask& failure : op.write_failures()) failed |= failure.strips;
    std::array<Error, ec::kStripsMax> errors;
    const ec::StripMask good = co_await found.read_slice(segment.rows, failed, errors);
    co_return good == failed && agreeing(op, found, segment.rows, failed) == failed;
}

// Nothing is lost: parity follows from what the data strips hold now.
Task<void> Engine::agree_with_data(StripeOp& op, StripeOp& found,
                                   const Segment& segment, ec::StripMask failed) {
    const ec::Scheme& scheme = op.scheme();
    if ((failed & scheme.parity_mask()) != 0) co_return;
    std::array<Error, ec::kStripsMax> errors;
    const ec::StripMask good = co_await found.read_slice(segment.rows, scheme.data_mask(), errors);
    if (good != scheme.data_mask()) co_return;
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    std::array<std::byte*, ec::kCopyStripsMax> parity{};
    for (unsigned s = 0; s < scheme.data_strips; s++) data[s] = found.at(s, segment.rows.begin);
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        parity[j] = found.at(scheme.data_strips + j, segment.rows.begin);
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips),
                      std::span(parity.data(), scheme.parity_strips), segment.rows.length());
    for (ec::StripMask left = scheme.parity_mask() & found.view().present; left != 0;
         left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        found.add_writes(s, segment.rows, found.at(s, segment.rows.begin), false);
    }
    (void)co_await found.run_writes();
}

}  // namespace xsan::raid
