// The helper threads of ThreadOffload.
#include "reactor/thread_offload.h"

#include <pthread.h>

#include "base/assert.h"

namespace xsan {

class ThreadOffload::Submit {
  public:
    Submit(ThreadOffload& offload, std::function<void()>& function) : offload_(offload) {
        job_.function = &function;
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        job_.handle = handle;
        job_.home = &Reactor::current();
        job_.run = [](RemoteWork& self) { static_cast<Job&>(self).handle.resume(); };
        offload_.push(job_);  // nothing of this object may be touched after it
    }
    void await_resume() const noexcept {}

  private:
    ThreadOffload& offload_;
    Job job_;
};

ThreadOffload::ThreadOffload(unsigned threads) {
    XSAN_ASSERT(threads > 0);
    threads_.reserve(threads);
    for (unsigned i = 0; i < threads; i++) {
        threads_.emplace_back([this] { help(); });
        ::pthread_setname_np(threads_.back().native_handle(), "xsan-offload");
    }
}

ThreadOffload::~ThreadOffload() {
    {
        std::scoped_lock guard(mutex_);
        XSAN_ASSERT(first_ == nullptr);
        stopping_ = true;
    }
    available_.notify_all();
    for (auto& thread : threads_)
        thread.join();
}

void ThreadOffload::push(Job& job) {
    {
        std::scoped_lock guard(mutex_);
        XSAN_ASSERT(!stopping_);
        (last_ != nullptr ? last_->next_job : first_) = &job;
        last_ = &job;
    }
    available_.notify_one();
}

void ThreadOffload::help() {
    for (;;) {
        Job* job = nullptr;
        {
            std::unique_lock guard(mutex_);
            available_.wait(guard, [this] { return first_ != nullptr || stopping_; });
            if (first_ == nullptr) return;
            job = first_;
            first_ = job->next_job;
            if (first_ == nullptr) last_ = nullptr;
        }
        (*job->function)();
        job->home->post(*job);  // the job may be gone when this returns
    }
}

Task<void> ThreadOffload::run(std::function<void()> function) {
    Submit submit(*this, function);
    co_await submit;
}

}  // namespace xsan
