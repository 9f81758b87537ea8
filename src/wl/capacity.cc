// Capacity of a set of members in groups.
#include "wl/capacity.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"
#include "base/units.h"

namespace xsan::wl {

std::uint64_t group_capacity(std::span<const std::uint64_t> extents, std::uint32_t total_strips,
                             bool leave_out_largest_when_more) {
    XSAN_ASSERT(total_strips > 0);
    std::uint64_t members = 0;
    std::uint64_t sum = 0;
    std::uint64_t largest = 0;
    for (const std::uint64_t e : extents) {
        members += e > 0 ? 1 : 0;
        sum += e;
        largest = std::max(largest, e);
    }
    const bool leave_out = leave_out_largest_when_more && members > total_strips;
    if (leave_out) sum -= largest;

    const auto fits = [&](std::uint64_t groups) {
        std::uint64_t usable = 0;
        for (const std::uint64_t e : extents)
            usable += std::min(e, groups);
        if (leave_out) usable -= std::min(largest, groups);
        return usable >= groups * total_strips;
    };
    // usable(G) - G * strips is concave and 0 at G = 0, so the G that fit are an interval from 0.
    std::uint64_t low = 0;
    std::uint64_t high = sum / total_strips;
    while (low < high) {
        const std::uint64_t middle = low + (high - low + 1) / 2;
        if (fits(middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

std::uint32_t interleave_width(std::uint32_t members, std::uint32_t total_strips) {
    XSAN_ASSERT(total_strips > 0);
    if (members <= total_strips) return 1;
    const std::uint32_t even = members / std::gcd(members, total_strips);
    const auto reach_all = static_cast<std::uint32_t>(divide_up(members, total_strips));
    return std::max(reach_all, std::min(even, kInterleaveMax));
}

}  // namespace xsan::wl
