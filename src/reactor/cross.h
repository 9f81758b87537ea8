// The only primitives in which threads meet.
//
//  SwitchTo / call_on   move a coroutine to another reactor and back
//  KeyedLock            shared/exclusive locks by key, FIFO, whose waiters may live on any reactor:
//                       the per-stripe interlock and the group gate are two instances of it
//  Quiescence           "everything that ran when I asked has ended": freed extents, clusters and replaced
//                       rows are reused only after it
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace xsan {

// co_await SwitchTo(reactor): the rest of the coroutine runs there. A Task must come home before it ends.
class SwitchTo {
  public:
    explicit SwitchTo(Reactor& target) : target_(target) {}
    bool await_ready() const noexcept { return target_.is_home(); }
    void await_suspend(std::coroutine_handle<> handle) {
        // After post() this object may be gone: the coroutine can already run over there.
        work_.handle = handle;
        work_.run = [](RemoteWork& self) { static_cast<Move&>(self).handle.resume(); };
        target_.post(work_);
    }
    void await_resume() const noexcept {}

  private:
    struct Move : RemoteWork {
        std::coroutine_handle<> handle;
    };
    Reactor& target_;
    Move work_;
};

// Runs fn() (which returns Task<T>) on `target` and brings its value home. `fn` is called over there; it
// may refer to the caller's frame, which waits. Pass a named, non-temporary callable.
template <class F>
std::invoke_result_t<F&> call_on(Reactor& target, F& fn) {
    Reactor& home = Reactor::current();
    co_await SwitchTo(target);
    if constexpr (std::is_same_v<std::invoke_result_t<F&>, Task<void>>) {
        {
            auto task = fn();
            co_await task;
        }
        co_await SwitchTo(home);
    } else {
        using Value = decltype(fn().take());
        std::optional<Value> value;
        {
            auto task = fn();  // freed over there, where its frame came from
            value.emplace(co_await task);
        }
        co_await SwitchTo(home);
        co_return std::move(*value);
    }
}

// A test-and-set lock for a few instructions; never held across a co_await.
class SpinLock {
  public:
    void lock() {
        while (flag_.exchange(true, std::memory_order_acquire)) {
            // A holder that lost its processor will not finish while we keep ours.
            for (int spins = 0; flag_.load(std::memory_order_relaxed); spins++) {
                if (spins < kSpinsMax) {
                    __builtin_ia32_pause();
                } else {
                    std::this_thread::yield();
                }
            }
        }
    }
    void unlock() { flag_.store(false, std::memory_order_release); }

  private:
    static constexpr int kSpinsMax = 1000;
    std::atomic<bool> flag_{false};
};

// Shared/exclusive locks named by 64-bit keys, hashed onto a fixed number of slots. Keys that share a slot
// share its lock, so a holder must never wait for a second key of the same KeyedLock.
// FIFO: a waiting exclusive request is not overtaken by later shared ones.
class KeyedLock {
  public:
    enum class Mode : std::uint8_t { shared, exclusive };

    explicit KeyedLock(unsigned slots_log2)
        : slots_(std::size_t{1} << slots_log2), shift_(64 - slots_log2) {
        XSAN_ASSERT(slots_log2 >= 1 && slots_log2 < 32);
    }
    KeyedLock(const KeyedLock&) = delete;
    KeyedLock& operator=(const KeyedLock&) = delete;
    ~KeyedLock();

    class Acquire;
    // co_await lock.acquire(key, mode); then release(key, mode) on any reactor.
    Acquire acquire(std::uint64_t key, Mode mode);
    bool try_acquire(std::uint64_t key, Mode mode);
    void release(std::uint64_t key, Mode mode);
    // Which slot a key falls on. Keys are pairs of small numbers, (group << 32 | stripe): only the
    // product's high bits depend on both.
    std::size_t slot_index(std::uint64_t key) const {
        return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> shift_);
    }

    // Scoped release: co_await l.acquire(k, m); KeyedLock::Guard guard(l, k, m);
    class Guard {
      public:
        Guard(KeyedLock& lock, std::uint64_t key, Mode mode) : lock_(&lock), key_(key), mode_(mode) {}
        Guard(Guard&& o) noexcept
            : lock_(std::exchange(o.lock_, nullptr)), key_(o.key_), mode_(o.mode_) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() { release(); }
        void release() {
            if (lock_ != nullptr) std::exchange(lock_, nullptr)->release(key_, mode_);
        }

      private:
        KeyedLock* lock_;
        std::uint64_t key_;
        Mode mode_;
    };

  private:
    struct Waiter : RemoteWork {
        Waiter* next_waiter = nullptr;
        std::coroutine_handle<> handle;
        Reactor* home = nullptr;
        Mode mode = Mode::shared;
    };
    struct alignas(64) Slot {
        SpinLock spin;
        std::int32_t holders = 0;  // -1: one exclusive holder; n > 0: n shared ones
        Waiter* first = nullptr;
        Waiter* last = nullptr;
    };
    Slot& slot_of(std::uint64_t key) { return slots_[slot_index(key)]; }
    static bool grant(Slot& slot, Mode mode);

    std::vector<Slot> slots_;
    unsigned shift_;
};

class KeyedLock::Acquire {
  public:
    Acquire(Slot& slot, Mode mode) : slot_(slot) { waiter_.mode = mode; }
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);  // false: granted at once
    void await_resume() const noexcept {}

  private:
    Slot& slot_;
    Waiter waiter_;
};

inline KeyedLock::Acquire KeyedLock::acquire(std::uint64_t key, Mode mode) {
    return Acquire(slot_of(key), mode);
}

// Grace periods for readers that take no lock. Each reactor counts its own entries, so entering and
// leaving touch only memory of the own reactor.
class Quiescence {
  public:
    explicit Quiescence(unsigned reactors) : counts_(reactors) {}

    struct Token {
        unsigned reactor;
        unsigned phase;
    };
    // enter and leave on the same reactor; what was reachable at enter() stays valid until leave().
    Token enter();
    void leave(Token token);

    // A token for a scope, also across co_await; the scope ends on the reactor where it began.
    class Scope {
      public:
        explicit Scope(Quiescence& quiescence) : quiescence_(quiescence), token_(quiescence.enter()) {}
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope() { quiescence_.leave(token_); }

      private:
        Quiescence& quiescence_;
        Token token_;
    };

    // Returns when everything that had entered before the call has left. One caller at a time waits;
    // others queue. Runs on any reactor; polls with its timer, since it is off the data path.
    Task<void> synchronize();

  private:
    struct alignas(64) Counts {
        std::atomic<std::uint64_t> inside[2] = {0, 0};
    };
    std::atomic<unsigned> phase_{0};
    std::atomic<bool> synchronizing_{false};
    std::vector<Counts> counts_;
};

}  // namespace xsan
