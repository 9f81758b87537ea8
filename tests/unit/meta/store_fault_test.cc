// Devices that fail at every request in turn, commits that are refused, members that come and go.
#include "meta/member_io.h"
#include "meta/store.h"
#include "support/catch.h"
#include "unit/meta/store_helpers.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

TEST_CASE("a member that fails at its n-th write costs no commit, for every n") {
    for (const Errc code : {Errc::io_error, Errc::device_gone}) {
        for (std::uint64_t n = 0; n < 120; n++) {
            CAPTURE(n);
            StoreFixture f(3, n + 1, 64 * kKiB);
            REQUIRE(f.create());
            std::uint64_t left = n;
            f.devices[1]->fault = [&left, code](const dev::IoRequest& r) {
                if (r.kind == dev::IoKind::read) return Error();
                return left == 0 ? Error(code) : (left--, Error());
            };
            unsigned told = 0;
            f.store->on_member_lost = [&](MemberIndex index, Error error) {
                CHECK(index == MemberIndex{1});
                CHECK(error.code == code);
                told++;
            };
            for (std::uint64_t i = 1; i <= 40; i++)
                REQUIRE(f.commit({rate_record(f.store->state(), i)}));
            f.reactor.run_until_idle();
            CHECK(f.store->state().pool().rebuild_rate_max == 40);
            const bool failed = state_of(*f.store, 1) != MemberState::in_sync;
            CHECK(told == (failed ? 1 : 0));
            if (failed) {
                const auto wanted =
                    code == Errc::device_gone ? MemberState::missing : MemberState::faulty;
                CHECK(state_of(*f.store, 1) == wanted);
            }
            f.crash();
            f.power_up();
            REQUIRE(f.assemble(0b101));
            CHECK(f.store->state().pool().rebuild_rate_max == 40);
        }
    }
}

TEST_CASE("one superblock copy that cannot be written is survived, two fail the member") {
    for (const unsigned bad : {1u, 2u}) {
        StoreFixture f(2);
        REQUIRE(f.create());
        f.devices[0]->fault = [bad](const dev::IoRequest& r) {
            const bool is_bad = r.kind == dev::IoKind::write &&
                                (r.offset == superblock_offset(0, 64 * kMiB) ||
                                 (bad == 2 && r.offset == superblock_offset(3, 64 * kMiB)));
            return is_bad ? Error(Errc::media_error) : Error();
        };
        REQUIRE(f.reactor.run(f.store->write_checkpoint_now()));
        f.reactor.run_until_idle();
        CHECK((state_of(*f.store, 0) == MemberState::in_sync) == (bad == 1));
        restart(f);
        REQUIRE(f.assemble());
        CHECK((state_of(*f.store, 0) == MemberState::in_sync) == (bad == 1));
    }
}

TEST_CASE("commits that do not fit are refused alone and change nothing") {
    StoreFixture f(2);
    REQUIRE(f.create());
    Record wrong;
    wrong.kind = RecordKind::group_remove;
    const auto sequence = f.store->sequence();
    const auto refused = f.commit({rate_record(f.store->state(), 1), wrong});
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::corrupt);
    CHECK(f.store->sequence() == sequence);
    CHECK(f.store->state().pool().rebuild_rate_max == 0);

    Record large;
    large.kind = RecordKind::group_dirty;
    large.groups.resize(100000);
    CHECK(f.commit({large}).error().code == Errc::no_space);
    // More extents than the growth limit.
    Record member = member_record(7);
    member.member.layout.extent_count = 40;
    member.member.state = MemberState::missing;
    Result<void> last;
    for (unsigned i = 0; i < 40 && last; i++) {
        member.member_index = MemberIndex{static_cast<std::uint16_t>(10 + i)};
        member.member.uuid = uuid_of(1000 + i);
        last = f.commit({member});
    }
    REQUIRE(!last);
    CHECK(last.error().code == Errc::no_space);
    CHECK(f.commit({rate_record(f.store->state(), 5)}));
    f.reactor.run(f.store->close());
    CHECK(f.commit({rate_record(f.store->state(), 6)}).error().code == Errc::aborted);
}

TEST_CASE("a member that failed while it was added is not in sync, and the pool goes on") {
    for (std::uint64_t n = 0; n < 25; n++) {
        CAPTURE(n);
        StoreFixture f(3, n + 1);
        REQUIRE(f.create());
        f.devices[2]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
        fill(f, 2);
        std::uint64_t left = n;
        f.devices[2]->fault = [&left](const dev::IoRequest&) {
            return left == 0 ? Error(Errc::io_error) : (left--, Error());
        };
        Record back;
        back.kind = RecordKind::member_set;
        back.member_index = MemberIndex{2};
        back.member = *f.store->state().find_member(MemberIndex{2});
        back.member.state = MemberState::in_sync;
        const Store::NewMember member{MemberIndex{2}, f.devices[2].get()};
        const bool added = f.reactor.run(f.store->add_member(member, {back})).has_value();
        CHECK((state_of(*f.store, 2) == MemberState::in_sync) == added);
        CHECK((f.store->device(MemberIndex{2}) != nullptr) == added);
        f.devices[2]->fault = nullptr;
        if (!added) REQUIRE(f.reactor.run(f.store->add_member(member, {back})));
        fill(f, 3, n + 50);
        const auto sequence = f.store->sequence();
        f.crash();
        f.power_up();
        REQUIRE(f.assemble(0b110));
        CHECK(f.store->sequence() == sequence + 1);
    }
}

TEST_CASE("a new member gets the pool's metadata, a dropped one is recorded with the next commit") {
    StoreFixture f(3);
    // A pool of two; the third device comes later.
    std::vector<Store::NewMember> members{{MemberIndex{0}, f.devices[0].get()},
                                          {MemberIndex{1}, f.devices[1].get()}};
    auto made = f.reactor.run(Store::create(initial_records(2), members, uuid_of(2)));
    REQUIRE(made);
    f.store = std::move(*made);
    fill(f, 3);
    const auto added = f.reactor.run(
        f.store->add_member({MemberIndex{2}, f.devices[2].get()}, {member_record(2)}));
    REQUIRE(added);
    f.store->drop_member(MemberIndex{0});
    f.reactor.run(f.store->drained());
    fill(f, 1);
    CHECK(state_of(*f.store, 0) == MemberState::missing);
    REQUIRE(f.reactor.run(f.store->close_clean()));
    restart(f);
    REQUIRE(f.assemble(0b110));
    CHECK(!f.store->was_unclean());
    REQUIRE(f.reactor.run(f.store->wipe()));
    f.store.reset();
    f.power_up();
    CHECK(!f.examine(0) == false);  // it was not there when the pool was destroyed
}
