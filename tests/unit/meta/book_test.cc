// Books: what is read is whole and ours, or it is not there; the older one survives a torn write.
#include "base/rng.h"
#include "meta/book.h"
#include "meta/member_io.h"
#include "meta/records.h"
#include "support/catch.h"
#include "unit/meta/store_fixture.h"

namespace xsan::meta {
namespace {

BookOwner some_owner(std::uint64_t seed) {
    Rng rng(seed);
    const Uuid pool = Uuid::random(rng);
    return {pool, Uuid::random(rng)};
}

Book some_book(std::uint64_t number, std::size_t bytes) {
    Book book{number, std::vector<std::byte>(bytes)};
    for (std::size_t i = 0; i < bytes; i++) book.payload[i] = static_cast<std::byte>(i * 7 + number);
    return book;
}

TEST_CASE("a book is read as it was written, at every size", "[meta][book]") {
    const BookOwner owner = some_owner(1);
    for (const std::size_t bytes : std::initializer_list<std::size_t>{0, 1, 3968, 3969, kBookPayloadMax}) {
        const auto raw = encode_book(some_book(9, bytes), owner, 1);
        CHECK(raw.size() % 4096 == 0);
        CHECK(raw.size() <= kBookPlaceBytes);
        const auto back = decode_book(raw, owner, 1);
        REQUIRE(back);
        CHECK(back->number == 9);
        CHECK(back->payload == some_book(9, bytes).payload);
    }
}

TEST_CASE("a book of another pool, member or place is not there", "[meta][book]") {
    const BookOwner owner = some_owner(1);
    const auto raw = encode_book(some_book(3, 500), owner, 0);
    CHECK(decode_book(raw, owner, 0));
    CHECK_FALSE(decode_book(raw, owner, 1));
    CHECK_FALSE(decode_book(raw, some_owner(2), 0));
    CHECK_FALSE(decode_book(raw, {owner.pool, owner.pool}, 0));
    CHECK_FALSE(decode_book({}, owner, 0));
    // A number that leaves none behind it is nobody's.
    CHECK(decode_book(encode_book(some_book(kBookNumberEnd - 1, 10), owner, 0), owner, 0));
    CHECK_FALSE(decode_book(encode_book(some_book(kBookNumberEnd, 10), owner, 0), owner, 0));
}

TEST_CASE("a book with any bit changed is not there", "[meta][book]") {
    const BookOwner owner = some_owner(1);
    const auto raw = encode_book(some_book(3, 300), owner, 0);
    for (std::size_t at = 0; at < sizeof(BookHeader) + 300; at++) {
        auto damaged = raw;
        damaged[at] ^= std::byte{0x10};
        CAPTURE(at);
        REQUIRE_FALSE(decode_book(damaged, owner, 0));
    }
}

TEST_CASE("the newer of two books counts, and the older where that is damaged", "[meta][book]") {
    test::StoreFixture f(1);
    dev::BlockDevice& drive = *f.devices[0];
    const BookOwner owner = some_owner(4);
    CHECK_FALSE(f.reactor.run(read_book(drive, owner)));
    REQUIRE(f.reactor.run(write_book(drive, owner, some_book(1, 9000), 0)));
    REQUIRE(f.reactor.run(write_book(drive, owner, some_book(2, 50000), 1)));
    auto found = f.reactor.run(read_book(drive, owner));
    REQUIRE(found);
    CHECK(found->book.number == 2);
    CHECK(found->place == 1);
    dev::AlignedBuffer zeros(4096);
    REQUIRE(f.reactor.run(write_fully(drive, book_offset(1) + 8192, zeros.span(), true)));
    found = f.reactor.run(read_book(drive, owner));
    REQUIRE(found);
    CHECK(found->book.number == 1);
    CHECK(found->book.payload == some_book(1, 9000).payload);
}

}  // namespace
}  // namespace xsan::meta
