// Packing items into checkpoint pages, padding and signing each.
#include "meta/page_writer.h"

#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/units.h"

namespace xsan::meta {

void PageWriter::begin(PageType type) {
    seal();
    open_ = true;
    type_ = type;
    items_ = 0;
    page_start_ = bytes_.size();
    bytes_.resize(page_start_ + sizeof(PageHeader));
}

void PageWriter::append(const void* data, std::size_t bytes) {
    XSAN_ASSERT(open_ && bytes <= room());
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + bytes);
}

void PageWriter::patch(std::size_t at, const void* data, std::size_t bytes) {
    XSAN_ASSERT(at + bytes <= used());
    std::memcpy(bytes_.data() + page_start_ + sizeof(PageHeader) + at, data, bytes);
}

void PageWriter::add_item(PageType type, std::span<const std::byte> item) {
    if (!open_ || type_ != type || item.size() > room()) begin(type);
    append(item.data(), item.size());
    count_item();
}

void PageWriter::seal() {
    if (!open_) return;
    open_ = false;
    PageHeader header{};
    header.used_bytes = static_cast<std::uint32_t>(used());
    bytes_.resize(round_up(bytes_.size(), kPageBytesMin));
    const auto page = std::span(bytes_).subspan(page_start_);
    header.magic = kPageMagic;
    header.length = static_cast<std::uint32_t>(page.size());
    header.type = static_cast<std::uint16_t>(type_);
    header.version = kPageVersion;
    header.index = index_++;
    header.sequence = identity_.sequence;
    header.item_count = items_;
    header.pool_uuid = identity_.pool_uuid.bytes;
    std::memcpy(page.data(), &header, sizeof header);
    header.crc = crc32c(page.subspan(offsetof(PageHeader, length)));
    std::memcpy(page.data(), &header, sizeof header);
    crc_ = crc32c(std::as_bytes(std::span(&header.crc, 1)), crc_);
}

CheckpointImage PageWriter::finish() {
    seal();
    CheckpointImage image;
    image.buffer = dev::AlignedBuffer(bytes_.size());
    std::memcpy(image.buffer.data(), bytes_.data(), bytes_.size());
    image.bytes = bytes_.size();
    image.crc = crc_;
    return image;
}

}  // namespace xsan::meta
