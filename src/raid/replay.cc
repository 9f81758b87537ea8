// Replay of one stripe.
#include "raid/replay.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace xsan::raid {
namespace {

bool covers(Rows outer, Rows inner) {
    return outer.begin <= inner.begin && inner.end <= outer.end;
}

// The granule of an overwrite's checksums in which a row lies, within the record's rows.
Rows granule_of(const ReplayRecord& record, std::uint32_t row) {
    const std::uint32_t begin = row / record.granule_bytes * record.granule_bytes;
    return {std::max(begin, record.rows.begin),
            std::min(begin + record.granule_bytes, record.rows.end)};
}

}  // namespace

StripeReplay::StripeReplay(StripeOp& op, FaultSink& faults, GroupRange stripe_data,
                           std::span<const ReplayRecord> records)
    : op_(op), faults_(faults), stripe_data_(stripe_data), records_(records) {}

Task<Result<void>> StripeReplay::run() {
    const ec::StripMask present = op_.view().present;
    const Rows hull = op_.rows();
    readable_ = co_await read_twice(hull, present);
    if (op_.view().present != present) co_return Error{Errc::aborted};
    const auto rows = boundaries();
    for (std::size_t i = 0; i + 1 < rows.size(); i++) {
        const Rows part{rows[i], rows[i + 1]};
        List list = covering(part);
        if (list.empty()) continue;
        if (op_.scheme().kind == ec::CodeKind::parity) {
            XSAN_CO_TRY_VOID(redo_parity(part, std::move(list)));
        } else {
            XSAN_CO_TRY_VOID(redo_copies(part, list));
        }
        if (op_.view().present != present) co_return Error{Errc::aborted};
    }
    const auto written = co_await op_.run_writes();
    if (!written) co_return written;
    if (op_.view().present != present) co_return Error{Errc::aborted};
    co_return Result<void>{};
}

// Between two neighbours the same records apply and the same checksums.
std::vector<std::uint32_t> StripeReplay::boundaries() const {
    std::vector<std::uint32_t> rows;
    for (const ReplayRecord& record : records_) {
        rows.push_back(record.rows.begin);
        rows.push_back(record.rows.end);
        if (record.kind != LogKind::overwrite) continue;
        const std::uint32_t step = record.granule_bytes;
        for (std::uint32_t row = record.rows.begin / step * step + step; row < record.rows.end;
             row += step) {
            rows.push_back(row);
        }
    }
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    return rows;
}

StripeReplay::List StripeReplay::covering(Rows rows) const {
    List list;
    for (const ReplayRecord& record : records_) {
        if (covers(record.rows, rows)) list.push_back(&record);
    }
    if (mutant(Mutant::replay_order)) std::reverse(list.begin(), list.end());
    return list;
}

// Does every parity member in sync hold the record? Else its in-place writes never began.
bool StripeReplay::is_complete(const ReplayRecord& record) const {
    ec::StripMask missing = op_.view().present & op_.scheme().parity_mask() & ~record.unknown;
    if (mutant(Mutant::copies_of_lost_too)) missing = op_.scheme().parity_mask();
    for (const ReplayCopy& copy : record.copies) missing &= ~strip_mask(copy.strip);
    return missing == 0 || mutant(Mutant::copies_any_will_do);
}

// Strips that could not be read as a whole are tried over these rows.
Task<ec::StripMask> StripeReplay::read_in_place(Rows rows, ec::StripMask strips) {
    const ec::StripMask again = strips & ~readable_ & op_.view().present;
    ec::StripMask good = strips & readable_;
    if (again != 0) good |= co_await read_twice(rows, again);
    co_return good;
}

// An error may pass.
Task<ec::StripMask> StripeReplay::read_twice(Rows rows, ec::StripMask strips) {
    std::array<Error, ec::kStripsMax> errors;
    ec::StripMask good = co_await op_.read_slice(rows, strips, errors);
    const ec::StripMask bad = strips & ~good & op_.view().present;
    if (bad != 0) good |= co_await op_.read_slice(rows, bad, errors);
    for_each_strip(bad, [&](unsigned s) {
        const bool is_silent = (good & strip_mask(s)) == 0 && !is_media_error(errors[s]);
        silent_ = is_silent ? silent_ | strip_mask(s) : silent_ & ~strip_mask(s);
    });
    co_return good;
}

void StripeReplay::write(ec::StripMask strips, Rows rows) {
    for_each_strip(strips & op_.view().present, [&](unsigned s) {
        op_.add_writes(s, rows, op_.at(s, rows.begin), false);
    });
}

// The first copy that can be read goes over the others.
Task<Result<void>> StripeReplay::redo_copies(Rows rows, const List& list) {
    const ec::Scheme& scheme = op_.scheme();
    const bool is_pair = scheme.kind == ec::CodeKind::mirror_pairs;
    const ec::StripMask good = co_await read_in_place(rows, op_.view().present);
    ec::StripMask touched = 0;
    for (const ReplayRecord* record : list) touched |= record->touched;
    for_each_strip(touched, [&](unsigned data) {
        const ec::StripMask copies =
            is_pair ? strip_mask(data) | strip_mask(scheme.data_strips + data) : scheme.all_mask();
        if ((copies & good) == 0) return;
        const auto from = static_cast<unsigned>(std::countr_zero(copies & good));
        for_each_strip(copies & op_.view().present & ~strip_mask(from), [&](unsigned to) {
            const bool same = (good & strip_mask(to)) != 0 &&
                              std::memcmp(op_.at(to, rows.begin), op_.at(from, rows.begin),
                                          rows.length()) == 0;
            if (same || mutant(Mutant::replay_copies)) return;
            std::memcpy(op_.at(to, rows.begin), op_.at(from, rows.begin), rows.length());
            write(strip_mask(to), rows);
        });
    });
    co_return Result<void>{};
}

Task<Result<void>> StripeReplay::redo_parity(Rows rows, List list) {
    if (!is_complete(*list.back()) || mutant(Mutant::replay_skips_last)) list.pop_back();
    if (list.empty()) co_return Result<void>{};
    const ReplayRecord& last = *list.back();
    const ec::StripMask readable = co_await read_in_place(rows, op_.view().present);
    if (last.kind == LogKind::overwrite) co_return co_await redo_overwrite(rows, last, readable);
    co_return co_await redo_payload(rows, list, readable);
}

Task<Result<void>> StripeReplay::redo_payload(Rows rows, const List& list,
                                              ec::StripMask readable) {
    const ec::Scheme& scheme = op_.scheme();
    ec::StripMask logged = 0;  // data strips whose content the log gives
    ec::StripMask absent = 0;  // those that neither the log nor their place gives
    ec::StripMask late = 0;    // those whose place does not hold what an overwrite wrote
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const auto newest = std::find_if(list.rbegin(), list.rend(), [&](const ReplayRecord* r) {
            return (r->touched & strip_mask(s)) != 0;
        });
        if (newest != list.rend() && (*newest)->kind == LogKind::payload) {
            logged |= strip_mask(s);
            copy_content(**newest, s, rows);
        } else if ((readable & strip_mask(s)) == 0) {
            absent |= strip_mask(s);
        } else if (newest != list.rend() && !holds(**newest, s, rows)) {
            late |= strip_mask(s);
        }
    }
    const ec::StripMask parity = scheme.parity_mask();
    ec::StripMask decoded = 0;
    ec::StripMask given_up = 0;
    if (absent != 0) {
        const ReplayRecord& last = *list.back();
        ec::StripMask held = 0;  // parity strips of which the log gives the content
        for (const ReplayCopy& copy : last.copies) {
            const std::uint64_t at =
                std::uint64_t{static_cast<unsigned>(std::popcount(last.touched))} *
                    last.rows.length() +
                (rows.begin - last.rows.begin);
            std::memcpy(op_.at(copy.strip, rows.begin), copy.content.data() + at, rows.length());
            held |= strip_mask(copy.strip);
        }
        decoded = absent | late;
        if (!decode(rows, decoded | (parity & ~held), decoded)) {
            decoded = 0;
            given_up = absent;
        }
    }
    co_return co_await finish(rows, given_up, logged | decoded | given_up);
}

Task<Result<void>> StripeReplay::redo_overwrite(Rows rows, const ReplayRecord& last,
                                                ec::StripMask readable) {
    const ec::Scheme& scheme = op_.scheme();
    ec::StripMask arrived = 0;
    for_each_strip(readable, [&](unsigned s) {
        if (holds(last, s, rows)) arrived |= strip_mask(s);
    });
    const ec::StripMask others = scheme.all_mask() & ~arrived;
    const ec::StripMask wanted = others & op_.view().present;
    if (op_.codec().can_decode(others, wanted) && decode(rows, others, wanted)) {
        write(wanted, rows);
        co_return Result<void>{};
    }
    const ec::StripMask absent = scheme.data_mask() & ~readable;
    co_return co_await finish(rows, absent, absent);
}

// All data strips are in their buffers but those given up, which become zeros that read as errors;
// parity follows.
Task<Result<void>> StripeReplay::finish(Rows rows, ec::StripMask given_up,
                                        ec::StripMask data_to_write) {
    const ec::Scheme& scheme = op_.scheme();
    // It may still be there when the drive answers again.
    if ((given_up & silent_) != 0) co_return Error{Errc::io_error};
    for (ec::StripMask left = given_up; left != 0; left &= left - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(left));
        const std::uint64_t offset = stripe_data_.offset +
                                     std::uint64_t{s} * scheme.strip_bytes + rows.begin;
        XSAN_CO_TRY_VOID(faults_.range_lost(stripe_data_.group, offset, rows.length()));
        std::memset(op_.at(s, rows.begin), 0, rows.length());
    }
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    std::array<std::byte*, ec::kCopyStripsMax> parity{};
    for (unsigned s = 0; s < scheme.data_strips; s++) data[s] = op_.at(s, rows.begin);
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        parity[j] = op_.at(scheme.data_strips + j, rows.begin);
    }
    op_.codec().encode(std::span(data.data(), scheme.data_strips),
                       std::span(parity.data(), scheme.parity_strips), rows.length());
    if (!mutant(Mutant::replay_parity)) data_to_write |= scheme.parity_mask();
    write(data_to_write, rows);
    co_return Result<void>{};
}

// Does the strip's place, as it was read, hold what this record wrote? Only whole granules can tell.
bool StripeReplay::holds(const ReplayRecord& overwrite, unsigned strip, Rows rows) {
    if (overwrite.kind != LogKind::overwrite || mutant(Mutant::crc_overwrite)) return true;
    const Rows granule = granule_of(overwrite, rows.begin);
    if (granule != rows) return false;
    const std::uint32_t step = overwrite.granule_bytes;
    const std::uint32_t first = overwrite.rows.begin / step;
    const std::uint64_t per_strip = (overwrite.rows.end + step - 1) / step - first;
    const std::uint64_t at = strip * per_strip + (rows.begin / step - first);
    Le32 crc;
    std::memcpy(&crc, overwrite.copies.front().content.data() + at * sizeof crc, sizeof crc);
    return crc == crc32c({op_.at(strip, rows.begin), rows.length()});
}

void StripeReplay::copy_content(const ReplayRecord& payload, unsigned strip, Rows rows) {
    const auto before =
        static_cast<unsigned>(std::popcount(payload.touched & (strip_mask(strip) - 1)));
    const std::uint32_t skipped = mutant(Mutant::replay_row) ? 0 : rows.begin - payload.rows.begin;
    const std::uint64_t at = std::uint64_t{before} * payload.rows.length() + skipped;
    std::memcpy(op_.at(strip, rows.begin), payload.copies.front().content.data() + at,
                rows.length());
}

// Computes `wanted`, a subset of `lost`, from the strips that are not in `lost`.
bool StripeReplay::decode(Rows rows, ec::StripMask lost, ec::StripMask wanted) {
    if (!op_.codec().can_decode(lost, wanted)) return false;
    std::array<std::byte*, ec::kStripsMax> strips{};
    for_each_strip((op_.scheme().all_mask() & ~lost) | wanted,
                   [&](unsigned s) { strips[s] = op_.at(s, rows.begin); });
    const auto all = std::span(strips.data(), op_.scheme().total_strips());
    return op_.codec().decode(lost, all, rows.length()).has_value();
}

}  // namespace xsan::raid
