// Arithmetic of a stripe write.
#include "raid/write_encode.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/mutant.h"

namespace xsan::raid {
namespace {

using Parities = std::array<std::byte*, ec::kCopyStripsMax>;

// The data strip whose content a strip of a copying scheme holds.
unsigned origin_of(const ec::Scheme& scheme, unsigned strip) {
    if (scheme.kind == ec::CodeKind::mirror) return 0;
    return strip % scheme.data_strips;
}

Parities written_parities(StripeOp& op, const Segment& segment) {
    const ec::Scheme& scheme = op.scheme();
    Parities parity{};
    for (unsigned j = 0; j < scheme.parity_strips; j++) {
        const unsigned strip = scheme.data_strips + j;
        if ((segment.plan.writes & strip_mask(strip)) != 0)
            parity[j] = op.at(strip, segment.rows.begin);
    }
    return parity;
}

// Lost data strips: the untouched ones, which the new parity needs, and the touched ones, which
// only restore_old_content() would need.
Result<void> decode_lost(StripeOp& op, const Segment& segment) {
    const ec::Scheme& scheme = op.scheme();
    std::array<std::byte*, ec::kStripsMax> strips{};
    const ec::StripMask unreadable = scheme.all_mask() & ~op.readable();
    ec::StripMask involved =
        segment.plan.reads | segment.plan.decoded | (segment.touched & unreadable);
    for (; involved != 0; involved &= involved - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(involved));
        strips[strip] = op.at(strip, segment.rows.begin);
    }
    return op.codec().decode(unreadable, std::span(strips.data(), scheme.total_strips()),
                             segment.rows.length());
}

}  // namespace

Result<void> encode_segment(StripeOp& op, const StripeWrite& write, const Segment& segment) {
    if (segment.plan.kind == PlanKind::copy) return {};
    const ec::Scheme& scheme = op.scheme();
    const std::uint32_t row = segment.rows.begin;
    const std::size_t length = segment.rows.length();
    if (segment.plan.kind == PlanKind::decode) XSAN_TRY_VOID(decode_lost(op, segment));
    Parities parity = written_parities(op, segment);
    const auto parities = std::span(parity.data(), scheme.parity_strips);
    if (segment.plan.kind == PlanKind::delta) {
        if (mutant(Mutant::delta_first_parity)) std::fill(parity.begin() + 1, parity.end(), nullptr);
        for (ec::StripMask left = segment.touched; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            std::byte* const old = op.at(s, mutant(Mutant::delta_first_row) ? op.rows().begin : row);
            if (!mutant(Mutant::delta_new_data)) ec::xor_blocks(old, old, write.strip_data(s, row), length);
            const ec::StripIndex column{mutant(Mutant::delta_coefficient) ? 0 : s};
            op.codec().update(column, old, parities, length);
            if (mutant(Mutant::delta_first_strip)) break;
        }
        return {};
    }
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const bool touched = (segment.touched & strip_mask(s)) != 0;
        data[s] = touched ? write.strip_data(s, row) : op.at(s, row);
    }
    op.codec().encode(std::span(data.data(), scheme.data_strips), parities, length);
    return {};
}

void add_segment_writes(StripeOp& op, const StripeWrite& write, std::span<const Segment> segments,
                        bool fua) {
    // Strips may have been lost since they were planned for.
    const ec::StripMask present = op.view().present;
    const ec::Scheme& scheme = op.scheme();
    const bool parity_code = scheme.kind == ec::CodeKind::parity;
    for (unsigned s = 0; s < scheme.total_strips(); s++) {
        for_each_run(
            segments, s, [](const Segment& g) { return g.rows; },
            [&](const Segment& g) { return g.plan.writes & present; },
            [&](Rows rows) {
                const bool computed = parity_code && s >= scheme.data_strips;
                std::byte* data = computed ? op.at(s, rows.begin)
                                           : const_cast<std::byte*>(write.strip_data(
                                                 origin_of(scheme, s), rows.begin));
                op.add_writes(s, rows, data, fua);
            });
    }
}

bool restore_old_content(StripeOp& op, const StripeWrite& write, const Segment& segment) {
    const ec::Scheme& scheme = op.scheme();
    const std::uint32_t row = segment.rows.begin;
    const std::size_t length = segment.rows.length();
    Parities parity = written_parities(op, segment);
    const auto parities = std::span(parity.data(), scheme.parity_strips);
    if (segment.plan.kind == PlanKind::delta) {
        // The buffers hold old ^ new, and adding that once more takes it away again.
        for (ec::StripMask left = segment.touched; left != 0; left &= left - 1) {
            const auto s = static_cast<unsigned>(std::countr_zero(left));
            op.codec().update(ec::StripIndex{s}, op.at(s, row), parities, length);
            ec::xor_blocks(op.at(s, row), op.at(s, row), write.strip_data(s, row), length);
        }
        return true;
    }
    if (segment.plan.kind != PlanKind::decode) return false;
    std::array<const std::byte*, ec::kDataStripsMax> data{};
    for (unsigned s = 0; s < scheme.data_strips; s++)
        data[s] = op.at(s, row);
    op.codec().encode(std::span(data.data(), scheme.data_strips), parities, length);
    return true;
}

}  // namespace xsan::raid
