// Two levels of shared pages, unshared on write.
#include "sim/sparse_image.h"

#include <algorithm>
#include <cstring>

#include "base/byte_span.h"

namespace xsan::sim {
namespace {

// Calls f(page, offset in page, bytes) for each page that the range touches.
template <class F>
void each_piece(std::uint64_t offset, std::uint64_t length, F f) {
    while (length > 0) {
        const std::uint64_t inside = offset % SparseImage::kPageBytes;
        const std::uint64_t bytes = std::min(length, SparseImage::kPageBytes - inside);
        f(offset / SparseImage::kPageBytes, inside, bytes);
        offset += bytes;
        length -= bytes;
    }
}

}  // namespace

std::size_t SparseImage::position(std::uint64_t leaf) const {
    const auto at = std::lower_bound(leaves_.begin(), leaves_.end(), leaf,
                                     [](const Entry& e, std::uint64_t i) { return e.index < i; });
    return static_cast<std::size_t>(at - leaves_.begin());
}

const SparseImage::Page* SparseImage::find(std::uint64_t page) const {
    const std::size_t at = position(page / kLeafPages);
    if (at == leaves_.size() || leaves_[at].index != page / kLeafPages) return nullptr;
    return leaves_[at].leaf->pages[page % kLeafPages].get();
}

SparseImage::Page& SparseImage::writable(std::uint64_t page) {
    const std::uint64_t index = page / kLeafPages;
    const std::size_t at = position(index);
    if (at == leaves_.size() || leaves_[at].index != index) {
        leaves_.insert(leaves_.begin() + static_cast<std::ptrdiff_t>(at),
                       Entry{index, std::make_shared<Leaf>()});
    }
    std::shared_ptr<Leaf>& leaf = leaves_[at].leaf;
    if (leaf.use_count() > 1) leaf = std::make_shared<Leaf>(*leaf);
    std::shared_ptr<Page>& held = leaf->pages[page % kLeafPages];
    if (held == nullptr) {
        held = std::make_shared<Page>();
    } else if (held.use_count() > 1) {
        held = std::make_shared<Page>(*held);
    }
    return *held;
}

void SparseImage::drop(std::uint64_t page) {
    if (find(page) == nullptr) return;
    std::shared_ptr<Leaf>& leaf = leaves_[position(page / kLeafPages)].leaf;
    if (leaf.use_count() > 1) leaf = std::make_shared<Leaf>(*leaf);
    leaf->pages[page % kLeafPages] = nullptr;
}

// By leaves: metadata logs are read whole, and most of them was never written.
void SparseImage::read(std::uint64_t offset, std::span<std::byte> out) const {
    constexpr std::uint64_t kLeafBytes = kLeafPages * kPageBytes;
    std::byte* to = out.data();
    std::uint64_t left = out.size();
    std::size_t at = position(offset / kLeafBytes);
    while (left > 0) {
        const std::uint64_t leaf = offset / kLeafBytes;
        std::uint64_t bytes = std::min(left, kLeafBytes - offset % kLeafBytes);
        while (at < leaves_.size() && leaves_[at].index < leaf) at++;
        const Page* held = nullptr;
        if (at < leaves_.size() && leaves_[at].index == leaf) {
            held = leaves_[at].leaf->pages[offset / kPageBytes % kLeafPages].get();
            bytes = std::min(bytes, kPageBytes - offset % kPageBytes);
        }
        if (held == nullptr) {
            std::memset(to, 0, bytes);
        } else {
            std::memcpy(to, held->data() + offset % kPageBytes, bytes);
        }
        to += bytes;
        offset += bytes;
        left -= bytes;
    }
}

void SparseImage::write(std::uint64_t offset, std::span<const std::byte> data) {
    const std::byte* from = data.data();
    each_piece(offset, data.size(),
               [&](std::uint64_t page, std::uint64_t inside, std::uint64_t bytes) {
                   std::memcpy(writable(page).data() + inside, from, bytes);
                   from += bytes;
               });
}

void SparseImage::zero(std::uint64_t offset, std::uint64_t length) {
    // Ranges far larger than what is held (a discard of a whole drive) visit held leaves only.
    const std::uint64_t end = offset + length;
    const std::uint64_t leaf_bytes = kLeafPages * kPageBytes;
    for (std::size_t at = position(offset / leaf_bytes);
         at < leaves_.size() && leaves_[at].index * leaf_bytes < end; at++) {
        const std::uint64_t from = std::max(offset, leaves_[at].index * leaf_bytes);
        const std::uint64_t to = std::min(end, (leaves_[at].index + 1) * leaf_bytes);
        each_piece(from, to - from,
                   [&](std::uint64_t page, std::uint64_t inside, std::uint64_t bytes) {
                       if (bytes == kPageBytes) {
                           drop(page);
                       } else if (find(page) != nullptr) {
                           std::memset(writable(page).data() + inside, 0, bytes);
                       }
                   });
    }
}

void SparseImage::copy_range(const SparseImage& other, std::uint64_t offset, std::uint64_t length) {
    each_piece(offset, length, [&](std::uint64_t page, std::uint64_t inside, std::uint64_t bytes) {
        const Page* held = other.find(page);
        if (held != nullptr) {
            std::memcpy(writable(page).data() + inside, held->data() + inside, bytes);
        } else if (find(page) != nullptr) {
            std::memset(writable(page).data() + inside, 0, bytes);
        }
    });
}

std::size_t SparseImage::page_count() const {
    std::size_t count = 0;
    for (const Entry& e : leaves_) {
        for (const auto& page : e.leaf->pages)
            count += page != nullptr ? 1 : 0;
    }
    return count;
}

std::uint64_t SparseImage::hash() const {
    std::uint64_t h = 0xcbf29ce484222325ull;
    const auto mix = [&h](std::uint64_t word) { h = (h ^ word) * 0x100000001b3ull, h ^= h >> 29; };
    for (const Entry& e : leaves_) {
        for (std::uint64_t i = 0; i < kLeafPages; i++) {
            const Page* page = e.leaf->pages[i].get();
            if (page == nullptr || all_zero(*page)) continue;
            mix(e.index * kLeafPages + i);
            for (std::size_t at = 0; at < kPageBytes; at += 8) {
                std::uint64_t word = 0;
                std::memcpy(&word, page->data() + at, 8);
                mix(word);
            }
        }
    }
    return h;
}

bool operator==(const SparseImage& a, const SparseImage& b) {
    const auto covered_by = [](const SparseImage& one, const SparseImage& other) {
        for (const auto& e : one.leaves_) {
            for (std::uint64_t i = 0; i < SparseImage::kLeafPages; i++) {
                const auto* page = e.leaf->pages[i].get();
                if (page == nullptr) continue;
                const auto* twin = other.find(e.index * SparseImage::kLeafPages + i);
                if (twin == page) continue;
                if (twin == nullptr ? !all_zero(*page) : !same_bytes(*twin, *page)) return false;
            }
        }
        return true;
    };
    return covered_by(a, b) && covered_by(b, a);
}

}  // namespace xsan::sim
