// Power cuts at any step, policy `resync`, no member missing: what a flush covered is there, no block is a
// mix, what was read stays, and after resync all parity agrees.
#include "unit/pool/after_cut.h"
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

void check_cut(const Rig& before, const Model& model, std::uint64_t seed) {
    AfterCut after(before, seed);
    Rig& rig = after.rig;
    INFO("cut seed " << seed);
    rig.require(rig.assemble());
    INFO(rig.log.text());
    pool::Volume& volume = rig.volume();
    std::uint64_t first = 0;
    REQUIRE(verify(rig, volume, model, Model::After::cut, &first) == "");
    REQUIRE(rig.wait_for_resync());
    const auto status = rig.scrub();
    REQUIRE(status.mismatches == 0);
    REQUIRE(status.incomplete == 0);
    REQUIRE(status.errors == 0);
    // Any two members may go now.
    for (unsigned i = 0; i < rig.scheme().losses_promised(); i++) {
        const auto failed = rig.fail_drive(static_cast<unsigned>(seed + i * 2) % rig.options.members);
        REQUIRE(failed.has_value());
    }
    std::uint64_t second = 0;
    REQUIRE(verify(rig, volume, model, Model::After::cut, &second) == "");
    REQUIRE(first == second);
}

void run_cuts(const char* scheme, unsigned members, std::uint32_t strip, std::uint64_t seed,
              unsigned cuts) {
    RigOptions options;
    options.scheme = scheme;
    options.members = members;
    options.strip_bytes = strip;
    options.seed = seed;
    Rig rig(options);
    rig.create();
    pool::Volume& volume = rig.create_volume("data", 3 * kMiB);
    Model model(3 * kMiB);
    WorkOptions w;
    w.operations = 1'000'000;
    w.blocks_max = 300;
    Work work{model, volume, volume.cluster_bytes(), w};
    start_workers(rig, work, 6, seed);
    Rng rng(seed * 31);
    for (unsigned i = 0; i < rounds(cuts); i++) {
        // Now and then long enough for the cleaner to come by.
        const std::uint64_t steps = rng.next() % (i % 8 == 0 ? 6000 : 500);
        for (std::uint64_t s = 0; s < steps; s++) rig.world.step();
        if (i % 10 == 9) {
            work.quit = true;
            REQUIRE(rig.wait_until([&] { return work.running == 0; }));
            rig.world.run_for(rng.next() % 12 * kSecond);
            for (std::uint64_t s = rng.next() % 40; s > 0; s--) rig.world.step();
        }
        check_cut(rig, model, seed * 1000 + i);
        if (work.quit) {
            work.quit = false;
            start_workers(rig, work, 6, seed + i);
        }
    }
    work.quit = true;
    finish_workers(rig, work);
    rig.require_clean_scrub();
    rig.stop();
    // Nothing is left to do after a clean stop.
    rig.require(rig.assemble());
    CHECK(!rig.has_job(pool::JobKind::resync));
    CHECK(rig.pool->state().dirty_count() == 0);
    model.all_durable();
    CHECK(verify(rig, rig.volume(), model, Model::After::cut) == "");
}

}  // namespace

TEST_CASE("without marks torn parity stays: these cuts would show what the policy prevents") {
    RigOptions options;
    options.consistency = meta::Consistency::none;
    Rig rig(options);
    rig.create();
    pool::Volume& volume = rig.create_volume("data", 3 * kMiB);
    Model model(3 * kMiB);
    Work work{model, volume, volume.cluster_bytes(), {.operations = 1'000'000}};
    start_workers(rig, work, 6, 1);
    std::uint64_t mismatches = 0;
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned s = 0; s < 400; s++) rig.world.step();
        AfterCut after(rig, i);
        after.rig.require(after.rig.assemble());
        mismatches += after.rig.scrub().mismatches;
    }
    CHECK(mismatches > 0);
    work.quit = true;
    finish_workers(rig, work);
    rig.stop();
}

TEST_CASE("a power cut at any step keeps what a flush covered and leaves no torn parity") {
    SECTION("4+2, small strips") { run_cuts("4+2", 6, 4096, 1, 60); }
    SECTION("4+2") { run_cuts("4+2", 6, 64 * 1024, 2, 60); }
    SECTION("4+1, declustered") { run_cuts("4+1", 7, 16 * 1024, 3, 60); }
    SECTION("raid10") { run_cuts("raid10", 4, 16 * 1024, 4, 60); }
    SECTION("1+2") { run_cuts("1+2", 3, 16 * 1024, 5, 60); }
}

}  // namespace xsan::test
