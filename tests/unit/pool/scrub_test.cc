// A scrub of a pool: its rate, its pauses, how it goes on after a stop and after power cuts, what it finds and heals.
#include "unit/pool/after_cut.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kScrubbedVolume = 8 * kMiB;
constexpr std::uint64_t kStripe = 64 * kKiB;   // of data, 4+2 with strips of 16 KiB
constexpr std::uint64_t kStripeRead = 96 * kKiB;  // what a scrub reads of it
constexpr std::uint64_t kStripes = kScrubbedVolume / kStripe;

void make(Rig& rig) {
    rig.create();
    pool::Volume& v = rig.create_volume("data", kScrubbedVolume);
    for (std::uint64_t at = 0; at < kScrubbedVolume; at += kMiB)
        REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    REQUIRE(rig.flush(v) == Errc::ok);
    // Nothing of it is left to be replayed or resynced after a cut: that would put damage right, too.
    rig.world.run_for(30 * kSecond);
}

// One wrong strip in each stripe, another one each time.
void damage_all(Rig& rig) {
    const auto noise = Rig::pattern(4096, 4096, 99);
    for (std::uint64_t s = 0; s < kStripes; s++) {
        const Rig::Place place = rig.place_of_strip(rig.volume(), s * kStripe, static_cast<unsigned>(s % 6));
        rig.drives[place.drive]->poke(place.offset, noise);
    }
}

bool is_at_work(Rig& rig) {
    const auto state = rig.pool->scrub_status().state;
    return state == pool::JobState::running || state == pool::JobState::paused;
}
void wait_for_scrub(Rig& rig) {
    REQUIRE(rig.wait_until([&] { return !is_at_work(rig); }));
    INFO(rig.log.text());
    CHECK(rig.pool->scrub_status().state == pool::JobState::done);
}
TimeNs scrub_time(Rig& rig) {
    const TimeNs began = rig.world.now();
    rig.scrub();
    return rig.world.now() - began;
}

}  // namespace

TEST_CASE("a scrub keeps to its rate, the configured one or its own, and to a new one at once") {
    Rig rig;
    rig.scrub_rate_max = 2 * kMiB;
    make(rig);
    // 12 MiB to read. (A simulated drive takes its time, too.)
    const TimeNs configured = scrub_time(rig);
    CHECK(configured > 5 * kSecond);
    CHECK(configured < 8 * kSecond);

    rig.require(rig.world.run(rig.pool->start_scrub(false, kMiB)));
    rig.world.run_for(4 * kSecond);
    const std::uint64_t checked = rig.pool->scrub_status().stripes_checked;
    CHECK(checked * kStripeRead > 3 * kMiB);
    CHECK(checked * kStripeRead < 5 * kMiB);
    rig.require(rig.world.run(rig.pool->set_scrub(false, 64 * kKiB)));
    rig.world.run_for(10 * kSecond);
    const std::uint64_t slower = rig.pool->scrub_status().stripes_checked - checked;
    CHECK(slower * kStripeRead <= 900 * kKiB);
    CHECK(slower > 2);
    rig.require(rig.world.run(rig.pool->set_scrub(false, kGiB)));
    const TimeNs changed = rig.world.now();
    wait_for_scrub(rig);
    CHECK(rig.world.now() - changed < 2 * kSecond);
    // Its own rate stays until another is given; 0 is the configured one.
    CHECK(scrub_time(rig) < 2 * kSecond);
    rig.require(rig.world.run(rig.pool->set_scrub(false, 0)));
    CHECK(scrub_time(rig) > 5 * kSecond);
    rig.stop();
}

TEST_CASE("a slow scrub does not hold up users") {
    Rig rig;
    make(rig);
    rig.require(rig.world.run(rig.pool->start_scrub(false, 32 * kKiB)));
    const TimeNs began = rig.world.now();
    for (std::uint64_t at = 0; at < kScrubbedVolume; at += kMiB)
        REQUIRE(rig.fill(rig.volume(), at, kMiB, 2) == Errc::ok);
    CHECK(rig.world.now() - began < kSecond);
    CHECK(is_at_work(rig));
    rig.stop();
}

TEST_CASE("a paused scrub stays paused over a restart, goes on where it was, and is given up for a new one") {
    Rig rig;
    make(rig);
    damage_all(rig);
    rig.require(rig.world.run(rig.pool->start_scrub(false, kMiB)));
    CHECK(rig.world.run(rig.pool->start_scrub()).error().code == Errc::busy);
    rig.world.run_for(5 * kSecond);
    rig.require(rig.world.run(rig.pool->set_scrub(true)));
    rig.world.run_for(2 * kSecond);
    const auto held = rig.pool->scrub_status();
    CHECK(held.state == pool::JobState::paused);
    CHECK(held.stripes_checked > 30);
    CHECK(held.stripes_checked < 80);
    rig.world.run_for(20 * kSecond);
    CHECK(rig.pool->scrub_status().stripes_checked == held.stripes_checked);
    rig.stop();

    rig.require(rig.assemble());
    rig.world.run_for(20 * kSecond);
    const auto found = rig.pool->scrub_status();
    CHECK(found.state == pool::JobState::paused);
    CHECK(found.resumed);
    CHECK(found.rate_max == kMiB);
    CHECK(found.stripes_checked == held.stripes_checked);
    CHECK(found.mismatches == held.mismatches);
    CHECK(found.wrong_bytes == held.wrong_bytes);
    CHECK(found.stripes_total == kStripes);

    if (GENERATE(false, true)) {
        rig.require(rig.world.run(rig.pool->start_scrub(true, 0)));
        wait_for_scrub(rig);
        CHECK(rig.pool->scrub_status().repaired == kStripes);
        CHECK_FALSE(rig.pool->scrub_status().resumed);
    } else {
        rig.require(rig.world.run(rig.pool->set_scrub(false)));
        wait_for_scrub(rig);
        CHECK(rig.pool->scrub_status().mismatches == kStripes);
    }
    CHECK(rig.pool->scrub_status().stripes_checked == kStripes);
    rig.stop();
    // The result stays to be seen.
    rig.require(rig.assemble());
    CHECK(rig.pool->scrub_status().state == pool::JobState::done);
    CHECK(rig.pool->scrub_status().mismatches == kStripes);
    rig.stop();
}

TEST_CASE("a scrub goes on after clean stops, and counts every stripe once") {
    Rig rig;
    make(rig);
    damage_all(rig);
    const bool repair = GENERATE(false, true);
    rig.require(rig.world.run(rig.pool->start_scrub(repair, kMiB)));
    unsigned rounds = 0;
    while (is_at_work(rig)) {
        rig.world.run_for(1300 * kMillisecond);
        if (!is_at_work(rig)) break;
        rig.stop();
        rig.require(rig.assemble());
        rounds++;
        INFO(rig.log.text());
        REQUIRE(rig.pool->scrub_status().ever);
    }
    CHECK(rounds > 5);
    const auto status = rig.pool->scrub_status();
    CHECK(status.state == pool::JobState::done);
    CHECK(status.stripes_checked == kStripes);
    CHECK(status.stripes_total == kStripes);
    CHECK(status.mismatches == kStripes);
    CHECK(status.repaired == (repair ? kStripes : 0));
    CHECK(rig.scrub().mismatches == (repair ? 0 : kStripes));
    rig.stop();
}

TEST_CASE("a scrub goes on after power cuts at any time, and misses no stripe") {
    for (unsigned round = 0; round < std::max(2u, 24 / kFewerRounds); round++) {
        CAPTURE(round);
        RigOptions options;
        options.seed = 500 + round;
        options.consistency = round % 2 == 0 ? meta::Consistency::log : meta::Consistency::resync;
        const bool repair = round % 4 >= 2;
        auto first = std::make_unique<Rig>(options);
        make(*first);
        damage_all(*first);
        first->require(first->world.run(first->pool->start_scrub(repair, kMiB)));
        std::vector<std::unique_ptr<AfterCut>> cuts;
        Rig* rig = first.get();
        Rng rng(options.seed);
        for (unsigned cut = 0; cut < 6; cut++) {
            rig->world.run_for(rng.next() % (3 * kSecond));
            for (std::uint64_t s = rng.next() % 200; s > 0; s--) rig->world.step();
            cuts.push_back(std::make_unique<AfterCut>(*rig, rng.next()));
            rig->abandon();
            rig = &cuts.back()->rig;
            rig->require(rig->assemble());
            INFO(rig->log.text());
            // The start was durable, so it is known; it may have ended.
            REQUIRE(rig->pool->scrub_status().ever);
            REQUIRE(rig->pool->scrub_status().repairs == repair);
        }
        wait_for_scrub(*rig);
        const auto status = rig->pool->scrub_status();
        INFO(rig->log.text());
        CHECK(status.stripes_checked == kStripes);
        CHECK(status.stripes_total == kStripes);
        CHECK(status.errors == 0);
        if (repair) {
            CHECK(status.mismatches <= kStripes);
            CHECK(status.mismatches >= kStripes / 2);
            CHECK(rig->scrub().mismatches == 0);
        } else {
            CHECK(status.mismatches == kStripes);
        }
        for (std::uint64_t at = 0; repair && at < kScrubbedVolume; at += kMiB)
            REQUIRE(rig->holds(rig->volume(), at, kMiB));
        rig->stop();
    }
}

TEST_CASE("a scrub visits what is mapped in other groups, and ends well when volumes go meanwhile") {
    Rig rig;
    make(rig);
    rig.create_volume("other", 4 * kMiB, scheme_of("2+1", 6, 16 * 1024));
    for (std::uint64_t at = 0; at < 4 * kMiB; at += kMiB) {
        REQUIRE(rig.fill(rig.volume("other"), at, kMiB) == Errc::ok);
    }
    CHECK(rig.scrub().stripes_checked == kStripes + 4 * kMiB / (32 * kKiB));
    rig.require(rig.world.run(rig.pool->start_scrub(false, kMiB)));
    rig.world.run_for(kSecond);
    rig.require(rig.world.run(rig.pool->delete_volume("data")));
    wait_for_scrub(rig);
    const auto status = rig.pool->scrub_status();
    CHECK(status.stripes_checked == status.stripes_total);
    CHECK(status.stripes_checked < kStripes + 4 * kMiB / (32 * kKiB));
    CHECK(status.mismatches == 0);
    rig.stop();
}

TEST_CASE("read errors that a scrub finds are healed, of data and of parity") {
    Rig rig;
    make(rig);
    for (unsigned strip = 0; strip < 6; strip++) {
        const Rig::Place place = rig.place_of_strip(rig.volume(), strip * kMiB, strip);
        rig.drives[place.drive]->add_latent_error(place.offset + 4096, 4096);
    }
    const auto status = rig.scrub();
    CHECK(status.mismatches == 0);
    CHECK(status.errors == 0);
    for (const auto& drive : rig.drives) CHECK(drive->latent_blocks() == 0);
    for (unsigned i = 0; i < 6; i++) CHECK(rig.state_of(i) == meta::MemberState::in_sync);
    rig.stop();
}

}  // namespace xsan::test
