// `events --follow`.
#pragma once

#include "xsanctl/command_line.h"

namespace xsan::ctl {

// Prints the events that there are and each new one, one to a line (with json as one object), asking
// each second, until SIGINT or SIGTERM (exit code 0) or until the pool is gone (one line, 1). Sits out
// a restart of the daemon.
int run_follow(const Invocation& invocation);

}  // namespace xsan::ctl
