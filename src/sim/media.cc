// Versions, flushes and power cuts of one simulated drive.
#include "sim/media.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace xsan::sim {

Media::Media(std::uint32_t block_bytes, std::uint32_t atomic_bytes, bool volatile_cache)
    : block_bytes_(block_bytes), atomic_bytes_(atomic_bytes), volatile_cache_(volatile_cache) {
    XSAN_ASSERT(block_bytes > 0 && atomic_bytes >= block_bytes && atomic_bytes % block_bytes == 0);
}

template <class F>
void Media::each_unit(std::uint64_t offset, std::uint64_t length, F f) const {
    const std::uint64_t end = offset + length;
    while (offset < end) {
        const std::uint64_t bytes =
            std::min(end, (offset / atomic_bytes_ + 1) * atomic_bytes_) - offset;
        f(offset, bytes);
        offset += bytes;
    }
}

bool Media::is_gone(const Write& w, std::uint64_t offset) const {
    return !w.gone_.empty() && w.gone_[(offset - w.offset_) / block_bytes_];
}

void Media::mark_gone(Write& w, std::uint64_t offset, std::uint64_t length) const {
    if (w.gone_.empty()) w.gone_.resize(w.length_ / block_bytes_);
    for (std::uint64_t at = offset; at < offset + length; at += block_bytes_) {
        if (is_gone(w, at)) continue;
        w.gone_[(at - w.offset_) / block_bytes_] = true;
        w.gone_count_++;
    }
}

// Writes what is not gone of that part of `w` into the image.
void Media::apply(SparseImage& image, const Write& w, std::uint64_t offset,
                  std::uint64_t length) const {
    const auto put = [&](std::uint64_t from, std::uint64_t bytes) {
        if (w.data_.empty()) {
            image.zero(from, bytes);
        } else {
            image.write(from, std::span(w.data_).subspan(from - w.offset_, bytes));
        }
    };
    if (w.gone_count_ == 0) return put(offset, length);
    for (std::uint64_t at = offset; at < offset + length; at += block_bytes_) {
        if (!is_gone(w, at)) put(at, block_bytes_);
    }
}

Media::Write* Media::begin(std::uint64_t offset, std::uint64_t length,
                           std::vector<std::byte> data) {
    XSAN_ASSERT(length > 0 && (data.empty() || data.size() == length));
    auto write = std::make_unique<Write>();
    write->offset_ = offset;
    write->length_ = length;
    write->data_ = std::move(data);
    Write* raw = write.get();
    raw->place_ = in_flight_.insert(in_flight_.end(), std::move(write));
    return raw;
}

std::unique_ptr<Media::Write> Media::land(Write* write) {
    std::unique_ptr<Write> owned = std::move(*write->place_);
    in_flight_.erase(write->place_);
    return owned;
}

void Media::complete(Write* write, bool durable) {
    settle(land(write), durable);
}

void Media::abandon(Write* write) {
    land(write);
}

void Media::complete_torn(Write* write, ChoiceStream& choices, ChoiceLabel label) {
    each_unit(write->offset_, write->length_, [&](std::uint64_t offset, std::uint64_t length) {
        if (!choices.flip(label)) mark_gone(*write, offset, length);
    });
    settle(land(write), false);
}

void Media::settle(std::unique_ptr<Write> write, bool durable) {
    write->completed_ = ++completions_;
    apply(visible_, *write, write->offset_, write->length_);
    if (durable || !volatile_cache_) {
        // What is visible now is this write, where all of it arrived: share its pages.
        if (write->gone_count_ == 0 && !write->data_.empty()) {
            durable_.copy_range(visible_, write->offset_, write->length_);
        } else {
            apply(durable_, *write, write->offset_, write->length_);
        }
        supersede_older(*write);
    } else {
        volatile_.push_back(std::move(write));
    }
}

// What `by` has made durable cannot be overwritten by versions that completed before it.
void Media::supersede_older(const Write& by) {
    for (const auto& old : volatile_) {
        const std::uint64_t from = std::max(by.offset_, old->offset_);
        const std::uint64_t to = std::min(by.offset_ + by.length_, old->offset_ + old->length_);
        for (std::uint64_t at = from; at < to; at += block_bytes_) {
            if (!is_gone(by, at)) mark_gone(*old, at, block_bytes_);
        }
    }
    std::erase_if(volatile_,
                  [this](const auto& w) { return w->gone_count_ == w->length_ / block_bytes_; });
}

void Media::flush(std::uint64_t mark) {
    while (!volatile_.empty() && volatile_.front()->completed_ <= mark) {
        const Write& w = *volatile_.front();
        apply(durable_, w, w.offset_, w.length_);
        volatile_.pop_front();
    }
}

SparseImage Media::cut_image(ChoiceStream& choices, ChoiceLabel label,
                             const CutOptions& options) const {
    static constexpr unsigned kKeepPercents[] = {0, 10, 50, 90, 100};
    SparseImage image = durable_;
    if (volatile_.empty() && in_flight_.empty()) return image;
    const unsigned keep = options.keep_percent.has_value() ? *options.keep_percent
                                                           : kKeepPercents[choices.below(5, label)];
    if (keep == 0) return image;
    const auto keep_some = [&](const Write& w) {
        each_unit(w.offset_, w.length_, [&](std::uint64_t offset, std::uint64_t length) {
            const bool kept = keep == 50 ? choices.flip(label) : choices.chance(keep, label);
            if (kept) apply(image, w, offset, length);
        });
    };
    for (const auto& w : volatile_)
        keep_some(*w);
    // Writes in flight together have no order among themselves.
    const bool backwards = in_flight_.size() > 1 && choices.flip(label);
    if (backwards) {
        for (auto w = in_flight_.rbegin(); w != in_flight_.rend(); ++w)
            keep_some(**w);
    } else {
        for (const auto& w : in_flight_)
            keep_some(*w);
    }
    return image;
}

void Media::restore(SparseImage image) {
    in_flight_.clear();
    volatile_.clear();
    durable_ = std::move(image);
    visible_ = durable_;
}

void Media::flip_bit(std::uint64_t offset, unsigned bit) {
    XSAN_ASSERT(bit < 8);
    for (SparseImage* image : {&durable_, &visible_}) {
        std::byte b{};
        image->read(offset, std::span(&b, 1));
        b ^= static_cast<std::byte>(1u << bit);
        image->write(offset, std::span(&b, 1));
    }
}

}  // namespace xsan::sim
