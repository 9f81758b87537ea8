// A pool in simulated years: members that age by what is written to them, groups placed by a real
// wl::Placement and moved by the real wl::Planner. Deterministic for the options.
//
// A step is a day. In a day each group is written at its phase's rate, then heat is folded, then
// the planner is asked and its whole plan carried out. What the drives do inside is not simulated:
// wear is bytes written over rated endurance.
#pragma once

#include <string>
#include <vector>

#include "wl/spread.h"
#include "xsanctl/wear/options.h"
#include "xsanctl/wear/workload.h"

namespace xsan::ctl::wear {

struct WearSample {
    double day = 0;
    std::vector<double> wear;  // points, by member
};

struct PolicyResult {
    std::string policy;
    std::vector<double> wear;   // at the end, points, by member
    wl::Spread spread;          // of it
    double user_bytes = 0;      // written for users, parity included
    double moved_bytes = 0;     // written by relocation
    double replaced_bytes = 0;  // written to drives that took another's place
    std::size_t moves = 0;
    double days = 0;
    // See docs/wear-leveling.md: between the first two predicted ends of life, by rated life; 1 for
    // more.
    double first_end_of_life_gap = 0;
    std::vector<WearSample> history;  // monthly, and the end

    double extra_write_fraction() const { return user_bytes > 0 ? moved_bytes / user_bytes : 0; }
};

// Errors: invalid_argument when the pool cannot be filled as asked; not_found for the policy.
Outcome<PolicyResult> simulate(const std::string& policy, const CompareOptions& options,
                               Workload& workload);

// Groups that a pool filled as the options say holds.
std::size_t groups_at_start(const CompareOptions& options);

}  // namespace xsan::ctl::wear
