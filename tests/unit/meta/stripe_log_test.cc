// The stripe log's bytes: what is written is read back, anything else is nothing.
#include <cstring>

#include "base/rng.h"
#include "meta/stripe_log.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::meta;

namespace {

constexpr std::uint64_t kRegion = 4 << 20;

StripeLogIdentity identity(std::uint64_t seed) {
    Rng rng(seed);
    StripeLogIdentity out;
    out.pool_uuid = Uuid::random(rng);
    out.member_uuid = Uuid::random(rng);
    return out;
}

StripeLogTail some_tail() {
    StripeLogTail tail;
    tail.epoch = 7;
    tail.incarnation = 0x123456789abcdef;
    tail.number = 12;
    tail.retired = 1000;
    tail.lane_bytes = stripe_log_lane_bytes(kRegion, 3);
    tail.position = {4096, 0, tail.lane_bytes * 5 + 8192};
    return tail;
}

struct MadeBatch {
    std::vector<std::byte> bytes;
    StripeLogPlace place;
    std::vector<StripeLogDescriptor> records;
};

MadeBatch some_batch(std::size_t records, std::uint32_t content_bytes, std::uint64_t position) {
    MadeBatch made;
    Rng rng(records * 31 + content_bytes);
    for (std::size_t i = 0; i < records; i++) {
        StripeLogDescriptor d;
        d.sequence = 1000 + i;
        d.touched = 1ull << (i % 4);
        d.group = GroupIndex{static_cast<std::uint32_t>(i * 7)};
        d.generation = 3;
        d.stripe = StripeIndex{static_cast<std::uint32_t>(i)};
        d.row_end = 4096;
        d.content_bytes = content_bytes;
        d.kind = 1;
        d.strip = 4;
        d.granule_bytes = 4096;
        made.records.push_back(d);
    }
    made.place = {99, 1, position, 1 << 20};
    made.bytes.resize(stripe_log_batch_bytes(records, records * content_bytes));
    const std::size_t header = stripe_log_header_bytes(records);
    for (std::size_t i = 0; i < records * content_bytes; i++) {
        made.bytes[header + i] = static_cast<std::byte>(rng.next());
    }
    encode_stripe_log_batch({99, position, 500, 1}, made.records, made.bytes);
    return made;
}

}  // namespace

TEST_CASE("a stripe log tail is read back as it was written, and by its own member only") {
    std::vector<std::byte> block(kStripeLogBlockBytes);
    const StripeLogTail tail = some_tail();
    encode_stripe_log_tail(tail, identity(1), block);
    const auto found = decode_stripe_log_tail(block, identity(1), kRegion);
    REQUIRE(found.has_value());
    CHECK(found->epoch == tail.epoch);
    CHECK(found->incarnation == tail.incarnation);
    CHECK(found->number == tail.number);
    CHECK(found->retired == tail.retired);
    CHECK(found->position == tail.position);
    CHECK(!decode_stripe_log_tail(block, identity(2), kRegion));
    // Rings that would not fit the region.
    CHECK(!decode_stripe_log_tail(block, identity(1), kRegion / 2));
}

TEST_CASE("a stripe log tail with any bit changed is none") {
    std::vector<std::byte> block(kStripeLogBlockBytes);
    encode_stripe_log_tail(some_tail(), identity(1), block);
    for (std::size_t bit = 0; bit < block.size() * 8; bit += 5) {
        block[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        REQUIRE(!decode_stripe_log_tail(block, identity(1), kRegion));
        block[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
}

TEST_CASE("a stripe log batch is read back at its place only") {
    for (const std::size_t records : {1u, 2u, 62u, 63u, 64u, 200u}) {
        const MadeBatch made = some_batch(records, records == 200 ? 512 : 8192, 8192);
        CHECK(peek_stripe_log_batch(made.bytes, made.place) == made.bytes.size());
        const auto found = decode_stripe_log_batch(made.bytes, made.place);
        REQUIRE(found.has_value());
        REQUIRE(found->records.size() == records);
        CHECK(found->head.retired == 500);
        for (std::size_t i = 0; i < records; i++) {
            CHECK(found->records[i].sequence == 1000 + i);
            CHECK(found->contents[i].size() == made.records[i].content_bytes);
        }
        for (auto place : {StripeLogPlace{98, 1, 8192, 1 << 20}, StripeLogPlace{99, 0, 8192, 1 << 20},
                           StripeLogPlace{99, 1, 8192 + (1 << 20), 1 << 20}}) {
            CHECK(!decode_stripe_log_batch(made.bytes, place));
        }
    }
}

TEST_CASE("a torn or changed stripe log batch is none") {
    MadeBatch made = some_batch(3, 8192, 0);
    for (std::size_t at = 0; at < made.bytes.size(); at += 512) {
        // Not written from here on.
        auto torn = made.bytes;
        std::fill(torn.begin() + static_cast<std::ptrdiff_t>(at), torn.end(), std::byte{0});
        REQUIRE(!decode_stripe_log_batch(torn, made.place));
    }
    for (std::size_t bit = 0; bit < made.bytes.size() * 8; bit += 13) {
        made.bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        const auto found = decode_stripe_log_batch(made.bytes, made.place);
        made.bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        const std::size_t content_end = stripe_log_header_bytes(3) + 3 * 8192;
        if (bit / 8 < content_end) REQUIRE(!found);
    }
}

TEST_CASE("hostile stripe log bytes never do more than be refused") {
    Rng rng(5);
    const MadeBatch made = some_batch(5, 4096, 0);
    for (int round = 0; round < 20000; round++) {
        auto bytes = made.bytes;
        for (int i = 0; i < 3; i++) {
            bytes[rng.next() % 512] = static_cast<std::byte>(rng.next());
        }
        bytes.resize(rng.next() % 2 == 0 ? bytes.size() : rng.next() % bytes.size());
        const auto found = decode_stripe_log_batch(bytes, made.place);
        if (found) REQUIRE(found->records.size() == 5);
    }
}

TEST_CASE("batches never wrap, and lanes share the region evenly") {
    CHECK(stripe_log_place(0, 8192, 128 << 10) == 0);
    CHECK(stripe_log_place((128 << 10) - 4096, 8192, 128 << 10) == 128 << 10);
    CHECK(stripe_log_place((128 << 10) - 8192, 8192, 128 << 10) == (128 << 10) - 8192);
    for (const unsigned lanes : {1u, 2u, 3u, 7u, 31u}) {
        const std::uint64_t bytes = stripe_log_lane_bytes(kRegion, lanes);
        CHECK(bytes % kStripeLogBlockBytes == 0);
        CHECK(stripe_log_ring_offset(lanes, bytes) <= kRegion);
    }
    CHECK(stripe_log_lane_bytes(kRegion, 32) == 0);
    CHECK(stripe_log_lane_bytes(kRegion, 0) == 0);
    CHECK(stripe_log_lane_bytes(0, 1) == 0);
}

TEST_CASE("a stripe log batch whose size does not fit 32 bits is none") {
    MadeBatch made = some_batch(1, 0, 0);
    made.place.lane_bytes = 1ull << 34;
    StripeLogBatchOnDisk disk;
    std::memcpy(&disk, made.bytes.data(), sizeof disk);
    disk.content_bytes = 0xfffffff0;  // with the header: 4 GiB and one block
    disk.bytes = 2 * kStripeLogBlockBytes;
    std::memcpy(made.bytes.data(), &disk, sizeof disk);
    made.bytes.resize(2 * kStripeLogBlockBytes);
    CHECK(peek_stripe_log_batch(made.bytes, made.place) == 0);
    disk.bytes = kStripeLogBlockBytes;
    std::memcpy(made.bytes.data(), &disk, sizeof disk);
    CHECK(peek_stripe_log_batch(made.bytes, made.place) == 0);
}
