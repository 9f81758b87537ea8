// Choices: seeded, independent by label, replayable, enumerable.
#include "sim/choice_stream.h"

#include <set>
#include <vector>

#include "support/catch.h"

using namespace xsan::sim;

namespace {
constexpr ChoiceLabel kWork{Subsystem::workload, 0};
constexpr ChoiceLabel kFault{Subsystem::fault, 3};
}  // namespace

TEST_CASE("a seed gives the same values again, another seed others", "[sim][choices]") {
    const auto draw = [](std::uint64_t seed) {
        ChoiceStream c(seed);
        std::vector<std::uint32_t> values;
        for (int i = 0; i < 100; i++)
            values.push_back(c.below(1000, kWork));
        return values;
    };
    REQUIRE(draw(1) == draw(1));
    REQUIRE(draw(1) != draw(2));
}

TEST_CASE("choices of one label do not depend on those of another", "[sim][choices]") {
    ChoiceStream alone(9);
    ChoiceStream mixed(9);
    for (int i = 0; i < 100; i++) {
        if (i % 3 == 0) mixed.below(7, kFault);
        REQUIRE(alone.below(1000, kWork) == mixed.below(1000, kWork));
    }
}

TEST_CASE("a recorded trace replays, ends in zeros and follows changed bounds", "[sim][choices]") {
    ChoiceStream original(5);
    original.record(true);
    std::vector<std::uint32_t> values;
    for (int i = 0; i < 20; i++)
        values.push_back(original.below(50, i % 2 == 0 ? kWork : kFault));
    REQUIRE(original.below(1, kWork) == 0);  // no choice, not recorded
    REQUIRE(original.trace().size() == 20);

    ChoiceStream again(original.trace());
    for (int i = 0; i < 20; i++) {
        REQUIRE(again.below(50, i % 2 == 0 ? kWork : kFault) ==
                values[static_cast<std::size_t>(i)]);
    }
    REQUIRE(again.below(50, kWork) == 0);

    ChoiceStream tighter(original.trace());
    REQUIRE(tighter.below(2, kWork) == std::min(values[0], 1u));
}

TEST_CASE("enumeration visits every sequence of choices once", "[sim][choices]") {
    std::set<std::vector<std::uint32_t>> seen;
    ChoiceTrace trace;
    int runs = 0;
    do {
        ChoiceStream c(trace);
        c.record(true);
        std::vector<std::uint32_t> run{c.below(3, kWork)};
        if (run[0] == 1) run.push_back(c.below(2, kFault));  // the tree may be lopsided
        run.push_back(c.below(2, kWork));
        seen.insert(run);
        runs++;
        trace = c.trace();
    } while (next_trace(trace));
    REQUIRE(runs == 8);
    REQUIRE(seen.size() == 8);
}

TEST_CASE("wide choices and chances stay in their bounds", "[sim][choices]") {
    ChoiceStream c(1);
    bool large = false;
    for (int i = 0; i < 1000; i++) {
        const auto value = c.below_wide(1ull << 40, kWork);
        REQUIRE(value < (1ull << 40));
        large |= value > (1ull << 39);
        REQUIRE_FALSE(c.chance(0, kWork));
        REQUIRE(c.chance(100, kWork));
    }
    REQUIRE(large);
}
