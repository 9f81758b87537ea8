// Bed: a simulated world with drives and, now and then, a pool on them. The drives outlive the pool,
// which can be stopped, abandoned and assembled again. Nothing here knows a test framework: what
// goes wrong is returned.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "meta/layout.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "sim/choice_stream.h"
#include "sim/plan.h"
#include "sim/sim_device.h"
#include "sim/sim_world.h"

namespace xsan::simtest {

class Bed {
  public:
    // `choices` outlives the bed.
    Bed(const Config& config, sim::ChoiceStream& choices);
    ~Bed();

    sim::World world;
    std::vector<std::unique_ptr<sim::SimDevice>> drives;
    std::unique_ptr<pool::Pool> pool;
    const Config& config;

    sim::SimDevice& add_drive();
    ec::Scheme scheme() const;
    // All drives are of one size, but those that are added later have a larger stripe log.
    meta::MemberLayout layout(unsigned drive) const;
    unsigned losses_promised() const { return scheme().losses_promised(); }
    // The extra path, where given, is a second drive in place of one: a clone.
    std::unique_ptr<dev::BlockDevice> plug(unsigned drive);

    // Tasks for the control reactor.
    Task<Outcome<void>> create();
    Task<Outcome<void>> assemble(bool accept_missing, int cloned_drive = -1);

    // Steps the world until the task is done, calling on_step() after each step. False when it
    // cannot be done: a deadlock, or more steps than anything should take.
    template <class F>
    bool finish(Task<void> task, F on_step) {
        world.spawn(std::move(task));
        for (std::uint64_t steps = 0; world.spawned_running() > 0; steps++) {
            if (steps > kStepsMax || !world.step()) return false;
            on_step();
        }
        return true;
    }
    bool finish(Task<void> task) {
        return finish(std::move(task), [] {});
    }
    // Virtual time goes on until the condition holds; false: it never does.
    template <class P>
    bool wait_until(P pred, TimeNs most) {
        const TimeNs end = world.now() + most;
        TimeNs step = 50 * kMicrosecond;
        while (!pred()) {
            if (world.now() > end) return false;
            world.run_for(step);
            step = std::min<TimeNs>(step * 2, 10 * kMillisecond);
        }
        return true;
    }
    void abandon();

    static constexpr std::uint64_t kStepsMax = 3'000'000;

    // Drives of unequal age.
    struct Ages final : pool::WearReader {
        Task<std::vector<pool::DriveReading>> read(std::vector<pool::DriveName> names) override {
            std::vector<pool::DriveReading> readings(names.size());
            for (std::size_t i = 0; i < names.size(); i++) {
                readings[i].reading.percentage_used = names[i].member.get() * 37 % 100;
            }
            co_return readings;
        }
        double endurance_bytes(const pool::DriveName&) const override { return 0; }
    };
    Ages ages;

  private:
    pool::Environment environment();
    Task<void> abandon_task();
};

}  // namespace xsan::simtest
