// Power cuts at any step under policy `log`: what a flush covered is there, no block is a mix, what was read
// stays, parity agrees before anything is served; also with members lost before the cut and with it.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kAlways = UINT64_MAX;

struct CutCase {
    const char* scheme = "4+2";
    unsigned members = 6;
    std::uint32_t strip_bytes = 16 * 1024;
    std::uint64_t seed = 1;
    unsigned cuts = 60;
    unsigned lost_before = 0;  // members that fail while the work runs
    unsigned lost_with = 0;    // members that do not come back after the cut
    std::uint64_t payload_bytes_max = 0;
    bool discards = true;
    unsigned reactors = 3;
};

RigOptions options_of(const CutCase& c) {
    RigOptions options;
    options.scheme = c.scheme;
    options.members = c.members;
    options.strip_bytes = c.strip_bytes;
    options.seed = c.seed;
    options.consistency = meta::Consistency::log;
    options.log_payload_bytes_max = c.payload_bytes_max;
    options.reactors = c.reactors;
    return options;
}

// What can no longer be had is an I/O error for blocks of full-stripe overwrites that were not flushed;
// a case whose overwrites are logged with their payload has none of those.
void check_cut(const Rig& before, const CutCase& c, const Model& model, std::uint64_t seed) {
    RigOptions options = before.options;
    options.seed = seed;
    options.reactors = 2;
    Rig rig(options);
    for (std::size_t i = 0; i < before.drives.size(); i++) {
        rig.drives[i]->restore(before.drives[i]->cut_image(rig.world.choices()));
    }
    INFO("cut seed " << seed);
    std::vector<unsigned> from;
    for (unsigned i = c.lost_with; i < c.members; i++) from.push_back(i);
    rig.require(rig.assemble(from));
    INFO(rig.log.text());
    pool::Volume& volume = rig.volume();
    std::uint64_t first = 0;
    REQUIRE(verify(rig, volume, model, Model::After::cut, &first) == "");
    const auto status = rig.scrub();
    REQUIRE(status.mismatches == 0);
    REQUIRE(status.errors == 0);
    for (unsigned lost = c.lost_before + c.lost_with; lost < rig.scheme().losses_promised(); lost++) {
        // From the upper end: the lower ones may be gone.
        unsigned at = c.members - 1 - static_cast<unsigned>(seed % 2);
        while (rig.state_of(at) != meta::MemberState::in_sync) at--;
        const auto failed = rig.fail_drive(at);
        REQUIRE(failed.has_value());
    }
    std::uint64_t second = 0;
    REQUIRE(verify(rig, volume, model, Model::After::cut, &second) == "");
    REQUIRE(first == second);
}

void run_cuts(const CutCase& c) {
    Rig rig(options_of(c));
    rig.create();
    pool::Volume& volume = rig.create_volume("data", 3 * kMiB);
    Model model(3 * kMiB);
    WorkOptions w;
    w.operations = 1'000'000;
    w.blocks_max = 300;
    w.discards = c.discards;
    Work work{model, volume, volume.cluster_bytes(), w};
    start_workers(rig, work, std::max(6u, c.reactors), c.seed);
    Rng rng(c.seed * 31);
    for (unsigned i = 0; i < rounds(c.cuts); i++) {
        const std::uint64_t steps = rng.next() % (i % 8 == 0 ? 6000 : 500);
        for (std::uint64_t s = 0; s < steps; s++) rig.world.step();
        if (i == 3) {
            for (unsigned lost = 0; lost < c.lost_before; lost++) {
                rig.require(rig.fail_drive(c.members / 2 + lost));
            }
        }
        const bool is_degraded = i >= 3 || c.lost_before == 0;
        if (is_degraded) check_cut(rig, c, model, c.seed * 1000 + i);
        REQUIRE(work.wrong == "");
    }
    work.quit = true;
    finish_workers(rig, work);
    rig.stop();
    rig.require(rig.assemble());
    model.all_durable();
    CHECK(verify(rig, rig.volume(), model, Model::After::cut) == "");
}

// Members fail and come back while the work runs, and cuts fall at any step of that.
void run_returns(const CutCase& c) {
    Rig rig(options_of(c));
    rig.create();
    pool::Volume& volume = rig.create_volume("data", 3 * kMiB);
    Model model(3 * kMiB);
    Work work{model, volume, volume.cluster_bytes(), {.operations = 1'000'000}};
    start_workers(rig, work, std::max(6u, c.reactors), c.seed);
    Rng rng(c.seed * 31);
    for (unsigned i = 0; i < rounds(c.cuts); i++) {
        const unsigned drive = i % c.members;
        rig.require(rig.fail_drive(drive));
        REQUIRE(rig.wait_until([&] { return rig.open_plugs[drive] == 0; }));
        rig.require(rig.readmit(drive));
        for (std::uint64_t s = rng.next() % 200; s > 0; s--) rig.world.step();
        check_cut(rig, c, model, c.seed * 1000 + i);
        REQUIRE(work.wrong == "");
        REQUIRE(rig.wait_for_rebuild());
    }
    work.quit = true;
    finish_workers(rig, work);
    rig.stop();
}

}  // namespace

TEST_CASE("log: a power cut at any step leaves no torn parity before anything is served") {
    SECTION("4+2, small strips") { run_cuts({.scheme = "4+2", .strip_bytes = 4096, .seed = 1}); }
    SECTION("4+2") { run_cuts({.scheme = "4+2", .strip_bytes = 64 * 1024, .seed = 2}); }
    SECTION("4+1, declustered") { run_cuts({.scheme = "4+1", .members = 7, .seed = 3}); }
    SECTION("4+2, more reactors than the regions have room for lanes") {
        run_cuts({.strip_bytes = 64 * 1024, .seed = 9, .payload_bytes_max = kAlways, .reactors = 10});
    }
    SECTION("raid10") { run_cuts({.scheme = "raid10", .members = 4, .seed = 4}); }
    SECTION("1+2") { run_cuts({.scheme = "1+2", .members = 3, .seed = 5}); }
    SECTION("1+1") { run_cuts({.scheme = "1+1", .members = 2, .seed = 6}); }
    SECTION("raid1 of three") { run_cuts({.scheme = "raid1", .members = 3, .seed = 7}); }
    SECTION("4+0") { run_cuts({.scheme = "4+0", .members = 4, .seed = 8}); }
}

TEST_CASE("log: a power cut together with the loss of members, all payload logged") {
    SECTION("4+2, one lost with the cut") {
        run_cuts({.strip_bytes = 4096, .seed = 11, .lost_with = 1, .payload_bytes_max = kAlways});
    }
    SECTION("4+2, two lost with the cut") {
        run_cuts({.seed = 12, .lost_with = 2, .payload_bytes_max = kAlways});
    }
    SECTION("4+2, one lost before, one with the cut") {
        run_cuts({.seed = 13, .lost_before = 1, .lost_with = 1, .payload_bytes_max = kAlways});
    }
    SECTION("4+2, two lost before") {
        run_cuts({.seed = 14, .lost_before = 2, .payload_bytes_max = kAlways});
    }
    SECTION("4+1, one lost before, rebuilt meanwhile") {
        run_cuts({.scheme = "4+1", .members = 8, .seed = 15, .lost_before = 1,
                  .payload_bytes_max = kAlways});
    }
    SECTION("4+1, one lost with the cut") {
        run_cuts({.scheme = "4+1", .members = 5, .seed = 16, .lost_with = 1,
                  .payload_bytes_max = kAlways});
    }
    SECTION("raid10, one lost with the cut") {
        run_cuts({.scheme = "raid10", .members = 4, .seed = 17, .lost_with = 1});
    }
    SECTION("8+3, three lost with the cut") {
        run_cuts({.scheme = "8+3", .members = 11, .seed = 18, .lost_with = 3,
                  .payload_bytes_max = kAlways});
    }
}

TEST_CASE("log: a power cut after a member has come back, with what was in the log before") {
    SECTION("4+1") {
        run_returns({.scheme = "4+1", .members = 5, .seed = 21, .cuts = 25, .lost_before = 1,
                     .payload_bytes_max = kAlways});
    }
    SECTION("4+2") {
        run_returns({.scheme = "4+2", .members = 6, .seed = 22, .cuts = 25, .lost_before = 1,
                     .payload_bytes_max = kAlways});
    }
}

}  // namespace xsan::test
