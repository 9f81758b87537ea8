// Wear: what a pool knows of its members' wear and does about it: accounts, readings, heat, the policy of placement and
// its settings, what is kept (wear_keep.cc), and the background task that plans moves and lets them run (wear_task.cc).
//
// Who owns it: the pool, on whose control reactor everything runs. How it stops: stop(), then the owner joins its
// tasks, then keep() where the stop is a clean one. The data path knows nothing of it: counters are looked at once a
// second.
//
// What is kept lies in the members' books (wear_book.h): policy, settings, events and the heat of the hottest groups on
// all, each member's account on itself. Books are written within kSaveSoon of an event (kSaveEvery of those of single
// moves), every kSaveEvery while users read or write, and at a clean stop; so a crash loses at most the figures of the
// last kSaveEvery. What a verb changes is durable when it returns. The queue of moves and what is paused end with the
// daemon.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "base/uuid.h"
#include "pool/events.h"
#include "pool/wear_book.h"
#include "pool/wear_reader.h"
#include "reactor/sync.h"
#include "reactor/task.h"
#include "wl/account.h"
#include "wl/heat.h"
#include "wl/member_load.h"
#include "wl/planner.h"
#include "wl/settings.h"
#include "wl/spread.h"

namespace xsan::pool {

class Pool;
struct MoveOrder;

struct WearOptions {
    bool enabled = false;
    WearReader* reader = nullptr;  // nullptr: drives are not asked
    std::function<std::int64_t()> wall_seconds;  // Unix time; absent: the reactor's clock
};

// What users of the pool's volumes got since they were attached: requests and the time that they took in all.
struct UserLoad {
    std::uint64_t requests = 0;
    std::uint64_t nanoseconds = 0;
};

class Wear {
  public:
    static constexpr TimeNs kSaveEvery = 60 * kSecond;
    static constexpr TimeNs kSaveSoon = 5 * kSecond;
    static constexpr std::uint64_t kRateMost = 64 * kGiB;  // bytes a second: no limit
    static constexpr TimeNs kSaveIdle = 900 * kSecond;  // where nothing was read or written

    Wear(Pool& pool, const WearOptions& options);
    ~Wear();

    // Before anything is served: takes up what the members' books say. Never fails: what is not there begins anew.
    // `is_new`: the pool was just created, and its first groups shall know what drives say.
    Task<void> load(bool is_new);
    void start();
    void stop() { stopping_ = true; }
    // After the task has ended, with all members still there.
    Task<void> keep();

    // What placement is to know of a member.
    void annotate(wl::MemberCandidate& candidate) const;
    // The group's number may name another group from now on.
    void forget_group(GroupIndex group) { heat_.forget(group); }
    // Becomes durable within kSaveSoon.
    void note(EventKind kind, std::string text);
    void set_load_source(std::function<UserLoad()> source) { load_source_ = std::move(source); }

    // Verbs. What they change is durable when they return; io_error where no member could take it: then it holds until
    // the pool is stopped.
    Task<Outcome<void>> set_policy(std::string policy);
    // "KEY=VALUE" each, all or nothing. Errors: invalid_argument.
    Task<Outcome<void>> change_settings(std::vector<std::string> changes);
    // Rated endurance of a member, bytes; 0: as configured, by its model or assumed.
    Task<Outcome<void>> set_endurance(MemberIndex member, double bytes);
    Task<Outcome<void>> set_task(bool on);
    void set_paused(bool paused);
    // The accounts of one member or of all begin anew. Says whose.
    Task<Outcome<std::vector<MemberIndex>>> reset(std::optional<MemberIndex> member, bool with_history);
    // What the background task would do now; with `eager` as balance() does it. Nothing is done.
    wl::Plan plan(bool eager) const;
    // Plans, below the usual threshold and whatever the schedule says, and lets the moves run.
    Outcome<wl::Plan> balance();

    // For `wear show` and its like.
    struct MemberView {
        MemberIndex member;
        const wl::Account* account = nullptr;
        double rate_bytes = 0;  // written a second, lately
        std::optional<double> request_seconds;  // that one takes, lately
        wl::MemberCandidate candidate;  // `slow`: takes much longer than the others
    };
    std::vector<MemberView> members() const;  // live ones, and those that were; in order
    wl::Spread wear_spread() const;           // of members that may hold data and are there
    wl::Spread fill_spread() const;
    double predicted_spread();                // as of half a minute ago at most: it takes a plan
    struct HotGroup {
        GroupIndex group;
        double rate_bytes = 0;
    };
    std::vector<HotGroup> hottest(std::size_t count_max) const;
    struct TaskView {
        enum class State : std::uint8_t { stopped, idle, running, paused, waiting };
        State state = State::stopped;
        std::optional<std::int64_t> last_plan_seconds;
        std::optional<std::int64_t> next_plan_seconds;
        bool levels_wear = false;
        std::uint64_t moves_done = 0;  // since the pool was started
        std::uint64_t moves_failed = 0;
        std::uint64_t moved_bytes = 0;
        std::optional<std::uint64_t> rate_bytes;
        std::optional<double> latency_ns;
        std::optional<double> latency_quiet_ns;
    };
    TaskView task() const;
    const wl::WearSettings& settings() const { return settings_; }
    const EventLog& events() const { return events_; }
    std::int64_t now_seconds() const;
    // Since the accounts of all began or were reset: what users wrote, and what was written to members for whatever
    // reason.
    double user_bytes() const { return user_bytes_; }
    double device_bytes() const { return device_bytes_; }

    // The pool's word on moves of the background queue.
    void move_began(const MoveOrder& order, const std::string& why);
    void move_ended(const MoveOrder& order, bool moved, const std::string& why);
    void moves_cancelled(std::size_t count, std::optional<GroupIndex> group);  // one group's or all

  private:
    struct Side {  // what is known of one member
        Side(const Uuid& its_uuid, wl::Account its_account) : uuid(its_uuid), account(std::move(its_account)) {}
        Uuid uuid;
        wl::Account account;
        wl::AccountTotals seen;       // the counters when they were last looked at
        wl::IoTotal books;            // written as books
        double rate_bytes = 0;
        unsigned book_place = 0;      // for the next book
        bool book_has_failed = false;
        wl::MemberLoad load;
        std::uint64_t requests_seen = 0;
        bool had_worn_out = false;
        std::optional<TimeNs> false_since;  // its history ends in the future
    };
    // Mean latency of users, over the last seconds and while nothing moved or moves all but stood still.
    struct Latency {
        UserLoad before;
        TimeNs at = 0;
        std::optional<double> now_ns;
        std::optional<double> quiet_ns;
        TimeNs quiet_at = 0;
        bool is_listening = false;  // moves go at their slowest, so that a quiet figure can be had
        bool is_high = false;       // users wait longer than they should
        bool was_told = false;      // of that, in these moves
        TimeNs told_at = 0;
        std::uint64_t moved_before = 0;  // bytes that moves had written at the last look
        double moved_rate = 0;           // and wrote a second since the one before
    };

    // wear.cc, wear_keep.cc
    Task<void> run();
    Task<void> open(MemberIndex member, bool from_zero);
    void take_pool_part(WearBook& book);
    void take_heat(const WearBook& book);
    bool is_still(MemberIndex member, const Uuid& uuid) const;
    Task<void> read_in_background();
    void count_all();
    Task<void> open_new_members();
    Task<void> read_drives();
    Task<void> look_at_load();
    void count();
    void count_heat(TimeNs elapsed);
    void note_levels();
    void drop_false_history(Side& side);
    void note_mode();
    wl::AccountTotals totals_of(MemberIndex member) const;
    wl::Endurance endurance_of(MemberIndex member, double by_command) const;
    Task<bool> save();
    Task<bool> write_to(MemberIndex member, const WearBook& common);
    WearBook pool_part() const;
    bool is_live(MemberIndex member) const;
    std::vector<MemberIndex> live_members() const;
    Task<Outcome<void>> save_now();

    // wear_task.cc
    wl::Plan make_plan(wl::Planner& planner) const;
    wl::PlannerSettings planner_settings(bool eager) const;
    bool is_in_danger() const;  // a member reaches its first threshold soon
    std::size_t carry_out(const wl::Plan& plan);
    void plan_when_due();
    bool watch_latency();  // true: there is a new figure
    void guide_moves(bool looked);
    std::uint64_t next_rate();  // of one look
    bool must_listen() const;
    void tell_of_latency();
    std::uint64_t bytes_of_moves() const;
    std::uint64_t rate_most() const;  // bytes a second that moves may write
    void set_rate(std::uint64_t rate);
    void hold_or_release();

    Pool& pool_;
    WearOptions options_;
    bool stopping_ = false;
    std::map<MemberIndex, std::unique_ptr<Side>> sides_;
    wl::WearSettings settings_;
    wl::GroupHeat heat_;
    std::vector<std::uint64_t> group_bytes_seen_;
    TimeNs counted_at_ = 0;
    TimeNs heat_at_ = 0;
    TimeNs load_at_ = 0;
    TimeNs read_at_ = 0;
    TimeNs points_at_ = 0;
    // Since the accounts of all were last reset.
    double user_bytes_ = 0;
    double device_bytes_ = 0;
    std::string mode_;  // of the policy, as it was told last

    EventLog events_;
    std::uint64_t book_number_ = 0;
    std::uint64_t taken_number_ = 0;  // of the book whose word counts for the pool
    bool is_dirty_ = false;           // figures have changed since the last book
    bool is_reading_ = false;
    TimeNs saved_at_ = 0;
    std::optional<TimeNs> save_by_;
    AsyncMutex saving_;

    bool task_is_on_ = false;
    bool is_paused_ = false;
    bool is_balancing_ = false;  // until the moves that were asked for have ended
    std::optional<wl::Planner> planner_;
    std::optional<TimeNs> plan_at_;
    std::optional<std::int64_t> last_plan_seconds_;
    double predicted_spread_ = 0;
    std::optional<TimeNs> predicted_at_;
    bool levels_wear_ = false;
    std::optional<bool> was_in_schedule_;  // as it was told last
    std::uint64_t moves_done_ = 0;
    std::uint64_t moves_failed_ = 0;
    std::uint64_t moved_bytes_ = 0;
    std::function<UserLoad()> load_source_;
    Latency latency_;
    std::optional<std::uint64_t> rate_bytes_;
};

}  // namespace xsan::pool
