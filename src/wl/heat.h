// Heat: how fast each group is written, as an exponentially weighted moving average, and how a
// group's writes spread over its strips.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wl/placement.h"

namespace xsan::wl {

// Rates by group, in bytes per second. A rate that is no longer fed halves every
// `half_life_seconds`; the first report of a group counts like all others, so that a burst at its
// birth does not make it hot.
class GroupHeat {
  public:
    explicit GroupHeat(double half_life_seconds);  // > 0

    // What was written since the last fold, `elapsed_seconds` (> 0) ago; at most one entry per
    // group. O(groups).
    void fold(std::span<const GroupIo> written, double elapsed_seconds);
    double rate(GroupIndex group) const;
    void forget(GroupIndex group);  // its number may name another group
    void clear() { rates_.clear(); }
    // A rate of an earlier life, so many seconds old (>= 0). Before the first fold.
    void restore(GroupIndex group, double rate, double age_seconds);

  private:
    double half_life_seconds_;
    std::vector<double> rates_;  // by group
};

// The part of the bytes that the members of a group write for its users, by slot; sum 1.
// A small write goes to one data strip and to all parity strips; a full stripe to all strips alike.
// Rotation evens this out over the slots, so that only parity that does not rotate sets slots
// apart: each of its members takes one write for each small write to any of the data_strips others.
// small_part: 0..1, the part of user bytes that comes in small writes. data_strips > 0.
std::vector<double> strip_write_shares(unsigned data_strips, unsigned parity_strips,
                                       bool parity_fixed, double small_part);

}  // namespace xsan::wl
