// The store on devices that do not crash: create, commit, reopen, lose and regain members.
#include "meta/store.h"

#include "support/catch.h"
#include "unit/meta/store_fixture.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

bool holds(const State& state, std::size_t index, MemberState wanted) {
    const Member* m = state.find_member(MemberIndex{static_cast<std::uint16_t>(index)});
    return m != nullptr && m->state == wanted;
}

// The state as the records make it, kept beside the store.
struct Model {
    State state;
    void apply(const std::vector<Record>& records) {
        for (const auto& r : records)
            XSAN_ASSERT(state.apply(r).has_value());
    }
};

}  // namespace

TEST_CASE("a created pool is assembled with the same state") {
    StoreFixture f(3);
    REQUIRE(f.create());
    Model model;
    model.apply(initial_records(3, f.layout));
    CHECK(f.store->state().equals(model.state));
    f.power_down();
    f.power_up();
    const auto assembled = f.assemble();
    REQUIRE(assembled);
    CHECK(f.store->was_unclean());
    CHECK(f.store->epoch() == 2);
    CHECK(f.store->state().equals(model.state));
}

TEST_CASE("commits survive a stop, clean or not, over many laps of the log") {
    for (std::uint64_t seed = 1; seed <= 4; seed++) {
        StoreFixture f(3, seed);
        REQUIRE(f.create());
        Model model;
        model.apply(initial_records(3, f.layout));
        RandomRecords random(seed);
        for (int round = 0; round < 6; round++) {
            for (int i = 0; i < 40; i++) {
                auto records = random.commit(model.state);
                model.apply(records);
                REQUIRE(f.commit(std::move(records)));
            }
            CHECK(f.store->state().equals(model.state));
            const bool clean = round % 2 == 0;
            if (clean) REQUIRE(f.reactor.run(f.store->close_clean()));
            f.power_down();
            f.power_up();
            const auto assembled = f.assemble();
            INFO((assembled ? "" : assembled.error().message) << f.log_lines.text());
            REQUIRE(assembled);
            CHECK(f.store->was_unclean() == !clean);
            CHECK(f.store->state().equals(model.state));
        }
    }
}

TEST_CASE("a member whose write fails is recorded before the commit returns") {
    StoreFixture f(3);
    REQUIRE(f.create());
    std::vector<MemberIndex> lost;
    f.store->on_member_lost = [&](MemberIndex i, Error) { lost.push_back(i); };
    f.devices[1]->fault = [](const dev::IoRequest&) { return Error(Errc::io_error); };
    RandomRecords random(5);
    REQUIRE(f.commit({random.next(f.store->state())}));
    CHECK(lost == std::vector{MemberIndex{1}});
    CHECK(holds(f.store->state(), 1, MemberState::faulty));
    CHECK(f.store->device(MemberIndex{1}) == nullptr);
    f.devices[0]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    REQUIRE(f.commit({random.next(f.store->state())}));
    CHECK(holds(f.store->state(), 0, MemberState::missing));
    f.devices[2]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    const auto last = f.commit({random.next(f.store->state())});
    REQUIRE(!last);
    CHECK(last.error().code == Errc::in_doubt);
}

TEST_CASE("an entry that some members have and another may not be lost for is in doubt, and the last one") {
    StoreFixture f(3);
    REQUIRE(f.create());
    f.store->may_lose = [](std::span<const MemberIndex>) { return false; };
    f.devices[1]->fault = [](const dev::IoRequest&) { return Error(Errc::io_error); };
    RandomRecords random(6);
    const std::uint64_t before = f.store->sequence();
    const auto doubted = f.commit({random.next(f.store->state())});
    REQUIRE(!doubted);
    CHECK(doubted.error().code == Errc::in_doubt);
    CHECK(f.store->is_broken());
    CHECK(holds(f.store->state(), 1, MemberState::in_sync));
    CHECK(f.store->sequence() == before);
    f.devices[1]->fault = nullptr;
    const auto later = f.commit({random.next(f.store->state())});
    REQUIRE(!later);
    CHECK(later.error().code == Errc::too_many_failures);
}

TEST_CASE("a lost member comes back through add_member") {
    StoreFixture f(3);
    REQUIRE(f.create());
    RandomRecords random(7);
    f.devices[2]->fault = [](const dev::IoRequest&) { return Error(Errc::device_gone); };
    REQUIRE(f.commit({random.next(f.store->state())}));
    REQUIRE(holds(f.store->state(), 2, MemberState::missing));
    f.power_down();
    f.power_up();
    REQUIRE(f.assemble());
    REQUIRE(f.store->stale() == std::vector{MemberIndex{2}});
    Record back = member_record(2, f.layout);
    REQUIRE(f.reactor.run(f.store->add_member({MemberIndex{2}, f.devices[2].get()}, {back})));
    CHECK(holds(f.store->state(), 2, MemberState::in_sync));
    for (int i = 0; i < 50; i++)
        REQUIRE(f.commit({random.next(f.store->state())}));
    const auto sequence = f.store->sequence();
    f.power_down();
    f.power_up();
    REQUIRE(f.assemble(0b110));  // the one that came back is as good as the others
    CHECK(f.store->sequence() == sequence + 1);
    CHECK(holds(f.store->state(), 0, MemberState::missing));
}
