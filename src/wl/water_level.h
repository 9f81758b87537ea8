// Who shall take which part of the writes to come: the arithmetic of levelling and of staggering.
//
// Levelling is filling a vessel with an uneven floor: future writes go to the members that stand
// lowest until all stand at one level. Wear is in points of rated endurance (0..100), endurance in
// bytes.
#pragma once

#include <span>
#include <vector>

namespace xsan::wl {

struct WearState {
    double wear = 0;       // points
    double endurance = 0;  // bytes over its life, > 0
};

// The share of the next writes that each member should take, 0..1: after as many writes as would
// wear all members by `growth` points (> 0) on average, those members that take any stand at one
// level L, and L is not above the wear of those that take none. Sum 1 (empty for none).
//
// caps: by member, the largest share that it can take, 0..1; empty for no limits. A member whose
// share would be above its cap gets the cap, and the others are levelled with what is left; the sum
// is below 1 only where the caps sum to less. O(n log n), for each time that a cap is met.
std::vector<double> level_shares(std::span<const WearState> members, double growth,
                                 std::span<const double> caps = {});

// Deliberate unevenness after Diff-RAID (Balakrishnan, Kadav, Prabhakaran, Malkhi: "Differential
// RAID: rethinking RAID for SSD reliability", EuroSys 2010): drives of one age under one load reach
// the end of their life together, so the most worn are kept apart.
struct StaggerSettings {
    double gap = 14;          // points between neighbours in the order of wear
    unsigned ranks = 4;       // so many gaps below the most worn; the others are level below these
    double begins_at = 20;    // wear of the most worn member at which gaps begin to open
    double complete_at = 70;  // and at which they are to be complete
};

// For each member the points to add to its wear, so that levelling the sums gives the stagger: 0
// for the most worn, `gap` for the second, and so on. Equal wear is ordered by place.
std::vector<double> stagger_offsets(std::span<const double> wear, const StaggerSettings& settings);

}  // namespace xsan::wl
