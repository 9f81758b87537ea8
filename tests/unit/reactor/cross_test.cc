// Properties of the primitives in which threads meet.
#include <array>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "reactor/cross.h"
#include "support/catch.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using test::make_pool;
using test::make_reactor;
using test::run_task;
using Mode = KeyedLock::Mode;

namespace {

Task<int> value_of_thread(std::thread::id& where) {
    co_await yield();
    where = std::this_thread::get_id();
    co_return 42;
}

// Runs one body per reactor of the pool at once; body(i) runs on reactor i.
template <class F>
Task<void> on_all(ReactorPool& pool, F& body) {
    auto one = [&](unsigned i) -> Task<void> {
        auto there = [&body, i] { return body(i); };
        co_await call_on(static_cast<Reactor&>(pool.at(i)), there);
    };
    std::vector<Task<void>> tasks;
    for (unsigned i = 0; i < pool.size(); i++)
        tasks.push_back(one(i));
    co_await when_all(std::span(tasks));
}

}  // namespace

TEST_CASE("call_on runs on the target's thread and brings the value home", "[cross]") {
    auto pool = make_pool(3);
    run_task(*pool, [&]() -> Task<void> {
        const auto home = std::this_thread::get_id();
        for (unsigned i = 0; i < 3; i++) {
            std::thread::id where;
            auto fn = [&] { return value_of_thread(where); };
            const int value = co_await call_on(static_cast<Reactor&>(pool->at(i)), fn);
            CHECK(value == 42);
            CHECK((where == home) == (i == 0));
            CHECK(std::this_thread::get_id() == home);
        }
    });
}

TEST_CASE("a keyed lock serves in order: shared together, exclusive alone, nobody overtakes",
          "[lock]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        KeyedLock lock(4);
        std::vector<char> order;
        auto user = [&](char name, Mode mode, int turns) -> Task<void> {
            co_await lock.acquire(7, mode);
            KeyedLock::Guard guard(lock, 7, mode);
            order.push_back(name);
            for (int i = 0; i < turns; i++)
                co_await yield();
            order.push_back(static_cast<char>(name - 'a' + 'A'));
        };
        TaskGroup group;
        group.spawn(user('a', Mode::shared, 3));
        group.spawn(user('b', Mode::shared, 3));
        group.spawn(user('c', Mode::exclusive, 3));
        group.spawn(user('d', Mode::shared, 3));  // behind c, although a and b are shared
        group.spawn(user('e', Mode::exclusive, 1));
        CHECK(order == std::vector<char>{'a', 'b'});
        CHECK_FALSE(lock.try_acquire(7, Mode::shared));
        co_await group.join();
        CHECK(std::string(order.begin(), order.end()) == "abABcCdDeE");
        REQUIRE(lock.try_acquire(7, Mode::exclusive));
        CHECK_FALSE(lock.try_acquire(7, Mode::shared));
        lock.release(7, Mode::exclusive);
        REQUIRE(lock.try_acquire(7, Mode::shared));
        REQUIRE(lock.try_acquire(7, Mode::shared));
        lock.release(7, Mode::shared);
        lock.release(7, Mode::shared);
    });
}

TEST_CASE("keys that differ in one half only spread over the slots of a keyed lock", "[lock]") {
    // The engine's keys: group << 32 | stripe. 1024 keys thrown at 16384 slots meet about 32 times.
    const KeyedLock lock(14);
    for (std::uint64_t fixed : {0, 1, 77, 4095}) {
        std::set<std::size_t> by_group;
        std::set<std::size_t> by_stripe;
        for (std::uint64_t i = 0; i < 1024; i++) {
            by_group.insert(lock.slot_index(i << 32 | fixed));
            by_stripe.insert(lock.slot_index(fixed << 32 | i));
        }
        CHECK(by_group.size() > 900);
        CHECK(by_stripe.size() > 900);
        CHECK(*by_group.rbegin() < 1u << 14);
    }
}

TEST_CASE("keyed locks keep their promise between reactors", "[lock]") {
    constexpr unsigned kReactors = 3;
    constexpr std::size_t kKeys = 4;
    constexpr int kTasks = 6;
    constexpr int kTurns = 400;
    auto pool = make_pool(kReactors);
    // Plain memory, guarded by nothing but the lock: TSan sees a lock that does not synchronise.
    struct Guarded {
        std::uint64_t first = 0;
        std::uint64_t second = 0;
    };
    std::array<Guarded, kKeys> values{};
    std::array<std::array<std::uint64_t, kKeys>, kReactors> writes{};
    run_task(*pool, [&]() -> Task<void> {
        KeyedLock lock(6);
        auto user = [&](unsigned reactor, std::uint64_t seed) -> Task<void> {
            Rng rng(seed);
            for (int i = 0; i < kTurns; i++) {
                const std::uint64_t key = rng.below(kKeys);
                const bool exclusive = rng.chance_percent(40);
                const Mode mode = exclusive ? Mode::exclusive : Mode::shared;
                co_await lock.acquire(key, mode);
                KeyedLock::Guard guard(lock, key, mode);
                XSAN_ASSERT(UringReactor::current().index() == reactor);
                Guarded& value = values[key];
                XSAN_ASSERT(value.first == value.second);
                if (exclusive) value.first++;
                if (rng.chance_percent(50)) co_await yield();
                if (exclusive) {
                    value.second++;
                    writes[reactor][key]++;
                }
                XSAN_ASSERT(value.first == value.second);
            }
        };
        auto body = [&](unsigned reactor) -> Task<void> {
            TaskGroup group;
            for (int t = 0; t < kTasks; t++) {
                group.spawn(user(reactor, reactor * 100 + static_cast<unsigned>(t)));
            }
            co_await group.join();
        };
        co_await on_all(*pool, body);
    });
    std::uint64_t total = 0;
    for (std::size_t key = 0; key < kKeys; key++) {
        std::uint64_t sum = 0;
        for (const auto& per_reactor : writes)
            sum += per_reactor[key];
        CHECK(values[key].first == sum);
        total += sum;
    }
    CHECK(total > kReactors * kTasks * kTurns / 4);
}

TEST_CASE("a keyed lock may be released on another reactor than it was acquired", "[lock]") {
    auto pool = make_pool(2);
    run_task(*pool, [&]() -> Task<void> {
        KeyedLock lock(2);
        int turns = 0;
        auto user = [&](unsigned) -> Task<void> {
            for (int i = 0; i < 200; i++) {
                co_await lock.acquire(1, Mode::exclusive);
                turns++;
                Reactor& home = Reactor::current();
                co_await SwitchTo(pool->at(1 - home.index()));
                lock.release(1, Mode::exclusive);
                co_await SwitchTo(home);
            }
        };
        co_await on_all(*pool, user);
        CHECK(turns == 400);
    });
}

TEST_CASE("synchronize returns only after those who entered before it have left", "[quiescence]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        Quiescence quiescence(1);
        const auto early = quiescence.enter();
        bool returned = false;
        auto waiter = [&]() -> Task<void> {
            co_await quiescence.synchronize();
            returned = true;
        };
        TaskGroup group;
        group.spawn(waiter());
        co_await sleep_for(kMillisecond);
        CHECK_FALSE(returned);
        const auto late = quiescence.enter();  // must not be waited for
        quiescence.leave(early);
        co_await group.join();
        CHECK(returned);
        quiescence.leave(late);
    });
}

TEST_CASE("what was replaced is freed only when no reactor can see it", "[quiescence]") {
    constexpr unsigned kReactors = 3;
    auto pool = make_pool(kReactors);
    struct Row {
        std::uint64_t alive = 1;
    };
    run_task(*pool, [&]() -> Task<void> {
        Quiescence quiescence(kReactors);
        std::atomic<Row*> row{new Row};
        std::atomic<bool> ended{false};
        std::atomic<unsigned> reading{0};
        auto reader = [&](unsigned) -> Task<void> {
            reading++;
            while (!ended.load()) {
                for (int i = 0; i < 50; i++) {
                    const auto token = quiescence.enter();
                    const Row* seen = row.load(std::memory_order_acquire);
                    co_await yield();
                    XSAN_ASSERT(seen->alive == 1);
                    quiescence.leave(token);
                }
                co_await sleep_for(50 * kMicrosecond);
            }
        };
        auto writer = [&]() -> Task<void> {
            while (reading.load() < kReactors)
                co_await sleep_for(100 * kMicrosecond);
            for (int i = 0; i < 100; i++) {
                Row* old = row.exchange(new Row, std::memory_order_acq_rel);
                co_await quiescence.synchronize();
                old->alive = 0;
                delete old;
            }
        };
        auto both_writers = [&]() -> Task<void> {
            std::vector<Task<void>> writers;
            for (int i = 0; i < 2; i++)
                writers.push_back(writer());
            co_await when_all(std::span(writers));
            ended.store(true);
        };
        TaskGroup group;
        group.spawn(both_writers());
        co_await on_all(*pool, reader);
        co_await group.join();
        delete row.load();
    });
}
