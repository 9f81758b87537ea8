// The background task of wear leveling: it levels, waits, keeps to its rate and stops by itself.
#include "unit/pool/worn.h"

namespace xsan::test {
namespace {

TEST_CASE("the background task relieves a worn drive of what is hot, and stops by itself", "[pool][wear]") {
    Worn worn(3);
    worn.create_uneven();
    const std::uint64_t before = worn.used(0);
    REQUIRE(before > 0);
    CHECK_FALSE(worn.wear().plan(true).moves.empty());
    worn.rig.require(worn.rig.world.run(worn.wear().set_task(true)));
    REQUIRE(worn.rig.wait_until([&] { return !worn.events(pool::EventKind::wear_moved).empty(); }));
    worn.rig.world.run_for(1800 * kSecond);
    INFO(worn.rig.log.text());
    CHECK(worn.used(0) < before);
    CHECK(worn.rig.pool->moves().is_idle());
    CHECK(worn.wear().task().moves_failed == 0);
    CHECK(worn.wear().task().moves_done > 0);
    CHECK(worn.events(pool::EventKind::wear_plan).size() <= worn.wear().task().moves_done);
    worn.require_content();
    worn.rig.require_clean_scrub();
}

TEST_CASE("moves wait while the task is paused, and it waits outside its schedule", "[pool][wear]") {
    using State = pool::Wear::TaskView::State;
    Worn worn(3);
    worn.create_uneven();
    (void)worn.on_control([](pool::Wear& w) {
        w.set_paused(true);
        return true;
    });
    const auto plan = worn.on_control([](pool::Wear& w) { return w.balance(); });
    REQUIRE(plan);
    REQUIRE_FALSE(plan->moves.empty());
    worn.rig.world.run_for(20 * kSecond);
    CHECK(worn.wear().task().state == State::paused);
    CHECK(worn.wear().task().moves_done == 0);
    CHECK(worn.rig.pool->moves().waiting() > 0);
    (void)worn.on_control([](pool::Wear& w) {
        w.set_paused(false);
        return true;
    });
    REQUIRE(worn.rig.wait_until([&] { return worn.rig.pool->moves().is_idle(); }));
    CHECK(worn.wear().task().moves_done > 0);
    worn.rig.world.run_for(5 * kSecond);
    CHECK(worn.wear().task().state == State::stopped);

    std::vector<std::string> never{"schedule=00:00-00:01"};  // the test's clock begins at 22:13
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(never))));
    worn.rig.require(worn.rig.world.run(worn.wear().set_task(true)));
    CHECK(worn.wear().task().state == State::waiting);
    worn.require_content();
}

TEST_CASE("the rate of moves is in force from the first byte on", "[pool][wear]") {
    Worn worn(3);
    worn.create_uneven();
    std::vector<std::string> slow{"rate_max=128K"};
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(slow))));
    const auto plan = worn.on_control([](pool::Wear& w) { return w.balance(); });
    REQUIRE(plan);
    REQUIRE_FALSE(plan->moves.empty());
    worn.rig.world.run_for(900 * kMillisecond);
    CHECK(worn.wear().task().moves_done == 0);  // one writes a MiB, which takes eight seconds
    CHECK(worn.wear().task().rate_bytes == 128 * kKiB);
    REQUIRE(worn.rig.wait_until([&] { return worn.rig.pool->moves().is_idle(); }));
    CHECK(worn.wear().task().moves_done == plan->moves.size());
}

TEST_CASE("how long users wait without moves is learned while moves go on", "[pool][wear]") {
    Worn worn(3);
    worn.create_uneven();
    TimeNs wait = 400'000;
    pool::UserLoad load;
    worn.wear().set_load_source([&] {
        load.requests += 1000;
        load.nanoseconds += 1000 * static_cast<std::uint64_t>(wait);
        return load;
    });
    std::vector<std::string> slow{"rate_max=64K"};  // a move takes sixteen seconds
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(slow))));
    REQUIRE(worn.on_control([](pool::Wear& w) { return w.balance(); }));
    REQUIRE(worn.rig.wait_until([&] { return worn.wear().task().latency_ns.has_value(); }));
    CHECK_FALSE(worn.wear().task().latency_quiet_ns);
    wait = 100'000;  // moves stand still for a look
    REQUIRE(worn.rig.wait_until([&] { return worn.wear().task().latency_quiet_ns.has_value(); }));
    CHECK(*worn.wear().task().latency_quiet_ns == Approx(100'000));
    REQUIRE_FALSE(worn.rig.pool->moves().is_idle());
    wait = 400'000;
    worn.rig.world.run_for(7 * kSecond);
    REQUIRE_FALSE(worn.rig.pool->moves().is_idle());
    CHECK(*worn.wear().task().latency_quiet_ns == Approx(100'000));
    const auto told = worn.events(pool::EventKind::wear_task);
    REQUIRE(told.size() == 1);
    CHECK(told[0].text == "users wait 400 us instead of 100: moves go slower");
}

TEST_CASE("the task's stop ends a balance by command, too", "[pool][wear]") {
    Worn worn(3);
    worn.create_uneven();
    std::vector<std::string> slow{"rate_max=64K"};
    worn.rig.require(worn.rig.world.run(worn.wear().change_settings(std::move(slow))));
    REQUIRE(worn.on_control([](pool::Wear& w) { return w.balance(); }));
    worn.rig.world.run_for(2 * kSecond);
    REQUIRE_FALSE(worn.rig.pool->moves().is_idle());
    worn.rig.require(worn.rig.world.run(worn.wear().set_task(false)));
    worn.rig.world.run_for(2 * kSecond);
    CHECK(worn.rig.pool->moves().is_idle());
    CHECK(worn.wear().task().moves_done == 0);
    worn.require_content();
}

TEST_CASE("moves by command keep to the rate of rebuilds", "[pool][wear]") {
    Worn worn(3);
    worn.create_uneven();
    worn.rig.require(worn.rig.world.run(worn.rig.pool->set_rebuild(false, 128 * kKiB)));
    const auto plan = worn.on_control([](pool::Wear& w) { return w.plan(true); });
    REQUIRE_FALSE(plan.moves.empty());
    const pool::MoveOrder order{plan.moves[0].group, plan.moves[0].from, plan.moves[0].to};
    REQUIRE(worn.on_control([&](pool::Wear&) { return worn.rig.pool->relocate(order); }));
    worn.rig.world.run_for(5 * kSecond);
    CHECK_FALSE(worn.rig.pool->moves().is_idle());  // a MiB takes eight seconds
    CHECK_FALSE(worn.rig.pool->moves().rate_max());
    REQUIRE(worn.rig.wait_until([&] { return worn.rig.pool->moves().is_idle(); }));
    CHECK(worn.wear().task().moves_done == 0);
}

}  // namespace
}  // namespace xsan::test
