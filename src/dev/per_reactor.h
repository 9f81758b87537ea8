// PerReactor<T>: one T per reactor, made at its first use there. Only the own reactor uses its T;
// others may look at it (for_each) if T allows that.
//
// OwnCount: a count that one reactor changes and all may read.
//
// OpPool<Op>: a free list of operations that grows in blocks, small ones first, and never moves or frees one.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "reactor/reactor.h"

namespace xsan::dev {

inline constexpr unsigned kReactorsMax = 128;

template <class T>
class PerReactor {
  public:
    PerReactor() = default;
    PerReactor(const PerReactor&) = delete;
    PerReactor& operator=(const PerReactor&) = delete;
    ~PerReactor() {
        for (auto& slot : slots_)
            delete slot.load(std::memory_order_acquire);
    }

    T* find() const { return slot().load(std::memory_order_relaxed); }
    // The T of the current reactor, made by `make` (which returns a unique_ptr) where there is none
    // yet.
    template <class Make>
    T& local(Make&& make) {
        auto& here = slot();
        T* value = here.load(std::memory_order_relaxed);
        if (value == nullptr) {
            value = make().release();
            here.store(value, std::memory_order_release);
        }
        return *value;
    }
    template <class F>
    void for_each(F&& f) const {
        for (const auto& slot : slots_) {
            if (T* value = slot.load(std::memory_order_acquire); value != nullptr) f(*value);
        }
    }

  private:
    std::atomic<T*>& slot() const {
        const unsigned index = Reactor::current().index();
        XSAN_ASSERT(index < kReactorsMax);
        return slots_[index];
    }
    mutable std::array<std::atomic<T*>, kReactorsMax> slots_{};
};

// No locked instruction: of two threads that change it, one's change would be lost.
class OwnCount {
  public:
    void up() { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
    void down() { value_.store(value_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed); }
    unsigned get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<unsigned> value_{0};
};

template <class Op>  // Op has a member `Op* next_free`
class OpPool {
  public:
    Op& get() {
        if (free_ == nullptr) grow();
        Op& op = *free_;
        free_ = op.next_free;
        in_use_.up();
        return op;
    }
    void put(Op& op) {
        op.next_free = free_;
        free_ = &op;
        in_use_.down();
    }
    unsigned in_use() const { return in_use_.get(); }  // from any thread

  private:
    static constexpr std::size_t kBlockMax = 64;
    void grow() {
        const std::size_t count = std::min(kBlockMax, std::size_t{4} << std::min<std::size_t>(blocks_.size(), 4));
        blocks_.push_back(std::make_unique<Op[]>(count));
        for (std::size_t i = count; i-- > 0;) {
            blocks_.back()[i].next_free = free_;
            free_ = &blocks_.back()[i];
        }
    }
    std::vector<std::unique_ptr<Op[]>> blocks_;
    Op* free_ = nullptr;
    OwnCount in_use_;
};

}  // namespace xsan::dev
