// Cutting and gathering of a stripe's new data.
#include "raid/stripe_write.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "dev/zero_buffer.h"

namespace xsan::raid {

StripeWrite::StripeWrite(const ec::Scheme& scheme, const WriteFragment& first)
    : scheme_(scheme), first_(first) {
    if (first.next != nullptr) {
        cut_many();
        return;
    }
    const PartRows part(scheme, first.part);
    for (const RowMask& range : part.ranges())
        add_segment(range.rows, range.strips);
}

// Sweeps over the rows at which some piece begins or ends.
void StripeWrite::cut_many() {
    struct Edge {
        std::uint32_t row;
        std::uint32_t strip;
        int step;  // +1: a piece of the strip begins, -1: it ends
    };
    std::vector<Edge> edges;
    for (const WriteFragment* f = &first_; f != nullptr; f = f->next) {
        for_each_piece(scheme_, f->part, [&](const Piece& piece) {
            edges.push_back({piece.begin, piece.strip, +1});
            edges.push_back({piece.end, piece.strip, -1});
        });
    }
    std::sort(edges.begin(), edges.end(),
              [](const Edge& a, const Edge& b) { return a.row < b.row; });
    std::array<int, ec::kDataStripsMax> depth{};
    ec::StripMask touched = 0;
    for (std::size_t i = 0; i < edges.size(); i++) {
        const Edge& edge = edges[i];
        if (i > 0 && touched != 0) add_segment({edges[i - 1].row, edge.row}, touched);
        depth[edge.strip] += edge.step;
        if (depth[edge.strip] > 0) {
            touched |= strip_mask(edge.strip);
        } else {
            touched &= ~strip_mask(edge.strip);
        }
    }
    XSAN_ASSERT(touched == 0);
}

void StripeWrite::add_segment(Rows rows, ec::StripMask touched) {
    if (rows.length() == 0) return;
    if (!segments_.empty() && segments_.back().rows.end == rows.begin &&
        segments_.back().touched == touched) {
        segments_.back().rows.end = rows.end;
        return;
    }
    segments_.push_back(Segment{rows, touched, {}});
}

void StripeWrite::gather(Scratch& scratch) {
    if (first_.next == nullptr && (first_.stable || first_.data == nullptr)) {
        XSAN_ASSERT(scheme_.strip_bytes <= dev::zero_buffer().size());
        for_each_piece(scheme_, first_.part, [&](const Piece& piece) {
            const std::byte* data = first_.data == nullptr ? dev::zero_buffer().data()
                                                           : first_.data + piece.buffer_offset;
            strips_[piece.strip] = {data, piece.begin};
        });
        return;
    }
    const Rows all = hull();
    for (const WriteFragment* f = &first_; f != nullptr; f = f->next) {
        for_each_piece(scheme_, f->part, [&](const Piece& piece) {
            NewStrip& strip = strips_[piece.strip];
            if (strip.data == nullptr) strip = {scratch.take(all.length()), all.begin};
            std::byte* to = const_cast<std::byte*>(strip.data) + (piece.begin - all.begin);
            if (f->data == nullptr) {
                std::memset(to, 0, piece.length());
            } else {
                std::memcpy(to, f->data + piece.buffer_offset, piece.length());
            }
        });
    }
}

}  // namespace xsan::raid
