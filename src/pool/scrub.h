// Scrub: reads all strips of all mapped stripes, counts those that disagree, finds out whose strip is wrong, and
// puts it right when it is told to. User I/O goes on; strips that cannot be read are healed on the way.
//
// Who owns it: the pool, on whose control reactor it runs. How it stops: stop(), then the owner's tasks are joined.
//
// It goes in the order of groups and stripes, a few stripes at once, so one place says how far it has come. That
// place and the counters are durable now and then; after a restart it goes on from there. So every stripe that
// was mapped all the time is checked at least once, and what was found behind the last durable place is found
// and counted again, unless it was repaired already.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "meta/store.h"
#include "pool/groups.h"
#include "pool/jobs.h"
#include "pool/pace.h"
#include "raid/engine.h"
#include "reactor/sync.h"
#include "reactor/task_group.h"

namespace xsan::pool {

struct ScrubStatus {
    JobState state = JobState::done;
    bool ever = false;
    bool resumed = false;  // it was begun before the pool was assembled
    std::uint64_t rate_max = 0;  // bytes a second that it may read, as asked for; 0: as configured
    std::uint64_t stripes_total = 0;
    std::uint64_t stripes_checked = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t incomplete = 0;  // stripes with lost strips
    std::uint64_t errors = 0;      // stripes that could not be read
    bool repairs = false;
    std::uint64_t repaired = 0;  // stripes that agree again
    std::uint64_t untold = 0;    // mismatches of which nobody can tell whose strip is wrong
    std::map<MemberIndex, std::uint64_t> wrong_bytes;  // found on each member
};

class Scrub {
  public:
    struct Context {
        meta::Store& store;
        GroupTable& groups;
        raid::Engine& engine;
        TaskGroup& tasks;
        std::uint64_t rate_max = 0;  // where nobody asked for one
    };
    // Nothing runs before go_on() or start().
    explicit Scrub(const Context& context) : context_(context) {}

    const ScrubStatus& status() const { return status_; }
    std::optional<JobStatus> job() const;

    // What was under way when the pool was last stopped or cut off, or ended before; it waits for go_on().
    void load();
    void go_on();
    // Begins anew; `rate_max` absent: as before. busy: one is running. One that is paused is given up. The beginning
    // is durable when this returns.
    Task<Result<void>> start(bool repairs, std::optional<std::uint64_t> rate_max);
    // Holds a running scrub or lets it go on, at another rate from now on; durable.
    Task<Result<void>> set(bool paused, std::optional<std::uint64_t> rate_max);

    void stop() { stopping_ = true; }
    // Before a clean stop, when its task has ended and all members were flushed: the next superblocks say how far it
    // has come.
    void keep();

  private:
    struct Place {
        GroupIndex group;
        StripeIndex stripe;
    };

    void begin();
    Task<void> run();
    Task<void> check_group(GroupIndex group);
    Task<void> check_stripe(Place place, SchemeId scheme);
    Task<void> hold();  // while it is paused
    bool is_over() const { return stopping_ || given_up_; }
    Task<Result<void>> save();
    Task<void> save_sometimes();
    meta::ScrubProgress progress() const;
    std::uint64_t rate() const { return status_.rate_max != 0 ? status_.rate_max : context_.rate_max; }
    std::uint64_t stripes_from(Place place) const;
    std::vector<StripeIndex> stripes_of(GroupIndex group, StripeIndex first) const;
    void log_end() const;

    Context context_;
    ScrubStatus status_;
    ScrubStatus settled_;  // its counters, without the stripes from next_ on
    Place next_;
    Pace pace_;
    AsyncMutex saving_;
    TimeNs saved_at_ = 0;
    std::uint64_t saved_found_ = 0;  // mismatches and errors that are durable
    bool is_waiting_ = false;        // for go_on()
    bool is_running_ = false;        // its task
    bool stopping_ = false;
    bool given_up_ = false;
};

}  // namespace xsan::pool
