// Shrinker: from a plan that fails to a small one that fails in the same way.
//
// It takes operations out, cuts that are not needed, steps, arguments, and whatever makes the pool
// less simple, and keeps each change after which the finding's kind is still the same. Every attempt
// runs in a process of its own, so that plans that abort (a broken assertion) or hang are shrunk
// like others. Call it with one thread running.
#pragma once

#include <string>

#include "sim/plan.h"
#include "sim/report.h"

namespace xsan::simtest {

struct ShrinkOptions {
    unsigned attempts_max = 1500;
    unsigned seconds_each = 60;  // an attempt that takes longer hangs
};
struct Shrunk {
    Plan plan;
    MaybeFinding found;
    unsigned attempts = 0;
};
Shrunk shrink(const Plan& plan, const Finding& finding, const ShrinkOptions& options);

// Runs the plan in a child process; an abort is a finding of kind "abort".
MaybeFinding run_apart(const Plan& plan, unsigned seconds_max);

// Writes a replay file into `folder`; its path.
std::string write_replay(const Plan& plan, const Finding& finding, const std::string& folder);

}  // namespace xsan::simtest
