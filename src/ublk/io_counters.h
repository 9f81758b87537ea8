// What a block device has answered: TargetIo is the sum, IoCounters what one queue counts.
//
// Invariant: only the queue's own reactor writes its counters, so a load and a store make an increment, and nothing is
// shared on the data path. Whoever asks sums them, on any thread, while requests flow: each figure is one that was
// true, but those of one operation may be a request apart.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dev/block_device.h"

namespace xsan::ublk {

inline constexpr std::size_t kIoKinds = 5;  // of dev::IoKind
static_assert(static_cast<std::size_t>(dev::IoKind::discard) + 1 == kIoKinds);

// Requests of one kind, since the device was attached by this process.
struct OpSum {
    std::uint64_t count = 0;    // that were answered, whatever with
    std::uint64_t bytes = 0;    // that they transferred or freed; without those of failed requests
    std::uint64_t errors = 0;   // that were answered with an error
    std::uint64_t time_ns = 0;  // from fetch to answer, summed; each to within a turn of the reactor's loop

    OpSum& operator+=(const OpSum& other) {
        count += other.count;
        bytes += other.bytes;
        errors += other.errors;
        time_ns += other.time_ns;
        return *this;
    }
    friend bool operator==(const OpSum&, const OpSum&) = default;
};

struct TargetIo {
    std::array<OpSum, kIoKinds> by_kind{};
    OpSum other;  // operations that no kind stands for: always errors

    const OpSum& of(dev::IoKind kind) const { return by_kind[static_cast<std::size_t>(kind)]; }
    // Reads and writes: what users wait for.
    OpSum transfers() const {
        OpSum sum = of(dev::IoKind::read);
        return sum += of(dev::IoKind::write);
    }
    TargetIo& operator+=(const TargetIo& more) {
        for (std::size_t kind = 0; kind < kIoKinds; kind++) by_kind[kind] += more.by_kind[kind];
        other += more.other;
        return *this;
    }
    friend bool operator==(const TargetIo&, const TargetIo&) = default;
};

// Alone on its cache lines: whoever sums takes none that the data path writes for other reasons.
class alignas(128) IoCounters {
  public:
    struct Answer {
        std::optional<dev::IoKind> kind;  // absent: an operation that is none of them
        std::uint64_t bytes = 0;
        std::uint64_t time_ns = 0;
        bool failed = false;
    };

    // On the queue's reactor.
    void count(const Answer& answer) {
        Counter& c = counters_[answer.kind ? static_cast<std::size_t>(*answer.kind) : kIoKinds];
        grow(c.count, 1);
        if (answer.failed) {
            grow(c.errors, 1);
        } else {
            grow(c.bytes, answer.bytes);
        }
        grow(c.time_ns, answer.time_ns);
    }

    // On any thread.
    TargetIo sum() const {
        TargetIo io;
        for (std::size_t kind = 0; kind < kIoKinds; kind++) io.by_kind[kind] = value_of(counters_[kind]);
        io.other = value_of(counters_[kIoKinds]);
        return io;
    }

  private:
    using Figure = std::atomic<std::uint64_t>;
    struct Counter {
        Figure count{0};
        Figure bytes{0};
        Figure errors{0};
        Figure time_ns{0};
    };
    static void grow(Figure& figure, std::uint64_t more) {
        figure.store(figure.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    static OpSum value_of(const Counter& c) {
        return {c.count.load(std::memory_order_relaxed), c.bytes.load(std::memory_order_relaxed),
                c.errors.load(std::memory_order_relaxed), c.time_ns.load(std::memory_order_relaxed)};
    }

    std::array<Counter, kIoKinds + 1> counters_;  // the last one: other operations
};

}  // namespace xsan::ublk
