// What `wear compare` simulates. Values and their checks; the defaults are the fixed inputs of the
// comparison in docs/wear-leveling.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace xsan::ctl::wear {

inline constexpr unsigned kDaysPerMonth = 30;

enum class WorkloadKind : std::uint8_t { uniform, zipf, sequential, mixed, trace };
enum class Relocation : std::uint8_t { by_policy, never, always };

struct Replacement {
    unsigned member = 0;
    unsigned month = 0;  // > 0, from the start
};

// What is wrong with the arguments of `wear compare`.
Failure bad_compare(std::string message);

struct CompareOptions {
    unsigned data_strips = 2;
    unsigned parity_strips = 1;
    bool parity_fixed = false;  // parity on the last members of a group instead of rotating
    std::vector<double> ages{0, 5, 10, 20, 30, 40, 50, 60};  // wear at the start, points, by member
    std::vector<double> sizes{1, 1, 1, 1, 1, 1, 1, 1};       // in units of `extents`, by member
    std::uint32_t extents = 1024;                            // of a member of size 1
    unsigned clusters_per_group = 32;
    double fill = 0.6;  // of all extents, at the start
    WorkloadKind workload = WorkloadKind::zipf;
    double theta = 1.1;                 // of zipf
    std::string trace_text;             // of a recorded workload
    unsigned hot_days = kDaysPerMonth;  // until the hot set is another one
    double growth = 30;                 // points of mean wear until the end
    double rated_writes = 1825;         // drive writes in a rated life: one a day for five years
    double writes_per_day = 0.5;  // drive writes per day, mean of the members, without relocation
    double churn = 0;             // part of all groups deleted and made anew each month
    std::vector<Replacement> replacements;
    Relocation relocation = Relocation::by_policy;
    std::uint64_t seed = 1;
};

// "zipf", "zipf:1.1", "uniform", "sequential", "mixed", "mixed:0.9". Errors: invalid_argument.
Outcome<void> parse_workload(const std::string& text, CompareOptions& options);
// "equal" (all new), "unequal" (0 to 60, as the fixed inputs for eight), or a list "0,5,10". The
// number of members is `members`, or that of the list where it is 0.
Outcome<std::vector<double>> parse_ages(const std::string& text, unsigned members);
// A list of numbers, such as "1,1,2.5"; `what` names it in errors.
Outcome<std::vector<double>> parse_numbers(const std::string& text, const std::string& what);
// "3@12": member 3 is replaced by a new one after twelve months.
Outcome<Replacement> parse_replacement(const std::string& text);
// "2+1" as data+parity.
Outcome<void> parse_scheme(const std::string& text, CompareOptions& options);

// Everything in range and possible together. Errors: invalid_argument, one line.
Outcome<void> check_options(const CompareOptions& options);

std::string workload_name(const CompareOptions& options);

}  // namespace xsan::ctl::wear
