// Levels and offsets.
#include "wl/water_level.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace xsan::wl {

std::vector<double> level_shares(std::span<const WearState> members, double growth) {
    XSAN_ASSERT(growth > 0);
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return members[a].wear < members[b].wear;
    });
    double budget = 0;  // point-bytes to be poured in
    for (const WearState& m : members) {
        XSAN_ASSERT(m.endurance > 0);
        budget += growth * m.endurance;
    }
    // With the lowest n members under water the level is (budget + sum w e) / sum e; n is right
    // when the next member stands at or above it.
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
    std::vector<double> shares;
    for (const WearState& m : members) {
        shares.push_back(std::max(0.0, level - m.wear) * m.endurance / budget);
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
