// Campaign: run after run, seed after seed, until enough states are seen, time is up, or something is
// found.
#pragma once

#include <cstdint>
#include <string>

#include "sim/plan.h"
#include "sim/report.h"

namespace xsan::simtest {

struct CampaignOptions {
    std::uint64_t seed = 1;
    std::uint64_t seed_step = 1;  // to the next run's
    std::uint64_t states = 20'000;
    std::uint64_t runs = UINT64_MAX;  // at most so many
    double seconds_max = 0;           // 0: no limit
    PlanOptions plan;
    bool keep_going = false;       // count findings instead of stopping at the first
    unsigned replay_every = 25;    // runs of which one is run twice: the trace must be the same
    std::string artifacts = ".";   // folder for replay files
    double (*seconds)() = nullptr;  // a clock, from the main program
    void (*on_run)(const Plan& plan) = nullptr;  // told before each run
};

struct CampaignResult {
    Stats stats;
    std::uint64_t findings = 0;
    MaybeFinding first;
    Plan plan;  // that found it, as generated
};

CampaignResult run_campaign(const CampaignOptions& options);

// One line: states, states per second, faults by kind.
std::string summary(const Stats& stats, double seconds);

}  // namespace xsan::simtest
