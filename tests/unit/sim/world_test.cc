// The simulated world: virtual time, order, determinism, deadlocks.
#include "sim/sim_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "reactor/cross.h"
#include "reactor/sync.h"
#include "support/catch.h"

using namespace xsan;
using sim::World;
using sim::WorldOptions;

namespace {

Task<int> add_slowly(int a, int b) {
    co_await sleep_for(5 * kMillisecond);
    co_return a + b;
}

Task<void> log_turns(std::vector<int>& log, int who, int turns) {
    for (int i = 0; i < turns; i++) {
        log.push_back(who);
        co_await yield();
    }
}

Task<void> wait_for(Event& event) {
    co_await event.wait();
}

Task<unsigned> index_here() {
    co_return Reactor::current().index();
}

Task<unsigned> visit(World& world, unsigned other) {
    auto ask = [] { return index_here(); };
    co_return co_await call_on(world.reactor(other), ask);
}

Task<void> tick(int& ticks, TimeNs period, int times) {
    for (int i = 0; i < times; i++) {
        co_await sleep_for(period);
        ticks++;
    }
}

std::vector<int> interleaving(std::uint64_t seed, const WorldOptions& options) {
    World world(seed, options);
    std::vector<int> log;
    for (unsigned r = 0; r < options.reactors; r++) {
        world.spawn(log_turns(log, static_cast<int>(2 * r), 10), r);
        world.spawn(log_turns(log, static_cast<int>(2 * r + 1), 10), r);
    }
    world.run_until_idle();
    return log;
}

}  // namespace

TEST_CASE("a task runs in virtual time", "[sim][world]") {
    World world;
    const TimeNs begin = world.now();
    REQUIRE(world.run(add_slowly(2, 3)) == 5);
    REQUIRE(world.now() == begin + 5 * kMillisecond);
}

TEST_CASE("a task visits another reactor and comes home", "[sim][world]") {
    WorldOptions options;
    options.reactors = 3;
    World world(0, options);
    REQUIRE(world.run(visit(world, 2)) == 2);
    REQUIRE(world.run(visit(world, 0), 1) == 0);
    REQUIRE(world.run(index_here(), 1) == 1);
}

TEST_CASE("fifo order takes turns; random order differs by seed and repeats for one",
          "[sim][world]") {
    WorldOptions options;
    const std::vector<int> fifo = interleaving(1, options);
    for (std::size_t i = 0; i < fifo.size(); i++)
        REQUIRE(fifo[i] == static_cast<int>(i % 2));

    options.reactors = 3;
    options.order = sim::Order::random;
    for (const bool random_ready : {false, true}) {
        options.random_ready = random_ready;
        std::set<std::vector<int>> orders;
        for (std::uint64_t seed = 0; seed < 20; seed++) {
            const auto order = interleaving(seed, options);
            REQUIRE(order == interleaving(seed, options));
            orders.insert(order);
            if (random_ready) continue;
            // Each reactor's own queue stays first in, first out.
            std::vector<int> own;
            for (const int who : order) {
                if (who < 2) own.push_back(who);
            }
            for (std::size_t i = 0; i < own.size(); i++)
                REQUIRE(own[i] == static_cast<int>(i % 2));
        }
        REQUIRE(orders.size() == 20);
    }
}

TEST_CASE("run_for runs what is due and moves the time", "[sim][world]") {
    World world;
    int ticks = 0;
    world.spawn(tick(ticks, kMillisecond, 10));
    const TimeNs begin = world.now();
    world.run_for(4 * kMillisecond + 1);
    REQUIRE(ticks == 4);
    REQUIRE(world.now() == begin + 4 * kMillisecond + 1);
    world.run_until_idle();
    REQUIRE(ticks == 10);
    REQUIRE(world.spawned_running() == 0);
}

TEST_CASE("a task that nothing will wake is seen as stuck", "[sim][world]") {
    World world;
    Event never;
    world.spawn(wait_for(never));
    REQUIRE_FALSE(world.run_until([&] { return world.spawned_running() == 0; }));
    world.reactor().enter([&] { never.set(); });
    REQUIRE(world.run_until([&] { return world.spawned_running() == 0; }));
}

TEST_CASE("run() stops the process with a message at a deadlock", "[sim][world]") {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        World world(77);
        Event never;
        world.run(wait_for(never));
        _exit(0);
    }
    close(pipe_ends[1]);
    std::string message;
    char buffer[256];
    for (ssize_t n = 0; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
        message.append(buffer, static_cast<std::size_t>(n));
    }
    close(pipe_ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(message.find("deadlock") != std::string::npos);
    REQUIRE(message.find("seed 77") != std::string::npos);
}

TEST_CASE("worlds nest: a step of one may run another", "[sim][world]") {
    World outer;
    const auto nested = []() -> Task<int> {
        World inner;
        const int sum = inner.run(add_slowly(1, 1));
        co_await yield();
        co_return sum + static_cast<int>(Reactor::current().index());
    };
    REQUIRE(outer.run(nested()) == 2);
}
