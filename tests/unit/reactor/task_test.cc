// Properties of tasks, groups, timers and the primitives of one reactor.
#include <string>
#include <vector>

#include "reactor/sync.h"
#include "reactor/task_group.h"
#include "support/catch.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using test::make_reactor;
using test::run_task;

namespace {

Task<int> at_once(int value) {
    co_return value;
}

Task<int> later(int value) {
    co_await yield();
    co_return value;
}

Task<std::unique_ptr<int>> boxed(int value) {
    co_await yield();
    co_return std::make_unique<int>(value);
}

Task<int> depth(int levels) {
    if (levels == 0) {
        co_await yield();
        co_return 0;
    }
    auto below = depth(levels - 1);
    co_return 1 + co_await below;
}

Task<void> note_after(TimeNs delay, int number, std::vector<int>& notes) {
    co_await sleep_for(delay);
    notes.push_back(number);
}

Task<void> note_at(TimeNs deadline, int number, std::vector<int>& notes) {
    co_await sleep_until(deadline);
    notes.push_back(number);
}

}  // namespace

TEST_CASE("a task gives its value whether it finishes at once or later", "[task]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        // Awaited before CHECK: its macro would await twice.
        const int seven = co_await at_once(7);
        const int eight = co_await later(8);
        CHECK(seven == 7);
        CHECK(eight == 8);
        const auto box = co_await boxed(9);
        CHECK(*box == 9);
    });
}

TEST_CASE("a million awaits that complete synchronously do not deepen the stack", "[task]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        std::int64_t sum = 0;
        for (int i = 0; i < 1'000'000; i++)
            sum += co_await at_once(1);
        CHECK(sum == 1'000'000);
        for (int i = 0; i < 100'000; i++)
            sum += co_await later(1);
        CHECK(sum == 1'100'000);
    });
}

TEST_CASE("a chain of waiting tasks unwinds through the ready queue", "[task]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        // Going down nests; coming back up must not.
        const int levels = co_await depth(200);
        CHECK(levels == 200);
    });
}

TEST_CASE("a task that was never started is destroyed without running", "[task]") {
    bool ran = false;
    auto body = [&]() -> Task<void> {
        ran = true;
        co_return;
    };
    { auto task = body(); }
    CHECK_FALSE(ran);
}

TEST_CASE("when_all waits for the slowest and keeps every value", "[task]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        std::vector<Task<int>> tasks;
        tasks.push_back(at_once(1));
        tasks.push_back(later(2));
        tasks.push_back(depth(3));
        tasks.push_back(at_once(4));
        co_await when_all(std::span(tasks));
        CHECK(tasks[0].take() == 1);
        CHECK(tasks[1].take() == 2);
        CHECK(tasks[2].take() == 3);
        CHECK(tasks[3].take() == 4);
        std::vector<Task<int>> none;
        co_await when_all(std::span(none));
    });
}

TEST_CASE("a group's join waits also for tasks that its tasks spawn", "[task]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        TaskGroup group;
        int ended = 0;
        auto child = [&]() -> Task<void> {
            co_await sleep_for(kMillisecond);
            ended++;
        };
        auto parent = [&]() -> Task<void> {
            co_await yield();
            group.spawn(child());
            group.spawn(child());
            ended++;
        };
        group.spawn(parent());
        CHECK(group.running() == 1);
        co_await group.join();
        CHECK(ended == 3);
        CHECK(group.running() == 0);
        co_await group.join();
    });
}

TEST_CASE("timers fire by deadline, equal ones in the order of arming", "[timer]") {
    auto reactor = make_reactor();
    std::vector<int> notes;
    run_task(*reactor, [&]() -> Task<void> {
        TaskGroup group;
        group.spawn(note_after(20 * kMillisecond, 4, notes));
        const TimeNs same = Reactor::current().now() + 10 * kMillisecond;
        for (int i = 1; i <= 3; i++)
            group.spawn(note_at(same, i, notes));
        group.spawn(note_after(0, 0, notes));
        const TimeNs begin = Reactor::current().now();
        co_await group.join();
        CHECK(Reactor::current().now() - begin >= 19 * kMillisecond);
    });
    CHECK(notes == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("a cancelled timer does not fire", "[timer]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        int fired = 0;
        Timer timer;
        timer.work = {[](void* count) { ++*static_cast<int*>(count); }, &fired};
        Reactor& here = Reactor::current();
        here.arm(timer, here.now() + kMillisecond);
        here.cancel(timer);
        here.cancel(timer);
        co_await sleep_for(3 * kMillisecond);
        CHECK(fired == 0);
        here.arm(timer, here.now());
        co_await sleep_for(kMillisecond);
        CHECK(fired == 1);
    });
}

TEST_CASE("an event wakes everyone in order and lets later ones through", "[sync]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        Event event;
        std::vector<int> order;
        auto waiter = [&](int number) -> Task<void> {
            co_await event.wait();
            order.push_back(number);
        };
        TaskGroup group;
        for (int i = 0; i < 3; i++)
            group.spawn(waiter(i));
        co_await yield();
        CHECK(order.empty());
        event.set();
        co_await group.join();
        CHECK(order == std::vector<int>{0, 1, 2});
        co_await event.wait();
    });
}

TEST_CASE("a closed gate refuses entry and its close waits for the last to leave", "[sync]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        Gate gate;
        REQUIRE(gate.try_enter());
        REQUIRE(gate.try_enter());
        bool closed = false;
        auto closer = [&]() -> Task<void> {
            co_await gate.close();
            closed = true;
        };
        TaskGroup group;
        group.spawn(closer());
        CHECK_FALSE(gate.try_enter());
        gate.leave();
        co_await yield();
        CHECK_FALSE(closed);
        gate.leave();
        co_await group.join();
        CHECK(closed);
        gate.reopen();
        CHECK(gate.try_enter());
        gate.leave();
    });
}

TEST_CASE("a semaphore admits no more than it has, first come first served", "[sync]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        Semaphore semaphore(2);
        int inside = 0;
        int most = 0;
        std::vector<int> order;
        auto user = [&](int number) -> Task<void> {
            co_await semaphore.acquire();
            order.push_back(number);
            most = std::max(most, ++inside);
            co_await yield();
            inside--;
            semaphore.release();
        };
        TaskGroup group;
        for (int i = 0; i < 10; i++)
            group.spawn(user(i));
        co_await group.join();
        CHECK(most == 2);
        CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    });
}

TEST_CASE("a mutex is held across awaits by one task at a time", "[sync]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        AsyncMutex mutex;
        int inside = 0;
        int turns = 0;
        auto user = [&]() -> Task<void> {
            for (int i = 0; i < 100; i++) {
                co_await mutex.lock();
                AsyncMutex::Guard guard(mutex);
                CHECK(++inside == 1);
                co_await yield();
                inside--;
                turns++;
            }
        };
        TaskGroup group;
        for (int i = 0; i < 5; i++)
            group.spawn(user());
        co_await group.join();
        CHECK(turns == 500);
    });
}

TEST_CASE("the ready queue keeps its order while it grows and when one is taken out", "[sync]") {
    ReadyQueue queue;
    std::vector<int> numbers(200);
    std::size_t next = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++)
            queue.push({nullptr, &numbers[next++]});
        for (int i = 0; i < 10; i++)
            (void)queue.pop();
    }
    CHECK(queue.take(5).argument == &numbers[35]);
    std::vector<int*> rest;
    while (!queue.empty())
        rest.push_back(static_cast<int*>(queue.pop().argument));
    REQUIRE(rest.size() == 119);
    CHECK(rest[4] == &numbers[34]);
    CHECK(rest[5] == &numbers[36]);
    CHECK(rest.back() == &numbers[149]);
}
