// The engine on real threads: three io_uring reactors whose writers meet in the same stripes of
// memory devices, with flushes, a member that is lost and a rebuild meanwhile. To be run under
// ThreadSanitizer, too.
#include <bit>
#include <cstring>

#include "dev/mem_device.h"
#include "unit/raid/fixture.h"
#include "unit/reactor/run_task.h"

namespace xsan::test {
namespace {

constexpr std::uint32_t kThreadBlock = 512;
constexpr std::uint32_t kUnit = 4 * kThreadBlock;  // consecutive blocks of one owner
constexpr unsigned kReactors = 3;
constexpr unsigned kWorkers = 3;  // of each reactor
constexpr unsigned kOwners = kReactors * kWorkers;

struct Shared {
    FakePool pool;
    raid::Engine engine;
    GroupIndex group;
    std::vector<std::unique_ptr<dev::MemDevice>> devices;
    std::atomic<unsigned> wrong{0};
    std::atomic<unsigned> errors{0};

    Shared(const Shape& shape, std::uint32_t stripes, unsigned spares)
        : pool(scheme_of(shape.text, shape.members, 4096), std::uint64_t{stripes} * 4096,
               shape.members + spares),
          engine(pool, pool, options()) {
        std::vector<unsigned> slots;
        for (unsigned i = 0; i < shape.members + spares; i++) {
            devices.push_back(std::make_unique<dev::MemDevice>(4 * kMiB, kThreadBlock));
            pool.add_member(i, *devices[i]);
            if (i < shape.members) slots.push_back(i);
        }
        group = pool.add_group(slots);
    }
    static raid::EngineOptions options() {
        raid::EngineOptions o;
        o.reactors = kReactors;
        o.members_max = 16;
        return o;
    }
};

// What one owner wrote into its units, which nobody else touches: unit u belongs to owner u %
// kOwners, so that each stripe holds units of several reactors.
struct Owner {
    Shared& shared;
    unsigned index;
    std::vector<std::byte> content;  // of the whole group; only the own units count

    Owner(Shared& s, unsigned i) : shared(s), index(i), content(s.pool.data_bytes()) {}

    std::uint64_t random_unit(Rng& rng) const {
        const std::uint64_t units = content.size() / kUnit;
        return (rng.below(units / kOwners) * kOwners + index) * kUnit;
    }
    Task<void> hammer(std::uint64_t seed, unsigned requests) {
        Rng rng(seed);
        std::vector<std::byte> buffer(kUnit);
        for (unsigned i = 0; i < requests; i++) {
            const std::uint64_t first = rng.below(4), blocks = 1 + rng.below(4 - first);
            const std::uint64_t at = random_unit(rng) + first * kThreadBlock,
                                bytes = blocks * kThreadBlock;
            Quiescence::Scope scope(shared.engine.quiescence());
            if (rng.chance_percent(35)) {
                const auto done =
                    co_await shared.engine.read({shared.group, at, bytes}, buffer.data());
                if (!done) shared.errors++;
                if (done && std::memcmp(buffer.data(), &content[at], bytes) != 0) shared.wrong++;
            } else if (rng.chance_percent(95)) {
                for (std::size_t b = 0; b < bytes; b += 8) {
                    const std::uint64_t word = rng.next();
                    std::memcpy(&buffer[b], &word, 8);
                }
                raid::WriteFlags flags;
                flags.fua = rng.chance_percent(10);
                flags.stable_buffer = rng.chance_percent(50);
                const auto done =
                    co_await shared.engine.write({shared.group, at, bytes}, buffer.data(), flags);
                if (!done) shared.errors++;
                std::memcpy(&content[at], buffer.data(), bytes);
            } else {
                const auto done = co_await shared.engine.flush();
                if (!done) shared.errors++;
            }
        }
    }
    Task<void> verify() {
        std::vector<std::byte> buffer(kUnit);
        for (std::uint64_t at = index * kUnit; at + kUnit <= content.size();
             at += kOwners * kUnit) {
            Quiescence::Scope scope(shared.engine.quiescence());
            const auto done = co_await shared.engine.read({shared.group, at, kUnit}, buffer.data());
            if (!done || std::memcmp(buffer.data(), &content[at], kUnit) != 0) shared.wrong++;
        }
    }
};

Task<void> hammer_here(std::vector<std::unique_ptr<Owner>>& owners, unsigned reactor,
                       std::uint64_t seed, unsigned requests) {
    std::vector<Task<void>> tasks;
    for (unsigned w = 0; w < kWorkers; w++) {
        tasks.push_back(
            owners[reactor * kWorkers + w]->hammer(seed * 100 + reactor * kWorkers + w, requests));
    }
    co_await when_all(std::span(tasks));
}

Task<void> hammer_on(ReactorPool& pool, unsigned reactor,
                     std::vector<std::unique_ptr<Owner>>& owners, std::uint64_t seed,
                     unsigned requests) {
    auto there = [&owners, reactor, seed, requests] {
        return hammer_here(owners, reactor, seed, requests);
    };
    co_await call_on(static_cast<Reactor&>(pool.at(reactor)), there);
}

Task<Result<void>> adopt(void* argument) {
    auto& [pool, mover] = *static_cast<std::pair<FakePool*, raid::Mover*>*>(argument);
    pool->adopt(*mover);
    co_return Result<void>{};
}

Task<void> rebuild(Shared& shared, raid::Mover& mover, bool& moved) {
    moved = true;
    auto result = co_await shared.engine.start_mover(mover);
    for (std::uint32_t s = 0; s < mover.stripes() && result; s++) {
        result = co_await shared.engine.move_stripe(mover, StripeIndex{s});
        if (s % 4 == 0) co_await yield();
    }
    if (!result) moved = false;
    std::pair<FakePool*, raid::Mover*> argument(&shared.pool, &mover);
    const auto finished = co_await shared.engine.finish_mover(mover, adopt, &argument);
    if (!finished) moved = false;
}

struct Phase {
    ReactorPool& pool;
    Shared& shared;
    std::vector<std::unique_ptr<Owner>>& owners;

    // All reactors at once; `mover`, where there is one, on this reactor meanwhile.
    Task<bool> run(std::uint64_t seed, unsigned requests, raid::Mover* mover) {
        bool moved = true;
        std::vector<Task<void>> tasks;
        for (unsigned r = 0; r < kReactors; r++)
            tasks.push_back(hammer_on(pool, r, owners, seed, requests));
        if (mover != nullptr) tasks.push_back(rebuild(shared, *mover, moved));
        co_await when_all(std::span(tasks));
        co_return moved;
    }
    Task<bool> all_agrees() {
        bool agrees = true;
        for (auto& owner : owners)
            co_await owner->verify();
        for (std::uint32_t s = 0; s < shared.pool.stripes(); s++) {
            const auto checked = co_await shared.engine.check_stripe(shared.group, StripeIndex{s});
            agrees = agrees && checked.has_value() && checked->agrees;
        }
        co_return agrees;
    }
};

}  // namespace

TEST_CASE(
    "reactors that hammer the same stripes lose no write, healthy, degraded and while rebuilding") {
#if defined(__SANITIZE_THREAD__)
    constexpr unsigned kRequests = 500;
#else
    constexpr unsigned kRequests = 1500;
#endif
    for (const Shape& shape :
         {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"1+1", 2}, Shape{"raid10", 4}}) {
        CAPTURE(shape.text);
        constexpr std::uint32_t kStripes = 18;
        Shared shared(shape, kStripes, 2);
        std::vector<std::unique_ptr<Owner>> owners;
        for (unsigned i = 0; i < kOwners; i++)
            owners.push_back(std::make_unique<Owner>(shared, i));
        raid::Mover relocation(shared.group, {shared.pool.target(0, shape.members)}, kStripes);
        raid::Mover repair(shared.group, {shared.pool.target(1, shape.members + 1)}, kStripes);
        bool good = true;
        auto threads = make_pool(kReactors);
        run_task(*threads, [&]() -> Task<void> {
            Phase phase{*threads, shared, owners};
            good = co_await phase.run(1, kRequests, nullptr) && good;
            good = co_await phase.all_agrees() && good;
            good = co_await phase.run(2, kRequests, &relocation) && good;
            good = co_await phase.all_agrees() && good;
            shared.pool.set_live(1, false);
            good = co_await phase.run(3, kRequests, nullptr) && good;
            good = co_await phase.all_agrees() && good;
            good = co_await phase.run(4, kRequests, &repair) && good;
            good = co_await phase.all_agrees() && good;
            shared.pool.set_live(shape.members, false);  // what the relocation went to
            good = co_await phase.all_agrees() && good;
        });
        CHECK(good);
        CHECK(shared.wrong == 0);
        CHECK(shared.errors == 0);
        CHECK(shared.pool.events().empty());
    }
}

}  // namespace xsan::test
