// Threads of the reactors and what they ask of the kernel.
#include "reactor/reactor_pool.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "reactor/uring_compat.h"

namespace xsan {

Outcome<std::unique_ptr<ReactorPool>> ReactorPool::create(const ReactorPoolOptions& options) {
    XSAN_ASSERT(options.count > 0);
    std::unique_ptr<ReactorPool> pool(new ReactorPool(options));
    for (unsigned i = 0; i < options.count; i++) {
        UringOptions one = options.reactor;
        one.index = i;
        one.cpu = i < options.cpus.size() ? options.cpus[i] : -1;
        XSAN_TRY(auto reactor, UringReactor::create(one));
        pool->reactors_.push_back(std::move(reactor));
    }
    return pool;
}

ReactorPool::~ReactorPool() {
    XSAN_ASSERT(threads_.empty());
}

void ReactorPool::prepare_thread(unsigned index) const {
    // The caller's thread keeps its name: it is the process's.
    if (index > 0 || !options_.first_on_caller) {
        ::pthread_setname_np(::pthread_self(), fmt::format("xsan-r{}", index).c_str());
    }
    if (options_.io_flusher && ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 && index == 0) {
        log(LogLevel::warning,
            "cannot mark I/O threads for the kernel's memory reclaim ({}); grant CAP_SYS_RESOURCE",
            std::strerror(errno));
    }
}

void ReactorPool::start() {
    XSAN_ASSERT(threads_.empty());
    for (unsigned i = options_.first_on_caller ? 1 : 0; i < size(); i++) {
        threads_.emplace_back([this, i] {
            prepare_thread(i);
            reactors_[i]->run();
        });
    }
}

void ReactorPool::run_first() {
    XSAN_ASSERT(options_.first_on_caller);
    prepare_thread(0);
    reactors_[0]->run();
    join();
}

void ReactorPool::stop() {
    for (auto& reactor : reactors_)
        reactor->stop();
}

void ReactorPool::join() {
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
}

}  // namespace xsan
