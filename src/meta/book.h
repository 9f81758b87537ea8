// Book: what a pool keeps on each member and can do without: accounts of wear, their history, events, settings of wear
// leveling. Meta keeps the bytes whole and in their place; what they say is the owner's.
//
// It lies in the room between the superblock copies at the start of the member, in two places that take turns. A book
// may be some time old, or be lost, without harm to data: it is no part of any commit, needs no quorum, and an xsan
// that does not know it passes over it (docs/on-disk-format.md, "Book").
//
// Invariants: a book is written to the place that does not hold the newest one, so a torn write leaves the one before;
// what is read is whole, of this pool, this member and this place, or it is as if it were not there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/endian.h"
#include "base/result.h"
#include "base/units.h"
#include "base/uuid.h"
#include "dev/block_device.h"
#include "reactor/task.h"

namespace xsan::meta {

inline constexpr std::uint64_t kBookMagic = 0x314b4f4f42415358;  // "XSABOOK1"
inline constexpr std::uint16_t kBookVersion = 1;
inline constexpr unsigned kBookPlaces = 2;
inline constexpr std::size_t kBookPlaceBytes = 60 * kKiB;

struct BookHeader {
    Le64 magic;
    Le32 crc;
    Le16 version;
    Le16 place;
    Le64 number;
    Le32 payload_bytes;
    Le32 reserved;
    std::array<std::uint8_t, 16> pool_uuid;
    std::array<std::uint8_t, 16> member_uuid;
    std::array<std::uint8_t, 64> reserved_end;
};
static_assert(sizeof(BookHeader) == 128);

inline constexpr std::size_t kBookPayloadMax = kBookPlaceBytes - sizeof(BookHeader);
// One that is read is below it: no pool comes there by itself, and whoever goes on from there has room.
inline constexpr std::uint64_t kBookNumberEnd = 1ull << 61;

struct BookOwner {
    Uuid pool;
    Uuid member;
};
struct Book {
    std::uint64_t number = 0;  // of all books of the pool the highest counts
    std::vector<std::byte> payload;
};

// Where place 0 or 1 begins on each member, in bytes.
constexpr std::uint64_t book_offset(unsigned place) {
    return place * 64 * kKiB + 4 * kKiB;
}

// Whole blocks of 4096 bytes, at most kBookPlaceBytes.
std::vector<std::byte> encode_book(const Book& book, const BookOwner& owner, unsigned place);
// nullopt: that is no whole book of this owner and place. Assumes nothing about the bytes.
std::optional<Book> decode_book(std::span<const std::byte> bytes, const BookOwner& owner, unsigned place);

struct FoundBook {
    Book book;
    unsigned place = 0;
};
// The newer of the two; nullopt: there is none that is whole and can be read.
Task<std::optional<FoundBook>> read_book(dev::BlockDevice& device, BookOwner owner);
// Durable when this returns without an error. `place`: the one that does not hold the newest book.
Task<Result<void>> write_book(dev::BlockDevice& device, BookOwner owner, Book book, unsigned place);

}  // namespace xsan::meta
