// Carrying out the commands of `wear` that do more than print one answer. Each returns the exit code.
#pragma once

#include "xsanctl/command_line.h"

namespace xsan::ctl::wear {

// `wear history --svg`: writes the chart to invocation.file; with json also prints the answer.
int run_chart(const Invocation& invocation);

// `wear predict --check` and `--within`: prints the prediction; 0, kExitFirstReached, kExitLastReached or
// kExitForeseen.
int run_check(const Invocation& invocation);

// `wear export`: asks for everything, then writes it wholly or not at all.
int run_export(const Invocation& invocation);

}  // namespace xsan::ctl::wear
