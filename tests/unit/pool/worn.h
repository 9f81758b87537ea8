// A pool with wear, and drives that report what a test says.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "unit/pool/rig.h"

namespace xsan::test {

inline constexpr std::uint64_t kWornVolume = 8 * kMiB;

// Says what a test wants of each drive.
class Readings final : public pool::WearReader {
  public:
    std::map<unsigned, double> percent;
    double endurance = 0;
    std::optional<unsigned> low_on_spare;

    Task<std::vector<pool::DriveReading>> read(std::vector<pool::DriveName> drives) override {
        std::vector<pool::DriveReading> all;
        for (const pool::DriveName& drive : drives) {
            pool::DriveReading one;
            if (const auto at = percent.find(drive.member.get()); at != percent.end()) {
                one.reading.percentage_used = at->second;
                one.from_file = true;
            }
            if (low_on_spare == drive.member.get()) {
                one.reading.spare_percent = 3;
                one.reading.spare_threshold_percent = 10;
            }
            all.push_back(one);
        }
        co_return all;
    }
    double endurance_bytes(const pool::DriveName&) const override { return endurance; }
};

struct Worn {
    Readings readings;  // outlives the pool
    Rig rig;

    static RigOptions options(std::uint64_t seed) {
        RigOptions o;
        o.scheme = "2+1";
        o.members = 6;
        o.seed = seed;
        o.consistency = meta::Consistency::log;
        return o;
    }
    explicit Worn(std::uint64_t seed = 1) : rig(options(seed)) {
        rig.wear.enabled = true;
        rig.wear.reader = &readings;
        rig.wear.wall_seconds = [this] { return 1'700'000'000 + static_cast<std::int64_t>(rig.world.now() / kSecond); };
    }
    void create(const std::string& policy = "round_robin") {
        rig.create();
        rig.create_volume("data", kWornVolume);
        rig.require(rig.world.run(wear().set_policy(policy)));
    }
    // All of it is hot, and one drive of those that hold it has aged since.
    void create_uneven() {
        for (unsigned i = 0; i < 6; i++) readings.percent[i] = 5;
        create("adaptive");
        fill();
        readings.percent[0] = 60;
        for (int round = 0; round < 4; round++) {
            rig.world.run_for(10 * kSecond);
            fill();
        }
    }
    pool::Wear& wear() { return *rig.pool->wear(); }
    const wl::Account& account(unsigned index) {
        for (const auto& view : wear().members()) {
            if (view.member == member(index) && view.account != nullptr) return *view.account;
        }
        FAIL("no account");
        throw 0;
    }
    void fill(std::uint64_t from = 0, std::uint64_t to = kWornVolume) {
        for (std::uint64_t at = from; at < to; at += kMiB) REQUIRE(rig.fill(rig.volume(), at, kMiB) == Errc::ok);
    }
    void require_content() {
        INFO(rig.log.text());
        for (std::uint64_t at = 0; at < kWornVolume; at += kMiB)
            REQUIRE(rig.holds(rig.volume(), at, kMiB));
    }
    std::uint64_t used(unsigned index) { return rig.pool->member_status()[index].used_bytes; }
    std::vector<pool::PoolEvent> events(pool::EventKind kind) {
        std::vector<pool::PoolEvent> found;
        for (const pool::PoolEvent& event : wear().events().all()) {
            if (event.kind == kind) found.push_back(event);
        }
        return found;
    }
    template <class F>
    auto on_control(F call) {
        const auto task = [](pool::Wear& w, F f) -> Task<decltype(call(w))> { co_return f(w); };
        return rig.world.run(task(wear(), call));
    }
};

}  // namespace xsan::test
