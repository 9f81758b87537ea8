// The superblock's bytes and the choice among four copies.
#include "meta/superblock.h"

#include "base/crc32c.h"
#include "support/catch.h"
#include "unit/meta/random_records.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

using Bytes = std::vector<std::byte>;

Superblock random_superblock(std::uint64_t seed) {
    Rng rng(seed);
    Superblock s;
    s.compat = rng.next();
    s.pool_uuid = uuid_of(1);
    s.pool_name = "tank" + std::to_string(rng.below(1000));
    s.member_uuid = uuid_of(2);
    s.member_index = MemberIndex{static_cast<std::uint16_t>(rng.below(kMembersMax))};
    s.lineage = Uuid::random(rng);
    s.epoch = rng.next() >> 2;
    s.sequence = 1 + rng.below(1000);
    s.previous_crc = static_cast<std::uint32_t>(rng.next());
    s.layout = small_layout();
    s.extent_bytes = kMiB;
    s.extents_max = 1024;
    s.checkpoint = {static_cast<std::uint32_t>(rng.below(2)),
                    rng.next() >> 2,
                    rng.next() >> 2,
                    Uuid::random(rng),
                    4096 * (1 + rng.below(16)),
                    static_cast<std::uint32_t>(rng.next()),
                    static_cast<std::uint32_t>(rng.next()),
                    4096 * rng.below(17)};
    for (auto n = rng.below(9); n > 0; n--)
        s.ancestors.push_back({Uuid::random(rng), n, rng.next()});
    for (auto n = rng.below(5); n > 0; n--) {
        s.attributes.push_back(
            {static_cast<std::uint16_t>(rng.next()), std::string(rng.below(200), 'x')});
    }
    return s;
}

Bytes encoded(const Superblock& s, unsigned copy) {
    Bytes bytes(kSuperblockBytes);
    encode_superblock(s, copy, bytes);
    return bytes;
}

Outcome<DecodedCopy> decoded(const Bytes& bytes, unsigned copy) {
    return decode_superblock(bytes, CopyPlace{copy, superblock_offset(copy, 64 * kMiB)});
}

// Signs again what a test has changed behind the encoder's back.
void sign(Bytes& bytes) {
    SuperblockCopy c;
    std::memcpy(&c, bytes.data(), sizeof c);
    c.body_crc = crc32c(std::span<const std::byte>(bytes).subspan(64));
    c.copy_crc = 0;
    c.copy_crc = crc32c(std::as_bytes(std::span(&c, 1)).first(64));
    std::memcpy(bytes.data(), &c, 64);
}

// The four copies, by a letter each: o old, n new, f another new one, x damaged, . nothing, v newer
// version.
SuperblockCopies copies_of(const char* letters) {
    Superblock old = random_superblock(1);
    old.sequence = 7;
    Superblock next = old;
    next.sequence = 8;
    next.previous_crc = superblock_crc(old);
    Superblock fork = next;
    fork.epoch++;
    Outcome<DecodedCopy> none = Failure(Errc::not_found, "no superblock there");
    SuperblockCopies copies{none, none, none, none};
    for (unsigned i = 0; i < 4; i++) {
        const char letter = letters[i];
        if (letter == '.') continue;
        Bytes bytes = encoded(letter == 'o' ? old : letter == 'f' ? fork : next, i);
        if (letter == 'x') bytes[1000] ^= std::byte{1};
        if (letter == 'v') {
            bytes[8] = std::byte{2};
            sign(bytes);
        }
        copies[i] = decoded(bytes, i);
    }
    return copies;
}

}  // namespace

TEST_CASE("a superblock is read back as it was written, from each of its places") {
    for (std::uint64_t seed = 1; seed <= 200; seed++) {
        CAPTURE(seed);
        const Superblock s = random_superblock(seed);
        for (unsigned copy = 0; copy < 4; copy++) {
            const auto back = decoded(encoded(s, copy), copy);
            REQUIRE(back);
            REQUIRE(back->superblock == s);
            REQUIRE(back->crc == superblock_crc(s));
        }
    }
}

TEST_CASE("copies lie apart, at both ends, and never over each other") {
    for (const std::uint64_t size : {64 * kMiB, 64 * kMiB + 512, 3 * kTiB + 12345 * 512}) {
        CHECK(superblock_offset(0, size) == 0);
        CHECK(superblock_offset(1, size) == 64 * kKiB);
        CHECK(superblock_offset(2, size) + 64 * kKiB == superblock_offset(3, size));
        CHECK(superblock_offset(3, size) + kSuperblockBytes <= size);
        CHECK(superblock_offset(2, size) >= size - 128 * kKiB - 64 * kKiB);
    }
}

TEST_CASE("every flipped bit of a superblock copy is detected") {
    const Bytes good = encoded(random_superblock(3), 1);
    Bytes bytes = good;
    for (std::size_t bit = 0; bit < bytes.size() * 8; bit++) {
        bytes[bit / 8] ^= std::byte(1u << (bit % 8));
        const bool accepted = decoded(bytes, 1).has_value();
        bytes[bit / 8] = good[bit / 8];
        if (accepted) FAIL("bit " << bit);
    }
}

TEST_CASE("a superblock in the wrong place is refused") {
    const Bytes bytes = encoded(random_superblock(3), 1);
    CHECK(decoded(bytes, 0).error().code == Errc::corrupt);
    CHECK(decode_superblock(bytes, CopyPlace{1, 4096}).error().code == Errc::corrupt);
}

TEST_CASE("hostile superblocks with a valid checksum are refused, never trusted") {
    const Bytes good = encoded(random_superblock(3), 0);
    Rng rng(9);
    unsigned accepted = 0;
    for (int i = 0; i < 20000; i++) {
        Bytes bytes = good;
        for (auto n = 1 + rng.below(3); n > 0; n--) {
            bytes[64 + rng.below(1024)] = std::byte(rng.below(256));
        }
        sign(bytes);
        const auto s = decoded(bytes, 0);
        if (!s) continue;
        accepted++;
        if (s->superblock.incompat != 0) continue;  // refused by name, by choose_superblock()
        const auto& l = s->superblock.layout;
        REQUIRE(l.log_offset() + l.metadata_log_bytes <= l.size_bytes);
        REQUIRE(s->superblock.checkpoint.bytes <= l.checkpoint_slot_bytes);
        REQUIRE(s->superblock.checkpoint.log_offset <= l.metadata_log_bytes);
    }
    CHECK(accepted > 0);  // UUIDs, epochs and the like may be anything
}

TEST_CASE("two copies that match open a member, the newest such pair wins") {
    struct Row {
        const char* copies;
        int sequence;  // that is chosen; 0: refused
        unsigned valid;
        Errc refusal;
    };
    const Row rows[] = {
        {"nnnn", 8, 4, Errc::ok},      {"oooo", 7, 4, Errc::ok},
        {"nono", 8, 2, Errc::ok},  // cut between the halves: the new pair is whole
        {"noxo", 7, 2, Errc::ok},  // cut in the first half
        {"xoxo", 7, 2, Errc::ok},      {"nooo", 7, 3, Errc::ok},  // one new copy is not believed
        {"nnno", 8, 3, Errc::ok},      {"nnnx", 8, 3, Errc::ok},
        {"nxnx", 8, 2, Errc::ok},      {"nn..", 8, 2, Errc::ok},
        {"nnff", 0, 0, Errc::corrupt},  // two histories
        {"nnfo", 8, 2, Errc::ok},      {"nfoo", 7, 2, Errc::ok},
        {"nfxx", 0, 0, Errc::corrupt}, {"nxxx", 0, 0, Errc::corrupt},
        {"noxx", 0, 0, Errc::corrupt}, {"n...", 0, 0, Errc::corrupt},
        {"xxxx", 0, 0, Errc::corrupt}, {"....", 0, 0, Errc::not_found},
        {"x...", 0, 0, Errc::corrupt}, {"vvvv", 0, 0, Errc::version_mismatch},
        {"vvnn", 8, 2, Errc::ok},      {"vvxx", 0, 0, Errc::version_mismatch},
    };
    for (const Row& row : rows) {
        CAPTURE(row.copies);
        const auto choice = choose_superblock(copies_of(row.copies));
        if (row.sequence == 0) {
            REQUIRE(!choice);
            CHECK(choice.error().code == row.refusal);
            CHECK(!choice.error().message.empty());
            continue;
        }
        REQUIRE(choice);
        CHECK(choice->superblock.sequence == static_cast<std::uint64_t>(row.sequence));
        CHECK(choice->copies_valid == row.valid);
        CHECK(choice->note.empty() == (row.valid == 4));
        for (unsigned i = 0; i < 4; i++) {
            const bool holds = row.copies[i] == (row.sequence == 8 ? 'n' : 'o');
            CHECK(choice->repair[i] == !holds);
        }
    }
}

TEST_CASE("unknown features are refused by name, unknown compatible ones are not") {
    for (const int which : {0, 1, 2}) {
        Superblock s = random_superblock(5);
        (which == 0 ? s.incompat : which == 1 ? s.ro_compat : s.compat) = 4;
        Outcome<DecodedCopy> copy = decoded(encoded(s, 0), 0);
        REQUIRE(copy);
        const auto choice = choose_superblock(SuperblockCopies{copy, copy, copy, copy});
        CHECK(choice.has_value() == (which == 2));
        if (!choice) {
            CHECK(choice.error().code == Errc::version_mismatch);
            CHECK(choice.error().message.find("upgrade") != std::string::npos);
        }
    }
}

TEST_CASE("a superblock's successor names it and changes nothing that must not change") {
    const Superblock old = random_superblock(6);
    Superblock next = old;
    next.sequence = old.sequence + 1;
    next.previous_crc = superblock_crc(old);
    next.epoch = std::max(old.epoch, old.epoch + 1);
    CHECK(is_valid_successor(old, next));
    Superblock bad = next;
    bad.sequence++;
    CHECK(!is_valid_successor(old, bad));
    bad = next;
    bad.previous_crc++;
    CHECK(!is_valid_successor(old, bad));
    bad = next;
    bad.member_uuid = uuid_of(77);
    CHECK(!is_valid_successor(old, bad));
    bad = next;
    bad.layout.extent_count--;
    CHECK(!is_valid_successor(old, bad));
}
