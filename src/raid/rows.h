// Rows: the same bytes of every strip of a stripe; and how a contiguous part of a stripe falls into
// ranges of rows over which the same strips are touched. Pure.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "ec/scheme.h"
#include "raid/geometry.h"

namespace xsan::raid {

struct Rows {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t length() const { return end - begin; }
    friend bool operator==(const Rows&, const Rows&) = default;
};

// Some strips over some rows.
struct RowMask {
    Rows rows;
    ec::StripMask strips = 0;
};

constexpr ec::StripMask strip_mask(unsigned strip) {
    return ec::strip_bit(ec::StripIndex{strip});
}

// Calls fn(strip) for each strip of the mask, ascending.
template <class Fn>
void for_each_strip(ec::StripMask strips, Fn&& fn) {
    for (; strips != 0; strips &= strips - 1) fn(static_cast<unsigned>(std::countr_zero(strips)));
}

// A contiguous part of a stripe's data, by rows: at most three ranges, ascending, disjoint,
// neighbouring ones with different strips.
class PartRows {
  public:
    static constexpr std::size_t kMax = 3;

    PartRows(const ec::Scheme& scheme, const StripePart& part) {
        const std::uint32_t strip_bytes = scheme.strip_bytes;
        const auto first = static_cast<unsigned>(part.offset / strip_bytes);
        const auto last = static_cast<unsigned>((part.offset + part.length - 1) / strip_bytes);
        const auto begin = static_cast<std::uint32_t>(part.offset % strip_bytes);
        const auto end =
            static_cast<std::uint32_t>((part.offset + part.length - 1) % strip_bytes + 1);
        if (first == last) {
            add({begin, end}, strip_mask(first));
            return;
        }
        ec::StripMask inner = 0;  // strips that are touched wholly
        for (unsigned s = first + 1; s < last; s++)
            inner |= strip_mask(s);
        const ec::StripMask head = strip_mask(first);  // from `begin` to the strip's end
        const ec::StripMask tail = strip_mask(last);   // from the strip's start to `end`
        const std::uint32_t low = begin < end ? begin : end;
        const std::uint32_t high = begin < end ? end : begin;
        add({0, low}, inner | tail);
        add({low, high}, begin < end ? inner | head | tail : inner);
        add({high, strip_bytes}, inner | head);
    }

    std::span<const RowMask> ranges() const { return {ranges_.data(), count_}; }
    Rows hull() const { return {ranges_[0].rows.begin, ranges_[count_ - 1].rows.end}; }

  private:
    void add(Rows rows, ec::StripMask strips) {
        if (rows.length() == 0 || strips == 0) return;
        if (count_ > 0 && ranges_[count_ - 1].rows.end == rows.begin &&
            ranges_[count_ - 1].strips == strips) {
            ranges_[count_ - 1].rows.end = rows.end;
            return;
        }
        ranges_[count_++] = {rows, strips};
    }

    std::array<RowMask, kMax> ranges_;
    std::size_t count_ = 0;
};

// Calls fn(Rows) for each maximal run of rows of one strip over ascending `items`. `rows_of(item)`
// gives an item's rows, `mask_of(item)` the strips that count in it.
template <class Items, class RowsOf, class MaskOf, class Fn>
void for_each_run(const Items& items, unsigned strip, RowsOf&& rows_of, MaskOf&& mask_of, Fn&& fn) {
    Rows run;
    for (const auto& item : items) {
        if ((mask_of(item) & strip_mask(strip)) == 0) continue;
        const Rows rows = rows_of(item);
        if (run.length() > 0 && run.end == rows.begin) {
            run.end = rows.end;
            continue;
        }
        if (run.length() > 0) fn(run);
        run = rows;
    }
    if (run.length() > 0) fn(run);
}

}  // namespace xsan::raid
