// SparseImage: the bytes of a device, held where they are not zero. Copying is cheap and copies
// share what they have in common until one of them writes, so that a crash state is a copy.
//
// Invariants: bytes never written are zero. A page that is held may be all zeros; content, not
// pages, is what equality and the hash compare.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace xsan::sim {

class SparseImage {
  public:
    static constexpr std::uint64_t kPageBytes = 4096;

    // Any offset and length; beyond what was ever written there are zeros.
    void read(std::uint64_t offset, std::span<std::byte> out) const;
    void write(std::uint64_t offset, std::span<const std::byte> data);
    void zero(std::uint64_t offset, std::uint64_t length);
    // Makes [offset, offset + length) equal to that range of `other`; whole pages become shared.
    void copy_range(const SparseImage& other, std::uint64_t offset, std::uint64_t length);

    // The bytes of an aligned page, nullptr when they are zeros that nobody wrote. Valid until the
    // image changes.
    const std::byte* page_at(std::uint64_t offset) const {
        const Page* held = find(offset / kPageBytes);
        return held == nullptr ? nullptr : held->data();
    }
    // Which of the 64 pages from this aligned offset on are held: bit i is page i.
    std::uint64_t held_pages(std::uint64_t offset) const;
    std::size_t page_count() const;  // pages held
    // Of the content. Kept with what did not change, so that hashing copies again costs what differs.
    std::uint64_t hash() const;
    friend bool operator==(const SparseImage& a, const SparseImage& b);

  private:
    using Page = std::array<std::byte, kPageBytes>;
    static constexpr std::uint64_t kLeafPages = 64;
    struct Leaf {
        std::array<std::shared_ptr<Page>, kLeafPages> pages;
        mutable std::array<std::uint64_t, kLeafPages> hashes{};  // of each page
        std::uint64_t held = 0;                                  // pages that are there, by bit
        mutable std::uint64_t unhashed = 0;  // pages whose hash is not known, by bit
    };
    struct Entry {
        std::uint64_t index;  // of the leaf
        std::shared_ptr<Leaf> leaf;
    };

    const Page* find(std::uint64_t page) const;
    // Made, or made unshared; its page is about to change.
    Leaf& writable_leaf(std::uint64_t page);
    Page& writable(std::uint64_t page);  // likewise
    void put(std::uint64_t page, std::shared_ptr<Page> content);
    void drop(std::uint64_t page);
    std::size_t position(std::uint64_t leaf) const;  // the first entry not before `leaf`

    std::vector<Entry> leaves_;  // ascending by index
};

}  // namespace xsan::sim
