// MoverRun: the life of a mover as a pool leads it.
#pragma once

#include <utility>
#include <vector>

#include "unit/raid/workload.h"

namespace xsan::test {

struct Commit {
    FakePool& pool;
    raid::Mover& mover;
    static Task<Result<void>> run(void* argument) {
        auto& self = *static_cast<Commit*>(argument);
        co_await sleep_for(200 * kMicrosecond);
        self.pool.adopt(self.mover);
        co_return Result<void>{};
    }
};

// The life of a mover as a pool leads it: all stripes in some order, then the commit.
struct MoverRun {
    Rig& rig;
    raid::Mover& mover;
    Rng rng;
    Result<void> result;

    Task<void> run() {
        result = co_await rig.engine.start_mover(mover);
        if (!result) co_return;
        std::vector<std::uint32_t> order(mover.stripes());
        for (std::uint32_t i = 0; i < order.size(); i++)
            order[i] = i;
        for (std::size_t i = order.size(); i > 1; i--)
            std::swap(order[i - 1], order[rng.below(i)]);
        for (const std::uint32_t stripe : order) {
            result = co_await rig.engine.move_stripe(mover, StripeIndex{stripe});
            if (!result) break;
            if (rng.chance_percent(50)) co_await sleep_for(rng.below(2000) * kMicrosecond);
        }
        Commit commit{rig.pool, mover};
        const bool moved = result.has_value();
        const auto finished =
            co_await rig.engine.finish_mover(mover, moved ? Commit::run : nullptr, &commit);
        if (moved) result = finished;
    }
};

inline RigOptions with_spares(std::uint64_t seed, unsigned spares, unsigned reactors = 1) {
    RigOptions o;
    o.strip_bytes = 8192;
    o.block_bytes = seed % 2 == 0 ? 512 : 4096;
    o.stripes = 10;
    o.spare_members = spares;
    o.reactors = reactors;
    o.seed = seed;
    o.random_order = true;
    o.spread = 300 * kMicrosecond;
    return o;
}

inline raid::Mover mover_to_spares(Rig& rig, const std::vector<unsigned>& slots) {
    std::vector<raid::MoveTarget> targets;
    for (std::size_t i = 0; i < slots.size(); i++) {
        targets.push_back(rig.pool.target(slots[i], rig.total_strips() + static_cast<unsigned>(i)));
    }
    return raid::Mover(rig.group, std::move(targets), rig.options.stripes);
}

inline Errc move_all(Rig& rig, raid::Mover& mover) {
    MoverRun run{rig, mover, Rng(5), {}};
    rig.world.run(run.run());
    return run.result.error().code;
}

// The same while requests go on: none of them fails, and all is read as it was written.
inline void move_while(Workload& load, Rig& rig, raid::Mover& mover, std::uint64_t seed) {
    MoverRun run{rig, mover, Rng(seed), {}};
    load.start(4, 100);
    rig.world.spawn(run.run(), 0);
    load.finish();
    REQUIRE(run.result.has_value());
    CHECK(load.errors() == 0);
    load.require_content();
}

}  // namespace xsan::test
