// Carrying out an invocation: calls, `--watch` and the waits, with their progress on the terminal.
#pragma once

#include "xsanctl/command_line.h"

namespace xsan::ctl {

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoDaemon = 3;

// Prints results to stdout and errors as one line to stderr (with json: {code, message} to stdout);
// returns the exit code.
int run(const Invocation& invocation);

void print_error(bool json, const std::string& code, const std::string& message);

}  // namespace xsan::ctl
