// Options and output of `wear compare`.
#include "xsanctl/wear/command.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "xsanctl/session.h"
#include "xsanctl/wear/compare.h"

namespace xsan::ctl::wear {
namespace {

// Sets `value` when the option was given.
template <class Value>
Outcome<void> set_number(const std::string& text, const char* option, Value& value) {
    if (text.empty()) return {};
    XSAN_TRY(const auto numbers, parse_numbers(text, option));
    const double number = numbers[0];
    const bool is_whole = number >= 0 && number <= 4e9 && number == std::floor(number);
    if (numbers.size() != 1 || (std::is_integral_v<Value> && !is_whole)) {
        return bad_compare(fmt::format("{} '{}' is not a {}number", option, quotable(text),
                                       std::is_integral_v<Value> ? "whole " : ""));
    }
    value = static_cast<Value>(number);
    return {};
}

Outcome<void> set_numbers(const CompareArguments& a, CompareOptions& o) {
    XSAN_TRY_VOID(set_number(a.extents, "--extents", o.extents));
    XSAN_TRY_VOID(set_number(a.clusters, "--clusters", o.clusters_per_group));
    XSAN_TRY_VOID(set_number(a.fill, "--fill", o.fill));
    XSAN_TRY_VOID(set_number(a.hot_days, "--hot-days", o.hot_days));
    XSAN_TRY_VOID(set_number(a.growth, "--growth", o.growth));
    XSAN_TRY_VOID(set_number(a.rated_writes, "--rated-writes", o.rated_writes));
    XSAN_TRY_VOID(set_number(a.writes_per_day, "--writes-per-day", o.writes_per_day));
    XSAN_TRY_VOID(set_number(a.churn, "--churn", o.churn));
    XSAN_TRY_VOID(set_number(a.seed, "--seed", o.seed));
    if (!a.fill.empty()) o.fill /= 100;
    if (!a.churn.empty()) o.churn /= 100;
    return {};
}

Outcome<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in.good()) return bad_compare(fmt::format("cannot read '{}'", quotable(path)));
    return text.str();
}

Outcome<CompareOptions> options_of(const CompareArguments& a) {
    CompareOptions o;
    XSAN_TRY_VOID(parse_scheme(a.scheme, o));
    XSAN_TRY_VOID(parse_workload(a.workload, o));
    o.parity_fixed = a.parity_fixed;
    unsigned members = a.members;
    if (!a.sizes.empty()) {
        XSAN_TRY(o.sizes, parse_numbers(a.sizes, "sizes"));
        if (members == 0) members = static_cast<unsigned>(o.sizes.size());
    }
    XSAN_TRY(o.ages, parse_ages(a.ages, members));
    if (a.sizes.empty()) o.sizes.assign(o.ages.size(), 1);
    XSAN_TRY_VOID(set_numbers(a, o));
    if (!a.replace.empty()) {
        XSAN_TRY(const Replacement replacement, parse_replacement(a.replace));
        o.replacements.push_back(replacement);
    }
    o.relocation = a.relocate == "never"    ? Relocation::never
                   : a.relocate == "always" ? Relocation::always
                                            : Relocation::by_policy;
    if (!a.trace.empty()) {
        o.workload = WorkloadKind::trace;
        XSAN_TRY(o.trace_text, read_file(a.trace));
    }
    XSAN_TRY_VOID(check_options(o));
    return o;
}

bool write_file(const std::string& path, const std::string& text) {
    if (path.empty()) return true;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    out.flush();
    return out.good();
}

}  // namespace

void add_compare_options(CLI::App& app, CompareArguments& a) {
    app.add_option("--scheme", a.scheme, "K+P (2+1)");
    app.add_option("--workload", a.workload,
                   "uniform, zipf:THETA, sequential or mixed:THETA (zipf:1.1)");
    app.add_option("--trace", a.trace, "a file of recorded writes: lines SECONDS,OFFSET,LENGTH");
    app.add_option("--members", a.members, "how many drives (8)")->check(CLI::Range(1, 256));
    app.add_option("--ages", a.ages, "equal, unequal or a list of wear in percent (unequal)");
    app.add_option("--sizes", a.sizes, "a list of relative sizes (equal)");
    app.add_option("--replace", a.replace, "MEMBER@MONTH: a new drive takes this one's place");
    app.add_option("--fill", a.fill, "percent of the space in use (60)");
    app.add_option("--growth", a.growth, "points by which mean wear grows (30)");
    app.add_option("--hot-days", a.hot_days, "days until the hot set is another one (30)");
    app.add_option("--churn", a.churn, "percent of the groups made anew each month (0)");
    app.add_option("--relocate", a.relocate, "policy (as each wants), never or always (policy)")
        ->check(CLI::IsMember({"policy", "never", "always"}));
    app.add_option("--rated-writes", a.rated_writes, "drive writes in a rated life (1825)");
    app.add_option("--writes-per-day", a.writes_per_day, "drive writes a day (0.5)");
    app.add_option("--extents", a.extents, "extents of a drive (1024)");
    app.add_option("--clusters", a.clusters, "clusters of a group (32)");
    app.add_flag("--parity-fixed", a.parity_fixed, "parity does not rotate, as in raid4");
    app.add_option("--seed", a.seed, "of the workload and of placement (1)");
    app.add_option("--svg", a.svg, "write a chart of wear over time to this file");
    app.add_option("--csv", a.csv, "write wear by policy, month and member to this file");
}

Outcome<void> check_arguments(const CompareArguments& arguments) {
    XSAN_TRY_VOID(options_of(arguments));
    return {};
}

int run_compare(const CompareArguments& arguments, bool wants_json) {
    const auto fail = [&](const Failure& failure) {
        print_error(wants_json, std::string(errc_name(failure.code)), failure.message);
        return kExitRefused;
    };
    const auto options = options_of(arguments);
    if (!options) return fail(options.error());
    const auto comparison = compare(*options);
    if (!comparison) return fail(comparison.error());
    const std::string text = wants_json ? to_json(*comparison).dump() + "\n" : to_text(*comparison);
    std::fputs(text.c_str(), stdout);
    for (const auto& [path, content] :
         {std::pair(arguments.svg, arguments.svg.empty() ? "" : to_svg(*comparison)),
          std::pair(arguments.csv, arguments.csv.empty() ? "" : to_csv(*comparison))}) {
        if (write_file(path, content)) continue;
        return fail({Errc::io_error, fmt::format("cannot write '{}'", quotable(path))});
    }
    return kExitDone;
}

}  // namespace xsan::ctl::wear
