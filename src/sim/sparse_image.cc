// Two levels of shared pages, unshared on write.
#include "sim/sparse_image.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/byte_span.h"
#include "reactor/frame_pool.h"

namespace xsan::sim {
namespace {

// The library's memcpy: where a bound of the size is known GCC puts a slower loop of its own in
// place.
[[gnu::noipa]] void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
}

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

// Pages and leaves come and go by the thousand in each crash state.
template <class T>
struct Pooled {
    using value_type = T;
    Pooled() = default;
    template <class U>
    Pooled(const Pooled<U>&) {}  // implicit: allocators are converted so
    T* allocate(std::size_t count) { return static_cast<T*>(allocate_frame(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t count) { free_frame(memory, count * sizeof(T)); }
    friend bool operator==(const Pooled&, const Pooled&) { return true; }
};
template <class T, class... Args>
std::shared_ptr<T> make(const Args&... args) {
    return std::allocate_shared<T>(Pooled<T>(), args...);
}

std::uint64_t page_hash(std::span<const std::byte> bytes, std::uint64_t index) {
    if (all_zero(bytes)) return 0;
    // Four sums beside each other: one would wait for its own multiplications.
    std::uint64_t h[4] = {index, 1, 2, 3};
    for (std::size_t at = 0; at < bytes.size(); at += sizeof h) {
        std::uint64_t word[4];
        std::memcpy(word, &bytes[at], sizeof word);
        for (int i = 0; i < 4; i++)
            h[i] = (h[i] ^ word[i]) * 0x9E3779B97F4A7C15ull, h[i] ^= h[i] >> 29;
    }
    std::uint64_t all = 0;
    for (const std::uint64_t one : h)
        all = (all ^ one) * 0xD1B54A32D192ED03ull, all ^= all >> 31;
    return all;
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

SparseImage::Leaf& SparseImage::writable_leaf(std::uint64_t page) {
    const std::uint64_t index = page / kLeafPages;
    const std::size_t at = position(index);
    if (at == leaves_.size() || leaves_[at].index != index) {
        leaves_.insert(leaves_.begin() + static_cast<std::ptrdiff_t>(at),
                       Entry{index, make<Leaf>()});
    }
    std::shared_ptr<Leaf>& leaf = leaves_[at].leaf;
    if (leaf.use_count() > 1) leaf = make<Leaf>(*leaf);
    leaf->held |= std::uint64_t{1} << page % kLeafPages;
    leaf->unhashed |= std::uint64_t{1} << page % kLeafPages;
    return *leaf;
}

SparseImage::Page& SparseImage::writable(std::uint64_t page) {
    std::shared_ptr<Page>& held = writable_leaf(page).pages[page % kLeafPages];
    if (held == nullptr) {
        held = make<Page>();
    } else if (held.use_count() > 1) {
        held = make<Page>(*held);
    }
    return *held;
}

void SparseImage::put(std::uint64_t page, std::shared_ptr<Page> content) {
    writable_leaf(page).pages[page % kLeafPages] = std::move(content);
}

void SparseImage::drop(std::uint64_t page) {
    if (find(page) == nullptr) return;
    Leaf& leaf = writable_leaf(page);
    const std::uint64_t bit = std::uint64_t{1} << page % kLeafPages;
    leaf.pages[page % kLeafPages] = nullptr;
    leaf.hashes[page % kLeafPages] = 0;
    leaf.held &= ~bit;
    leaf.unhashed &= ~bit;
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
        while (at < leaves_.size() && leaves_[at].index < leaf)
            at++;
        const Page* held = nullptr;
        if (at < leaves_.size() && leaves_[at].index == leaf) {
            held = leaves_[at].leaf->pages[offset / kPageBytes % kLeafPages].get();
            bytes = std::min(bytes, kPageBytes - offset % kPageBytes);
        }
        if (held == nullptr) {
            std::memset(to, 0, bytes);
        } else {
            copy_bytes(to, held->data() + offset % kPageBytes, bytes);
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
                   if (bytes == kPageBytes) {
                       auto content = std::allocate_shared_for_overwrite<Page>(Pooled<Page>());
                       std::memcpy(content->data(), from, bytes);
                       put(page, std::move(content));
                   } else {
                       std::memcpy(writable(page).data() + inside, from, bytes);
                   }
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
        if (bytes == kPageBytes) {
            if (held == nullptr) {
                drop(page);
            } else if (held != find(page)) {
                put(page, other.leaves_[other.position(page / kLeafPages)]
                              .leaf->pages[page % kLeafPages]);
            }
        } else if (held != nullptr) {
            std::memcpy(writable(page).data() + inside, held->data() + inside, bytes);
        } else if (find(page) != nullptr) {
            std::memset(writable(page).data() + inside, 0, bytes);
        }
    });
}

std::uint64_t SparseImage::held_pages(std::uint64_t offset) const {
    const std::uint64_t page = offset / kPageBytes;
    const unsigned shift = page % kLeafPages;
    std::uint64_t held = 0;
    std::size_t at = position(page / kLeafPages);
    if (at == leaves_.size()) return 0;
    if (leaves_[at].index == page / kLeafPages) held = leaves_[at++].leaf->held >> shift;
    if (shift == 0 || at == leaves_.size() || leaves_[at].index != page / kLeafPages + 1)
        return held;
    return held | leaves_[at].leaf->held << (kLeafPages - shift);
}

std::size_t SparseImage::page_count() const {
    std::size_t count = 0;
    for (const Entry& e : leaves_)
        count += static_cast<std::size_t>(std::popcount(e.leaf->held));
    return count;
}

// A sum over the pages, each with its place in it, so that the order does not matter; 0: all zeros.
std::uint64_t SparseImage::hash() const {
    std::uint64_t sum = 0;
    for (const Entry& e : leaves_) {
        const Leaf& leaf = *e.leaf;
        for (; leaf.unhashed != 0; leaf.unhashed &= leaf.unhashed - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(leaf.unhashed));
            leaf.hashes[i] = page_hash(*leaf.pages[i], e.index * kLeafPages + i);
        }
        for (std::uint64_t held = leaf.held; held != 0; held &= held - 1)
            sum += leaf.hashes[static_cast<std::size_t>(std::countr_zero(held))];
    }
    return sum;
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
