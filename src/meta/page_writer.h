// PageWriter: packs items into checkpoint pages of one growing buffer. Items do not span pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "meta/checkpoint.h"

namespace xsan::meta {

class PageWriter {
  public:
    explicit PageWriter(const CheckpointIdentity& identity) : identity_(identity) {}

    // Bytes of items that fit into one page.
    static constexpr std::size_t kRoom = kPageBytesMax - sizeof(PageHeader);

    // Begins a page of that type; the one before is sealed.
    void begin(PageType type);
    // Room left in the page.
    std::size_t room() const { return kRoom - used(); }
    bool is_open() const { return open_; }
    // Appends to the page; at most room().
    void append(const void* data, std::size_t bytes);
    void count_item() { items_++; }
    // Overwrites bytes of the page that were appended before; `at` as used() said then.
    void patch(std::size_t at, const void* data, std::size_t bytes);
    std::size_t used() const { return bytes_.size() - page_start_ - sizeof(PageHeader); }
    // One item, in a new page of the type when it does not fit into this one.
    void add_item(PageType type, std::span<const std::byte> item);
    // Pads the page to a multiple of kPageBytesMin and signs it.
    void seal();

    CheckpointImage finish();

  private:
    CheckpointIdentity identity_;
    std::vector<std::byte> bytes_;
    bool open_ = false;
    PageType type_ = PageType::pool;
    std::size_t page_start_ = 0;
    std::uint32_t index_ = 0;
    std::uint32_t items_ = 0;
    std::uint32_t crc_ = 0;
};

}  // namespace xsan::meta
