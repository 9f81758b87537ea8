// Members that are absent, stale, cloned, forked, damaged, put back or newer; and who may start
// without whom.
#include "meta/member_io.h"
#include "meta/store.h"
#include "support/catch.h"
#include "support/rounds.h"
#include "unit/meta/store_helpers.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

TEST_CASE("examining a device writes nothing") {
    StoreFixture f(2);
    REQUIRE(f.create());
    fill(f, 10);
    restart(f);
    f.images[0].flip_bit(64 * kKiB + 5, 1);
    f.power_up();
    const auto before = f.devices[0]->image().digest();
    const auto found = f.examine(0);
    REQUIRE(found);
    CHECK(found->copies_valid == 3);
    CHECK(!found->note.empty());
    CHECK(found->newest_sequence == 11);
    CHECK(f.devices[0]->image().digest() == before);
    CHECK(f.devices[0]->writes() == 0);
}

TEST_CASE("a device without a superblock, and one with a newer version, say so by name") {
    StoreFixture f(2);
    auto found = f.examine(0);
    REQUIRE(!found);
    CHECK(found.error().code == Errc::not_found);
    CHECK(found.error().message.find("dev0") != std::string::npos);
    REQUIRE(f.create());
    restart(f);
    for (unsigned i = 0; i < 4; i++) {
        const auto offset = superblock_offset(i, 64 * kMiB);
        SuperblockCopy c;
        f.images[1].read(offset, std::as_writable_bytes(std::span(&c, 1)));
        c.major = 7;
        c.copy_crc = 0;
        c.copy_crc = crc32c(std::as_bytes(std::span(&c, 1)).first(64));
        f.images[1].write(offset, std::as_bytes(std::span(&c, 1)));
    }
    f.power_up();
    found = f.examine(1);
    REQUIRE(!found);
    CHECK(found.error().code == Errc::version_mismatch);
    for (const char* word : {"dev1", "7.0", "upgrade"}) {
        CHECK(found.error().message.find(word) != std::string::npos);
    }
}

TEST_CASE("one or two damaged superblock copies are repaired, three refuse the device by name") {
    StoreFixture f(3);
    REQUIRE(f.create());
    fill(f, 5);
    restart(f);
    for (unsigned mask = 1; mask < 15; mask++) {
        CAPTURE(mask);
        const auto images = f.images;
        damage_copies(f.images[1], mask);
        f.power_up();
        const auto found = f.examine(1);
        const bool enough = __builtin_popcount(mask) <= 2;
        REQUIRE(found.has_value() == enough);
        if (enough) {
            REQUIRE(f.assemble());
            CHECK(state_of(*f.store, 1) == MemberState::in_sync);
            restart(f);
            CHECK(f.examine(1)->copies_valid == 4);
            f.close();
        } else {
            CHECK(found.error().code == Errc::corrupt);
            CHECK(found.error().message.find("dev1") != std::string::npos);
        }
        f.images = images;
        f.power_up();
    }
}

TEST_CASE("a cut while damaged superblock copies are repaired costs no member") {
    // The two good copies must not be touched before the other two are good as well.
    for (const unsigned mask : {0b0011u, 0b0101u, 0b1010u, 0b1000u, 0b0001u}) {
        for (std::uint64_t n = 0; n < 40; n++) {
            CAPTURE(mask, n);
            StoreFixture f(2, n + 1);
            REQUIRE(f.create());
            fill(f, 2);
            restart(f);
            damage_copies(f.images[0], mask);
            f.power_up();
            f.power->cut_after(n);
            (void)f.assemble();
            f.crash();
            f.power_up();
            REQUIRE(f.examine(0));
            REQUIRE(f.assemble());
        }
    }
}

TEST_CASE("a clone of a member is refused") {
    StoreFixture f(2);
    REQUIRE(f.create());
    restart(f);
    f.images[1] = f.images[0];
    f.power_up();
    const auto started = f.assemble();
    REQUIRE(!started);
    CHECK(started.error().code == Errc::exists);
    CHECK(refusal(started).find("dev1") != std::string::npos);
}

TEST_CASE("half of a mirror starts only when the loss of the other half is recorded or accepted") {
    StoreFixture f(2);
    REQUIRE(f.create());
    fill(f, 5);
    restart(f);
    auto started = f.assemble(0b10);
    REQUIRE(!started);
    CHECK(started.error().code == Errc::too_many_failures);
    CHECK(refusal(started).find("xsan0") != std::string::npos);
    CHECK(refusal(started).find("--accept-missing") != std::string::npos);
    CHECK(f.devices[1]->writes() == 0);

    REQUIRE(f.assemble());
    f.devices[1]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    fill(f, 1);
    restart(f);
    CHECK(f.assemble(0b01));
    const auto lineage = f.store->lineage();
    restart(f);
    CHECK(!f.assemble(0b10));
    CHECK(f.assemble());
    CHECK(f.store->stale() == std::vector{MemberIndex{1}});
    CHECK(f.store->lineage() == lineage);
}

TEST_CASE("accepting missing members begins a lineage that the old one cannot meet again") {
    StoreFixture f(2);
    REQUIRE(f.create());
    fill(f, 5);
    restart(f);
    // Nothing happened on the other: it is an ancestor, and stale.
    REQUIRE(f.assemble(0b10, true));
    CHECK(f.store->lineage() != uuid_of(2));
    CHECK(state_of(*f.store, 0) == MemberState::missing);
    restart(f);
    REQUIRE(f.assemble());
    CHECK(f.store->stale() == std::vector{MemberIndex{0}});
    restart(f);
    // Both went on: whoever comes first must not decide for the other.
    REQUIRE(f.assemble(0b01, true));
    fill(f, 2);
    restart(f);
    const auto digest0 = f.images[0].digest();
    const auto started = f.assemble();
    REQUIRE(!started);
    CHECK(started.error().code == Errc::corrupt);
    CHECK(refusal(started).find("two histories") != std::string::npos);
    CHECK(f.devices[0]->image().digest() == digest0);
    CHECK(f.assemble(0b10));
}

TEST_CASE("accepting missing members that are there changes nothing") {
    StoreFixture f(3);
    REQUIRE(f.create());
    restart(f);
    REQUIRE(f.assemble(0b011, true));
    CHECK(f.store->lineage() == uuid_of(2));
}

TEST_CASE("a member whose contents were put back to an earlier time is not in sync any more") {
    StoreFixture f(3);
    REQUIRE(f.create());
    fill(f, 5);
    const DiskImage earlier = f.devices[2]->image();
    fill(f, 5);
    restart(f);
    f.images[2] = earlier;
    f.power_up();
    REQUIRE(f.assemble());
    CHECK(f.store->stale() == std::vector{MemberIndex{2}});
    CHECK(state_of(*f.store, 2) == MemberState::missing);
}

TEST_CASE("a device of another pool does not assemble with this one") {
    StoreFixture f(2);
    REQUIRE(f.create());
    restart(f);
    StoreFixture other(2);
    auto records = initial_records(2);
    records[0].pool.uuid = uuid_of(55);
    std::vector<Store::NewMember> members{{MemberIndex{0}, other.devices[0].get()},
                                          {MemberIndex{1}, other.devices[1].get()}};
    auto made = other.reactor.run(Store::create(records, members, uuid_of(56)));
    REQUIRE(made);
    other.store = std::move(*made);
    other.power_down();
    f.images[1] = other.images[1];
    f.power_up();
    const auto started = f.assemble();
    REQUIRE(!started);
    CHECK(started.error().code == Errc::invalid_argument);
}

TEST_CASE("an interrupted creation leaves no pool, at whatever request it was") {
    unsigned refused = 0;
    unsigned made = 0;
    for (std::uint64_t n = 0; n < 120; n++) {
        CAPTURE(n);
        StoreFixture f(3, n + 1);
        f.power->cut_after(n);
        const bool created = f.create().has_value();
        f.crash();
        f.power_up();
        const auto started = f.assemble();
        if (created) REQUIRE(started);
        if (started) {
            made++;
            CHECK(f.store->state().members().size() == 3);
            CHECK(state_of(*f.store, 0) == MemberState::in_sync);
            CHECK(state_of(*f.store, 2) == MemberState::in_sync);
        } else {
            refused++;
        }
    }
    CHECK(refused > 20);
    CHECK(made > 20);
}

TEST_CASE("damage in the log or the checkpoint of one member is healed from the others") {
    for (const bool in_log : {true, false}) {
        for (unsigned victim = 0; victim < 3; victim++) {
            StoreFixture f(3, victim + 1);
            REQUIRE(f.create());
            fill(f, 6);
            const auto sequence = f.store->sequence();
            restart(f);
            const auto found = f.examine(victim);
            const auto slot = found->superblock.checkpoint.slot;
            const auto offset =
                in_log ? f.layout.log_offset() + 2 * 4096 : f.layout.slot_offset(slot);
            f.images[victim].flip_bit(offset + 300, 0);
            f.power_up();
            CHECK(f.examine(victim)->is_log_damaged == in_log);
            REQUIRE(f.assemble());
            CHECK(f.store->sequence() == sequence + 1);
            CHECK(state_of(*f.store, victim) == MemberState::in_sync);
            restart(f);
            CHECK(!f.examine(victim)->is_log_damaged);
            // What was healed can lead.
            REQUIRE(f.assemble((1u << victim) | (1u << ((victim + 1) % 3))));
            CHECK(f.store->sequence() == sequence + 2);
        }
    }
}

TEST_CASE("the only copy of the metadata is refused when it is damaged, not shortened") {
    StoreFixture f(2);
    REQUIRE(f.create());
    f.devices[1]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    fill(f, 6);
    restart(f);
    f.images[0].flip_bit(f.layout.log_offset() + 4 * 4096 + 300, 0);
    f.power_up();
    const auto started = f.assemble(0b01);
    REQUIRE(!started);
    CHECK(started.error().code == Errc::corrupt);
    CHECK(!f.assemble());
}

TEST_CASE("an assembly that was cut at any request does not disturb the next, whoever comes") {
    // First two members try, then two others succeed; afterwards all three must agree with those.
    for (std::uint64_t n = 0; n < 60; n++) {
        for (std::uint64_t seed = 1; seed <= rounds(8); seed++) {
            CAPTURE(n, seed);
            StoreFixture f(3, seed * 1000 + n);
            REQUIRE(f.create());
            fill(f, 3);
            restart(f);
            f.power->cut_after(n);
            const bool first = f.assemble(0b011).has_value();
            f.crash();
            f.power_up();
            const auto second = f.assemble(0b110);
            if (first) {
                CHECK(!second);
                continue;
            }
            if (!second) continue;  // the first one got as far as its entry on member 1
            const bool commits = seed % 2 == 0;
            if (commits) REQUIRE(f.commit({rate_record(f.store->state(), 4711)}));
            restart(f);
            const auto third = f.assemble();
            INFO(refusal(third));
            REQUIRE(third);
            CHECK(f.store->stale() == std::vector{MemberIndex{0}});
            if (commits) CHECK(f.store->state().pool().rebuild_rate_max == 4711);
        }
    }
}

TEST_CASE("of four members two start with one that cannot be written, and the other two do not later") {
    StoreFixture f(4);
    REQUIRE(f.create());
    fill(f, 5);
    restart(f);
    f.devices[2]->fault = [](const dev::IoRequest& r) {
        return r.kind == dev::IoKind::read ? Error() : Error(Errc::io_error);
    };
    REQUIRE(f.assemble(0b0111));
    CHECK(state_of(*f.store, 2) == MemberState::faulty);
    CHECK(state_of(*f.store, 3) == MemberState::missing);
    fill(f, 2);
    restart(f);
    CHECK(!f.assemble(0b1100));
    REQUIRE(f.assemble());
    CHECK(f.store->stale() == std::vector{MemberIndex{2}, MemberIndex{3}});
}

TEST_CASE("a member that can be read but not written votes, and does not take part") {
    // Of two, the one that learns of it suffices; of three, one alone could be outvoted later.
    for (const unsigned members : {2u, 3u}) {
        StoreFixture f(members);
        REQUIRE(f.create());
        fill(f, 5);
        restart(f);
        for (unsigned i = 0; i + 1 < members; i++) {
            f.devices[i]->fault = [](const dev::IoRequest& r) {
                return r.kind == dev::IoKind::read ? Error() : Error(Errc::io_error);
            };
        }
        const auto started = f.assemble();
        INFO(refusal(started));
        REQUIRE(started.has_value() == (members == 2));
        if (members == 3) continue;
        CHECK(state_of(*f.store, 0) != MemberState::in_sync);
        REQUIRE(f.commit({rate_record(f.store->state(), 4711)}));
        restart(f);
        CHECK(!f.assemble(0b01));
        REQUIRE(f.assemble());
        CHECK(f.store->state().pool().rebuild_rate_max == 4711);
        CHECK(f.store->stale() == std::vector{MemberIndex{0}});
    }
}
