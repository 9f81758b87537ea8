// Cutting and gathering of a stripe's new data.
#include "raid/stripe_write.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace xsan::raid {
namespace {

// As many zeros as the largest strip, for writes of zeros.
const std::byte* zeros() {
    static const dev::AlignedBuffer buffer(ec::kStripBytesMax);
    return buffer.data();
}

}  // namespace

StripeWrite::StripeWrite(const ec::Scheme& scheme, std::span<const WriteFragment> fragments)
    : scheme_(scheme), fragments_(fragments), hull_{scheme.strip_bytes, 0} {
    XSAN_ASSERT(!fragments.empty() && fragments.size() <= kFragmentsMax);
    // A fragment's rows change their set of strips at four places at most: where its first strip begins and
    // ends, and where its last strip begins and ends.
    std::array<std::uint32_t, 4 * kFragmentsMax> bounds;
    std::size_t bound_count = 0;
    for (const WriteFragment& fragment : fragments) {
        const std::size_t first = bound_count;
        for_each_piece(scheme, fragment.part, [&](const Piece& piece) {
            hull_.begin = std::min(hull_.begin, piece.begin);
            hull_.end = std::max(hull_.end, piece.end);
            for (const std::uint32_t bound : {piece.begin, piece.end}) {
                const auto end = bounds.begin() + static_cast<std::ptrdiff_t>(bound_count);
                if (std::find(bounds.begin() + static_cast<std::ptrdiff_t>(first), end, bound) == end) {
                    bounds[bound_count++] = bound;
                }
            }
        });
    }
    const auto end = bounds.begin() + static_cast<std::ptrdiff_t>(bound_count);
    std::sort(bounds.begin(), end);
    const auto unique_end = std::unique(bounds.begin(), end);
    for (auto at = bounds.begin(); at + 1 < unique_end; ++at) {
        ec::StripMask touched = 0;
        for (const WriteFragment& fragment : fragments) {
            for_each_piece(scheme, fragment.part, [&](const Piece& piece) {
                if (piece.begin <= *at && *(at + 1) <= piece.end) {
                    touched |= ec::strip_bit(ec::StripIndex{piece.strip});
                }
            });
        }
        if (touched == 0) continue;
        Segment* last = segment_count_ > 0 ? &segments_[segment_count_ - 1] : nullptr;
        if (last != nullptr && last->rows.end == *at && last->touched == touched) {
            last->rows.end = *(at + 1);
        } else {
            segments_[segment_count_++] = Segment{{*at, *(at + 1)}, touched, {}};
        }
    }
}

void StripeWrite::gather(Scratch& scratch) {
    if (fragments_.size() == 1 && (fragments_[0].stable || fragments_[0].data == nullptr)) {
        const WriteFragment& only = fragments_[0];
        for_each_piece(scheme_, only.part, [&](const Piece& piece) {
            const std::byte* data =
                only.data == nullptr ? zeros() : only.data + piece.buffer_offset;
            strips_[piece.strip] = {data, piece.begin};
        });
        return;
    }
    for (const WriteFragment& fragment : fragments_) {
        for_each_piece(scheme_, fragment.part, [&](const Piece& piece) {
            NewStrip& strip = strips_[piece.strip];
            if (strip.data == nullptr) strip = {scratch.take(hull_.length()), hull_.begin};
            std::byte* to = const_cast<std::byte*>(strip.data) + (piece.begin - hull_.begin);
            if (fragment.data == nullptr) {
                std::memset(to, 0, piece.length());
            } else {
                std::memcpy(to, fragment.data + piece.buffer_offset, piece.length());
            }
        });
    }
}

}  // namespace xsan::raid
