// The simulator as a test: a bounded number of states for each policy, the seeds that once failed,
// and the proof that it can find anything: the write holes of the policies that have them.
//
// XSAN_SIM_STATES says how many states the long cases check (default 2,000; `scripts/test.sh sim`
// runs the program tools/xsan-sim with far more).
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/campaign.h"
#include "sim/runner.h"
#include "sim/seeds.h"
#include "sim/shrink.h"
#include "support/catch.h"

namespace xsan::simtest {
namespace {

std::uint64_t states_wanted() {
    const char* text = std::getenv("XSAN_SIM_STATES");
    return text == nullptr ? 2000 : std::strtoull(text, nullptr, 10);
}

CampaignResult campaign(std::uint64_t states, meta::Consistency policy, std::string shape = {},
                        bool degraded = false) {
    CampaignOptions options;
    options.states = states;
    options.plan.policy = policy;
    options.plan.shape = std::move(shape);
    options.plan.degraded_cuts = degraded;
    return run_campaign(options);
}

std::string describe(const CampaignResult& result) {
    if (!result.first) return "clean";
    const std::string path = write_replay(result.plan, *result.first, ".");
    return result.first->kind + ": " + result.first->what + "; xsan-sim --replay " + path;
}

}  // namespace

TEST_CASE("policy resync survives power cuts while no member is missing") {
    const auto result = campaign(states_wanted(), meta::Consistency::resync);
    CHECK(describe(result) == "clean");
}

TEST_CASE("the simulator finds the write hole of policy none") {
    for (const char* shape : {"1+1", "raid10", "4+1", "4+2", "8+3"}) {
        const auto result = campaign(5000, meta::Consistency::none, shape);
        INFO(shape);
        REQUIRE(result.first.has_value());
        CHECK(result.first->kind == "parity");
    }
}

TEST_CASE("the simulator finds the write hole of policy resync while degraded") {
    const auto result = campaign(20000, meta::Consistency::resync, "4+1", true);
    REQUIRE(result.first.has_value());
}

TEST_CASE("a finding is shrunk to a few operations, and its replay file gives it again") {
    const auto result = campaign(5000, meta::Consistency::none, "4+1");
    REQUIRE(result.first.has_value());
    const Shrunk shrunk = shrink(result.plan, *result.first, {});
    CHECK(shrunk.plan.ops.size() <= 5);
    const auto read = parse_plan(to_text(shrunk.plan));
    REQUIRE(read.has_value());
    CHECK(to_text(*read) == to_text(shrunk.plan));
    const MaybeFinding again = run_apart(*read, 60);
    REQUIRE(again.has_value());
    CHECK(again->kind == result.first->kind);
}

TEST_CASE("a run is its seed: twice the same trace") {
    PlanOptions options;
    for (std::uint64_t seed = 1; seed <= 3; seed++) {
        const Plan plan = generate(seed, options);
        Stats stats;
        Runner one(plan, stats);
        Runner two(plan, stats);
        static_cast<void>(one.run());
        static_cast<void>(two.run());
        CHECK(one.hash() == two.hash());
    }
}

TEST_CASE("seeds that once failed are clean") {
    for (const KeptSeed& kept : kKeptSeeds) {
        PlanOptions options;
        options.policy = kept.policy;
        const Plan plan = generate(kept.seed, options);
        Stats stats;
        Runner runner(plan, stats);
        const MaybeFinding found = runner.run();
        INFO("seed " << kept.seed << ": " << kept.why);
        CHECK((found ? found->kind + ": " + found->what : "clean") == "clean");
    }
}

TEST_CASE("plans that once failed are clean") {
    for (const auto& entry : std::filesystem::directory_iterator(XSAN_SIM_PLANS)) {
        std::ifstream file(entry.path());
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto plan = parse_plan(text);
        INFO(entry.path());
        REQUIRE(plan.has_value());
        const MaybeFinding found = run_apart(*plan, 120);
        CHECK((found ? found->kind + ": " + found->what : "clean") == "clean");
    }
}

}  // namespace xsan::simtest
