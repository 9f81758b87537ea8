// TaskGroup: owns tasks that nobody awaits one by one. It is a member of the object whose `this` the tasks
// use, and that object's stop() awaits join(). when_all runs several tasks and waits for all of them.
#pragma once

#include <coroutine>
#include <cstddef>
#include <span>
#include <utility>

#include "reactor/sync.h"
#include "reactor/task.h"

namespace xsan {

class TaskGroup {
  public:
    TaskGroup() = default;
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup() { XSAN_ASSERT(running_ == 0); }

    // Starts the task now, on the current reactor; its frame frees itself at the end.
    void spawn(Task<void> task) {
        running_++;
        run(std::move(task), *this);
    }
    std::size_t running() const { return running_; }

    // Returns when no task runs. Tasks may spawn others meanwhile; those are awaited too.
    Task<void> join() {
        while (running_ > 0) co_await idle_.wait();
    }

  private:
    // A coroutine without an owner: starts at once, destroys itself when it ends.
    struct Detached {
        struct promise_type {
            static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
            static void operator delete(void* f, std::size_t bytes) noexcept { free_frame(f, bytes); }
            Detached get_return_object() noexcept { return {}; }
            std::suspend_never initial_suspend() noexcept { return {}; }
            std::suspend_never final_suspend() noexcept { return {}; }
            void return_void() noexcept {}
            [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
        };
    };
    static Detached run(Task<void> task, TaskGroup& group) {
        // The scope frees the task's frame before the group may be told that nothing runs.
        {
            Task<void> owned = std::move(task);
            co_await owned;
        }
        if (--group.running_ == 0) group.idle_.wake_all();
    }

    std::size_t running_ = 0;
    Event idle_;
};

// Starts all tasks in order and returns when the last has finished; take() their values afterwards.
// The span's storage belongs to the awaiting caller.
template <class T>
Task<void> when_all(std::span<Task<T>> tasks) {
    for (auto& task : tasks) task.start();
    for (auto& task : tasks) {
        if (task.finished()) continue;
        struct Awaiter {
            Task<T>& awaited;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) { awaited.on_finish(h); }
            void await_resume() const noexcept {}
        };
        co_await Awaiter{task};
    }
}

}  // namespace xsan
