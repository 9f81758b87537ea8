// The commands of `wear` and `events`: their options, and the calls that they mean.
#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "base/units.h"
#include "xsanctl/arguments.h"
#include "xsanctl/command_line.h"
#include "xsanctl/wear/export.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;
using Action = Invocation::Action;

constexpr double kIntervalLeast = 0.1;  // seconds
constexpr double kIntervalMost = 86'400;
constexpr double kWatchSeconds = 2;
constexpr double kWithinMost = 36'500;  // days
constexpr std::int64_t kEventsMost = 4096;  // of one answer
constexpr std::string_view kEnduranceKey = "endurance=";

Failure bad_argument(std::string message) {
    return {Errc::invalid_argument, std::move(message)};
}

// All of the text as a number; the check of the parameters says which it may be.
template <class Number>
Outcome<Number> number_of_text(const std::string& text, const char* option) {
    Number number{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) {
        return bad_argument(fmt::format("{} '{}' is not a {}number", option, quotable(text),
                                        std::is_integral_v<Number> ? "whole " : ""));
    }
    return number;
}

Outcome<void> put_whole(json& params, const char* name, const char* option,
                        const std::optional<std::string>& text) {
    if (!text) return {};
    XSAN_TRY(params[name], number_of_text<std::int64_t>(*text, option));
    return {};
}

}  // namespace

void CommandLine::put_member(json& params) const {
    if (wear_.member) params["member"] = absolute_member(*wear_.member, directory_);
}

Outcome<Invocation> CommandLine::wear_watch() const {
    Invocation invocation = on_pool("wear.show");
    invocation.action = Action::watch;
    invocation.chart = true;
    invocation.interval_seconds = kWatchSeconds;
    if (wear_.interval) {
        XSAN_TRY(invocation.interval_seconds, number_of_text<double>(*wear_.interval, "--interval"));
        // A comparison that also a NaN fails.
        if (!(invocation.interval_seconds >= kIntervalLeast && invocation.interval_seconds <= kIntervalMost)) {
            return bad_argument(
                fmt::format("--interval must be {} to {} seconds", kIntervalLeast, kIntervalMost));
        }
    }
    if (wear_.count) {
        XSAN_TRY(invocation.count, number_of_text<std::uint64_t>(*wear_.count, "--count"));
        if (invocation.count == 0) return bad_argument("--count must be at least 1");
    }
    return invocation;
}

Outcome<Invocation> CommandLine::wear_history() const {
    Invocation invocation = on_pool("wear.history");
    put_member(invocation.params);
    if (wear_.svg) {
        if (wear_.svg->empty()) return bad_argument("wear history: the file's name is empty");
        invocation.action = Action::chart_history;
        invocation.file = *wear_.svg;
    }
    return invocation;
}

// Settings are the pool's; the endurance is a member's, and a method of its own.
Outcome<Invocation> CommandLine::wear_set() const {
    for (const std::string& word : wear_.settings) {
        const auto equals = word.find('=');
        if (equals == std::string::npos || equals == 0) {
            return bad_argument(fmt::format("wear set: '{}' is not KEY=VALUE", quotable(word)));
        }
        if (word.starts_with(kEnduranceKey) && !wear_.member) {
            return bad_argument("wear set: endurance is a member's: say which with --member");
        }
    }
    if (!wear_.member) {
        Invocation invocation = on_pool("wear.set");
        invocation.params["settings"] = wear_.settings;
        return invocation;
    }
    if (wear_.settings.size() != 1 || !wear_.settings[0].starts_with(kEnduranceKey)) {
        return bad_argument("wear set: with --member give endurance=SIZE and nothing else");
    }
    const auto size = parse_size(std::string_view(wear_.settings[0]).substr(kEnduranceKey.size()));
    if (!size) return bad_argument(fmt::format("wear set: endurance: {}", size.error().message));
    Invocation invocation = on_pool("wear.endurance");
    put_member(invocation.params);
    invocation.params["endurance_bytes"] = *size;
    return invocation;
}

Outcome<Invocation> CommandLine::wear_predict() const {
    Invocation invocation = on_pool("wear.predict");
    if (wear_.check || wear_.within) invocation.action = Action::check_prediction;
    if (wear_.within) {
        XSAN_TRY(invocation.within_days, number_of_text<double>(*wear_.within, "--within"));
        if (!(*invocation.within_days > 0 && *invocation.within_days <= kWithinMost)) {
            return bad_argument(fmt::format("--within must be above 0 and at most {} days", kWithinMost));
        }
    }
    XSAN_TRY_VOID(put_whole(invocation.params, "threshold", "--threshold", wear_.threshold));
    return invocation;
}

Outcome<Invocation> CommandLine::wear_export() const {
    Invocation invocation = on_pool("wear.show");  // the first of its calls
    invocation.action = Action::export_wear;
    invocation.file = wear_.file;
    if (wear_.format && wear_.format->empty())
        return bad_argument("wear export: --format is empty");
    XSAN_TRY(invocation.format, wear::export_format(wear_.format.value_or(""), wear_.file));
    XSAN_TRY(invocation.part, wear::export_part(wear_.what, invocation.format));
    return invocation;
}

Outcome<Invocation> CommandLine::wear_reset() const {
    Invocation invocation = on_pool("wear.reset");
    put_member(invocation.params);
    invocation.params["history"] = wear_.history;
    return invocation;
}

Outcome<Invocation> CommandLine::events() const {
    Invocation invocation = on_pool("events");
    if (wear_.follow) invocation.action = Action::follow_events;
    XSAN_TRY_VOID(put_whole(invocation.params, "since", "--since", wear_.since));
    // Who says where to begin wants all that came after it.
    if (wear_.since) invocation.params["count_max"] = kEventsMost;
    return invocation;
}

// What only looks, beside `compare`.
void CommandLine::add_wear_reports(CLI::App& group) {
    auto* show = pool_command(group, "show", "How a pool's members wear, and why", [this] {
        Invocation invocation = on_pool("wear.show");
        invocation.chart = wear_.chart;
        return Outcome<Invocation>(std::move(invocation));
    });
    show->add_flag("--chart", wear_.chart, "bars of wear and fill as well");
    auto* watch = pool_command(group, "watch", "The same with bars, again and again",
                               [this] { return wear_watch(); });
    watch->add_option("--interval", wear_.interval, "seconds from one to the next (2)");
    watch->add_option("--count", wear_.count, "end after so many");
    auto* history = pool_command(group, "history", "Wear of the members over time",
                                 [this] { return wear_history(); });
    history->add_option("--member", wear_.member, "only this one: path, UUID or index");
    history->add_option("--svg", wear_.svg, "write a chart to this file instead");
    pool_command(group, "plan", "What balance would move",
                 [this] { return Outcome<Invocation>(on_pool("wear.plan")); });
    auto* predict = pool_command(group, "predict", "When members reach thresholds of wear",
                                 [this] { return wear_predict(); });
    predict->add_option("--threshold", wear_.threshold, "points, 1 to 100 (those of warn_at)");
    predict->add_flag("--check", wear_.check,
                      "exit with 4 when the first threshold is reached, with 5 when the last one is");
    predict->add_option("--within", wear_.within,
                        "check, and exit with 6 when one is foreseen within so many days");
    auto* export_command = pool_command(group, "export", "Write wear, history and events to a file",
                                        [this] { return wear_export(); });
    export_command->add_option("FILE", wear_.file, "the file to write")->required();
    export_command->add_option("--format", wear_.format, "json or csv (by the file's ending)");
    export_command->add_option("--what", wear_.what, "of a CSV: history, members or events (history)");
}

void CommandLine::add_wear_changes(CLI::App& group) {
    auto* policy = pool_command(group, "policy", "Tell or choose the placement policy", [this] {
        Invocation invocation = on_pool("wear.policy");
        if (wear_.policy) invocation.params["policy"] = *wear_.policy;
        return Outcome<Invocation>(std::move(invocation));
    });
    policy->add_option("NAME", wear_.policy, "the policy from now on");
    auto* set = pool_command(group, "set", "Change settings, or a member's endurance",
                             [this] { return wear_set(); });
    set->add_option("KEY=VALUE", wear_.settings, "settings; they are all changed or none")->required();
    set->add_option("--member", wear_.member, "a member, of which endurance=SIZE is set");
    const auto plain = [&](const char* name, const char* summary) {
        const std::string method = std::string("wear.") + name;
        pool_command(group, name, summary,
                     [this, method] { return Outcome<Invocation>(on_pool(method)); });
    };
    plain("start", "Let wear be levelled in the background");
    plain("stop", "Level wear no longer");
    plain("pause", "Hold the moves of wear leveling");
    plain("resume", "Go on with held moves");
    plain("balance", "Level wear now");
    auto* reset = pool_command(group, "reset", "Begin the accounts of members anew",
                               [this] { return wear_reset(); });
    reset->add_option("--member", wear_.member, "only this one: path, UUID or index");
    reset->add_flag("--history", wear_.history, "forget the history of wear as well");
}

void CommandLine::add_wear_commands() {
    CLI::App* group = app_.add_subcommand("wear", "Show, level and judge how drives wear");
    group->require_subcommand(0, 1);
    group->fallthrough();
    auto* compare = command(*group, "compare", "Compare the placement policies in simulated years",
                            [this]() -> Outcome<Invocation> {
                                XSAN_TRY_VOID(wear::check_arguments(compare_));
                                Invocation invocation;
                                invocation.action = Action::compare_wear;
                                invocation.compare = compare_;
                                return invocation;
                            });
    wear::add_compare_options(*compare, compare_);
    add_wear_reports(*group);
    add_wear_changes(*group);
}

void CommandLine::add_events() {
    auto* sub = pool_command(app_, "events", "What happened in a pool", [this] { return events(); });
    sub->add_option("--since", wear_.since, "only events with a higher number");
    sub->add_flag("--follow", wear_.follow, "print new ones as they come, until interrupted");
}

}  // namespace xsan::ctl
