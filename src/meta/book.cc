// Books to bytes and back, and their way to a member.
#include "meta/book.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "dev/aligned_buffer.h"
#include "meta/member_io.h"
#include "meta/records.h"

namespace xsan::meta {
namespace {

constexpr std::size_t kCrcEnd = 12;  // behind magic and crc

template <std::size_t N>
bool is_zero(const std::array<std::uint8_t, N>& bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

std::vector<std::byte> encode_book(const Book& book, const BookOwner& owner, unsigned place) {
    XSAN_ASSERT(book.payload.size() <= kBookPayloadMax && place < kBookPlaces && book.number < kSequenceEnd);
    BookHeader header{};
    header.magic = kBookMagic;
    header.version = kBookVersion;
    header.place = static_cast<std::uint16_t>(place);
    header.number = book.number;
    header.payload_bytes = static_cast<std::uint32_t>(book.payload.size());
    header.pool_uuid = owner.pool.bytes;
    header.member_uuid = owner.member.bytes;
    std::vector<std::byte> bytes(round_up(sizeof header + book.payload.size(), 4 * kKiB));
    std::memcpy(bytes.data(), &header, sizeof header);
    std::ranges::copy(book.payload, bytes.begin() + sizeof header);
    header.crc = crc32c(std::span(bytes).subspan(kCrcEnd, sizeof header + book.payload.size() - kCrcEnd));
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

std::optional<Book> decode_book(std::span<const std::byte> bytes, const BookOwner& owner, unsigned place) {
    BookHeader header;
    if (bytes.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != kBookMagic || header.version != kBookVersion || header.place != place) return std::nullopt;
    const std::size_t payload = header.payload_bytes;
    if (payload > bytes.size() - sizeof header || payload > kBookPayloadMax) return std::nullopt;
    if (header.crc != crc32c(bytes.subspan(kCrcEnd, sizeof header + payload - kCrcEnd))) return std::nullopt;
    const bool is_ours = header.pool_uuid == owner.pool.bytes && header.member_uuid == owner.member.bytes;
    if (!is_ours || header.number >= kBookNumberEnd) return std::nullopt;
    if (header.reserved != 0 || !is_zero(header.reserved_end)) return std::nullopt;
    Book book;
    book.number = header.number;
    const auto content = bytes.subspan(sizeof header, payload);
    book.payload.assign(content.begin(), content.end());
    return book;
}

Task<std::optional<FoundBook>> read_book(dev::BlockDevice& device, BookOwner owner) {
    std::optional<FoundBook> newest;
    dev::AlignedBuffer buffer(kBookPlaceBytes);
    for (unsigned place = 0; place < kBookPlaces; place++) {
        const auto read = co_await read_fully(device, book_offset(place), buffer.span());
        if (!read) continue;
        auto book = decode_book(buffer.span(), owner, place);
        if (!book || (newest && newest->book.number > book->number)) continue;
        newest.emplace();
        newest->book = std::move(*book);
        newest->place = place;
    }
    co_return newest;
}

Task<Result<void>> write_book(dev::BlockDevice& device, BookOwner owner, Book book, unsigned place) {
    const std::vector<std::byte> bytes = encode_book(book, owner, place);
    dev::AlignedBuffer buffer(bytes.size());
    std::ranges::copy(bytes, buffer.span().begin());
    co_return co_await write_fully(device, book_offset(place), buffer.span(), true);
}

}  // namespace xsan::meta
