// Pool: a set of members and everything stored on them.
//
// Who owns it: the service (src/daemon) or a test. Where it runs: everything public runs on the control
// reactor, except the I/O of its volumes, which runs where it is submitted. How it stops: stop(), which
// leaves a clean mark, or abandon(), which leaves the pool as a crash would; one of them must be awaited
// before destruction.
//
// Files: create.cc (making pools), assemble.cc (finding them again), allocate.cc (groups and clusters), capacity.cc,
// checks.cc (before anything is written), faults.cc (losing members), rebuild.cc, relocate.cc, move_group.cc,
// resync.cc (dirty groups, resync), volumes.cc. scrub.h, move_queue.h and wear.h are classes of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "meta/store.h"
#include "pool/groups.h"
#include "pool/jobs.h"
#include "pool/members.h"
#include "pool/move_queue.h"
#include "pool/options.h"
#include "pool/pace.h"
#include "pool/scrub.h"
#include "pool/status.h"
#include "pool/stripe_log.h"
#include "pool/wear.h"
#include "raid/engine.h"
#include "reactor/sync.h"
#include "reactor/task_group.h"
#include "wl/placement.h"

namespace xsan::pool {

class Volume;

class Pool final : public raid::FaultSink, private wl::PoolView {
  public:
    // Writes to the devices only after everything was checked. The devices are open and claimed, and empty
    // by the caller's judgement; the pool takes those that it uses out of the vector, and the caller closes
    // the others. Errors name the device or value.
    static Task<Outcome<std::unique_ptr<Pool>>> create(Environment environment, CreateOptions options,
                                                       std::vector<NewDevice>& devices);

    struct Found {
        std::unique_ptr<dev::BlockDevice> device;
        meta::Examined examined;
    };
    // `found`: all devices at hand that carry this pool's superblocks; those that are used are taken out.
    static Task<Outcome<std::unique_ptr<Pool>>> assemble(Environment environment,
                                                         std::vector<Found>& found,
                                                         bool accept_missing);
    ~Pool() override;

    // Clean stop: no volume may have users any more. Stops jobs, flushes, leaves the clean mark.
    Task<Outcome<void>> stop();
    // Stops without a mark and without flushing, as if the process had died; for shutdown with live devices
    // and for tests.
    Task<void> abandon();
    // stop(), then erases the superblocks.
    Task<Outcome<void>> destroy();

    const meta::State& state() const { return store_->state(); }
    const std::string& name() const { return state().pool().name; }
    raid::Engine& engine() { return *engine_; }
    GroupTable& groups() { return *groups_; }
    // What users read and wrote since the pool was started.
    raid::GroupSum group_traffic(GroupIndex group) const { return engine_->group_traffic().total(group); }
    const StripeLog* stripe_log() const { return stripe_log_.get(); }  // nullptr: no log is kept
    Reactor& control() { return *environment_.reactors[0]; }

    PoolHealth health() const { return health_of(std::nullopt); }
    // As far as a volume is concerned: of the groups of its scheme.
    PoolHealth volume_health(const Volume& volume) const;
    std::vector<MemberStatus> member_status() const;
    std::vector<JobStatus> job_status() const;
    RebuildStatus rebuild_status() const;
    const ScrubStatus& scrub_status() const { return scrub_->status(); }
    std::uint64_t data_bytes_total(const ec::Scheme& scheme) const;  // that volumes of the scheme may use

    // A member by its index, UUID, or path: where a live one is, else where one that is gone was.
    Outcome<MemberIndex> find_member(const std::string& text) const;
    // By the drive that it is, whatever its name.
    std::optional<MemberIndex> find_live_member(const std::string& unique_id) const;

    // Does a superblock name a member that is in the table now?
    bool is_known(const meta::Superblock& superblock) const;
    // The largest logical block of the live members, bytes.
    std::uint32_t member_block_bytes() const;
    // The smallest atomic write unit of the live members, bytes.
    std::uint32_t member_atomic_bytes() const;

    // What add() and readmit() check, for callers that do several things.
    Outcome<void> check_add(std::span<const NewDevice> devices) const;
    Outcome<void> check_readmit(const Found& found, bool gives_up) const;

    // Administration.
    Task<Outcome<void>> add(std::vector<NewDevice>& devices);
    // Takes back a device that carries a superblock of this pool: all of its strips count as stale.
    // Refused where a group could not be decoded without what is on it, unless that is given up.
    Task<Outcome<void>> readmit(Found& found, bool gives_up = false);
    Task<Outcome<void>> fail(MemberIndex member);
    Task<Outcome<void>> set_rebuild(bool paused, std::optional<std::uint64_t> rate_max);
    // The group's lost strips are rebuilt now, ahead of all others, beside as many as run. Refused while the rebuild
    // is paused, and where there is nothing to rebuild, no place or too much lost.
    Outcome<GroupStatus> rebuild_group(GroupIndex group);

    // Relocation (relocate.cc): a healthy strip moves to another member while its group serves. It has happened when
    // the table says so, durably; until then the group is as it was, also after a crash or when the target fails.
    // When any strip of the group is lost meanwhile it is given up, and the rebuild takes over.
    //
    // Refused, with a sentence, is what would put two strips of a group on one member or failure domain, or on a member
    // that is not in sync, not sound, a spare or full, and any move of a group that moves already or has lost strips.
    Outcome<void> check_move(const MoveOrder& order) const;
    // By command: ahead of all that waits; starts at once unless as many run as may.
    Outcome<GroupStatus> relocate(const MoveOrder& order);
    // For a background task: waits its turn, behind rebuilds; checked again when it starts, and dropped as failed when
    // it does not hold any more. Lost with a restart. exists: the group waits already. `why`: for the events.
    Outcome<void> enqueue_move(const MoveOrder& order, std::string why = {});
    // Of those in the background: one group's or all; those that run are given up. Says how many.
    std::size_t cancel_moves(std::optional<GroupIndex> group = {});
    void pause_moves(bool paused);  // those in the background; one that runs begins again afterwards
    void set_move_rate(std::optional<std::uint64_t> rate_max);  // MoveQueue::set_rate_max()
    const MoveQueue& moves() const { return moves_; }
    // not_found: there is no such group.
    Outcome<GroupStatus> group_status(GroupIndex group) const;
    // Which placement extension new groups ask from now on, by the name it is registered under.
    Outcome<void> use_placement(const std::string& placement_name);
    std::string_view placement_name() const { return placement_->name(); }
    const wl::Placement& placement() const { return *placement_; }
    std::vector<std::string> placement_names() const;

    // Wear leveling; nullptr where the environment does not want it.
    Wear* wear() { return wear_.get(); }
    const Wear* wear() const { return wear_.get(); }
    // What it asks of the pool.
    std::vector<wl::MemberCandidate> candidates() const { return members(); }
    dev::BlockDevice* live_device(MemberIndex member) const { return members_.live(member); }
    meta::Store::Written metadata_written(MemberIndex member) const { return store_->written(member); }
    bool was_unclean() const { return store_->was_unclean(); }
    DriveName drive_name(MemberIndex member) const;
    std::string describe_member(MemberIndex member) const;
    // Nothing moves, waits or is lost in the group: a plan may count on it.
    bool is_settled(GroupIndex group) const;
    // Nothing is rebuilt or could be, and the metadata can be written.
    bool may_plan_moves() const;
    void spawn(Task<void> task) { tasks_.spawn(std::move(task)); }
    Task<void> pause_for(TimeNs duration);  // returns early when the pool stops
    bool is_quiet() const;  // no job runs: users have the drives to themselves
    Failure refuse_stopping() const;
    // For people. Kept with the accounts of wear; without those they end with the pool.
    void note_event(EventKind kind, std::string text) {
        if (wear_ != nullptr) return wear_->note(kind, std::move(text));
        const auto& clock = environment_.wear.wall_seconds;
        const std::int64_t now = clock ? clock() : static_cast<std::int64_t>(control().now() / kSecond);
        events_.add(now, kind, std::move(text));
    }
    const EventLog& events() const { return wear_ != nullptr ? wear_->events() : events_; }
    // A scrub goes on over restarts. One that is paused is given up when another is started. `rate_max`: bytes a
    // second that it may read, 0 as configured; absent: as before.
    Task<Outcome<void>> start_scrub(bool repair = false, std::optional<std::uint64_t> rate_max = {});
    Task<Outcome<void>> set_scrub(bool paused, std::optional<std::uint64_t> rate_max = {});

    Task<Outcome<Volume*>> create_volume(VolumeOptions options);
    Task<Outcome<void>> resize_volume(const std::string& name, std::uint64_t size_bytes);
    Task<Outcome<void>> delete_volume(const std::string& name);
    Task<Outcome<void>> set_attachment(const std::string& name, bool attached, int device_number);
    Volume* find_volume(const std::string& name);
    std::vector<Volume*> volumes();

    // raid::FaultSink, from any reactor.
    Task<Result<void>> member_failed(MemberIndex member, Error why) override;
    Task<void> read_failed(MemberIndex member, std::uint64_t offset, Error why, bool corrected) override;
    Task<Result<void>> range_lost(GroupIndex group, std::uint64_t offset, std::uint64_t length) override;
    Task<Result<void>> range_rewritten(GroupIndex group, std::uint64_t offset, std::uint64_t length) override;

    Task<void> stripe_torn(GroupIndex group, StripeIndex stripe) override;

    // For Volume, from any reactor.
    Task<Result<meta::MapEntry>> map_cluster(meta::VolumeId volume, ClusterIndex cluster);
    // The clusters read as zeros afterwards, durably. The caller holds no quiescence token.
    Task<Result<void>> unmap_clusters(meta::VolumeId volume, const std::vector<ClusterIndex>& clusters);
    Task<Result<void>> mark_dirty(GroupIndex group);
    // After map_cluster() answered busy: waits, without a token, until no cluster is being unmapped.
    Task<void> wait_for_unmapping();
    // media_error when the range touches a bad range. Only for groups that carry the flag kHasBad.
    Task<Result<void>> check_bad(raid::GroupRange range);
    bool needs_mark(GroupIndex group) const {
        return marks_dirty_ && !groups_->flag(group, GroupTable::kMarked);
    }

  private:
    struct RunningMover {
        raid::Mover mover;
        std::uint64_t bytes;  // that it writes
        std::uint64_t bytes_done = 0;
        std::optional<MoveQueue::Entry> relocation;  // else a rebuild
        bool is_cancelled = false;
        bool was_held = false;       // the queue was paused: it stops, and waits again
        bool is_committing = false;  // the row with its targets may be the truth already
        std::vector<StripRef> replaced;  // by its commit: free once nobody reads there any more
        RunningMover(GroupIndex group, std::vector<raid::MoveTarget> targets, std::uint32_t stripes,
                     std::uint64_t bytes_total, std::optional<MoveQueue::Entry> entry = {})
            : mover(group, std::move(targets), stripes, !entry), bytes(bytes_total), relocation(entry) {}
    };
    explicit Pool(Environment environment);

    // assemble.cc
    void open_members();
    void start_running();
    Task<Outcome<void>> replay_log();
    Task<Outcome<void>> open_log();
    Task<Result<void>> retire_log();
    void start_jobs();
    Task<void> stop_jobs();
    Task<void> drain_volume(Volume& volume);  // the requests of all reactors
    Task<void> close_devices();

    // allocate.cc. In mapping_ an event stands for a cluster being mapped, null for one being unmapped.
    struct OpenGroups {
        std::vector<wl::OpenGroup> groups;
        std::optional<GroupIndex> previous;
        bool making = false;
        unsigned last_made = 0;  // groups that the last attempt made
        Error last_error;        // why it made fewer than it wanted
        Event made;
    };
    OpenGroups& open_groups(SchemeId scheme);
    bool may_take_from(GroupIndex group) const;
    void update_open(SchemeId scheme, GroupIndex group);
    void update_all_open();
    Task<void> make_groups(SchemeId scheme, unsigned count);
    Task<Result<GroupIndex>> make_group(SchemeId scheme);
    Result<std::vector<StripRef>> choose_strips(SchemeId scheme);
    std::vector<std::uint64_t> extents_of_members(bool with_lost) const;
    std::uint64_t groups_that_fit(const ec::Scheme& scheme, bool with_lost, bool keeps_spare) const;
    bool room_for_group(SchemeId scheme) const;
    Result<GroupIndex> free_group_number();
    bool wants_open_group(SchemeId scheme) const;
    Task<void> remove_empty_groups(SchemeId scheme);
    Task<Result<void>> remove_group(GroupIndex group);
    // `kept`: members that still hold strips of the group.
    void give_back(const std::vector<StripRef>& strips, const std::vector<MemberIndex>& kept);
    Task<Result<GroupIndex>> group_for_cluster(SchemeId scheme);
    Task<Result<void>> zero_extent(MemberIndex member, ExtentIndex extent);
    Task<Result<meta::MapEntry>> map_on_control(meta::VolumeId volume, ClusterIndex cluster);
    Task<Result<void>> unmap_on_control(meta::VolumeId volume,
                                        const std::vector<ClusterIndex>& clusters);
    Task<void> wait_on_control();
    Task<Result<void>> zero_and_unmap(
        meta::VolumeId volume, const std::vector<std::pair<ClusterIndex, meta::MapEntry>>& taken);
    std::vector<wl::MemberCandidate> members() const override;
    void each_group(const VisitGroup& visit) const override;

    // Commits, and frees what the commit replaced after a grace period. Groups that a commit in doubt would
    // have changed take no writes from then on.
    Task<Result<void>> commit(std::vector<meta::Record> records);
    std::vector<GroupIndex> groups_changed(std::span<const meta::Record> records) const;
    Task<void> retire_rows();

    // placement.cc
    const wl::Registry& placements() const;
    void start_placement();
    void report_io();

    // faults.cc
    Task<Result<void>> lose_member(MemberIndex member, meta::MemberState state, Error why);
    bool is_going(MemberIndex member) const;
    ec::SlotMask lost_soon(const GroupRow& row) const;
    ec::SlotMask lost_without(const GroupRow& row, std::span<const MemberIndex> members) const;
    bool goes(MemberIndex member, std::span<const MemberIndex> members) const;
    bool may_lose(std::span<const MemberIndex> members) const;
    bool may_lose_targets(const RunningMover& running, std::span<const MemberIndex> members) const;
    void member_is_lost(MemberIndex member);
    Task<void> retire_device(std::unique_ptr<dev::BlockDevice> device);
    meta::MemberCounters counters_of(MemberIndex member) const;
    Task<Result<void>> lose_range(raid::GroupRange range);
    Task<Result<void>> commit_bad(meta::RecordKind kind, raid::GroupRange range);
    Task<Result<void>> check_bad_on_control(raid::GroupRange range);
    Task<Result<void>> clear_bad_on_control(raid::GroupRange range);
    bool has_bad(GroupIndex group) const;
    bool overlaps_bad(const raid::GroupRange& range) const;
    Task<void> count_read_error(MemberIndex member, std::uint64_t offset, Error why, bool corrected);

    // rebuild.cc
    Task<void> rebuild_loop();
    struct Damage {
        GroupIndex group;
        unsigned lost = 0;
    };
    void retry_rebuild();
    std::vector<Damage> find_damage();
    std::vector<raid::MoveTarget> choose_targets(const GroupRow& row);
    bool begin_move(GroupIndex group);
    unsigned rebuilds_running() const;
    bool relocations_hide_damage() const;
    std::uint64_t lost_bytes() const;
    RebuildStatus damage_of(std::optional<SchemeId> scheme) const;
    std::optional<JobStatus> rebuild_job() const;
    bool is_target(MemberIndex member) const;

    // move_group.cc
    Task<void> move_group(RunningMover& running);
    Task<Result<void>> run_mover(RunningMover& running);
    Task<Result<void>> commit_move(RunningMover& running);
    void release_targets(const RunningMover& running);
    bool must_stop(const RunningMover& running) const;
    void release_source(const RunningMover& running);
    Task<void> throttle(const RunningMover& running, std::uint64_t bytes);

    // relocate.cc
    Outcome<void> check_can_commit() const;
    void watch_moves();
    Task<void> start_moves_later();
    void start_moves();
    bool may_start_in_background() const;
    Outcome<void> check_target(const MoveOrder& order, const GroupRow& row) const;
    Outcome<void> begin_relocation(const MoveQueue::Entry& entry);
    void add_move(const MoveQueue::Entry& entry);
    void relocation_ended(const RunningMover& running, const Result<void>& result);
    std::uint64_t relocating_bytes() const;

    // checks.cc
    Outcome<void> check_volume_blocks(std::uint32_t block_bytes) const;
    Outcome<void> check_device_blocks(const dev::BlockDevice& device) const;

    // admin.cc
    Task<Outcome<void>> go_live(MemberIndex member);
    bool is_only_receiving(MemberIndex member) const;
    bool is_needed(MemberIndex member) const;
    PoolHealth health_of(std::optional<SchemeId> scheme) const;
    bool needs_members(std::optional<SchemeId> scheme) const;

    // resync.cc
    Task<void> clean_loop();
    enum class CleanWhich : std::uint8_t { idle, all };
    Task<Result<void>> clean_groups(CleanWhich which);
    Task<Result<void>> flush_all();
    Task<void> resync_then_scrub();
    Task<void> resync_all();
    Task<void> resync_group(GroupIndex group);
    Task<void> resync_torn();
    Task<void> note_torn(GroupIndex group);
    Task<Result<void>> mark_on_control(GroupIndex group);
    Task<Result<void>> commit_marks(std::vector<GroupIndex> groups, bool dirty);
    Task<void> persist_counters();

    // volumes.cc
    Outcome<SchemeId> scheme_slot(const ec::Scheme& scheme, std::vector<meta::Record>& records) const;
    std::uint64_t provisioned_extents() const;
    Outcome<void> check_volume_size(std::uint64_t size_bytes, std::uint32_t cluster_bytes,
                                    std::uint64_t clusters_now) const;
    std::uint64_t room_for_volume(const ec::Scheme& scheme) const;
    Task<Outcome<void>> change_volume(const std::string& volume_name, meta::VolumeInfo info);
    Task<Result<void>> unmap_all(meta::VolumeId id);
    Task<void> free_volume(meta::VolumeId id);
    void free_deleted_volumes();

    Environment environment_;
    Rng rng_;
    std::unique_ptr<meta::Store> store_;
    MemberTable members_;
    std::unique_ptr<GroupTable> groups_;
    std::unique_ptr<StripeLog> stripe_log_;  // under the policy `log`
    std::unique_ptr<raid::Engine> engine_;
    std::unique_ptr<Scrub> scrub_;
    std::unique_ptr<wl::Placement> placement_;
    std::unique_ptr<Wear> wear_;
    EventLog events_;  // without wear_
    std::map<meta::VolumeId, std::unique_ptr<Volume>> volumes_;

    TaskGroup tasks_;
    bool stopping_ = false;
    bool stopped_ = false;
    bool marks_dirty_ = true;
    bool retiring_rows_ = false;
    AsyncMutex admin_;                                 // one administrative change at a time
    Gate admin_gate_;                                  // changes that run or wait; stop() closes it
    struct AdminScope {                                // one change, once its gate was entered
        explicit AdminScope(Gate& gate) : gate_(gate) {}
        AdminScope(const AdminScope&) = delete;
        AdminScope& operator=(const AdminScope&) = delete;
        ~AdminScope() { gate_.leave(); }

      private:
        Gate& gate_;
    };
    std::map<SchemeId, OpenGroups> open_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::unique_ptr<Event>> mapping_;
    std::set<GroupIndex> reserved_groups_;             // numbers of groups being created
    std::uint32_t free_group_from_ = 0;                // every number below it is in use
    bool removing_groups_ = false;
    std::map<GroupIndex, unsigned> unmapping_;         // clusters on their way out, by group
    Event unmapped_;
    std::map<MemberIndex, std::unique_ptr<Event>> losing_;
    std::set<GroupIndex> cleaning_;                    // groups whose mark is being taken away
    bool cleaning_committing_ = false;                 // too late to call it off
    Event cleaned_;
    std::map<GroupIndex, std::unique_ptr<Event>> marking_;

    // Rebuild.
    Event rebuild_wake_;
    Event mover_done_;
    std::map<GroupIndex, std::unique_ptr<RunningMover>> movers_;
    std::uint64_t damage_version_ = 0;                 // grows when groups lose more
    std::uint64_t rebuild_done_bytes_ = 0;
    std::uint64_t rebuild_total_bytes_ = 0;
    TimeNs rebuild_began_ = 0;
    std::optional<JobStatus> rebuild_ended_;           // the last one, since the pool was started
    std::uint64_t unplaced_groups_ = 0;
    Pace rebuild_pace_;

    MoveQueue moves_;
    bool is_watching_moves_ = false;
    Pace move_pace_;

    std::map<GroupIndex, std::uint64_t> torn_;         // groups that became suspect at run time: how often
    TimeNs resync_torn_at_ = 0;                        // not before
    std::uint64_t resync_total_ = 0;
    std::uint64_t resync_done_ = 0;
};

// The member record of a device that joins a pool of these sizes (device_bytes is the device's own); the device
// is named when it is too small.
Outcome<meta::Member> make_member(const NewDevice& device, meta::LayoutInput sizes, Rng& rng);
// Between one cluster and as many as a map can have.
Outcome<void> check_size_bounds(std::uint64_t size_bytes, std::uint32_t cluster_bytes);
Outcome<void> check_first_volume(const VolumeOptions& volume, std::span<const NewDevice> devices,
                                 std::span<const meta::Member* const> members, std::uint64_t extent_bytes);

}  // namespace xsan::pool
