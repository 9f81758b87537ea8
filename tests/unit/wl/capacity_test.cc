// Capacity: the closed form agrees with placing groups one by one.
#include "wl/capacity.h"

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "support/catch.h"

using namespace xsan;
using wl::group_capacity;

namespace {
using Extents = std::vector<std::uint64_t>;

// Places groups on the members with most extents left until one does not fit.
std::uint64_t place_greedily(Extents left, std::uint32_t strips) {
    std::uint64_t groups = 0;
    for (;;) {
        std::sort(left.begin(), left.end(), std::greater<>());
        if (left.size() < strips || left[strips - 1] == 0) return groups;
        for (std::uint32_t i = 0; i < strips; i++)
            left[i]--;
        groups++;
    }
}
}  // namespace

TEST_CASE("capacity is the number of groups that greedy placement reaches", "[wl][capacity]") {
    Rng rng(7);
    for (int round = 0; round < 2000; round++) {
        Extents extents(1 + rng.below(10));
        for (auto& e : extents)
            e = rng.below(rng.chance_percent(30) ? 200 : 40);
        const auto strips = static_cast<std::uint32_t>(1 + rng.below(8));
        CAPTURE(round, extents, strips);
        REQUIRE(group_capacity(extents, strips, false) == place_greedily(extents, strips));
    }
}

TEST_CASE("capacity satisfies its formula and one more group does not", "[wl][capacity]") {
    Rng rng(8);
    for (int round = 0; round < 2000; round++) {
        Extents extents(1 + rng.below(20));
        for (auto& e : extents)
            e = rng.below(131'072);
        const auto strips = static_cast<std::uint32_t>(1 + rng.below(12));
        const std::uint64_t groups = group_capacity(extents, strips, false);
        const auto usable = [&](std::uint64_t g) {
            std::uint64_t sum = 0;
            for (auto e : extents)
                sum += std::min(e, g);
            return sum;
        };
        REQUIRE(usable(groups) >= groups * strips);
        REQUIRE(usable(groups + 1) < (groups + 1) * strips);
    }
}

TEST_CASE("the largest member is left out only when there are more members than strips",
          "[wl][capacity]") {
    CHECK(group_capacity(Extents{100, 100, 100}, 3, true) == 100);
    CHECK(group_capacity(Extents{100, 100, 100, 500}, 3, true) == 100);
    CHECK(group_capacity(Extents{100, 100, 100, 100}, 3, true) == 100);
    CHECK(group_capacity(Extents{100, 100, 100, 100}, 3, false) == 133);
    CHECK(group_capacity(Extents(10, 1000), 6, true) == 1500);
    SECTION("an empty member is no member") {
        CHECK(group_capacity(Extents{100, 0, 100, 100}, 3, true) == 100);
    }
    SECTION("too few members hold nothing") {
        CHECK(group_capacity(Extents{100, 100}, 3, true) == 0);
        CHECK(group_capacity(Extents{}, 3, true) == 0);
    }
    SECTION("a member larger than all others together is used as far as they reach") {
        CHECK(group_capacity(Extents{10, 10, 1'000'000}, 2, false) == 20);
    }
}

TEST_CASE("the interleave width reaches every member alike", "[wl][capacity]") {
    CHECK(wl::interleave_width(6, 6) == 1);
    CHECK(wl::interleave_width(4, 6) == 1);
    CHECK(wl::interleave_width(10, 6) == 5);
    CHECK(wl::interleave_width(12, 6) == 2);
    CHECK(wl::interleave_width(11, 6) == 11);
    CHECK(wl::interleave_width(97, 6) == 32);
    CHECK(wl::interleave_width(1000, 6) == 167);
    for (std::uint32_t members = 1; members < 200; members++) {
        for (std::uint32_t strips = 1; strips < 12; strips++) {
            REQUIRE(wl::interleave_width(members, strips) * strips >= members);
        }
    }
}
