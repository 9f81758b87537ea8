// ReactorPool: the process's reactors and their threads.
//
// Owned by the main program; it outlives everything that runs on its reactors and every thread that
// posts to them. Reactor 0 is the control reactor. It runs on the thread that calls run_first(), or
// on a thread of its own like all others. Order at the end: the owner's root task stops what it
// started, then calls stop(); each loop ends when nothing is ready on it any more; join() or
// run_first() returns; then the pool may be destroyed.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "reactor/uring_reactor.h"

namespace xsan {

struct ReactorPoolOptions {
    unsigned count = 1;
    std::vector<int> cpus;  // one per reactor, -1 for none; shorter lists leave the rest unpinned
    bool first_on_caller = true;  // reactor 0 has no thread: the owner calls run_first()
    // The kernel must not wait for I/O through our own block devices when it needs memory for these
    // threads. Needs CAP_SYS_RESOURCE; without it one warning is logged.
    bool io_flusher = true;
    UringOptions reactor;  // index and cpu are set by the pool
};

class ReactorPool {
  public:
    // Creates all reactors; no thread runs yet.
    static Outcome<std::unique_ptr<ReactorPool>> create(const ReactorPoolOptions& options);
    ReactorPool(const ReactorPool&) = delete;
    ReactorPool& operator=(const ReactorPool&) = delete;
    ~ReactorPool();

    unsigned size() const { return static_cast<unsigned>(reactors_.size()); }
    UringReactor& at(unsigned index) { return *reactors_.at(index); }

    void start();      // starts the threads
    void run_first();  // runs reactor 0 here until stop(), then joins the others
    void stop();       // from any thread; once
    void join();

  private:
    explicit ReactorPool(const ReactorPoolOptions& options) : options_(options) {}
    void prepare_thread(unsigned index) const;

    ReactorPoolOptions options_;
    std::vector<std::unique_ptr<UringReactor>> reactors_;
    std::vector<std::thread> threads_;
};

}  // namespace xsan
