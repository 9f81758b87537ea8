// StripeWrite: the new data of one stripe, from one request or from several that arrived together, cut into
// segments of rows in which the same strips are touched. Each segment has a write plan of its own.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "raid/geometry.h"
#include "raid/stripe_op.h"
#include "raid/write_plan.h"

namespace xsan::raid {

// One request's part of a stripe.
struct WriteFragment {
    StripePart part;
    const std::byte* data = nullptr;  // of the whole request; part.buffer_offset counts from it. nullptr: zeros
    bool stable = false;
};

struct Segment {
    Rows rows;
    ec::StripMask touched = 0;
    WritePlan plan;
};

class StripeWrite {
  public:
    static constexpr std::size_t kFragmentsMax = 16;

    // The fragments are applied in order: later ones win where they overlap.
    StripeWrite(const ec::Scheme& scheme, std::span<const WriteFragment> fragments);

    Rows hull() const { return hull_; }
    std::span<Segment> segments() { return {segments_.data(), segment_count_}; }

    // Gathers the data so that strip_data() works. One stable fragment is used where it is; otherwise the
    // data is copied, because what is encoded must be what is written.
    void gather(Scratch& scratch);
    // The new content of a touched data strip, at a row inside one of its segments.
    const std::byte* strip_data(unsigned strip, std::uint32_t row) const {
        return strips_[strip].data + (row - strips_[strip].begin);
    }

  private:
    struct NewStrip {
        const std::byte* data = nullptr;
        std::uint32_t begin = 0;
    };
    void cut(std::span<const Piece> pieces);

    const ec::Scheme& scheme_;
    std::span<const WriteFragment> fragments_;
    Rows hull_;
    std::array<Segment, 4 * kFragmentsMax> segments_;
    std::size_t segment_count_ = 0;
    std::array<NewStrip, ec::kDataStripsMax> strips_{};
};

}  // namespace xsan::raid
