// `wear compare`: the targets for its fixed inputs, its bounds, its words.
#include <cstdio>
#include <fstream>
#include <numeric>

#include "support/catch.h"
#include "xsanctl/command_line.h"
#include "xsanctl/wear/compare.h"

using namespace xsan;
using namespace xsan::ctl;
using namespace xsan::ctl::wear;

namespace {

const PolicyResult& result_of(const Comparison& comparison, const std::string& policy) {
    for (const auto& result : comparison.policies) {
        if (result.policy == policy) return result;
    }
    FAIL("no policy " + policy);
    return comparison.policies[0];
}

// A smaller pool that takes a fraction of the time.
CompareOptions small_options() {
    CompareOptions options;
    options.extents = 128;
    options.clusters_per_group = 8;
    options.growth = 5;
    return options;
}

Outcome<CommandLine::Parsed> parse_compare(std::vector<const char*> words) {
    words.insert(words.begin(), {"xsanctl", "wear", "compare"});
    CommandLine command_line("/");
    return command_line.parse(static_cast<int>(words.size()), words.data());
}

std::string compare_refusal(const std::vector<const char*>& words) {
    const auto parsed = parse_compare(words);
    REQUIRE_FALSE(parsed.has_value());
    REQUIRE(parsed.error().code == Errc::invalid_argument);
    REQUIRE(parsed.error().message.find('\n') == std::string::npos);
    return parsed.error().message;
}

}  // namespace

TEST_CASE("the fixed inputs reach the targets of wear leveling", "[wear][compare]") {
    const auto comparison = compare({});
    REQUIRE(comparison.has_value());
    const auto& round_robin = result_of(*comparison, "round_robin");
    const auto& adaptive = result_of(*comparison, "adaptive");
    const auto& staggered = result_of(*comparison, "staggered");
    REQUIRE(adaptive.spread.cv <= round_robin.spread.cv / 4);
    REQUIRE(adaptive.extra_write_fraction() <= 0.05);
    REQUIRE(staggered.first_end_of_life_gap >= 0.1);
    REQUIRE(staggered.extra_write_fraction() <= 0.05);
    REQUIRE(comparison->best == "adaptive");
    for (const auto& result : comparison->policies) {
        CAPTURE(result.policy);
        REQUIRE(result.spread.cv >= comparison->cv_bound);
        // What was written is what the members wore.
        const double grown = std::accumulate(result.wear.begin(), result.wear.end(), 0.0) - 215;
        REQUIRE(grown / 8 > 30 - 1e-6);
        REQUIRE(grown / 8 < 30.1);
    }
}

TEST_CASE("the same seed gives the same years, another one others", "[wear][compare]") {
    CompareOptions options = small_options();
    const auto first = compare(options);
    REQUIRE(to_json(*first) == to_json(*compare(options)));
    options.seed = 2;
    REQUIRE(to_json(*first) != to_json(*compare(options)));
}

TEST_CASE("relocation can be held back, and costs nothing then", "[wear][compare]") {
    CompareOptions options = small_options();
    options.relocation = Relocation::never;
    options.churn = 0.2;
    const auto never = compare(options);
    REQUIRE(never.has_value());
    for (const auto& result : never->policies)
        REQUIRE(result.moves == 0);
    // New groups alone level a pool that is written evenly, if slowly.
    REQUIRE(result_of(*never, "adaptive").spread.cv < result_of(*never, "round_robin").spread.cv);
}

TEST_CASE("a drive that is replaced starts anew and is paid for apart", "[wear][compare]") {
    CompareOptions options = small_options();
    options.replacements.push_back({7, 2});
    options.growth = 8;
    const auto comparison = compare(options);
    REQUIRE(comparison.has_value());
    const auto& round_robin = result_of(*comparison, "round_robin");
    REQUIRE(round_robin.wear[7] < 10);
    REQUIRE(round_robin.replaced_bytes > 0);
    REQUIRE(round_robin.moved_bytes == 0);
}

TEST_CASE("recorded writes are replayed phase by phase", "[wear][compare]") {
    CompareOptions options = small_options();
    options.workload = WorkloadKind::trace;
    options.trace_text = "# day 0, then the second month\n0,0,4096\n10,8192,4096\n2592001,0,8192\n";
    auto workload = Workload::make(options, 3);
    REQUIRE(workload.has_value());
    // 12 KiB of offsets over 24 clusters: 0 is cluster 0, 8192 is cluster 16; in turn on three
    // groups.
    REQUIRE(workload->phase(0) == std::vector<double>{0.5, 0.5, 0});
    REQUIRE(workload->phase(1) == std::vector<double>{1, 0, 0});
    REQUIRE(workload->phase(2) == workload->phase(0));
    REQUIRE(compare(options).has_value());
    for (const char* bad : {"", "1,2\n", "1,2,3,4\n", "5,0,1\n4,0,1\n", "a,b,c\n", "0,-1,5\n"}) {
        options.trace_text = bad;
        CAPTURE(bad);
        REQUIRE(Workload::make(options, 3).error().code == Errc::invalid_argument);
    }
}

TEST_CASE("zipf's parts sum to one and change with the hot set only", "[wear][compare]") {
    CompareOptions options = small_options();
    auto workload = Workload::make(options, 50);
    const auto sum = [](const std::vector<double>& parts) {
        return std::accumulate(parts.begin(), parts.end(), 0.0);
    };
    const std::vector<double> first = workload->phase(0);
    REQUIRE(sum(first) == Approx(1));
    REQUIRE(first != workload->phase(1));
    REQUIRE(first == workload->phase(0));
}

TEST_CASE("a comparison is told as JSON, text, CSV and a chart", "[wear][compare]") {
    CompareOptions options = small_options();
    const auto comparison = compare(options);
    const auto result = to_json(*comparison);
    REQUIRE(result["policies"].size() == 7);
    for (const auto& policy : result["policies"]) {
        for (const char* key : {"policy", "cv", "extra_write_fraction", "first_end_of_life_gap"}) {
            REQUIRE(policy.contains(key));
        }
    }
    const std::string text = to_text(*comparison);
    REQUIRE(text.find("adaptive") != std::string::npos);
    REQUIRE(text.find("no policy can end below") != std::string::npos);
    REQUIRE(to_csv(*comparison).starts_with("policy,day,member,wear\nround_robin,0,0,0.0000\n"));
    const std::string svg = to_svg(*comparison);
    REQUIRE(svg.starts_with("<svg "));
    REQUIRE(svg.ends_with("</svg>\n"));
}

TEST_CASE("wear compare needs no daemon and refuses wrong parameters in one line",
          "[wear][compare]") {
    const auto parsed =
        parse_compare({"--workload", "zipf:1.1", "--members", "8", "--ages", "unequal"});
    REQUIRE(parsed.has_value());
    REQUIRE(parsed->invocation->action == Invocation::Action::compare_wear);

    REQUIRE(compare_refusal({"--scheme", "2"}).find("is not K+P") != std::string::npos);
    REQUIRE(compare_refusal({"--scheme", "40+1"}).find("data strips") != std::string::npos);
    REQUIRE(compare_refusal({"--workload", "zipf:x"}).find("no number") != std::string::npos);
    REQUIRE(compare_refusal({"--workload", "random"}).find("is not uniform") != std::string::npos);
    REQUIRE(compare_refusal({"--members", "2"}).find("needs 3 to 256") != std::string::npos);
    REQUIRE(compare_refusal({"--members", "4", "--ages", "1,2,3"}).find("for 4 members") !=
            std::string::npos);
    REQUIRE(compare_refusal({"--ages", "1,2,300"}).find("an age") != std::string::npos);
    REQUIRE(compare_refusal({"--ages", "1,,3"}).find("list of numbers") != std::string::npos);
    REQUIRE(compare_refusal({"--sizes", "1,1,0"}).find("a size") != std::string::npos);
    REQUIRE(compare_refusal({"--fill", "96"}).find("fill") != std::string::npos);
    REQUIRE(compare_refusal({"--growth", "nan"}).find("list of numbers") != std::string::npos);
    REQUIRE(compare_refusal({"--extents", "1.5"}).find("whole number") != std::string::npos);
    REQUIRE(compare_refusal({"--seed", "-1"}).find("whole number") != std::string::npos);
    REQUIRE(compare_refusal({"--replace", "9@1"}).find("members are 0 to 7") != std::string::npos);
    REQUIRE(compare_refusal({"--replace", "1"}).find("MEMBER@MONTH") != std::string::npos);
    REQUIRE(compare_refusal({"--writes-per-day", "0.001"}).find("years") != std::string::npos);
    REQUIRE(compare_refusal({"--trace", "/nowhere/at/all"}).find("cannot read") !=
            std::string::npos);
    REQUIRE(!compare_refusal({"--relocate", "sometimes"}).empty());
    REQUIRE(!compare_refusal({"--unknown"}).empty());
}
