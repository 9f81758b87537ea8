// `wear compare`: every policy over the same simulated years, and what that says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xsanctl/wear/simulation.h"

namespace xsan::ctl::wear {

// What the targets allow: relocation may write so much more (part of what users write).
inline constexpr double kExtraWritesMax = 0.05;

struct Comparison {
    CompareOptions options;
    std::vector<PolicyResult> policies;  // round_robin first: what the others are measured by
    // The least cv that any policy could reach with the same writes, if groups, space and moves set
    // no limits: the writes fill up the least worn members. Without replacements only; 0 otherwise.
    double cv_bound = 0;
    std::string best;         // least cv of those within kExtraWritesMax
    std::string best_spaced;  // largest first_end_of_life_gap of those
};

// Errors: invalid_argument, one line.
Outcome<Comparison> compare(const CompareOptions& options);

// {inputs, policies[], cv_bound, best, best_spaced}
nlohmann::json to_json(const Comparison& comparison);
// A table, and each member's wear at the start and the end as bars.
std::string to_text(const Comparison& comparison);
// "policy,day,member,wear", a line for each month and member.
std::string to_csv(const Comparison& comparison);
// Small multiples: wear of each member over time, one panel per policy, to one scale.
std::string to_svg(const Comparison& comparison);

}  // namespace xsan::ctl::wear
