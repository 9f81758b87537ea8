// Keyed locks and grace periods.
#include "reactor/cross.h"

#include <mutex>

namespace xsan {

KeyedLock::~KeyedLock() {
    for (const Slot& slot : slots_) XSAN_ASSERT(slot.holders == 0 && slot.first == nullptr);
}

bool KeyedLock::grant(Slot& slot, Mode mode) {
    if (mode == Mode::exclusive) {
        if (slot.holders != 0) return false;
        slot.holders = -1;
        return true;
    }
    if (slot.holders < 0) return false;
    slot.holders++;
    return true;
}

bool KeyedLock::try_acquire(std::uint64_t key, Mode mode) {
    Slot& slot = slot_of(key);
    std::scoped_lock guard(slot.spin);
    return slot.first == nullptr && grant(slot, mode);
}

bool KeyedLock::Acquire::await_suspend(std::coroutine_handle<> handle) {
    std::scoped_lock guard(slot_.spin);
    if (slot_.first == nullptr && grant(slot_, waiter_.mode)) return false;
    waiter_.handle = handle;
    waiter_.home = &Reactor::current();
    (slot_.last != nullptr ? slot_.last->next_waiter : slot_.first) = &waiter_;
    slot_.last = &waiter_;
    return true;
}

void KeyedLock::release(std::uint64_t key, Mode mode) {
    Slot& slot = slot_of(key);
    Waiter* granted = nullptr;
    Waiter** granted_end = &granted;
    {
        std::scoped_lock guard(slot.spin);
        XSAN_ASSERT(mode == Mode::exclusive ? slot.holders == -1 : slot.holders > 0);
        slot.holders = mode == Mode::exclusive ? 0 : slot.holders - 1;
        while (slot.first != nullptr && grant(slot, slot.first->mode)) {
            *granted_end = slot.first;
            slot.first = slot.first->next_waiter;
            granted_end = &(*granted_end)->next_waiter;
        }
        if (slot.first == nullptr) slot.last = nullptr;
        *granted_end = nullptr;
    }
    while (granted != nullptr) {
        Waiter& waiter = *granted;
        granted = waiter.next_waiter;  // read first: the waiter's frame may run and end at once
        if (waiter.home->is_home()) {
            waiter.home->make_ready(waiter.handle);
        } else {
            waiter.run = [](RemoteWork& self) { static_cast<Waiter&>(self).handle.resume(); };
            waiter.home->post(waiter);
        }
    }
}

Quiescence::Token Quiescence::enter() {
    const unsigned reactor = Reactor::current().index();
    XSAN_ASSERT(reactor < counts_.size());
    for (;;) {
        const unsigned phase = phase_.load(std::memory_order_seq_cst);
        auto& count = counts_[reactor].inside[phase & 1];
        // Only this thread writes the counter, so a plain increment in two steps is enough; the order
        // against the second look at the phase is what matters.
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
        if (phase_.load(std::memory_order_seq_cst) == phase) return {reactor, phase & 1};
        count.store(count.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
    }
}

void Quiescence::leave(Token token) {
    auto& count = counts_[token.reactor].inside[token.phase];
    XSAN_ASSERT(Reactor::current().index() == token.reactor);
    count.store(count.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
}

Task<void> Quiescence::synchronize() {
    constexpr TimeNs kPoll = 100 * kMicrosecond;
    while (synchronizing_.exchange(true, std::memory_order_acquire)) co_await sleep_for(kPoll);
    const unsigned old_phase = phase_.fetch_add(1, std::memory_order_seq_cst) & 1;
    for (auto& counts : counts_) {
        while (counts.inside[old_phase].load(std::memory_order_seq_cst) != 0) {
            co_await sleep_for(kPoll);
        }
    }
    synchronizing_.store(false, std::memory_order_release);
}

}  // namespace xsan
