// Runs one task on a real reactor from a test.
#pragma once

#include <memory>
#include <utility>

#include "reactor/reactor_pool.h"
#include "reactor/task_group.h"
#include "reactor/uring_reactor.h"

namespace xsan::test {

inline std::unique_ptr<UringReactor> make_reactor(UringOptions options = {}) {
    auto reactor = UringReactor::create(options);
    XSAN_ASSERT(reactor.has_value());
    return std::move(reactor).value();
}

inline std::unique_ptr<ReactorPool> make_pool(unsigned count) {
    ReactorPoolOptions options;
    options.count = count;
    options.io_flusher = false;
    options.reactor.entries = 64;
    options.reactor.slab_slots = 1024;
    auto pool = ReactorPool::create(options);
    XSAN_ASSERT(pool.has_value());
    return std::move(pool).value();
}

template <class F, class Stopper>
Task<void> run_and_stop(F& body, Stopper& stopper) {
    auto task = body();
    co_await task;
    stopper.stop();
}

template <class F, class Stopper>
struct RootTask {
    F& body;
    Stopper& stopper;
    TaskGroup group{};
    static void begin(void* argument) {
        auto& self = *static_cast<RootTask*>(argument);
        self.group.spawn(run_and_stop(self.body, self.stopper));
    }
};

// Calls body() (which returns Task<void>, and may be a coroutine lambda: it outlives its task) on
// the reactor's loop, here, and returns when the task has finished.
template <class F>
void run_task(UringReactor& reactor, F body) {
    RootTask<F, UringReactor> root{body, reactor};
    reactor.make_ready(Work{RootTask<F, UringReactor>::begin, &root});
    reactor.run();
}

// The same on reactor 0 of a pool, whose other reactors run meanwhile.
template <class F>
void run_task(ReactorPool& pool, F body) {
    RootTask<F, ReactorPool> root{body, pool};
    pool.at(0).make_ready(Work{RootTask<F, ReactorPool>::begin, &root});
    pool.start();
    pool.run_first();
}

}  // namespace xsan::test
