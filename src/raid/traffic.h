// Traffic: what was written to and read from each member, and which completed writes no flush has
// covered. Counted per reactor without sharing a cache line; summed by whoever asks.
//
// Invariant behind skipping a flush: a write is counted when it has completed and before its
// request is answered, and a flush covers what was counted before it was submitted.
//
// After a flush that failed nobody knows which completed writes the member still has: a later flush that
// succeeds says nothing about them. So the failure sticks until the member comes back anew.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/strong.h"
#include "reactor/reactor.h"

namespace xsan::raid {

struct MemberTraffic {
    std::uint64_t reads = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t writes = 0;
    std::uint64_t written_bytes = 0;
};

class Traffic {
  public:
    Traffic(unsigned reactors, unsigned members_max)
        : members_max_(members_max), flushed_(members_max), flush_failed_(members_max) {
        for (unsigned i = 0; i < reactors; i++) {
            per_reactor_.push_back(std::make_unique<Counters[]>(members_max));
        }
    }

    void count_read(MemberIndex member, std::uint64_t bytes) {
        Counters& c = mine(member);
        bump(c.reads, 1);
        bump(c.read_bytes, bytes);
    }
    void count_write(MemberIndex member, std::uint64_t bytes) {
        Counters& c = mine(member);
        bump(c.written_bytes, bytes);
        bump(c.writes, 1);
    }

    MemberTraffic total(MemberIndex member) const {
        MemberTraffic sum;
        for (const auto& counters : per_reactor_) {
            const Counters& c = counters[member.get()];
            sum.reads += c.reads.load(std::memory_order_relaxed);
            sum.read_bytes += c.read_bytes.load(std::memory_order_relaxed);
            sum.writes += c.writes.load(std::memory_order_acquire);
            sum.written_bytes += c.written_bytes.load(std::memory_order_relaxed);
        }
        return sum;
    }

    void flush_has_failed(MemberIndex member) {
        flush_failed_[member.get()].store(true, std::memory_order_release);
    }
    bool has_failed_flush(MemberIndex member) const {
        return flush_failed_[member.get()].load(std::memory_order_acquire);
    }
    // The member comes back, and all that it holds is rebuilt.
    void forget_failed_flush(MemberIndex member) {
        flush_failed_[member.get()].store(false, std::memory_order_release);
    }

    // The number of completed writes, as a mark for flush_covered.
    std::uint64_t write_mark(MemberIndex member) const { return total(member).writes; }
    bool needs_flush(MemberIndex member) const {
        return write_mark(member) > flushed_[member.get()].load(std::memory_order_acquire);
    }
    // A flush that was submitted when write_mark() gave `mark` has completed.
    void flush_covered(MemberIndex member, std::uint64_t mark) {
        auto& flushed = flushed_[member.get()];
        std::uint64_t seen = flushed.load(std::memory_order_relaxed);
        while (seen < mark &&
               !flushed.compare_exchange_weak(seen, mark, std::memory_order_release)) {
        }
    }

  private:
    struct Counters {
        std::atomic<std::uint64_t> reads{0};
        std::atomic<std::uint64_t> read_bytes{0};
        std::atomic<std::uint64_t> writes{0};
        std::atomic<std::uint64_t> written_bytes{0};
    };
    // Only the own reactor writes its counters, so a load and a store make an increment.
    static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_release);
    }
    Counters& mine(MemberIndex member) {
        XSAN_ASSERT(member.get() < members_max_);
        return per_reactor_[Reactor::current().index()][member.get()];
    }

    unsigned members_max_;
    std::vector<std::unique_ptr<Counters[]>> per_reactor_;
    std::vector<std::atomic<std::uint64_t>> flushed_;
    std::vector<std::atomic<bool>> flush_failed_;
};

}  // namespace xsan::raid
