// Writing a stripe through the log: what is to be written is appended, then written in place, then
// the log is told. A write that one append cannot carry goes in several turns, each whole in itself.
#include <algorithm>
#include <bit>

#include "base/mutant.h"
#include "raid/engine.h"
#include "raid/stripe_log.h"
#include "raid/stripe_write.h"
#include "raid/write_encode.h"

namespace xsan::raid {
namespace {

constexpr std::uint32_t kCutBytes = 4096;  // the largest block that a volume or a member has

// Strips that the table itself counts as present: a mover's target is not in the row yet, so replay
// will not see it.
ec::StripMask in_row(const StripeView& view) {
    ec::StripMask strips = view.present;
    for (ec::StripMask left = strips; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        if (view.at[s].is_target) strips &= ~strip_mask(s);
    }
    return strips;
}

// Parity strips (or copies) whose members receive the record of a segment.
ec::StripMask holders_of(const ec::Scheme& scheme, ec::StripMask present, ec::StripMask touched) {
    ec::StripMask holders = present & scheme.parity_mask();
    if (mutant(Mutant::copies_one_holder_fewer)) holders &= holders - 1;
    if (scheme.kind == ec::CodeKind::mirror_pairs) holders &= touched << scheme.data_strips;
    return holders;
}

LogKind kind_of(const ec::Scheme& scheme, ec::StripMask present, const Segment& segment,
                std::uint64_t payload_bytes_max) {
    if (scheme.kind != ec::CodeKind::parity) return LogKind::copies;
    const bool whole = segment.touched == scheme.data_mask() && present == scheme.all_mask();
    const std::uint64_t data_bytes = std::uint64_t{scheme.data_strips} * segment.rows.length();
    return whole && data_bytes > payload_bytes_max ? LogKind::overwrite : LogKind::payload;
}

// The rows of the segment, from its first on, that an append of so many bytes carries; 0: none.
std::uint32_t rows_that_fit(LogKind kind, const Segment& segment, const ec::Scheme& scheme,
                            std::uint32_t granule, std::uint64_t bytes) {
    const Rows all = segment.rows;
    const auto fits = [&](std::uint32_t rows) {
        return log_content_bytes(kind, {all.begin, all.begin + rows}, segment.touched,
                                 scheme.total_strips(), granule) <= bytes;
    };
    if (fits(all.length())) return all.length();
    // Only large writes to schemes of many strips come here, or what is left of a full append. A
    // block is never cut: its halves would be written in different turns.
    std::uint32_t end = all.begin / kCutBytes * kCutBytes;
    for (std::uint32_t step = std::bit_floor(all.end); step >= kCutBytes; step /= 2) {
        const std::uint32_t next = end + step;
        if (next < all.end && (next <= all.begin || fits(next - all.begin))) end = next;
    }
    return end > all.begin ? end - all.begin : 0;
}

}  // namespace

// The pieces of the segments, from `next` on, that one append carries, and its records.
void Engine::take_logged(const Logging& logging, const StripeOp& op, const StripeWrite& write,
                         LoggedWrite& out) {
    const ec::Scheme& scheme = op.scheme();
    const ec::StripMask present = in_row(op.view());
    const std::uint32_t granule = log_->granule_bytes();
    std::uint64_t left = log_->append_bytes_max();
    out.pieces.clear();
    out.records.clear();
    for (; out.next < write.segments().size(); out.next++, out.row = 0) {
        Segment piece = write.segments()[out.next];
        if (out.row != 0) piece.rows.begin = out.row;
        const ec::StripMask holders = holders_of(scheme, present, piece.touched);
        const LogKind kind = kind_of(scheme, present, piece, log_payload_bytes_max_);
        if (holders != 0) {
            const std::uint32_t rows = rows_that_fit(kind, piece, scheme, granule, left);
            if (rows == 0) return;
            const Rows whole = piece.rows;
            piece.rows.end = whole.begin + rows;
            left -= log_content_bytes(kind, piece.rows, piece.touched, scheme.total_strips(), granule);
            LogRecord& record = out.records.emplace_back();
            record.kind = kind;
            record.group = logging.group;
            record.generation = logging.generation;
            record.stripe = logging.stripe;
            record.rows = piece.rows;
            record.touched = piece.touched;
            record.holders = holders;
            record.total_strips = scheme.total_strips();
            fill_record(record, op, write);
            if (piece.rows.end != whole.end) {
                out.pieces.push_back(piece);
                out.row = piece.rows.end;
                return;
            }
        }
        out.pieces.push_back(piece);
    }
}

void Engine::fill_record(LogRecord& record, const StripeOp& op, const StripeWrite& write) {
    const ec::Scheme& scheme = op.scheme();
    for (ec::StripMask left = record.holders; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        record.member[s] = op.view().at[s].member;
        record.device[s] = op.view().at[s].device;
    }
    if (record.kind == LogKind::copies) return;
    const ec::StripMask wanted = record.touched | record.holders;
    for (ec::StripMask left = wanted; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        record.content[s] = s < scheme.data_strips ? write.strip_data(s, record.rows.begin)
                                                   : op.at(s, record.rows.begin);
    }
}

Task<Result<void>> Engine::write_logged(StripeOp& op, const StripeWrite& write, Logging logging) {
    LoggedWrite& logged = here().logged.get();
    logged.next = 0;
    logged.row = 0;
    Result<void> result;
    bool is_settled = true;
    while (result && logged.next < write.segments().size()) {
        take_logged(logging, op, write, logged);
        XSAN_ASSERT(!logged.pieces.empty());
        LogTicket ticket;
        if (!logged.records.empty()) {
            if (mutant(Mutant::ack_before_append)) {
                add_segment_writes(op, write, logged.pieces, false);
                (void)co_await op.run_writes();
            }
            result = co_await log_->append(ticket, logged.records);
            // Holders that failed are recorded as lost by now.
            op.refresh();
            const ec::StripMask lost = op.view().lost();
            if (result && !op.codec().can_decode(lost, lost & op.scheme().data_mask())) {
                result = Error{Errc::too_many_failures};
            }
        }
        if (result) {
            const bool fua = logging.fua && !mutant(Mutant::flush_in_place_fua);
            add_segment_writes(op, write, logged.pieces, fua);
            result = co_await op.run_writes();
            if (!result && !op.write_failures().empty()) {
                // What earlier turns wrote is whole, and their records may be gone.
                is_settled = co_await settle(op, write, logged.pieces, *logging.row, logging.group,
                                             logging.stripe);
            }
        }
        if (logged.records.empty()) continue;
        if (result) {
            log_->retire(ticket);
        } else {
            co_await end_failed(logging, ticket, logged.records.size(), is_settled);
        }
    }
    here().logged.put(logged);
    co_return result;
}

// What was given up must not be done by a replay behind later writes of the stripe; of what was left
// halfway a replay is the only way out.
Task<void> Engine::end_failed(const Logging& logging, LogTicket& ticket, std::size_t records,
                              bool is_settled) {
    const LogSpan span{ticket.sequence, ticket.sequence + records};
    if (is_settled) {
        log_->retire(ticket);
        const auto passed = co_await log_->pass(span);
        if (passed) co_return;
    } else {
        log_->keep(ticket);
    }
    doubts_.set(key(logging.group, logging.stripe), {!is_settled, span});
}

Task<Result<void>> Engine::replay_stripe(GroupIndex group, StripeIndex stripe,
                                         std::span<const ReplayRecord> records) {
    Quiescence::Scope scope(quiescence_);
    co_await gate_.acquire(group.get(), KeyedLock::Mode::shared);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::shared);
    co_await interlock_.acquire(key(group, stripe), KeyedLock::Mode::exclusive);
    KeyedLock::Guard interlock(interlock_, key(group, stripe), KeyedLock::Mode::exclusive);
    Rows hull = records.front().rows;
    for (const ReplayRecord& record : records) {
        hull.begin = std::min(hull.begin, record.rows.begin);
        hull.end = std::max(hull.end, record.rows.end);
    }
    const GroupRow& row = *map_.row(group);
    const ec::Scheme& scheme = map_.codec(row.scheme()).scheme();
    const GroupRange stripe_data{group, stripe.get() * scheme.stripe_data_bytes(),
                                 scheme.stripe_data_bytes()};
    // Each turn has lost a member.
    Result<void> result;
    do {
        StripeOp op(context(), row, nullptr, group, stripe, hull);
        StripeReplay replay(op, faults_, stripe_data, records);
        result = co_await replay.run();
    } while (result.error().code == Errc::aborted);
    co_return result;
}

}  // namespace xsan::raid
