// The scheduler of a simulated world.
#include "sim/sim_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/assert.h"

namespace xsan::sim {
namespace {

constexpr ChoiceLabel kSchedule{Subsystem::schedule, 0};
constexpr ChoiceLabel kReadyOrder{Subsystem::schedule, 1};
constexpr std::size_t kDueWindow = 16;  // due completions among which one is chosen

// Tags that keep the words of different kinds of step apart in the trace hash.
enum TraceTag : std::uint64_t { kRan = 1, kDelivered = 2, kTimeMoved = 3 };

}  // namespace

void SimReactor::run_one(bool any_order) {
    const Scope scope(*this);
    if (!inbox_empty()) {
        drain_inbox();
    } else if (any_order) {
        const auto bound = static_cast<std::uint32_t>(ready_.size());
        const Work work = ready_.take(world_.choices().below(bound, kReadyOrder));
        work.run(work.argument);
    } else {
        run_ready(1);
    }
}

World::World(std::uint64_t seed, const WorldOptions& options)
    : options_(options),
      own_choices_(std::make_unique<ChoiceStream>(seed)),
      choices_(own_choices_.get()),
      now_(options.start_time) {
    for (unsigned i = 0; i < options.reactors; i++) {
        reactors_.push_back(std::make_unique<SimReactor>(*this, i));
        spawned_.push_back(std::make_unique<TaskGroup>());
    }
}

World::World(ChoiceStream& choices, const WorldOptions& options) : World(0, options) {
    choices_ = &choices;
}

World::~World() {
    XSAN_ASSERT(events_.empty());
    XSAN_ASSERT(spawned_running() == 0);
}

void World::schedule(Event& event, TimeNs due) {
    XSAN_ASSERT(!event.queued && event.reactor < reactors_.size());
    event.due = std::max(due, now_);
    event.order = event_order_++;
    event.queued = true;
    events_.emplace(std::pair(event.due, event.order), &event);
}

void World::cancel(Event& event) {
    if (!event.queued) return;
    events_.erase(std::pair(event.due, event.order));
    event.queued = false;
}

void World::collect() {
    runnable_.clear();
    due_.clear();
    for (unsigned i = 0; i < reactors_.size(); i++) {
        const unsigned index = (last_reactor_ + 1 + i) % reactor_count();
        if (reactors_[index]->has_work()) runnable_.push_back(index);
    }
    for (const auto& [key, event] : events_) {
        if (key.first > now_ || due_.size() == kDueWindow) break;
        const auto same_lane = [e = event](const Event* d) { return d->lane == e->lane; };
        if (event->lane != nullptr && std::any_of(due_.begin(), due_.end(), same_lane)) continue;
        due_.push_back(event);
    }
}

bool World::step() {
    if (++steps_ > options_.steps_max) stuck("more steps than steps_max");
    collect();
    const std::size_t choices = runnable_.size() + due_.size();
    if (choices == 0) return advance_time(UINT64_MAX);
    std::size_t chosen = 0;
    if (options_.order == Order::random) {
        if (choices_->chance(options_.early_time_percent, kSchedule) && advance_time(UINT64_MAX))
            return true;
        chosen = choices_->below(static_cast<std::uint32_t>(choices), kSchedule);
    }
    if (chosen < runnable_.size()) {
        last_reactor_ = runnable_[chosen];
        trace((std::uint64_t{kRan} << 32) | last_reactor_);
        reactors_[last_reactor_]->run_one(options_.random_ready);
    } else {
        deliver(*due_[chosen - runnable_.size()]);
    }
    return true;
}

void World::deliver(Event& event) {
    cancel(event);
    trace((std::uint64_t{kDelivered} << 32) | event.reactor);
    trace(now_);
    reactors_[event.reactor]->enter([&] { event.run(event); });
}

// Moves the time to the next timer or completion, at most to `limit`; false when there is none
// until then.
bool World::advance_time(TimeNs limit) {
    TimeNs next = UINT64_MAX;
    const auto later = events_.upper_bound(std::pair(now_, UINT64_MAX));
    if (later != events_.end()) next = later->first.first;
    for (const auto& r : reactors_) {
        if (r->has_timer()) next = std::min(next, std::max(now_, r->next_deadline()));
    }
    if (next == UINT64_MAX || next > limit) return false;
    now_ = next;
    trace((std::uint64_t{kTimeMoved} << 32));
    trace(now_);
    for (const auto& r : reactors_)
        r->fire_timers(now_);
    return true;
}

void World::run_until_idle() {
    while (step()) {
    }
}

void World::run_for(TimeNs duration) {
    const TimeNs end = now_ + duration;
    for (;;) {
        collect();
        if (!runnable_.empty() || !due_.empty()) {
            step();
            if (now_ >= end) return;
        } else if (!advance_time(end)) {
            now_ = end;
            return;
        }
    }
}

void World::spawn(Task<void> task, unsigned on) {
    reactor(on).enter([&] { spawned_[on]->spawn(std::move(task)); });
}

std::size_t World::spawned_running() const {
    std::size_t running = 0;
    for (const auto& group : spawned_)
        running += group->running();
    return running;
}

void World::stuck(const char* why) const {
    fmt::print(stderr,
               "simulation stuck: {} (virtual time {} ns, {} steps, {} completions pending, {} "
               "spawned tasks "
               "running, seed {})\n",
               why, now_, steps_, events_.size(), spawned_running(), choices_->seed());
    XSAN_UNREACHABLE(why);
}

}  // namespace xsan::sim
