// Levels and offsets.
#include "wl/water_level.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace xsan::wl {

namespace {

// The level to which `budget` (point-bytes) fills the members of `order`, who are sorted by wear.
// With the lowest n under water it is (budget + sum w e) / sum e; n is right when the next stands
// at or above it.
double level_of(std::span<const WearState> members, std::span<const std::size_t> order,
                double budget) {
    double level = 0;
    double endurance = 0;
    double floor = 0;
    for (std::size_t n = 0; n < order.size(); n++) {
        const WearState& m = members[order[n]];
        if (n > 0 && m.wear >= level) break;
        endurance += m.endurance;
        floor += m.wear * m.endurance;
        level = (budget + floor) / endurance;
    }
    return level;
}

}  // namespace

std::vector<double> level_shares(std::span<const WearState> members, double growth,
                                 std::span<const double> caps) {
    XSAN_ASSERT(growth > 0 && (caps.empty() || caps.size() == members.size()));
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return members[a].wear < members[b].wear;
    });
    double budget = 0;
    for (const WearState& m : members) {
        XSAN_ASSERT(m.endurance > 0);
        budget += growth * m.endurance;
    }
    std::vector<double> shares(members.size());
    double left = 1;  // of the budget, for those of `order`
    while (!order.empty() && left > 0) {
        const double level = level_of(members, order, left * budget);
        double capped = 0;
        const auto erased = std::erase_if(order, [&](std::size_t i) {
            shares[i] = std::max(0.0, level - members[i].wear) * members[i].endurance / budget;
            if (caps.empty() || shares[i] <= caps[i]) return false;
            shares[i] = caps[i];
            capped += caps[i];
            return true;
        });
        if (erased == 0) break;
        left -= capped;
    }
    return shares;
}

std::vector<double> stagger_offsets(std::span<const double> wear, const StaggerSettings& settings) {
    std::vector<double> offsets(wear.size());
    if (wear.empty()) return offsets;
    std::vector<std::size_t> order(wear.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return wear[a] > wear[b]; });
    const double span = settings.complete_at - settings.begins_at;
    XSAN_ASSERT(span > 0);
    const double opened = std::clamp((wear[order[0]] - settings.begins_at) / span, 0.0, 1.0);
    for (std::size_t rank = 0; rank < order.size(); rank++) {
        const auto gaps = std::min<std::size_t>(rank, settings.ranks);
        offsets[order[rank]] = settings.gap * opened * static_cast<double>(gaps);
    }
    return offsets;
}

}  // namespace xsan::wl
