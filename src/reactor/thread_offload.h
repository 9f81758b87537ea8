// ThreadOffload: a few helper threads for calls that block.
//
// Owned by the main program, which destroys it before the reactors that use it: a helper touches
// the caller's reactor until its last post has returned. Functions run in the order of their
// submission, as helpers become free. The destructor waits for the functions that run; none may be
// queued then.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "reactor/offload.h"
#include "reactor/reactor.h"

namespace xsan {

class ThreadOffload final : public Offload {
  public:
    explicit ThreadOffload(unsigned threads);
    ThreadOffload(const ThreadOffload&) = delete;
    ThreadOffload& operator=(const ThreadOffload&) = delete;
    ~ThreadOffload() override;

    Task<void> run(std::function<void()> function) override;

  private:
    // Lives in the frame of run(), which waits for it.
    struct Job : RemoteWork {
        std::function<void()>* function = nullptr;
        std::coroutine_handle<> handle;
        Reactor* home = nullptr;
        Job* next_job = nullptr;
    };
    class Submit;

    void push(Job& job);
    void help();

    std::mutex mutex_;
    std::condition_variable available_;
    Job* first_ = nullptr;
    Job* last_ = nullptr;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace xsan
