// Levels, offsets and the ordered indexes, against plain definitions.
#include "wl/water_level.h"

#include "base/rng.h"
#include "support/catch.h"
#include "wl/capacity.h"
#include "wl/domain_index.h"

using namespace xsan;
using namespace xsan::wl;

TEST_CASE("level shares bring those that take writes to one level, below all others",
          "[wl][water_level]") {
    Rng rng(1);
    for (int round = 0; round < 200; round++) {
        std::vector<WearState> members(1 + rng.below(12));
        double endurance = 0;
        for (auto& m : members) {
            m.wear = static_cast<double>(rng.below(100));
            m.endurance = static_cast<double>(1 + rng.below(5));
            endurance += m.endurance;
        }
        const double growth = static_cast<double>(1 + rng.below(30));
        const auto shares = level_shares(members, growth);
        double sum = 0;
        double level = -1;
        for (std::size_t i = 0; i < members.size(); i++) {
            sum += shares[i];
            if (shares[i] <= 0) continue;
            const double after =
                members[i].wear + shares[i] * growth * endurance / members[i].endurance;
            if (level >= 0) REQUIRE(after == Approx(level));
            level = after;
        }
        REQUIRE(sum == Approx(1));
        for (std::size_t i = 0; i < members.size(); i++) {
            if (shares[i] <= 0) REQUIRE(members[i].wear >= level - 1e-9);
        }
    }
    REQUIRE(level_shares({}, 10).empty());
}

TEST_CASE("stagger offsets open with wear and follow its order", "[wl][water_level]") {
    const StaggerSettings settings{10, 2, 20, 60};
    const std::vector<double> young{20, 10, 5, 0};
    REQUIRE(stagger_offsets(young, settings) == std::vector<double>{0, 0, 0, 0});
    const std::vector<double> old{50, 60, 60, 70};
    REQUIRE(stagger_offsets(old, settings) == std::vector<double>{20, 10, 20, 0});
    const std::vector<double> between{40, 30, 0, 0};
    REQUIRE(stagger_offsets(between, settings) == std::vector<double>{0, 5, 10, 10});
    REQUIRE(stagger_offsets({}, settings).empty());
}

TEST_CASE("the capacity index gives what group_capacity gives, also while it changes",
          "[wl][domain_index]") {
    Rng rng(2);
    for (int round = 0; round < 300; round++) {
        CapacityIndex index;
        std::vector<std::uint64_t> extents(1 + rng.below(12));
        for (int change = 0; change < 30; change++) {
            const std::size_t at = rng.below(extents.size());
            const std::uint64_t now = rng.below(rng.chance_percent(30) ? 3 : 40);
            index.add(at, static_cast<std::int64_t>(now) - static_cast<std::int64_t>(extents[at]));
            extents[at] = now;
            const auto strips = static_cast<std::uint32_t>(1 + rng.below(7));
            const std::uint64_t groups = group_capacity(extents, strips, false);
            REQUIRE(index.groups_that_fit(strips) == groups);
            std::size_t critical = 0;
            for (const std::uint64_t e : extents)
                critical += e > 0 && e >= groups ? 1 : 0;
            REQUIRE(index.critical(strips).size() == critical);
            if (groups > 0) REQUIRE(critical <= 2 * strips);
        }
    }
}
