// World: virtual time and N simulated reactors on one thread, for running the production code
// without a kernel, a clock or threads.
//
// Invariants:
//  - One thing happens per step: a reactor runs one ready item (or its inbox), or one device
//  completion is
//    delivered on its reactor. Time moves only when nothing is ready, or, in random order, where
//    the choice stream says so; it moves to the next timer or completion.
//  - What happens next depends on the choice stream and on nothing else: the same choices give the
//  same
//    trace_hash().
//  - The world outlives its devices; at its end no timer is armed, no completion pending, no
//  spawned task
//    running.
// Several worlds may live in one thread, also nested (a recovery inside a step of the world it
// recovers).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/reactor.h"
#include "reactor/task.h"
#include "reactor/task_group.h"
#include "sim/choice_stream.h"

namespace xsan::sim {

class World;

class SimReactor final : public Reactor {
  public:
    SimReactor(World& world, unsigned index) : Reactor(index), world_(world) {}

    TimeNs now() const override;
    // Calls `f` with this as the thread's current reactor.
    template <class F>
    void enter(F&& f) {
        const Scope scope(*this);
        std::forward<F>(f)();
    }

  private:
    friend class World;
    void wake() override {}
    bool has_work() const { return !inbox_empty() || !ready_.empty(); }
    void run_one(bool any_order);

    World& world_;
};

enum class Order : std::uint8_t {
    fifo,    // reactors in turn, completions by due time: for unit tests
    random,  // which reactor or due completion goes next is a choice
};

struct WorldOptions {
    unsigned reactors = 1;
    Order order = Order::fifo;
    bool random_ready = false;  // also the order within a reactor's ready queue is a choice
    unsigned early_time_percent =
        10;  // random order: how often time moves though something is ready
    TimeNs start_time = kSecond;
    TimeNs stuck_after = 24 * 3600 * kSecond;  // virtual time that run() may take
    std::uint64_t steps_max = 2'000'000'000;
};

class World {
  public:
    explicit World(std::uint64_t seed = 0, const WorldOptions& options = {});
    // The stream outlives the world.
    World(ChoiceStream& choices, const WorldOptions& options);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    SimReactor& reactor(unsigned index = 0) { return *reactors_[index]; }
    unsigned reactor_count() const { return static_cast<unsigned>(reactors_.size()); }
    ChoiceStream& choices() { return *choices_; }
    TimeNs now() const { return now_; }
    std::uint64_t steps() const { return steps_; }

    // Does the next thing; false when there is none: nothing ready, no completion pending, no timer
    // armed.
    bool step();
    void run_until_idle();          // a loop with a periodic timer never gets there: use run_for
    void run_for(TimeNs duration);  // everything due until then, and then moves the time there
    // Steps until pred() holds: true; or until nothing is left to do: false.
    template <class P>
    bool run_until(P pred) {
        while (!pred()) {
            if (!step()) return pred();
        }
        return true;
    }

    // Runs `task` on a reactor, with everything else there is to do, until it has finished; its
    // value. Stops the process with a message when it cannot finish (a deadlock) or does not
    // (options.stuck_after).
    template <class T>
    T run(Task<T> task, unsigned on = 0) {
        const TimeNs begin = now_;
        reactor(on).enter([&] { task.start(); });
        while (!task.finished()) {
            if (!step()) stuck("deadlock: the task waits for what nothing will do");
            if (now_ - begin > options_.stuck_after)
                stuck("the task takes longer than stuck_after");
        }
        // The frame dies on its reactor: what it still holds may wake others.
        if constexpr (std::is_void_v<T>) {
            reactor(on).enter([&] { Task<T>(std::move(task)).take(); });
        } else {
            T value = task.take();
            reactor(on).enter([&] { const Task<T> finished = std::move(task); });
            return value;
        }
    }
    // Starts `task` on a reactor now; it runs with everything else.
    void spawn(Task<void> task, unsigned on = 0);
    std::size_t spawned_running() const;

    // A hash over every step and every device operation so far.
    std::uint64_t trace_hash() const { return trace_hash_; }
    void trace(std::uint64_t word) {
        trace_hash_ = (trace_hash_ ^ word) * 0x9E3779B97F4A7C15ull;
        trace_hash_ ^= trace_hash_ >> 32;
    }

    // A completion to be delivered on a reactor. Owned by the device; leaves the queue before
    // `run`.
    struct Event {
        TimeNs due = 0;
        unsigned reactor = 0;
        void (*run)(Event& event) = nullptr;
        const void* lane = nullptr;  // events with the same lane are delivered in order of due time
        std::uint64_t order = 0;     // the world's
        bool queued = false;         // the world's
    };
    void schedule(Event& event, TimeNs due);
    void cancel(Event& event);
    std::size_t events_pending() const { return events_.size(); }

  private:
    [[noreturn]] void stuck(const char* why) const;
    void collect();
    bool advance_time(TimeNs limit);
    void deliver(Event& event);

    WorldOptions options_;
    std::unique_ptr<ChoiceStream> own_choices_;
    ChoiceStream* choices_;
    std::vector<std::unique_ptr<SimReactor>> reactors_;
    std::vector<std::unique_ptr<TaskGroup>> spawned_;  // by reactor
    TimeNs now_;
    std::uint64_t steps_ = 0;
    std::uint64_t trace_hash_ = 0;
    unsigned last_reactor_ = 0;
    std::uint64_t event_order_ = 0;
    std::map<std::pair<TimeNs, std::uint64_t>, Event*> events_;
    // What step() can choose from; members so that their memory is kept.
    std::vector<unsigned> runnable_;
    std::vector<Event*> due_;
};

inline TimeNs SimReactor::now() const {
    return world_.now();
}

}  // namespace xsan::sim
