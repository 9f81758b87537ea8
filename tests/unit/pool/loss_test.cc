// Members that are lost while the volume is in use, and the rebuild that follows.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kVolume = 12 * kMiB;

struct Load {
    Rig rig;
    Model model{kVolume};
    std::unique_ptr<Work> work;

    explicit Load(const RigOptions& options, bool errors_allowed = false) : rig(options) {
        rig.create();
        pool::Volume& v = rig.create_volume("data", kVolume);
        WorkOptions w;
        w.operations = 1'000'000;
        w.errors_allowed = errors_allowed;
        work = std::make_unique<Work>(Work{model, v, v.cluster_bytes(), w});
        start_workers(rig, *work, 6, options.seed);
        rig.world.run_for(40 * kMillisecond);
    }
    void finish() {
        work->quit = true;
        finish_workers(rig, *work);
        INFO(rig.log.text());
        REQUIRE(verify(rig, rig.volume(), model, Model::After::acknowledgement) == "");
    }
    // All is well again, also after a restart.
    void check_healed() {
        REQUIRE(rig.wait_for_rebuild());
        finish();
        INFO(rig.log.text());
        CHECK(rig.pool->health() == pool::PoolHealth::online);
        rig.require_clean_scrub();
        rig.stop();
        rig.require(rig.assemble());
        REQUIRE(verify(rig, rig.volume(), model, Model::After::acknowledgement) == "");
        rig.require_clean_scrub();
        rig.stop();
    }
};

enum class How { command, write_errors, vanish };

void lose(Rig& rig, unsigned drive, How how) {
    if (how == How::command) {
        rig.require(rig.fail_drive(drive));
    } else if (how == How::vanish) {
        rig.drives[drive]->vanish();
    } else {
        sim::FaultRule rule;
        rule.on = dev::IoKind::write;
        rig.drives[drive]->faults().add(rule);
    }
    REQUIRE(rig.wait_until([&] { return rig.state_of(drive) != meta::MemberState::in_sync; }));
}

}  // namespace

TEST_CASE("a member that is lost under load is rebuilt onto free extents") {
    const auto how = GENERATE(How::command, How::write_errors, How::vanish);
    RigOptions options;
    options.members = 8;
    options.seed = 10 + static_cast<unsigned>(how);
    Load load(options);
    lose(load.rig, 3, how);
    CHECK(load.rig.state_of(3) ==
          (how == How::vanish ? meta::MemberState::missing : meta::MemberState::faulty));
    load.check_healed();
}

TEST_CASE("a spare is used first") {
    RigOptions options;
    options.spares = 1;
    Load load(options);
    CHECK(load.rig.pool->state().members()[6]->spare);
    lose(load.rig, 1, How::vanish);
    REQUIRE(load.rig.wait_for_rebuild());
    CHECK_FALSE(load.rig.pool->state().members()[6]->spare);
    load.check_healed();
}

TEST_CASE("a second loss during the rebuild is survived") {
    RigOptions options;
    options.members = 9;
    options.seed = GENERATE(range(20, 24));
    Load load(options);
    lose(load.rig, 0, How::vanish);
    load.rig.world.run_for((options.seed % 4) * 3 * kMillisecond);
    lose(load.rig, 5, How::write_errors);
    load.check_healed();
}

TEST_CASE("a rebuild's target may be lost") {
    RigOptions options;
    options.spares = 2;
    options.seed = GENERATE(range(30, 34));
    Load load(options);
    lose(load.rig, 0, How::command);
    load.rig.world.run_for((options.seed % 4) * 2 * kMillisecond);
    const auto how = options.seed % 2 == 0 ? How::vanish : How::command;
    lose(load.rig, 6, how);
    load.check_healed();
}

TEST_CASE("groups that cannot be placed wait for a drive") {
    Load load(RigOptions{});
    lose(load.rig, 2, How::vanish);
    REQUIRE(load.rig.wait_for_rebuild());
    CHECK(load.rig.pool->rebuild_status().unplaced_groups > 0);
    CHECK(load.rig.pool->health() == pool::PoolHealth::degraded);
    load.rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(load.rig.plug(6));
    load.rig.require(load.rig.world.run(load.rig.pool->add(devices)));
    REQUIRE(load.rig.wait_until([&] { return load.rig.pool->rebuild_status().unplaced_groups == 0; }));
    load.check_healed();
}

TEST_CASE("more losses than the scheme survives: errors for what is lost, and no wrong data") {
    RigOptions options;
    options.seed = GENERATE(range(40, 43));
    Load load(options, true);
    Rig& rig = load.rig;
    lose(rig, 0, How::vanish);
    lose(rig, 1, How::vanish);
    // A command that would lose data is refused.
    const auto refused = rig.fail_drive(2);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::too_many_failures);
    rig.drives[2]->vanish();
    rig.world.run_for(100 * kMillisecond);
    load.work->quit = true;
    finish_workers(rig, *load.work);
    CHECK(rig.pool->health() == pool::PoolHealth::failed);
    std::uint64_t errors = 0;
    std::vector<std::byte> block(Model::kBlock);
    for (std::uint64_t b = 0; b < load.model.size(); b++) {
        if (rig.read(rig.volume(), b * Model::kBlock, block) != Errc::ok) {
            errors++;
            continue;
        }
        INFO(rig.log.text());
        REQUIRE(load.model.judge(b, block, Model::After::acknowledgement) == "");
    }
    CHECK(errors > 0);
    rig.abandon();
}

TEST_CASE("a rebuild is paused, limited, and goes on after a restart") {
    RigOptions options;
    options.members = 8;
    Load load(options);
    Rig& rig = load.rig;
    rig.require(rig.world.run(rig.pool->set_rebuild(true, 1 * kMiB)));
    lose(rig, 4, How::command);
    rig.world.run_for(2 * kSecond);
    CHECK(rig.pool->rebuild_status().pending_groups > 0);
    REQUIRE(rig.pool->job_status().size() >= 1);
    CHECK(rig.pool->job_status()[0].state == pool::JobState::paused);
    load.finish();
    rig.stop();

    rig.require(rig.assemble());
    CHECK(rig.pool->state().pool().rebuild_paused);
    CHECK(rig.pool->state().pool().rebuild_rate_max == kMiB);
    const auto pending = rig.pool->rebuild_status().pending_groups;
    CHECK(pending > 0);
    rig.require(rig.world.run(rig.pool->set_rebuild(false, std::nullopt)));
    // One strip of 1 MiB for each group, and 1 MiB each second.
    const TimeNs began = rig.world.now();
    REQUIRE(rig.wait_for_rebuild());
    const TimeNs took = rig.world.now() - began;
    CHECK(took > (pending - 1) * kSecond / 2);
    CHECK(took < (pending + 3) * kSecond * 2);
    rig.require_clean_scrub();
    REQUIRE(verify(rig, rig.volume(), load.model, Model::After::acknowledgement) == "");
    rig.stop();
}

TEST_CASE("a drive that vanished comes back while the pool runs") {
    RigOptions options;
    options.seed = GENERATE(range(50, 54));
    Load load(options);
    Rig& rig = load.rig;
    lose(rig, 5, How::vanish);
    rig.world.run_for(20 * kMillisecond);
    rig.drives[5]->come_back();
    rig.require(rig.readmit(5));
    load.check_healed();
}

TEST_CASE("raid4 keeps parity on its last member, also of groups made while one was away") {
    RigOptions options;
    options.scheme = "raid4";
    options.members = 5;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 32 * kMiB);
    REQUIRE(rig.fill(v, 0, kMiB) == Errc::ok);
    lose(rig, 1, How::command);
    for (std::uint64_t at = kMiB; at < 20 * kMiB; at += kMiB) REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
        const GroupRow* row = rig.pool->state().row(GroupIndex{g});
        for (unsigned slot = 0; slot < 5; slot++) {
            const StripRef strip = row->strips()[slot];
            if (strip.state() != StripState::none) CHECK(strip.member().get() == slot);
        }
    }
    for (std::uint64_t at = 0; at < 20 * kMiB; at += kMiB) REQUIRE(rig.holds(v, at, kMiB));
    rig.stop();
}

}  // namespace xsan::test
