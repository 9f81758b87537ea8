// StripeWrite: the new data of one stripe, from one request or from several that arrived together,
// cut into segments of rows in which the same strips are touched. Each segment has a write plan of
// its own.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "raid/rows.h"
#include "raid/scratch.h"
#include "raid/write_plan.h"

namespace xsan::raid {

// One request's part of a stripe; a list of those that go together, in the order in which they
// arrived.
struct WriteFragment {
    StripePart part;
    const std::byte* data =
        nullptr;  // of the whole request; part.buffer_offset counts from it. nullptr: zeros
    bool stable = false;
    WriteFragment* next = nullptr;
};

struct Segment {
    Rows rows;
    ec::StripMask touched = 0;
    WritePlan plan;
};

class StripeWrite {
  public:
    // Later fragments win where they overlap.
    StripeWrite(const ec::Scheme& scheme, const WriteFragment& first);
    StripeWrite(const StripeWrite&) = delete;
    StripeWrite& operator=(const StripeWrite&) = delete;

    Rows hull() const { return {segments_[0].rows.begin, segments_.back().rows.end}; }
    std::span<Segment> segments() { return segments_; }
    std::span<const Segment> segments() const { return segments_; }

    // Gathers the data so that strip_data() works. One stable fragment is used where it is;
    // otherwise the data is copied, because what is encoded must be what is written.
    void gather(Scratch& scratch);
    // The new content of a touched data strip, at a row inside one of its segments.
    const std::byte* strip_data(unsigned strip, std::uint32_t row) const {
        return strips_[strip].data + (row - strips_[strip].begin);
    }

  private:
    // A list of which the first few elements need no allocation.
    class Segments {
      public:
        void push_back(const Segment& segment) {
            if (more_.empty() && count_ < inline_.size()) {
                inline_[count_++] = segment;
                return;
            }
            if (more_.empty()) more_.assign(inline_.begin(), inline_.end());
            more_.push_back(segment);
        }
        operator std::span<Segment>() {
            return more_.empty() ? std::span(inline_.data(), count_) : std::span<Segment>(more_);
        }
        operator std::span<const Segment>() const {
            return more_.empty() ? std::span(inline_.data(), count_)
                                 : std::span<const Segment>(more_);
        }
        bool empty() const { return count_ == 0; }
        Segment& operator[](std::size_t i) { return std::span<Segment>(*this)[i]; }
        const Segment& operator[](std::size_t i) const {
            return std::span<const Segment>(*this)[i];
        }
        Segment& back() { return std::span<Segment>(*this).back(); }
        const Segment& back() const { return std::span<const Segment>(*this).back(); }

      private:
        std::array<Segment, PartRows::kMax> inline_;
        std::size_t count_ = 0;
        std::vector<Segment> more_;  // all of them, once there are too many
    };
    struct NewStrip {
        const std::byte* data = nullptr;
        std::uint32_t begin = 0;
    };
    void cut_many();
    void add_segment(Rows rows, ec::StripMask touched);

    const ec::Scheme& scheme_;
    const WriteFragment& first_;
    Segments segments_;
    std::array<NewStrip, ec::kDataStripsMax> strips_{};
};

}  // namespace xsan::raid
