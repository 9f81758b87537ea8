// Coroutine primitives of one reactor: nothing here is thread-safe, nothing here needs to be.
// What crosses threads is in cross.h. Each primitive must outlive its waiters; destructors assert that
// nobody waits.
#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>

#include "base/assert.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace xsan {

// Coroutines that wait, first come first served. The nodes live in the awaiters, hence in the frames of
// those who wait: waiting never allocates.
class WaitList {
  public:
    struct Node {
        std::coroutine_handle<> handle;
        Node* next = nullptr;
    };

    bool empty() const { return first_ == nullptr; }
    void push(Node& node, std::coroutine_handle<> handle) {
        node = {handle, nullptr};
        (last_ != nullptr ? last_->next : first_) = &node;
        last_ = &node;
    }
    // Makes the first one ready.
    void wake_one() {
        Node& node = *first_;
        first_ = node.next;
        if (first_ == nullptr) last_ = nullptr;
        Reactor::current().make_ready(node.handle);
    }
    void wake_all() {
        while (!empty()) wake_one();
    }

  private:
    Node* first_ = nullptr;
    Node* last_ = nullptr;
};

// A flag with waiters: wait() returns at once when set.
class Event {
  public:
    Event() = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() { XSAN_ASSERT(waiters_.empty()); }

    bool is_set() const { return set_; }
    void set() {
        set_ = true;
        wake_all();
    }
    void reset() { set_ = false; }
    // Wakes those who wait now without setting the flag: a condition variable's notify_all.
    void wake_all() { waiters_.wake_all(); }

    auto wait() {
        struct Awaiter {
            Event& event;
            WaitList::Node node{};
            bool await_ready() const noexcept { return event.set_; }
            void await_suspend(std::coroutine_handle<> h) { event.waiters_.push(node, h); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

  private:
    bool set_ = false;
    WaitList waiters_;
};

// Counts entries; close() refuses new ones and returns when the last has left. A public asynchronous entry
// point enters its object's gate, and stop() closes it.
class Gate {
  public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { XSAN_ASSERT(inside_ == 0); }

    bool try_enter() {
        if (closed_) return false;
        inside_++;
        return true;
    }
    void leave() {
        XSAN_ASSERT(inside_ > 0);
        if (--inside_ == 0 && closed_) empty_.set();
    }
    bool is_closed() const { return closed_; }
    std::uint64_t inside() const { return inside_; }
    Task<void> close() {
        closed_ = true;
        if (inside_ > 0) co_await empty_.wait();
    }
    void reopen() {
        XSAN_ASSERT(inside_ == 0);
        closed_ = false;
        empty_.reset();
    }

  private:
    std::uint64_t inside_ = 0;
    bool closed_ = false;
    Event empty_;
};

// A FIFO counting semaphore: back-pressure for bounded resources.
class Semaphore {
  public:
    explicit Semaphore(std::uint64_t available) : available_(available) {}
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;
    ~Semaphore() { XSAN_ASSERT(waiters_.empty()); }

    auto acquire() {
        struct Awaiter {
            Semaphore& semaphore;
            WaitList::Node node{};
            bool await_ready() const noexcept {
                if (semaphore.available_ == 0 || !semaphore.waiters_.empty()) return false;
                semaphore.available_--;
                return true;
            }
            void await_suspend(std::coroutine_handle<> h) { semaphore.waiters_.push(node, h); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }
    void release() {
        if (waiters_.empty()) {
            available_++;
            return;
        }
        // The unit goes straight to the first waiter: nobody overtakes.
        waiters_.wake_one();
    }

  private:
    std::uint64_t available_;
    WaitList waiters_;
};

// A mutex whose holder may co_await. For control paths; the data path has the stripe interlock.
class AsyncMutex {
  public:
    auto lock() { return semaphore_.acquire(); }
    void unlock() { semaphore_.release(); }

    // Task<Guard>-free scoped form: co_await m.lock(); AsyncMutex::Guard guard(m);
    class Guard {
      public:
        explicit Guard(AsyncMutex& mutex) : mutex_(&mutex) {}
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() {
            if (mutex_ != nullptr) mutex_->unlock();
        }

      private:
        AsyncMutex* mutex_;
    };

  private:
    Semaphore semaphore_{1};
};

}  // namespace xsan
