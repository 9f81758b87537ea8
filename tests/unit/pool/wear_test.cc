// Wear of a pool: accounts that outlive it, readings that placement follows, policies switched while it serves.
#include "meta/book.h"
#include "meta/member_io.h"
#include "unit/pool/worn.h"

namespace xsan::test {
namespace {

TEST_CASE("accounts agree with what the drives were asked to write, and outlive a stop", "[pool][wear]") {
    Worn worn;
    worn.create();
    worn.fill();
    worn.rig.world.run_for(3 * kSecond);
    std::uint64_t counted = 0;
    for (unsigned i = 0; i < 6; i++) {
        const auto status = worn.rig.pool->member_status()[i];
        CHECK(worn.account(i).totals.of(wl::AccountKind::data).bytes == status.traffic.of(raid::WriteKind::data).bytes);
        CHECK(worn.account(i).totals.of(wl::AccountKind::parity).bytes ==
              status.traffic.of(raid::WriteKind::parity).bytes);
        counted += worn.account(i).totals.of(wl::AccountKind::data).bytes;
    }
    CHECK(counted == kWornVolume);
    CHECK(worn.wear().user_bytes() == 0);  // heat is looked at every ten seconds
    worn.rig.world.run_for(10 * kSecond);
    CHECK(worn.wear().user_bytes() == kWornVolume);
    const auto before = worn.account(2).totals;
    const auto since = worn.account(2).since_seconds;
    worn.rig.stop();
    worn.rig.require(worn.rig.assemble());
    const auto after = worn.account(2).totals;
    CHECK(after.of(wl::AccountKind::data) == before.of(wl::AccountKind::data));
    CHECK(after.of(wl::AccountKind::metadata).bytes >= before.of(wl::AccountKind::metadata).bytes);
    CHECK(worn.account(2).since_seconds == since);
    CHECK(worn.wear().user_bytes() == kWornVolume);
    worn.require_content();
}

TEST_CASE("a crash loses the figures of a minute at most, and no policy, setting or task", "[pool][wear]") {
    Worn worn;
    worn.create("least_worn");
    std::vector<std::string> changes{"growth=7", "warn_at=33"};
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(changes))));
    worn.rig.require(worn.rig.world.run(worn.wear().set_task(true)));
    worn.fill();
    worn.rig.world.run_for(pool::Wear::kSaveEvery + 5 * kSecond);
    const auto kept = worn.account(1).totals.of(wl::AccountKind::data).bytes;
    const auto last_event = worn.wear().events().last();
    CHECK(kept > 0);
    worn.rig.abandon();
    worn.rig.require(worn.rig.assemble());
    CHECK(worn.account(1).totals.of(wl::AccountKind::data).bytes == kept);
    CHECK(worn.rig.pool->placement_name() == "least_worn");
    CHECK(worn.wear().settings().planner.growth == 7);
    CHECK(worn.wear().settings().warn_at == std::vector<double>{33});
    CHECK(worn.wear().task().state == pool::Wear::TaskView::State::idle);
    CHECK(worn.wear().events().last() >= last_event);
    CHECK(worn.events(pool::EventKind::wear_policy).size() == 1);
}

TEST_CASE("damaged books cost figures, and nothing else", "[pool][wear]") {
    Worn worn;
    worn.create("adaptive");
    worn.fill();
    worn.rig.world.run_for(3 * kSecond);
    worn.rig.stop();
    std::vector<std::byte> noise(meta::kBookPlaceBytes, std::byte{0x77});
    for (unsigned drive = 0; drive < 5; drive++) {
        for (unsigned place = 0; place < meta::kBookPlaces; place++) {
            auto write = meta::write_fully(*worn.rig.drives[drive], meta::book_offset(place), noise, true);
            REQUIRE(worn.rig.world.run(std::move(write)));
        }
    }
    worn.rig.require(worn.rig.assemble());
    CHECK(worn.rig.pool->placement_name() == "adaptive");  // one drive still knows
    CHECK(worn.account(0).totals.of(wl::AccountKind::data).bytes == 0);
    CHECK(worn.account(5).totals.of(wl::AccountKind::data).bytes > 0);
    worn.require_content();
    worn.rig.require_clean_scrub();
}

TEST_CASE("a drive that reports wear gets fewer groups under a policy that looks at it", "[pool][wear]") {
    Worn worn;
    worn.readings.percent = {{0, 90}, {1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}};
    worn.create("adaptive");
    worn.fill();
    CHECK(worn.account(0).level() == Approx(90).margin(1));
    std::uint64_t others = 0;
    for (unsigned i = 1; i < 6; i++) others += worn.used(i);
    CHECK(worn.used(0) * 5 < others);
    worn.require_content();
}

TEST_CASE("policies are switched while the pool serves, by every name", "[pool][wear]") {
    Worn worn;
    worn.create();
    std::uint64_t at = 0;
    for (const std::string& name : worn.rig.pool->placement_names()) {
        worn.rig.require(worn.rig.world.run(worn.wear().set_policy(name)));
        CHECK(worn.rig.pool->placement_name() == name);
        worn.fill(at, at + kMiB);
        at += kMiB;
    }
    const auto refused = worn.rig.world.run(worn.wear().set_policy("best"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("adaptive") != std::string::npos);
    CHECK(worn.rig.pool->placement_name() == worn.rig.pool->placement_names().back());
}

TEST_CASE("a clock that is wrong for a moment costs no history", "[pool][wear]") {
    Worn worn;
    std::int64_t wrong = 0;
    worn.rig.wear.wall_seconds = [&] {
        return 1'700'000'000 + wrong + static_cast<std::int64_t>(worn.rig.world.now() / kSecond);
    };
    worn.create();
    worn.rig.world.run_for(600 * kSecond);
    const std::size_t points = worn.account(1).history.points().size();
    REQUIRE(points > 3);
    wrong = -1'000'000;
    worn.rig.world.run_for(600 * kSecond);
    CHECK(worn.account(1).history.points().size() == points);
    wrong = 0;
    worn.rig.world.run_for(600 * kSecond);
    CHECK(worn.account(1).history.points().size() > points);
    // Points from a future that does not come are dropped in the end.
    wrong = -1'000'000;
    worn.rig.world.run_for(8 * 3600 * kSecond);
    CHECK(worn.account(1).history.points().back().time_seconds < 1'700'000'000);
}

TEST_CASE("what was hot is known again after a restart", "[pool][wear]") {
    Worn worn;
    worn.create();
    worn.fill();
    worn.rig.world.run_for(11 * kSecond);
    const auto before = worn.wear().hottest(3);
    REQUIRE(before.size() == 3);
    worn.rig.stop();
    worn.rig.require(worn.rig.assemble());
    const auto after = worn.wear().hottest(3);
    REQUIRE(after.size() == 3);
    CHECK(after[0].rate_bytes == Approx(before[0].rate_bytes).epsilon(0.01));
}

TEST_CASE("settings that hold only together are known again after a restart", "[pool][wear]") {
    Worn worn;
    worn.create();
    std::vector<std::string> low{"spread_start=0.8", "spread_stop=0.4"};
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(low))));
    worn.rig.stop();
    worn.rig.require(worn.rig.assemble());
    CHECK(worn.wear().settings().planner.spread_start == 0.8);
    CHECK(worn.wear().settings().planner.spread_stop == 0.4);
}

TEST_CASE("a reading of a file ends with the file", "[pool][wear]") {
    Worn worn;
    worn.readings.percent[1] = 70;
    worn.create();
    worn.rig.world.run_for(20 * kSecond);
    CHECK(worn.account(1).level() == Approx(70).margin(1));
    worn.readings.percent.erase(1);
    worn.rig.world.run_for(20 * kSecond);
    CHECK(worn.account(1).level() < 1);
    CHECK(worn.account(1).origin == wl::WearOrigin::own);
}

TEST_CASE("a drive that is low on spare blocks takes new groups only where they need it", "[pool][wear]") {
    Worn worn;
    worn.readings.low_on_spare = 0;
    worn.create("adaptive");
    worn.fill();
    CHECK(worn.used(0) == 0);  // five others have room for groups of three

    // What such a drive holds already leaves it.
    Worn late(3);
    late.create("round_robin");
    late.fill();
    REQUIRE(late.used(0) > 0);
    late.readings.low_on_spare = 0;
    for (int round = 0; round < 4; round++) {
        late.rig.world.run_for(10 * kSecond);
        late.fill();
    }
    const std::uint64_t held = late.used(0);
    CHECK_FALSE(late.wear().plan(false).levels_wear);
    late.rig.require(late.rig.world.run(late.wear().set_task(true)));
    late.rig.world.run_for(1800 * kSecond);
    CHECK(held > 0);
    CHECK(late.used(0) == 0);
    late.require_content();

    Worn narrow;
    narrow.rig.options.scheme = "4+2";  // takes all six
    narrow.readings.low_on_spare = 0;
    narrow.create("adaptive");
    narrow.fill();
    CHECK(narrow.used(0) > 0);
    narrow.rig.require_clean_scrub();
}

TEST_CASE("a threshold is told of once, and again for another drive", "[pool][wear]") {
    Worn worn;
    worn.readings.percent = {{2, 79}};
    worn.create();
    worn.rig.world.run_for(20 * kSecond);
    CHECK(worn.events(pool::EventKind::wear_threshold).empty());
    worn.readings.percent[2] = 85;
    worn.rig.world.run_for(60 * kSecond);
    REQUIRE(worn.events(pool::EventKind::wear_threshold).size() == 1);
    worn.rig.stop();
    worn.rig.require(worn.rig.assemble());
    worn.rig.world.run_for(60 * kSecond);
    CHECK(worn.events(pool::EventKind::wear_threshold).size() == 1);
    worn.readings.percent[2] = 10;
    worn.rig.world.run_for(20 * kSecond);
    worn.readings.percent[2] = 91;
    worn.rig.world.run_for(20 * kSecond);
    CHECK(worn.events(pool::EventKind::wear_threshold).size() == 2);
}

TEST_CASE("accounts are reset by command, one or all", "[pool][wear]") {
    Worn worn;
    worn.create();
    worn.fill();
    worn.rig.world.run_for(11 * kSecond);
    const auto one = worn.rig.world.run(worn.wear().reset(member(3), false));
    REQUIRE(one);
    CHECK(*one == std::vector<MemberIndex>{member(3)});
    CHECK(worn.account(3).totals.of(wl::AccountKind::data).bytes == 0);
    CHECK(worn.account(2).totals.of(wl::AccountKind::data).bytes > 0);
    const auto all = worn.rig.world.run(worn.wear().reset(std::nullopt, true));
    REQUIRE(all);
    CHECK(all->size() == 6);
    CHECK(worn.wear().user_bytes() == 0);
    CHECK(worn.events(pool::EventKind::wear_reset).size() == 2);
}

TEST_CASE("a member that joins or comes back has an account, and a lost one is told of", "[pool][wear]") {
    Worn worn;
    worn.create();
    worn.fill();
    worn.rig.require(worn.rig.fail_drive(4));
    CHECK(worn.events(pool::EventKind::member_lost).size() == 1);
    REQUIRE(worn.rig.wait_for_rebuild());
    worn.rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(worn.rig.plug(6));
    worn.rig.require(worn.rig.world.run(worn.rig.pool->add(devices)));
    worn.rig.world.run_for(5 * kSecond);
    CHECK(worn.account(6).totals.of(wl::AccountKind::metadata).count > 0);
    CHECK(worn.events(pool::EventKind::member_added).size() == 1);
    CHECK(worn.events(pool::EventKind::rebuild_done).size() == 1);
    worn.require_content();
}

}  // namespace
}  // namespace xsan::test
