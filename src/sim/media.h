// Media: what a simulated drive holds, and what of it a power cut may leave. Pure state, no
// requests, no time.
//
// Words: a *unit* is an aligned range of the atomic write size; an *atom* is the part of one write
// that lies in one unit. A write is *in flight* from begin() to complete(), *volatile* from then
// until it is durable.
//
// Invariants:
//  - visible() is what reads see: all completed writes in the order of their completion.
//  - durable() is what is certain to survive. A flush makes durable what completed before the flush
//  was
//    submitted (mark() at that moment), and nothing else. A completed FUA write is durable, and
//    older volatile writes of the same units cannot come back over it. Without a volatile cache
//    every completed write is.
//  - A power cut leaves durable() plus any subset of the atoms that are volatile or in flight: so a
//  block may
//    keep any of its versions, and a write may be torn at any unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/choice_stream.h"
#include "sim/sparse_image.h"

namespace xsan::sim {

// How much of what is not durable a power cut keeps.
struct CutOptions {
    // Per cent of the atoms; nullopt: 0, 10, 50, 90 or 100, by choice. 50 makes each atom a two-way
    // choice, which suits exhaustive enumeration.
    std::optional<unsigned> keep_percent;
};

class Media {
  public:
    // block_bytes: what every offset and length is a multiple of; it divides atomic_bytes.
    Media(std::uint32_t block_bytes, std::uint32_t atomic_bytes, bool volatile_cache);

    // A write on its way, or a volatile one. Addresses stay until it is completed or abandoned.
    class Write {
      public:
        std::uint64_t offset() const { return offset_; }
        std::uint64_t length() const { return length_; }
        std::span<const std::byte> data() const { return data_; }  // empty: zeros

      private:
        friend class Media;
        std::uint64_t offset_ = 0;
        std::uint64_t length_ = 0;
        std::vector<std::byte> data_;
        std::uint64_t completed_ = 0;  // sequence of completion; 0: in flight
        std::vector<bool> gone_;       // by block: cannot appear any more; empty: none
        std::size_t gone_count_ = 0;
        std::list<std::unique_ptr<Write>>::iterator place_;  // while in flight
    };

    // Takes the data now. Empty `data`: zeros. The range is within the device and aligned to its
    // blocks.
    Write* begin(std::uint64_t offset, std::uint64_t length, std::vector<std::byte> data);
    void complete(Write* write, bool durable);
    // The write failed: none of it is kept, or any of its units.
    void abandon(Write* write);
    void complete_torn(Write* write, ChoiceStream& choices, ChoiceLabel label);

    std::uint64_t mark() const { return completions_; }
    void flush(std::uint64_t mark);

    const SparseImage& visible() const { return visible_; }
    const SparseImage& durable() const { return durable_; }

    // What a power cut at this moment leaves; changes nothing.
    SparseImage cut_image(ChoiceStream& choices, ChoiceLabel label,
                          const CutOptions& options) const;
    // Makes `image` the whole, durable content. Writes in flight are gone: their pointers are
    // invalid.
    void restore(SparseImage image);

    void flip_bit(std::uint64_t offset, unsigned bit);  // rot: visible and durable, at once

    std::size_t volatile_writes() const { return volatile_.size(); }
    std::size_t writes_in_flight() const { return in_flight_.size(); }

  private:
    // Calls f(offset, length) for each unit's part of the range.
    template <class F>
    void each_unit(std::uint64_t offset, std::uint64_t length, F f) const;
    bool is_gone(const Write& w, std::uint64_t offset) const;
    void mark_gone(Write& w, std::uint64_t offset, std::uint64_t length) const;
    void apply(SparseImage& image, const Write& w, std::uint64_t offset,
               std::uint64_t length) const;
    void settle(std::unique_ptr<Write> write, bool durable);
    std::unique_ptr<Write> land(Write* write);
    void supersede_older(const Write& by);

    std::uint32_t block_bytes_;
    std::uint32_t atomic_bytes_;
    bool volatile_cache_;
    std::uint64_t completions_ = 0;
    SparseImage durable_;
    SparseImage visible_;
    std::list<std::unique_ptr<Write>> in_flight_;  // in order of submission
    std::deque<std::unique_ptr<Write>> volatile_;  // in order of completion
};

}  // namespace xsan::sim
