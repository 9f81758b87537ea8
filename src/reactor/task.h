// Task<T>: a lazy coroutine, awaited once, by its creator.
//
// Lifetime: the frame belongs to the Task object and dies with it; a Task that was started must finish
// before it is destroyed. It begins and ends on the same reactor, but may visit others (SwitchTo) between.
// Starting: the child is resumed inside await_suspend, which returns false when the child finished at once.
// A child that finishes later puts its parent on the reactor's ready queue. Symmetric transfer is not used:
// below -O2 and under AddressSanitizer it is no tail call and overflows the stack.
//
// Compiler rules (GCC 12): no prvalue aggregate with non-trivial members and no capturing lambda inside a
// co_await expression; name them first.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "reactor/frame_pool.h"
#include "reactor/reactor.h"

namespace xsan {

template <class T>
class Task;

namespace detail {

class PromiseBase {
  public:
    static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept { free_frame(frame, bytes); }

    std::suspend_always initial_suspend() noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
            handle.promise().finish();
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

    bool finished() const { return finished_; }
    bool started() const { return started_; }
    void begin(std::coroutine_handle<> self) {
        XSAN_ASSERT(!started_);
        started_ = true;
        home_ = Reactor::current_or_null();
        self.resume();
    }
    // The parent has suspended for good: it must be queued when this task finishes.
    void notify(std::coroutine_handle<> parent) { parent_ = parent; }

    void finish() noexcept {
        XSAN_ASSERT(Reactor::current_or_null() == home_);
        finished_ = true;
        if (parent_) home_->make_ready(parent_);
    }

  private:
    // All of these are read and written on the home thread only, also while the coroutine is elsewhere.
    std::coroutine_handle<> parent_;
    Reactor* home_ = nullptr;
    bool started_ = false;
    bool finished_ = false;
};

template <class T>
class Promise final : public PromiseBase {
  public:
    Task<T> get_return_object();
    template <class U>
    void return_value(U&& value) {
        value_.emplace(std::forward<U>(value));
    }
    T take() {
        XSAN_ASSERT(value_.has_value());
        return std::move(*value_);
    }

  private:
    std::optional<T> value_;
};

template <>
class Promise<void> final : public PromiseBase {
  public:
    Task<void> get_return_object();
    void return_void() noexcept {}
    void take() noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    ~Task() { destroy(); }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) {
        auto& promise = handle_.promise();
        promise.begin(handle_);
        if (promise.finished()) return false;
        promise.notify(parent);
        return true;
    }
    T await_resume() { return handle_.promise().take(); }

    // For owners that run a task without awaiting it (TaskGroup, when_all): starts it, then asks.
    void start() { handle_.promise().begin(handle_); }
    bool finished() const { return handle_.promise().finished(); }
    void on_finish(std::coroutine_handle<> parent) { handle_.promise().notify(parent); }
    T take() { return handle_.promise().take(); }
    explicit operator bool() const { return static_cast<bool>(handle_); }

  private:
    void destroy() {
        if (!handle_) return;
        XSAN_ASSERT(!handle_.promise().started() || handle_.promise().finished());
        std::exchange(handle_, {}).destroy();
    }
    Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

}  // namespace xsan
