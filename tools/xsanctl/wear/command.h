// The command `xsanctl wear compare`: its options, and carrying it out without a daemon.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "base/result.h"

namespace xsan::ctl::wear {

// What was given on the command line, unparsed.
struct CompareArguments {
    std::string scheme = "2+1";
    std::string workload = "zipf:1.1";
    std::string trace;  // a file
    std::string ages = "unequal";
    std::string sizes;
    std::string relocate = "policy";
    std::string replace;
    std::string svg;
    std::string csv;
    unsigned members = 0;  // 0: as many as the lists have, or 8
    std::string extents, clusters, fill, hot_days, growth, rated_writes, writes_per_day, churn,
        seed;
    bool parity_fixed = false;
};

void add_compare_options(CLI::App& app, CompareArguments& arguments);

// Checked before anything runs. Errors: invalid_argument (usage).
Outcome<void> check_arguments(const CompareArguments& arguments);

// Runs it, prints to stdout and writes the files that were asked for; returns the exit code.
int run_compare(const CompareArguments& arguments, bool wants_json);

}  // namespace xsan::ctl::wear
