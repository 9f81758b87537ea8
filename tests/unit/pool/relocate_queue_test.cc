// The queue of relocations for a background task, and one group rebuilt ahead of the others.
#include "unit/pool/movable_pool.h"

namespace xsan::test {

TEST_CASE("the queue: orders wait, are held, cancelled and paced; a command goes first") {
    MovablePool filled;
    Rig& rig = filled.rig;
    filled.pause(true);
    const MoveOrder first = filled.order(0);
    const MoveOrder second = filled.order(1);
    const MoveOrder third = filled.order(2);
    rig.require(filled.enqueue(first));
    rig.require(filled.enqueue(second));
    const auto again = filled.enqueue(first);
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == Errc::exists);
    rig.world.run_for(5 * kSecond);
    CHECK(filled.job().state == pool::JobState::paused);
    CHECK(filled.job().bytes_done == 0);
    CHECK(rig.pool->group_status(first.group)->work == pool::GroupStatus::Work::waits);
    // A command is not held, and replaces what waited for its group.
    rig.require(filled.relocate(third));
    rig.require(filled.relocate(second));
    REQUIRE(rig.wait_until([&] { return rig.pool->moves().running() == 0; }));
    CHECK(filled.is_on(third, third.to));
    CHECK(filled.is_on(second, second.to));
    CHECK(filled.is_on(first, first.from));
    CHECK(rig.pool->moves().waiting() == 1);
    CHECK(filled.cancel() == 1);
    CHECK(rig.pool->moves().is_idle());

    // One that runs is given up when it is held, begins again, and keeps to its rate.
    filled.pause(false);
    rig.pool->set_move_rate(256 * kKiB);
    rig.require(filled.enqueue(first));
    rig.world.run_for(kSecond);
    CHECK(rig.pool->moves().running() == 1);
    filled.pause(true);
    REQUIRE(rig.wait_until([&] { return rig.pool->moves().running() == 0; }));
    CHECK(rig.pool->moves().waiting() == 1);
    filled.pause(false);
    const TimeNs begun = rig.world.now();
    REQUIRE(filled.wait_for_moves());
    CHECK(rig.world.now() - begun > 3 * kSecond);
    CHECK(filled.is_on(first, first.to));
    CHECK(filled.job().state == pool::JobState::done);

    rig.require(filled.enqueue({first.group, first.to, first.from}));
    rig.world.run_for(kSecond);
    CHECK(filled.cancel(first.group) == 1);
    REQUIRE(filled.wait_for_moves());
    CHECK(filled.is_on(first, first.to));
    check_places(rig);
    filled.require_content();
    rig.stop();
}

TEST_CASE("orders in the background wait for rebuilds, and are dropped where they hold no more") {
    MovablePool filled;
    Rig& rig = filled.rig;
    filled.pause(true);
    const MoveOrder order = filled.order();
    rig.require(filled.enqueue(order));
    rig.require(rig.fail_drive(order.to.get()));
    filled.pause(false);
    REQUIRE(filled.wait_for_moves());
    CHECK(filled.job().state == pool::JobState::failed);
    CHECK(filled.is_on(order, order.from));
    CHECK(rig.log.text().find("is not moved") != std::string::npos);
    REQUIRE(rig.wait_for_rebuild());
    filled.require_content();
    rig.stop();
}

TEST_CASE("one group is rebuilt before all others") {
    MovablePool filled;
    Rig& rig = filled.rig;
    const MoveOrder order = filled.order();
    const auto whole = filled.rebuild(order.group);
    REQUIRE_FALSE(whole.has_value());
    CHECK(whole.error().message.find("has lost nothing") != std::string::npos);
    CHECK(filled.rebuild(GroupIndex{4000}).error().code == Errc::not_found);
    rig.require(rig.world.run(rig.pool->set_rebuild(true, std::nullopt)));
    rig.require(rig.fail_drive(order.from.get()));
    CHECK(filled.rebuild(order.group).error().code == Errc::busy);
    rig.require(rig.world.run(rig.pool->set_rebuild(false, 1)));  // others would take hours
    rig.world.run_for(10 * kMillisecond);
    const auto answer = filled.rebuild(order.group);
    rig.require(answer);
    CHECK(answer->work == pool::GroupStatus::Work::rebuild);
    CHECK(answer->strips[0].is_lost);
    CHECK(answer->strips[0].to.has_value());
    CHECK_FALSE(filled.relocate({order.group, *answer->strips[1].member, order.to}).has_value());
    rig.require(rig.world.run(rig.pool->set_rebuild(false, 0)));
    REQUIRE(rig.wait_for_rebuild());
    filled.require_content();
    check_places(rig);
    rig.stop();
}

}  // namespace xsan::test
