// Reactor: one thread's event loop, as the rest of xsan sees it.
// The kernel's implementation is UringReactor; the simulator has its own with the same interface, so that
// nothing above this layer knows which of the two drives it.
//
// Invariants:
//  - Everything but post() is called on the reactor's own thread ("home").
//  - Work made ready runs in order, from the loop, never inside make_ready(): stacks stay shallow.
//  - A reactor stops only when its owner says so; work that is still queued then is a broken invariant of
//    the owner, who must have awaited it.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace xsan {

// Nanoseconds on the reactor's clock: monotonic in production, virtual in the simulator.
using TimeNs = std::uint64_t;
inline constexpr TimeNs kMicrosecond = 1000;
inline constexpr TimeNs kMillisecond = 1000 * kMicrosecond;
inline constexpr TimeNs kSecond = 1000 * kMillisecond;

// A function to run from the loop. Trivially copyable: the ready queue never allocates per item.
struct Work {
    void (*run)(void* argument) = nullptr;
    void* argument = nullptr;
};

// A node of a reactor's inbox. Embedded in whatever crosses threads; it must live until `run` was called.
struct RemoteWork {
    RemoteWork* next = nullptr;
    void (*run)(RemoteWork& self) = nullptr;
};

// A deadline. Owned by the waiter; removed from the reactor when it fires or is cancelled.
struct Timer {
    TimeNs deadline = 0;
    std::uint64_t order = 0;  // breaks ties in the order of insertion, so that runs are repeatable
    Work work;
    bool armed = false;
};

// A FIFO in one growable block of memory.
class ReadyQueue {
  public:
    bool empty() const { return head_ == tail_; }
    std::size_t size() const { return tail_ - head_; }
    void push(Work work);
    Work pop();
    Work take(std::size_t position);  // any element; for the simulator's choice of order

  private:
    std::vector<Work> slots_ = std::vector<Work>(64);
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
};

class Reactor {
  public:
    explicit Reactor(unsigned index) : index_(index) {}
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;
    virtual ~Reactor();

    // The reactor whose loop is running on this thread; asserts that there is one.
    static Reactor& current();
    static Reactor* current_or_null();

    // Position among the process's reactors, from 0 (the control reactor), dense.
    unsigned index() const { return index_; }
    bool is_home() const { return current_or_null() == this; }

    void make_ready(Work work) { ready_.push(work); }
    void make_ready(std::coroutine_handle<> handle);

    // Runs `work` on this reactor, soon. From any thread; the order of one poster is kept.
    void post(RemoteWork& work);

    virtual TimeNs now() const = 0;
    void arm(Timer& timer, TimeNs deadline);
    void cancel(Timer& timer);

  protected:
    // Makes this the current reactor of the thread for the scope's lifetime.
    class Scope {
      public:
        explicit Scope(Reactor& reactor);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

      private:
        Reactor* previous_;
    };

    // Called by post() after the inbox became non-empty, from any thread: wake the loop if it may sleep.
    virtual void wake() = 0;

    // Sequentially consistent, because a loop looks here after it has announced that it sleeps, and post()
    // looks at that announcement after it has stored its work: one of the two must see the other.
    bool inbox_empty() const { return inbox_.load(std::memory_order_seq_cst) == nullptr; }
    bool drain_inbox();                 // runs all posted work; true when there was any
    bool run_ready(std::size_t most);   // runs at most that many ready items; true when there was any
    bool fire_timers(TimeNs now);       // makes due timers' work ready; true when there was any
    bool has_timer() const { return !timers_.empty(); }
    TimeNs next_deadline() const;       // of the earliest timer; has_timer() must hold

    ReadyQueue ready_;

  private:
    struct Earlier {
        bool operator()(const Timer* a, const Timer* b) const {
            return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
        }
    };

    unsigned index_;
    std::uint64_t timer_order_ = 0;
    std::set<Timer*, Earlier> timers_;
    std::atomic<RemoteWork*> inbox_{nullptr};
};

// co_await yield(): go to the end of the ready queue. Everything that the current batch of completions
// made ready runs first.
struct Yield {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { Reactor::current().make_ready(handle); }
    void await_resume() const noexcept {}
};
inline Yield yield() { return {}; }

// co_await sleep_for(duration_ns) / sleep_until(deadline) on the current reactor's clock.
class Sleep {
  public:
    explicit Sleep(TimeNs deadline) : deadline_(deadline) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() const noexcept {}

  private:
    TimeNs deadline_;
    Timer timer_;
};
inline Sleep sleep_until(TimeNs deadline) { return Sleep(deadline); }
inline Sleep sleep_for(TimeNs duration) { return Sleep(Reactor::current().now() + duration); }

}  // namespace xsan
