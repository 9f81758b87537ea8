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

namespace {

// Members of 40 extents each, with numbers from `first` on; there is no device for them.
std::vector<Record> deviceless_members(const StoreFixture& f, unsigned first, unsigned count) {
    std::vector<Record> records;
    for (unsigned i = first; i < first + count; i++) {
        Record member = member_record(i, f.layout);
        member.member.layout.extent_count = 40;
        records.push_back(std::move(member));
    }
    return records;
}

}  // namespace

TEST_CASE("the growth limit holds for members that are there, not for those that were lost") {
    StoreFixture f(2, 1, kMiB);
    REQUIRE(f.create());  // 64 of 1024 extents
    CHECK(f.commit(deviceless_members(f, 10, 30)).error().code == Errc::no_space);
    // Each of these is recorded as missing with its own first entry.
    for (unsigned i = 0; i < 4; i++) REQUIRE(f.commit(deviceless_members(f, 10 + 20 * i, 20)));
    CHECK(state_of(*f.store, 30) == MemberState::missing);
    // One that groups name still counts.
    Record row;
    row.kind = RecordKind::group_set;
    row.generation = 1;
    for (unsigned i = 0; i < 12; i++) {
        row.group = GroupIndex{i};
        row.strips = {StripRef(MemberIndex{static_cast<std::uint16_t>(10 + 2 * i)}, ExtentIndex{0}, StripState::ok),
                      StripRef(MemberIndex{static_cast<std::uint16_t>(11 + 2 * i)}, ExtentIndex{0}, StripState::ok)};
        REQUIRE(f.commit({row}));
    }
    CHECK(f.commit(deviceless_members(f, 90, 2)).error().code == Errc::no_space);
}

TEST_CASE("the loss of a member can be committed when the tables are full") {
    StoreFixture f(3);
    REQUIRE(f.create());
    Record volume;
    volume.kind = RecordKind::volume_set;
    volume.volume.size_bytes = kMiB;
    volume.volume.cluster_bytes = 128 * kKiB;
    Result<void> last;
    for (unsigned i = 0; last; i++) {
        REQUIRE(i < 1000);
        volume.volume.id = VolumeId{i};
        volume.volume.uuid = uuid_of(2000 + i);
        volume.volume.name = "v" + std::to_string(i);
        last = f.commit({volume});
    }
    REQUIRE(last.error().code == Errc::no_space);
    // What is no larger than before fits, too.
    Record member = member_record(1);
    member.member.path = "/dev/other";
    member.member.serial = "other";
    CHECK(f.commit({member}));
    member.member.state = MemberState::faulty;
    member.member.path = "/dev/with/a/name/that/is/longer";
    CHECK(f.commit({member}));
    CHECK(state_of(*f.store, 1) == MemberState::faulty);
    f.devices[0]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    CHECK(f.commit({rate_record(f.store->state(), 4)}));
    CHECK(state_of(*f.store, 0) == MemberState::missing);
}

TEST_CASE("every loss that the store records is reported, one that is not recorded never") {
    StoreFixture f(3);
    REQUIRE(f.create());
    std::vector<unsigned> told;
    f.store->on_member_lost = [&](MemberIndex index, Error) { told.push_back(index.get()); };
    f.store->drop_member(MemberIndex{2});
    REQUIRE(f.commit({rate_record(f.store->state(), 1)}));
    CHECK(told == std::vector<unsigned>{2});
    f.store->may_lose = [](std::span<const MemberIndex> lost) { return lost.size() < 2; };
    unsigned writes = 0;
    f.devices[0]->fault = [&](const dev::IoRequest&) { return Error(Errc::device_gone); };
    // As the loss of the first is recorded, the second fails as well.
    f.devices[1]->fault = [&](const dev::IoRequest& r) {
        return r.kind == dev::IoKind::write && ++writes > 1 ? Error(Errc::device_gone) : Error();
    };
    CHECK_FALSE(f.commit({rate_record(f.store->state(), 2)}));
    CHECK(f.store->is_broken());
    CHECK(told == std::vector<unsigned>{2});
}

TEST_CASE("a volume is removed when nothing of it is mapped") {
    StoreFixture f(2);
    REQUIRE(f.create());
    Record row;
    row.kind = RecordKind::group_set;
    row.generation = 1;
    row.strips = {StripRef(MemberIndex{0}, ExtentIndex{0}, StripState::ok),
                  StripRef(MemberIndex{1}, ExtentIndex{0}, StripState::ok)};
    Record volume;
    volume.kind = RecordKind::volume_set;
    volume.volume.uuid = uuid_of(9);
    volume.volume.name = "v";
    volume.volume.size_bytes = kMiB;
    volume.volume.cluster_bytes = 128 * kKiB;
    Record map;
    map.kind = RecordKind::map_set;
    map.entries = {{ClusterIndex{5}, MapEntry::mapped(GroupIndex{0}, 3)}};
    REQUIRE(f.commit({row, volume, map}));
    Record remove;
    remove.kind = RecordKind::volume_remove;
    CHECK(f.commit({remove}).error().code == Errc::corrupt);
    map.entries[0].entry = MapEntry{};
    CHECK(f.commit({map, remove}));
    CHECK(f.store->state().volumes().empty());
}
