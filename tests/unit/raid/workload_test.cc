// Random reads, writes and writes of zeros against a model, in all shapes, healthy and degraded, on
// one and on several simulated reactors.
#include <cstdio>

#include "support/rounds.h"
#include "unit/raid/fixture.h"
#include "unit/raid/workload.h"

namespace xsan::test {
namespace {

RigOptions small(std::uint64_t seed, unsigned reactors) {
    RigOptions o;
    o.strip_bytes = seed % 2 == 0 ? 8192 : 16384;
    o.block_bytes = seed % 3 == 0 ? 512 : 4096;
    o.stripes = 7;
    o.reactors = reactors;
    o.seed = seed;
    o.random_order = true;
    o.spread = 200 * kMicrosecond;
    return o;
}

// Loses up to `losses` members that the code survives, runs the workload, brings them... never
// back: what is lost stays lost until the end, where everything must still read right with what
// else may be lost.
void run_degraded(const Shape& shape, unsigned losses, std::uint64_t seed, unsigned reactors) {
    Rig rig(shape, small(seed, reactors));
    CAPTURE(shape.text, shape.members, losses, seed, reactors);
    Model model(rig.pool.data_bytes(), rig.options.block_bytes);
    Workload load(rig, model, seed);
    load.run(6, 40);
    Rng rng(seed * 31 + losses);
    std::uint64_t lost = 0;
    while (static_cast<unsigned>(std::popcount(lost)) < losses)
        lost |= std::uint64_t{1} << rng.below(rig.total_strips());
    rig.pool.set_lost(lost);
    load.run(6, 60);
    load.require_content();
    for (std::uint32_t s = 0; s < rig.options.stripes; s++)
        REQUIRE(rig.check(s).agrees);
    rig.for_each_loss(rig.scheme().losses_promised(), [&](std::uint64_t more) {
        if ((more & lost) != lost) return;
        rig.pool.set_lost(more);
        CAPTURE(more);
        load.require_content();
    });
    CHECK(rig.pool.events().empty());
}

}  // namespace

TEST_CASE("concurrent reads and writes agree with the model, healthy and degraded by up to P") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        for (unsigned losses = 0; losses <= most; losses++) {
            for (std::uint64_t seed = 1; seed <= rounds(3); seed++)
                run_degraded(shape, losses, seed + 10 * losses, 1);
        }
    }
}

TEST_CASE("the same workloads on several reactors that interleave at random") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        for (unsigned reactors = 2; reactors <= 4; reactors++) {
            run_degraded(shape, 0, 100 + reactors, reactors);
            if (most > 0) run_degraded(shape, most, 200 + reactors, reactors);
        }
    }
}

TEST_CASE("members that are lost while requests are in flight change no content") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        if (most == 0) continue;
        for (std::uint64_t seed = 1; seed <= rounds(6); seed++) {
            Rig rig(shape, small(seed, static_cast<unsigned>(1 + seed % 3)));
            CAPTURE(shape.text, shape.members, seed);
            rig.pool.commit_time = 300 * kMicrosecond;
            Model model(rig.pool.data_bytes(), rig.options.block_bytes);
            Workload load(rig, model, seed);
            // Drives are pulled; nobody is told but by errors.
            Rng rng(seed);
            std::uint64_t pulled = 0;
            while (static_cast<unsigned>(std::popcount(pulled)) < most) {
                const unsigned m = static_cast<unsigned>(rng.below(rig.total_strips()));
                if ((pulled >> m & 1) != 0) continue;
                pulled |= std::uint64_t{1} << m;
                sim::FaultRule rule;
                rule.kind = sim::FaultKind::vanish;
                rule.skip = static_cast<std::uint32_t>(20 + rng.below(60));
                rule.count = 1;
                rig.devices[m]->faults().add(rule);
            }
            load.run(6, 60);
            CHECK(load.errors() == 0);
            load.require_content();
            // The drives that were pulled are recorded, and no others.
            for (const FaultEvent& e : rig.pool.events()) {
                CHECK(e.kind == FaultEvent::member_failed);
                CHECK((pulled >> e.member & 1) != 0);
            }
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                REQUIRE(rig.check(s).agrees);
        }
    }
}

TEST_CASE("members whose reads and writes fail at random, up to P of them, change no content") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        if (most == 0) continue;
        for (std::uint64_t seed = 1; seed <= rounds(6); seed++) {
            Rig rig(shape, small(seed, static_cast<unsigned>(1 + seed % 3)));
            CAPTURE(shape.text, shape.members, seed);
            rig.pool.commit_time = 100 * kMicrosecond;
            Model model(rig.pool.data_bytes(), rig.options.block_bytes);
            Workload load(rig, model, seed);
            for (unsigned i = 0; i < most; i++) {
                sim::FaultRule rule;
                rule.on = dev::IoKind::read;
                rule.percent = 20;
                rig.devices[(seed + i) % rig.total_strips()]->faults().add(rule);
                if (seed % 2 == 0) continue;
                rule.on = dev::IoKind::write;
                rule.percent = 2;
                rule.effect = sim::FailedEffect::torn;
                rig.devices[(seed + i) % rig.total_strips()]->faults().add(rule);
            }
            load.run(6, 60);
            CHECK(load.errors() == 0);
            for (auto& d : rig.devices)
                d->faults().clear();
            load.require_content();
            CHECK(rig.pool.count(FaultEvent::member_refused) == 0);
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                REQUIRE(rig.check(s).agrees);
        }
    }
}

}  // namespace xsan::test
