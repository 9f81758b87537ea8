// The parts of a reactor that do not depend on what drives it: ready queue, inbox, timers.
#include "reactor/reactor.h"

#include "base/assert.h"

namespace xsan {
namespace {
thread_local Reactor* t_current = nullptr;
}  // namespace

void ReadyQueue::push(Work work) {
    if (size() == slots_.size()) {
        std::vector<Work> larger(slots_.size() * 2);
        const std::size_t count = size();
        for (std::size_t i = 0; i < count; i++) larger[i] = slots_[(head_ + i) & (slots_.size() - 1)];
        slots_ = std::move(larger);
        head_ = 0;
        tail_ = count;
    }
    slots_[tail_++ & (slots_.size() - 1)] = work;
}

Work ReadyQueue::pop() {
    XSAN_ASSERT(!empty());
    return slots_[head_++ & (slots_.size() - 1)];
}

Work ReadyQueue::take(std::size_t position) {
    XSAN_ASSERT(position < size());
    const std::size_t mask = slots_.size() - 1;
    const Work chosen = slots_[(head_ + position) & mask];
    // Close the gap from the front, so that the order of the others stays.
    for (std::size_t i = position; i > 0; i--) {
        slots_[(head_ + i) & mask] = slots_[(head_ + i - 1) & mask];
    }
    head_++;
    return chosen;
}

Reactor::~Reactor() { XSAN_ASSERT(timers_.empty()); }

Reactor& Reactor::current() {
    XSAN_ASSERT(t_current != nullptr);
    return *t_current;
}

Reactor* Reactor::current_or_null() { return t_current; }

Reactor::Scope::Scope(Reactor& reactor) : previous_(t_current) { t_current = &reactor; }
Reactor::Scope::~Scope() { t_current = previous_; }

void Reactor::make_ready(std::coroutine_handle<> handle) {
    ready_.push({[](void* address) { std::coroutine_handle<>::from_address(address).resume(); },
                 handle.address()});
}

void Reactor::post(RemoteWork& work) {
    RemoteWork* head = inbox_.load(std::memory_order_relaxed);
    do {
        work.next = head;
    } while (!inbox_.compare_exchange_weak(head, &work, std::memory_order_seq_cst,
                                           std::memory_order_relaxed));
    // Only the poster that found the inbox empty wakes: the others' work is drained with it.
    if (head == nullptr) wake();
}

bool Reactor::drain_inbox() {
    RemoteWork* stack = inbox_.exchange(nullptr, std::memory_order_seq_cst);
    if (stack == nullptr) return false;
    RemoteWork* in_order = nullptr;
    while (stack != nullptr) {
        RemoteWork* next = stack->next;
        stack->next = in_order;
        in_order = stack;
        stack = next;
    }
    while (in_order != nullptr) {
        RemoteWork* next = in_order->next;  // read first: `run` may free the node
        in_order->run(*in_order);
        in_order = next;
    }
    return true;
}

bool Reactor::run_ready(std::size_t most) {
    bool any = false;
    for (std::size_t i = 0; i < most && !ready_.empty(); i++) {
        const Work work = ready_.pop();
        work.run(work.argument);
        any = true;
    }
    return any;
}

void Reactor::arm(Timer& timer, TimeNs deadline) {
    XSAN_ASSERT(!timer.armed);
    timer.deadline = deadline;
    timer.order = timer_order_++;
    timer.armed = true;
    timers_.insert(&timer);
}

void Reactor::cancel(Timer& timer) {
    if (!timer.armed) return;
    timers_.erase(&timer);
    timer.armed = false;
}

bool Reactor::fire_timers(TimeNs now) {
    bool any = false;
    while (!timers_.empty() && (*timers_.begin())->deadline <= now) {
        Timer& timer = **timers_.begin();
        timers_.erase(timers_.begin());
        timer.armed = false;
        ready_.push(timer.work);
        any = true;
    }
    return any;
}

TimeNs Reactor::next_deadline() const {
    XSAN_ASSERT(!timers_.empty());
    return (*timers_.begin())->deadline;
}

void Sleep::await_suspend(std::coroutine_handle<> handle) {
    timer_.work = {[](void* address) { std::coroutine_handle<>::from_address(address).resume(); },
                   handle.address()};
    Reactor::current().arm(timer_, deadline_);
}

}  // namespace xsan
