// TestReactor: a reactor without a kernel, for tests. Ready work runs in order, or in an order
// drawn from a seed; when nothing is ready the clock jumps to the next timer. Time is virtual,
// nothing sleeps.
#pragma once

#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/rng.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace xsan::test {

class TestReactor final : public Reactor {
  public:
    explicit TestReactor(unsigned index = 0) : Reactor(index) {}
    // Ready items run in an order drawn from the seed.
    TestReactor(unsigned index, std::uint64_t seed) : Reactor(index), order_(seed) {}

    TimeNs now() const override { return now_; }

    // Runs the loop until the task has finished and gives its value. A task that waits for what
    // never happens is a broken test.
    template <class T>
    T run(Task<T> task) {
        Scope scope(*this);
        task.start();
        while (!task.finished())
            XSAN_ASSERT(step());
        return task.take();
    }

    // Runs the loop until nothing is ready, posted or due at any time.
    void run_until_idle() {
        Scope scope(*this);
        while (step()) {
        }
    }

    // Calls f() as if from the loop.
    template <class F>
    auto inside(F&& f) {
        Scope scope(*this);
        return f();
    }

  private:
    void wake() override {}

    bool step() {
        if (drain_inbox()) return true;
        if (!ready_.empty()) {
            if (!order_) return run_ready(1);
            const Work work = ready_.take(static_cast<std::size_t>(order_->below(ready_.size())));
            work.run(work.argument);
            return true;
        }
        if (!has_timer()) return false;
        if (next_deadline() > now_) now_ = next_deadline();
        return fire_timers(now_);
    }

    TimeNs now_ = 0;
    std::optional<Rng> order_;
};

}  // namespace xsan::test
