// Carrying out an invocation: calls, `--watch` and the waits, with their progress on the terminal.
#pragma once

#include "rpc/client.h"
#include "xsanctl/command_line.h"
#include "xsanctl/render.h"

namespace xsan::ctl {

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoDaemon = 3;
// Of `wear predict --check`: a member has reached the first threshold, or the last one; of `--within`: one is foreseen.
inline constexpr int kExitFirstReached = 4;
inline constexpr int kExitLastReached = 5;
inline constexpr int kExitForeseen = 6;

// Prints results to stdout and errors as one line to stderr (with json: {code, message} to stdout);
// returns the exit code.
int run(const Invocation& invocation);

// What the output is shown on, as it is now: terminals change their width.
View view_of(const Invocation& invocation);
// To stdout, at once.
void print(const std::string& text);
// Tells why a call brought no result; returns the exit code.
int fail(const Invocation& invocation, const rpc::CallError& error);
void print_error(bool json, const std::string& code, const std::string& message);

}  // namespace xsan::ctl
