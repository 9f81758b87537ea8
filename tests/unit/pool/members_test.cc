// Members by name, drives that join, and the pace and the end of a rebuild.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

// A drive that the kernel has given another name since.
class Renamed final : public dev::BlockDevice {
  public:
    Renamed(dev::BlockDevice& drive, std::string path) : drive_(drive), identity_(drive.identity()) {
        identity_.path = std::move(path);
    }
    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return drive_.limits(); }
    void submit(dev::IoRequest& request) override { drive_.submit(request); }

  private:
    dev::BlockDevice& drive_;
    dev::DeviceIdentity identity_;
};

Outcome<void> assemble_renamed(Rig& rig, const std::vector<std::pair<unsigned, std::string>>& drives) {
    std::vector<pool::Pool::Found> found;
    for (const auto& [drive, path] : drives) {
        pool::Pool::Found f;
        f.device = std::make_unique<Renamed>(*rig.drives[drive], path);
        auto examined = rig.world.run(meta::examine(*f.device));
        if (!examined) return examined.error();
        f.examined = std::move(*examined);
        found.push_back(std::move(f));
    }
    auto made = rig.world.run(pool::Pool::assemble(rig.environment(), found, false));
    if (!made) return made.error();
    rig.pool = std::move(*made);
    return {};
}

}  // namespace

TEST_CASE("a member is found at the name that its drive has now, not at another drive's old one") {
    Rig rig;
    rig.create();
    rig.create_volume("data", 4 * kMiB);
    const std::string first = rig.drives[0]->identity().path;
    const std::string second = rig.drives[1]->identity().path;
    rig.stop();
    // Two drives have changed their names since; drive 2 is gone, and drive 3 has its name.
    const std::string third = rig.drives[2]->identity().path;
    rig.require(assemble_renamed(rig, {{0, second}, {1, first}, {3, third}, {4, "d4"}, {5, "d5"}}));
    CHECK(*rig.pool->find_member(second) == MemberIndex{0});
    CHECK(*rig.pool->find_member(first) == MemberIndex{1});
    CHECK(*rig.pool->find_member(third) == MemberIndex{3});
    CHECK(*rig.pool->find_member("2") == MemberIndex{2});
    CHECK(*rig.pool->find_live_member(rig.drives[4]->identity().unique_id) == MemberIndex{4});
    CHECK_FALSE(rig.pool->find_live_member(rig.drives[2]->identity().unique_id));
    CHECK(rig.pool->member_status()[0].member.path == second);
    // Where it was last is remembered when it is lost.
    rig.require(rig.fail_drive(4));
    CHECK(*rig.pool->find_member("d4") == MemberIndex{4});
    rig.stop();
}

TEST_CASE("a drive beyond the growth limit is refused before it is written") {
    Rig rig;
    rig.create();
    const std::uint64_t extents = rig.pool->state().pool().extents_max;
    rig.add_drive(extents * kMiB + kGiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(rig.plug(rig.drive_count() - 1));
    const auto added = rig.world.run(rig.pool->add(devices));
    REQUIRE_FALSE(added.has_value());
    CHECK(added.error().code == Errc::no_space);
    REQUIRE(devices[0].device != nullptr);
    CHECK(rig.world.run(meta::examine(*devices[0].device)).error().code == Errc::not_found);
    CHECK(rig.pool->state().members().size() == 6);
    rig.stop();
}

TEST_CASE("a drive whose name is too long for the metadata is refused before it is written") {
    Rig rig;
    rig.create();
    rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back({std::make_unique<Renamed>(*rig.drives[6], std::string(300, 'x')), "", false});
    const auto added = rig.world.run(rig.pool->add(devices));
    REQUIRE_FALSE(added.has_value());
    CHECK(added.error().code == Errc::invalid_argument);
    CHECK(rig.world.run(meta::examine(*rig.drives[6])).error().code == Errc::not_found);
    rig.stop();
}

TEST_CASE("a drive without room for the lanes of the stripe log is refused before it is written") {
    RigOptions options;
    options.consistency = meta::Consistency::log;
    options.member_bytes = 512 * kMiB;
    options.reactors = 12;
    Rig rig(options);
    rig.create();
    rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(rig.plug(6));
    const auto added = rig.world.run(rig.pool->add(devices));
    REQUIRE_FALSE(added.has_value());
    CHECK(added.error().code == Errc::no_space);
    CHECK(added.error().message.find("12 lanes") != std::string::npos);
    CHECK(rig.world.run(meta::examine(*rig.drives[6])).error().code == Errc::not_found);
    CHECK(rig.pool->state().members().size() == 6);
    rig.stop();
}

TEST_CASE("a pool without a rate of its own rebuilds at the configured one") {
    RigOptions options;
    options.members = 7;
    Rig rig(options);
    const bool limited = GENERATE(false, true);
    rig.rebuild_rate_max = limited ? kMiB : 0;
    rig.options.scheme = "4+2";
    rig.create();
    pool::Volume& v = rig.create_volume("data", 8 * kMiB);
    REQUIRE(rig.fill(v, 0, 8 * kMiB) == Errc::ok);
    const TimeNs began = rig.world.now();
    rig.require(rig.fail_drive(0));
    REQUIRE(rig.wait_for_rebuild());
    const TimeNs took = rig.world.now() - began;
    if (limited) {
        CHECK(took > kSecond);
    } else {
        CHECK(took < kSecond);
    }
    // How it ended stays to be seen.
    const auto jobs = rig.pool->job_status();
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].kind == pool::JobKind::rebuild);
    CHECK(jobs[0].state == pool::JobState::done);
    rig.stop();
}

TEST_CASE("a rebuild that finds no place ends as failed until a drive is added") {
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", 4 * kMiB);
    REQUIRE(rig.fill(v, 0, 4 * kMiB) == Errc::ok);
    rig.require(rig.fail_drive(0));
    REQUIRE(rig.wait_until([&] { return rig.pool->rebuild_status().unplaced_groups > 0; }));
    auto jobs = rig.pool->job_status();
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].state == pool::JobState::failed);
    rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(rig.plug(6));
    rig.require(rig.world.run(rig.pool->add(devices)));
    REQUIRE(rig.wait_until([&] {
        jobs = rig.pool->job_status();
        return jobs.size() == 1 && jobs[0].state == pool::JobState::done;
    }));
    rig.stop();
}

}  // namespace xsan::test
