// ChoiceStream: every decision that a simulation leaves to chance, by subsystem.
//
// Invariants:
//  - A seed gives the same values again; so does replaying a recorded trace.
//  - Each label has a sequence of its own, so that taking a fault out of a run does not reshuffle
//  its workload
//    or schedule.
//  - 0 is the simplest choice everywhere (first in order, no fault, nothing persisted): shrinking
//  lowers values
//    and shortens sequences, and a replayed sequence that has ended gives 0.
// Seen from the outside it is a value source; it runs on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace xsan::sim {

// Who asks. One subsystem may have several instances (a device each, for example).
enum class Subsystem : std::uint8_t { schedule, device, fault, crash, workload, check };
inline constexpr std::size_t kSubsystems = 6;

struct ChoiceLabel {
    Subsystem subsystem = Subsystem::workload;
    std::uint16_t instance = 0;
    friend bool operator==(const ChoiceLabel&, const ChoiceLabel&) = default;
};

struct Choice {
    ChoiceLabel label;
    std::uint32_t bound = 1;  // value < bound
    std::uint32_t value = 0;
    friend bool operator==(const Choice&, const Choice&) = default;
};
using ChoiceTrace = std::vector<Choice>;

class ChoiceStream {
  public:
    explicit ChoiceStream(std::uint64_t seed) : seed_(seed) {}
    // Gives the values of `trace`, label by label. A value that its bound does not admit any more
    // (the run has changed) becomes the largest that it does.
    explicit ChoiceStream(const ChoiceTrace& trace);

    // A value in [0, bound); bound > 0. A bound of 1 is no choice: it is neither drawn nor
    // recorded.
    std::uint32_t below(std::uint32_t bound, ChoiceLabel label);
    std::uint64_t below_wide(std::uint64_t bound,
                             ChoiceLabel label);  // two choices where it must be
    bool flip(ChoiceLabel label) { return below(2, label) == 1; }
    bool chance(unsigned percent, ChoiceLabel label);  // false is the simplest

    void record(bool on) { recording_ = on; }
    const ChoiceTrace& trace() const { return trace_; }
    std::uint64_t seed() const { return seed_; }

  private:
    struct Sequence {
        bool seeded = false;
        Rng rng{0};
        std::vector<std::uint32_t> replay;
        std::size_t next = 0;
    };
    Sequence& sequence(ChoiceLabel label);

    std::uint64_t seed_ = 0;
    bool replaying_ = false;
    bool recording_ = false;
    ChoiceTrace trace_;
    std::vector<Sequence> sequences_[kSubsystems];
};

// Turns the trace of one run into that of the next in an exhaustive enumeration (an odometer: the
// last choice that can grow does, what follows it is cut off). False when all have been seen.
//   ChoiceTrace t; do { ChoiceStream c(t); c.record(true); run(c); t = c.trace(); } while
//   (next_trace(t));
bool next_trace(ChoiceTrace& trace);

}  // namespace xsan::sim
