// The command line: every command of xsanctl and its options, turned into one call to the daemon.
// man/xsanctl.8 describes each; a test checks that it does.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "xsanctl/wear/command.h"

namespace xsan::ctl {

struct Invocation {
    enum class Action {
        call,          // one request, print its result
        watch,         // `show --watch`
        wait_rebuild,  // poll rebuild.status until nothing is left to do
        wait_scrub,    // poll scrub.status until the scrub has ended
        compare_wear,  // `wear compare`: simulated here, no daemon is asked
    };
    Action action = Action::call;
    std::string method;
    nlohmann::json params = nlohmann::json::object();
    std::string socket;
    bool wants_json = false;
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

    Invocation on_pool(std::string method) const;
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
};

}  // namespace xsan::ctl
