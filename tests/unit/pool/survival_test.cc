// No drive that still holds everything is ever recorded as stale while its data is needed: at assembly, as it
// comes back, and in the moments between the failures of several.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kSurvivingVolume = 8 * kMiB;

struct SurvivingPool : Rig {
    explicit SurvivingPool(const RigOptions& o = {}) : Rig(o) {
        create();
        pool::Volume& v = create_volume("data", kSurvivingVolume);
        for (std::uint64_t at = 0; at < kSurvivingVolume; at += kMiB)
            REQUIRE(fill(v, at, kMiB) == Errc::ok);
        REQUIRE(flush(v) == Errc::ok);
    }
    void check_content() {
        INFO(log.text());
        for (std::uint64_t at = 0; at < kSurvivingVolume; at += kMiB)
            REQUIRE(holds(volume(), at, kMiB));
    }
    void vanish(unsigned drive) {
        drives[drive]->vanish();
        REQUIRE(wait_until([&] { return state_of(drive) == meta::MemberState::missing; }));
    }
    // Every block of the volume; what cannot be read is not wrong.
    void check_nothing_wrong() {
        std::vector<std::byte> found(4096);
        for (std::uint64_t at = 0; at < kSurvivingVolume; at += found.size()) {
            if (read(volume(), at, found) != Errc::ok) continue;
            REQUIRE(found == pattern(at, found.size(), 1));
        }
    }
    unsigned in_sync() const {
        unsigned count = 0;
        for (unsigned i = 0; i < drive_count(); i++) count += state_of(i) == meta::MemberState::in_sync;
        return count;
    }
};

}  // namespace

TEST_CASE("a third drive that vanished is waited for at the next start, and then nothing is lost") {
    SurvivingPool rig;
    Model model(kSurvivingVolume);
    // Writers notice the drives that go.
    Work work{model,
              rig.create_volume("load", kSurvivingVolume),
              0,
              {.operations = 1'000'000, .errors_allowed = true}};
    work.cluster_bytes = rig.volume("load").cluster_bytes();
    start_workers(rig, work, 3, 1);
    rig.vanish(0);
    rig.vanish(1);
    rig.drives[2]->vanish();
    rig.world.run_for(50 * kMillisecond);
    work.quit = true;
    finish_workers(rig, work);
    CHECK(rig.state_of(2) == meta::MemberState::in_sync);
    rig.abandon();

    std::vector<std::vector<std::byte>> before;
    const auto refused = rig.assemble();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::too_many_failures);
    CHECK(refused.error().message.find("member 2") != std::string::npos);
    CHECK(refused.error().message.find("member 0") == std::string::npos);
    CHECK(refused.error().message.find("--accept-missing") != std::string::npos);

    for (unsigned i = 0; i < 3; i++) rig.drives[i]->come_back();
    rig.require(rig.assemble());
    CHECK(rig.in_sync() == 6);
    REQUIRE(rig.wait_for_rebuild());
    rig.check_content();
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a scheme without redundancy does not start without a drive that is late") {
    RigOptions options;
    options.scheme = GENERATE(as<std::string>{}, "raid0", "5+0", "linear");
    options.members = 5;
    SurvivingPool rig(options);
    rig.stop();
    // A linear pool of this size has all of it on the first drive.
    const auto refused = rig.assemble({1, 2, 3, 4});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::too_many_failures);
    CHECK(refused.error().message.find("member 0") != std::string::npos);
    rig.require(rig.assemble());
    rig.check_content();
    rig.stop();
    if (options.scheme == "linear") {
        // Nothing is on the last one.
        rig.require(rig.assemble({0, 1, 2, 3}));
        rig.check_content();
        rig.stop();
    }
}

TEST_CASE("a shelf that is powered late is waited for, though a majority is there") {
    RigOptions options;
    options.members = 12;
    options.scheme = "8+2";
    SurvivingPool rig(options);
    rig.stop();
    const auto refused = rig.assemble({0, 1, 2, 3, 4, 5, 6, 7});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::too_many_failures);
    for (const char* name : {"member 8", "member 9", "member 10", "member 11"}) {
        CHECK(refused.error().message.find(name) != std::string::npos);
    }
    rig.require(rig.assemble());
    CHECK(rig.in_sync() == 12);
    rig.check_content();
    rig.stop();
}

TEST_CASE("an absent drive without data does not keep a pool from starting") {
    RigOptions options;
    options.scheme = "raid0";
    options.members = 3;
    Rig rig(options);
    rig.create();
    rig.create_volume("data", kSurvivingVolume);
    rig.stop();
    rig.require(rig.assemble({0, 1}));
    CHECK(rig.state_of(2) == meta::MemberState::missing);
    rig.stop();
}

TEST_CASE("a drive whose loss was accepted is not made stale where only it has the data") {
    SurvivingPool rig;
    rig.stop();
    rig.require(rig.assemble({0, 1, 2}, true));
    CHECK(rig.in_sync() == 3);
    CHECK(rig.pool->health() == pool::PoolHealth::failed);
    rig.check_nothing_wrong();
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.in_sync() == 3);
    INFO(rig.log.text());
    CHECK(rig.log.text().find("stays out") != std::string::npos);
    for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
        const GroupRow* row = rig.pool->state().row(GroupIndex{g});
        if (row == nullptr || rig.pool->groups().mapped_places(GroupIndex{g}) == 0) continue;
        for (const StripRef& strip : row->strips()) CHECK(strip.state() == StripState::ok);
    }
    rig.check_nothing_wrong();
    // On request it comes back, and its data are given up.
    pool::Pool::Found found;
    found.device = std::make_unique<Plug>(*rig.drives[4]);
    found.examined = *rig.world.run(meta::examine(*found.device));
    const auto refused = rig.world.run(rig.pool->readmit(found));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::too_many_failures);
    rig.require(rig.world.run(rig.pool->readmit(found, true)));
    CHECK(rig.in_sync() == 4);
    rig.check_nothing_wrong();
    rig.stop();
}

TEST_CASE("a drive that fails as the first entry is written is not recorded where that loses data") {
    for (std::uint32_t n = 0; n < 24; n++) {
        CAPTURE(n);
        SurvivingPool rig;
        rig.stop();
        sim::FaultRule rule;
        rule.on = dev::IoKind::write;
        rule.skip = n;
        rig.drives[5]->faults().add(rule);
        const auto started = rig.assemble({2, 3, 4, 5});
        if (started) {
            CHECK(rig.in_sync() >= 4);
            rig.drives[5]->faults().clear();
            rig.abandon();
        }
        rig.drives[5]->faults().clear();
        rig.require(rig.assemble());
        REQUIRE(rig.wait_for_rebuild());
        rig.check_content();
        rig.stop();
    }
}

TEST_CASE("members that fail at one moment: no more are recorded than the scheme survives") {
    unsigned refused = 0;
    for (std::uint64_t n = 0; n < 40; n++) {
        CAPTURE(n);
        RigOptions options;
        options.seed = n + 1;
        SurvivingPool rig(options);
        rig.require(rig.fail_drive(1));
        // The first commit finds that drive 0 cannot be written; drive 2 fails some steps later.
        sim::FaultRule rule;
        rule.on = dev::IoKind::write;
        rig.drives[0]->faults().add(rule);
        const auto commit = [](Rig& r) -> Task<void> {
            const auto set = co_await r.pool->set_rebuild(true, std::nullopt);
            static_cast<void>(set);
        };
        const auto fail = [](Rig& r, Result<void>& result, bool& is_done) -> Task<void> {
            result = co_await r.pool->member_failed(MemberIndex{2}, Error{Errc::device_gone});
            is_done = true;
        };
        rig.world.spawn(commit(rig));
        for (std::uint64_t s = 0; s < n; s++) rig.world.step();
        Result<void> result;
        bool done = false;
        rig.world.spawn(fail(rig, result, done));
        REQUIRE(rig.wait_until([&] { return done; }));
        rig.world.run_for(kSecond);
        CHECK(rig.in_sync() >= 4);
        refused += result ? 0 : 1;
        rig.check_content();
        rig.abandon();
        rig.drives[0]->faults().clear();
        rig.require(rig.assemble());
        CHECK(rig.in_sync() >= 4);
        rig.check_content();
        rig.stop();
    }
    CHECK(refused > 0);
}

TEST_CASE("a drive that fails while it is added is let go, whenever that is") {
    // Its owner sees that it is gone.
    struct Watched final : dev::BlockDevice {
        Watched(sim::SimDevice& d, bool& g) : drive(d), gone(g) {}
        ~Watched() override {
            CHECK(drive.outstanding() == 0);
            gone = true;
        }
        const dev::DeviceIdentity& identity() const override { return drive.identity(); }
        const dev::DeviceLimits& limits() const override { return drive.limits(); }
        void submit(dev::IoRequest& request) override { drive.submit(request); }
        sim::SimDevice& drive;
        bool& gone;
    };
    for (std::uint32_t n = 0; n < 30; n++) {
        CAPTURE(n);
        RigOptions options;
        options.seed = n + 1;
        SurvivingPool rig(options);
        Model model(kSurvivingVolume);
        Work work{model,
                  rig.create_volume("load", kSurvivingVolume),
                  0,
                  {.operations = 1'000'000, .errors_allowed = true}};
        work.cluster_bytes = rig.volume("load").cluster_bytes();
        start_workers(rig, work, 4, n);
        sim::SimDevice& drive = rig.add_drive(64 * kMiB);
        sim::FaultRule rule;
        rule.on = dev::IoKind::write;
        rule.skip = n;
        drive.faults().add(rule);
        bool gone = false;
        std::vector<pool::NewDevice> devices;
        devices.push_back({std::make_unique<Watched>(drive, gone), "", false});
        const bool added = rig.world.run(rig.pool->add(devices)).has_value();
        devices.clear();
        if (!added) CHECK(rig.wait_until([&] { return gone; }, kSecond));
        work.quit = true;
        finish_workers(rig, work);
        rig.check_content();
        rig.abandon();
        CHECK(gone);
    }
}

}  // namespace xsan::test
