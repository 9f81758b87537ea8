// Traffic: what was written to and read from each member and each group, and which completed writes
// no flush has covered. Counted per reactor without sharing a cache line; summed by whoever asks.
//
// Invariant behind skipping a flush: a write is counted when it has completed and before its
// request is answered, and a flush covers what was counted before it was submitted.
//
// After a flush that failed nobody knows which completed writes the member still has: a later flush that
// succeeds says nothing about them. So the failure sticks until the member comes back anew.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/strong.h"
#include "reactor/reactor.h"

namespace xsan::raid {

// False: only what flushes need, to find out what the rest costs.
#ifdef XSAN_BARE_TRAFFIC
inline constexpr bool kCountsAll = false;
#else
inline constexpr bool kCountsAll = true;
#endif

// What a write to a member carries.
enum class WriteKind : std::uint8_t {
    data,        // data strips, of users' writes and of repairs
    parity,      // parity strips and copies, likewise
    rebuild,     // to a mover's target, of strips that were lost
    relocation,  // to a mover's target, of strips that are there
    zeros,       // extents that a group takes
    log,         // the stripe log
};
// These are durable by themselves, and need no flush.
constexpr bool is_made_durable(WriteKind kind) { return kind >= WriteKind::zeros; }
inline constexpr std::size_t kWriteKinds = 6;

struct IoSum {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    friend bool operator==(const IoSum&, const IoSum&) = default;
};

struct MemberTraffic {
    IoSum reads;
    std::array<IoSum, kWriteKinds> writes_by_kind{};

    const IoSum& of(WriteKind kind) const { return writes_by_kind[static_cast<std::size_t>(kind)]; }
    IoSum writes() const {
        IoSum sum;
        for (const IoSum& kind : writes_by_kind) sum = {sum.count + kind.count, sum.bytes + kind.bytes};
        return sum;
    }
    friend bool operator==(const MemberTraffic&, const MemberTraffic&) = default;
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
        count_read(Reactor::current().index(), member, bytes);
    }
    // `reactor`: the current one.
    void count_read(unsigned reactor, MemberIndex member, std::uint64_t bytes) {
        if (kCountsAll) per_reactor_[reactor][member.get()].reads.add(bytes);
    }
    void count_write(MemberIndex member, WriteKind kind, std::uint64_t bytes) {
        if (kCountsAll) {
            mine(member).writes[static_cast<std::size_t>(kind)].add(bytes);
        } else if (!is_made_durable(kind)) {
            mine(member).writes[0].add_one();
        }
    }

    MemberTraffic total(MemberIndex member) const {
        MemberTraffic sum;
        for (const auto& counters : per_reactor_) {
            const Counters& c = counters[member.get()];
            c.reads.add_to(sum.reads);
            for (std::size_t kind = 0; kind < kWriteKinds; kind++) {
                c.writes[kind].add_to(sum.writes_by_kind[kind]);
            }
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

    // The number of completed writes that need a flush, as a mark for flush_covered.
    std::uint64_t write_mark(MemberIndex member) const {
        std::uint64_t sum = 0;
        for (const auto& counters : per_reactor_) {
            for (std::size_t kind = 0; kind < kWriteKinds; kind++) {
                if (is_made_durable(static_cast<WriteKind>(kind))) continue;
                sum += counters[member.get()].writes[kind].count.load(std::memory_order_acquire);
            }
        }
        return sum;
    }
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
    // Only the own reactor writes its counters, so a load and a store make an increment.
    struct Counter {
        std::atomic<std::uint64_t> count{0};
        std::atomic<std::uint64_t> bytes{0};

        void add(std::uint64_t more) {
            bytes.store(bytes.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
            add_one();
        }
        void add_one() { count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
        void add_to(IoSum& sum) const {
            sum.count += count.load(std::memory_order_acquire);
            sum.bytes += bytes.load(std::memory_order_relaxed);
        }
    };
    struct alignas(128) Counters {
        Counter reads;
        std::array<Counter, kWriteKinds> writes;
    };
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
