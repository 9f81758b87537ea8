// Runner: executes a plan on a bed, keeps the model, takes crash states on the way.
//
// Requests of users run beside each other, up to the plan's depth, also on the same blocks;
// administration is one thing at a time beside them. Cuts are taken between steps of the world, in
// the middle of whatever runs; what they leave is checked in worlds of their own (crash_check.h),
// and the run goes on.
//
// Files: runner.cc (the loop, cuts), runner_io.cc (users), runner_admin.cc (administration,
// restarts, power cuts of the whole run), runner_move.cc (relocations), runner_faults.cc (drives that go wrong).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sim/bed.h"
#include "sim/crash_check.h"
#include "sim/model.h"
#include "sim/plan.h"
#include "sim/report.h"

namespace xsan::simtest {

class Runner {
  public:
    Runner(const Plan& plan, Stats& stats) : plan_(plan), stats_(stats), choices_(plan.seed) {}
    // Nothing found: the run is clean.
    MaybeFinding run();
    std::uint64_t hash() const { return hash_; }
    // What each operation came to, for people; filled where it is wanted.
    bool verbose = false;

  private:
    bool beyond() const { return plan_.config.mode == Mode::beyond; }
    void note(std::string kind, std::string what);
    void say(const Op& op, const std::string& what) const;

    // runner.cc
    bool start();
    void execute(const Op& op);
    void advance(const Op& op);
    void take_cuts(const Op& op, std::uint32_t cut);
    MaybeFinding check_straggler(CrashState state);
    template <class P>
    void step_until(P pred, const char* what);
    void drain();
    void finish_run();

    // runner_io.cc
    struct Target {
        pool::Volume* volume = nullptr;
        VolumeModel* model = nullptr;
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        Range range() const {
            return {offset / model->granule_bytes(), length / model->granule_bytes()};
        }
    };
    Target choose_target(const Op& op);
    void start_request(const Op& op);
    Task<void> request(Op op, Target target);
    Task<Errc> write(const Op& op, Target target);
    Task<Errc> zero(const Op& op, Target target);
    Task<Errc> read(const Op& op, Target target);
    Task<Errc> flush(Target target);
    bool may_fail(Errc code) const;

    // runner_admin.cc
    Task<void> administer(Op op);
    Task<void> create_volume(Op op);
    Task<void> resize_volume(Op op);
    Task<void> delete_volume(Op op);
    Task<void> fail_member(Op op);
    Task<void> return_member(Op op);
    Task<void> add_spare(Op op);
    Task<void> scrub(Op op);
    Task<void> rot_scrub(Op op);
    Task<void> scrub_ends();
    Task<void> relocate(Op op);
    void order_moves(const Op& op, unsigned count, bool by_command);
    Task<void> use_wear(Op op);
    Task<void> restart(Op op);
    Task<void> come_up(Op op);
    Task<void> check_after_assembly(bool clean);
    void pull_member(const Op& op);
    void cut_power(const Op& op);
    void bring_drives_back(const Op& op, std::uint32_t mask);
    bool is_rebuilding() const;

    // runner_faults.cc
    void inject(const Op& op);
    void watch_drives();
    // May one more member be lost, or go wrong?
    bool may_impair(unsigned drive);
    unsigned impaired();
    // Members in sync that may go, as far as starting the pool needs them.
    unsigned to_spare() { return bed_->pool == nullptr ? spare_before_ : members_to_spare(*bed_); }
    std::string_view state();  // in the words of the matrix
    void hit(std::string_view fault, unsigned drive, const dev::IoRequest& request);
    void write_noise(const Op& op, unsigned drive, const meta::MemberLayout& layout);
    void damage_superblock(const Op& op, unsigned drive);
    void damage_metadata(const Op& op, unsigned drive);
    void vanish_at(const Op& op, unsigned drive);
    void slow_commit(const Op& op);
    void rot(unsigned drive, std::uint64_t offset, unsigned bit);

    const Plan& plan_;
    Stats& stats_;
    sim::ChoiceStream choices_;
    std::unique_ptr<Bed> bed_;
    Model model_;
    std::uint64_t hash_ = 0;
    MaybeFinding found_;
    std::uint32_t op_id_ = 0;

    unsigned outstanding_ = 0;
    bool administering_ = false;
    unsigned impaired_before_ = 0;  // when the pool went down
    unsigned spare_before_ = 0;
    std::vector<bool> informed_;  // when it went down
    std::uint32_t drives_back_ = UINT32_MAX;  // after a power cut, by drive
    bool power_is_off_ = false;
    bool was_clean_ = false;
    unsigned volumes_made_ = 0;
    std::uint64_t versions_made_ = 0;
    // Rules that may still fire, by drive: they count against the budget until they have.
    struct Armed {
        unsigned drive;
        sim::FaultPlan::RuleId rule;
        bool outlives_assembly = false;  // a checkpoint: only one member's is read there
    };
    std::vector<Armed> armed_;
    std::set<unsigned> ever_faulty_;  // drives that anything was done to, in this run
    int cloned_drive_ = -1;
    bool stopping_ = false;
    std::vector<Rotten> rotten_;  // bytes that flipped, and were neither read nor written since
    std::set<unsigned> damaged_superblocks_;  // of these drives: a cut in its next update may cost the member
    bool metadata_is_damaged_ = false;  // of some member: it may not count for a majority
    // Where each drive's last writes to its metadata log and checkpoints went, for rot to follow.
    struct LastWrites {
        std::uint64_t log = 0;
        std::uint64_t checkpoint = 0;
    };
    std::map<unsigned, LastWrites> last_writes_;
};

}  // namespace xsan::simtest
