// The command line: every command of xsanctl and its options, turned into one call to the daemon.
// man/xsanctl.8 describes each; a test checks that it does.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "xsanctl/wear/arguments.h"
#include "xsanctl/wear/command.h"

namespace xsan::ctl {

struct Invocation {
    enum class Action {
        call,          // one request, print its result
        watch,         // `show --watch`, `wear watch`
        wait_rebuild,  // poll rebuild.status until nothing is left to do
        wait_scrub,    // poll scrub.status until the scrub has ended
        compare_wear,  // `wear compare`: simulated here, no daemon is asked
        chart_history,     // `wear history --svg`: wear.history as a chart, to `file`
        check_prediction,  // `wear predict --check`: wear.predict, and an exit code for it
        export_wear,       // `wear export`: several calls, to `file`
        follow_events,     // `events --follow`: poll events, print new ones
    };
    Action action = Action::call;
    std::string method;
    nlohmann::json params = nlohmann::json::object();
    std::string socket;
    bool wants_json = false;
    bool chart = false;           // bars of wear and fill
    double interval_seconds = 1;  // of a watch
    std::uint64_t count = 0;      // of a watch; 0: until interrupted
    std::string file;             // that xsanctl writes
    std::string format;           // of an export: "json", "csv"
    std::string part;             // of an export as CSV: "history", "members", "events"
    std::optional<double> within_days;  // of a check: what is foreseen within them counts
    wear::CompareArguments compare;
};

class CommandLine {
  public:
    // `directory`: what relative device paths are relative to.
    explicit CommandLine(std::string directory);
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    struct Parsed {
        std::optional<Invocation> invocation;  // absent: print `text` (help, version), done
        std::string text;
    };
    // Every failure is a usage error, of one line.
    Outcome<Parsed> parse(int argc, const char* const* argv);

    bool wants_json() const { return json_; }
    CLI::App& app() { return app_; }

  private:
    using Make = std::function<Outcome<Invocation>()>;

    CLI::App* command(CLI::App& parent, const std::string& name, const std::string& summary,
                      Make make);
    CLI::App* pool_command(CLI::App& parent, const std::string& name, const std::string& summary,
                           Make make);
    void add_create();
    void add_pool_commands();
    void add_member_commands();
    void add_jobs();
    void add_volume_commands();
    void add_wear_commands();
    void add_events();

    Outcome<Invocation> create() const;
    Outcome<Invocation> assemble() const;
    Outcome<Invocation> destroy() const;
    Outcome<Invocation> add() const;
    Outcome<Invocation> member(const std::string& method) const;
    Outcome<Invocation> replace() const;
    Outcome<Invocation> relocate() const;
    Outcome<Invocation> rebuild() const;
    Outcome<Invocation> scrub() const;
    Outcome<Invocation> volume(const std::string& method) const;
    Outcome<Invocation> volume_create() const;
    Outcome<Invocation> volume_resize() const;
    void add_wear_reports(CLI::App& group);
    void add_wear_changes(CLI::App& group);
    Outcome<Invocation> wear_watch() const;
    Outcome<Invocation> wear_history() const;
    Outcome<Invocation> wear_set() const;
    Outcome<Invocation> wear_predict() const;
    Outcome<Invocation> wear_export() const;
    Outcome<Invocation> wear_reset() const;
    Outcome<Invocation> events() const;

    Invocation on_pool(std::string method) const;
    void put_member(nlohmann::json& params) const;
    nlohmann::json absolute_devices(const std::vector<std::string>& devices) const;

    std::string directory_;
    CLI::App app_;
    Make make_;  // of the command that was given

    std::string socket_;
    bool json_ = false;
    std::string pool_;
    std::string volume_;
    std::string device_;
    std::string group_;
    std::string new_device_;
    std::string action_;
    std::string scheme_;
    std::vector<std::string> devices_;
    std::vector<std::string> spares_;
    std::optional<std::string> strip_, block_, extent_, size_, new_size_, rate_max_, only_group_;
    std::optional<std::string> consistency_, volume_name_, volume_scheme_;
    bool no_attach_ = false;
    bool force_ = false;
    bool spare_ = false;
    bool scan_ = false;
    bool accept_missing_ = false;
    bool yes_ = false;
    bool watch_ = false;
    wear::CompareArguments compare_;
    wear::WearArguments wear_;
};

}  // namespace xsan::ctl
