// Building the parser and the calls. CLI11's exceptions end in parse().
#include "xsanctl/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "rpc/methods.h"
#include "rpc/server.h"

namespace xsan::ctl {
namespace {

std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

}  // namespace

CommandLine::CommandLine(std::string directory)
    : directory_(std::move(directory)),
      app_("Administers xsan's fault-tolerant block devices.", "xsanctl"),
      socket_(rpc::kDefaultSocketPath) {
    app_.add_option("--socket", socket_, "the daemon's socket");
    app_.add_flag("--json", json_, "print results and errors as one line of JSON");
    app_.set_version_flag("--version", "xsanctl " XSAN_VERSION);
    app_.require_subcommand(0, 1);  // none is told in our words, an unknown one in CLI11's
    add_create();
    add_pool_commands();
    add_member_commands();
    add_jobs();
    add_volume_commands();
    add_wear_commands();
    add_events();
}

CLI::App* CommandLine::command(CLI::App& parent, const std::string& name,
                               const std::string& summary, Make make) {
    CLI::App* sub = parent.add_subcommand(name, summary);
    sub->fallthrough();  // --json and --socket may stand behind the command
    sub->callback([this, make = std::move(make)] { make_ = make; });
    return sub;
}

CLI::App* CommandLine::pool_command(CLI::App& parent, const std::string& name,
                                    const std::string& summary, Make make) {
    CLI::App* sub = command(parent, name, summary, std::move(make));
    sub->add_option("POOL", pool_, "the pool's name")->required();
    return sub;
}

void CommandLine::add_create() {
    auto* sub = pool_command(app_, "create", "Make a pool and one volume; prints its block device",
                             [this] { return create(); });
    sub->add_option("--scheme", scheme_,
                    "K+P, or raid0, raid1, raid10, raid4, raid5, raid6, linear")
        ->required();
    sub->add_option("--strip", strip_, "bytes of a stripe on one member, such as 64K");
    sub->add_option("--block", block_, "logical block of the volume: 4096 or 512");
    sub->add_option("--extent", extent_, "unit in which members give space");
    sub->add_option("--consistency", consistency_, "log, resync or none");
    sub->add_option("--spare", spares_, "a spare member; may be given several times")
        ->allow_extra_args(false);
    sub->add_option("--volume", volume_name_, "name of the volume (data)");
    sub->add_option("--size", size_, "size of the volume (what the pool holds)");
    sub->add_flag("--no-attach", no_attach_, "make no block device yet");
    sub->add_flag("--force", force_, "take drives that carry a signature; their data is lost");
    sub->add_option("DEV", devices_, "the members")->required();
}

void CommandLine::add_pool_commands() {
    command(app_, "list", "List the pools", [] {
        Invocation invocation;
        invocation.method = "list";
        return Outcome<Invocation>(std::move(invocation));
    });
    auto* show = pool_command(app_, "show", "Show a pool's members, volumes and jobs", [this] {
        Invocation invocation = on_pool("show");
        if (watch_) invocation.action = Invocation::Action::watch;
        return Outcome<Invocation>(std::move(invocation));
    });
    show->add_flag("--watch", watch_, "show again every second");

    auto* assemble_command = command(app_, "assemble", "Start pools from what their members say",
                                     [this] { return assemble(); });
    assemble_command->add_flag("--scan", scan_, "look at all drives of this machine");
    assemble_command->add_flag("--accept-missing", accept_missing_,
                               "start although absent members may know more");
    assemble_command->add_option("POOL_OR_DEV", devices_, "one pool, or the drives to look at");

    pool_command(app_, "stop", "Detach a pool's volumes and let go of its members",
                 [this] { return Outcome<Invocation>(on_pool("stop")); });
    auto* destroy_command = pool_command(app_, "destroy", "Delete a pool with all data on it",
                                         [this] { return destroy(); });
    destroy_command->add_flag("--yes", yes_, "really");
}

void CommandLine::add_member_commands() {
    auto* add_command =
        pool_command(app_, "add", "Add members to a pool", [this] { return add(); });
    add_command->add_flag("--spare", spare_, "keep them as spares");
    add_command->add_flag("--force", force_, "take drives that carry a signature");
    add_command->add_option("DEV", devices_, "the drives")->required();

    auto* fail =
        pool_command(app_, "fail", "Declare a member faulty; its data is rebuilt elsewhere",
                     [this] { return member("fail"); });
    fail->add_option("DEV", device_, "the member: path, UUID or index")->required();
    auto* remove = pool_command(app_, "remove", "Move everything off a member, then drop it",
                                [this] { return member("remove"); });
    remove->add_option("DEV", device_, "the member: path, UUID or index")->required();

    auto* replace_command = pool_command(
        app_, "replace", "Copy a member to another while it serves", [this] { return replace(); });
    replace_command->add_option("OLD", device_, "the member to replace")->required();
    replace_command->add_option("NEW", new_device_, "the drive that takes its place")->required();
    replace_command->add_flag("--force", force_, "take a drive that carries a signature");

    auto* relocate_command = pool_command(
        app_, "relocate", "Move a strip of a group to another member", [this] { return relocate(); });
    relocate_command->add_option("GROUP", group_, "the group's number")->required();
    relocate_command->add_option("FROM", device_, "the member that it leaves: path, UUID or index")->required();
    relocate_command->add_option("TO", new_device_, "the member that it goes to")->required();
}

void CommandLine::add_jobs() {
    auto* rebuild_command = pool_command(app_, "rebuild", "Start, hold or watch a rebuild",
                                         [this] { return rebuild(); });
    rebuild_command->add_option("ACTION", action_, "start, pause, resume, status or wait (start)")
        ->check(CLI::IsMember({"start", "pause", "resume", "status", "wait"}));
    rebuild_command->add_option("--rate-max", rate_max_, "bytes a second at most; 0: as configured");
    rebuild_command->add_option("--group", only_group_, "this group now, before all others");

    auto* scrub_command = pool_command(app_, "scrub", "Check or repair the redundancy",
                                       [this] { return scrub(); });
    scrub_command->add_option("ACTION", action_,
                              "check, repair, pause, resume, status or wait (check)")
        ->check(CLI::IsMember({"check", "repair", "pause", "resume", "status", "wait"}));
    scrub_command->add_option("--rate-max,--rate", rate_max_,
                              "bytes a second that it reads at most; 0: as configured");
}

void CommandLine::add_volume_commands() {
    CLI::App* group = app_.add_subcommand("volume", "Manage a pool's volumes");
    group->require_subcommand(0, 1);
    group->fallthrough();
    const auto named = [&](const char* name, const char* summary, Make make) {
        auto* sub = pool_command(*group, name, summary, std::move(make));
        sub->add_option("NAME", volume_, "the volume's name")->required();
        return sub;
    };
    named("attach", "Give a volume its block device; prints it",
          [this] { return volume("volume.attach"); });
    named("detach", "Take a volume's block device away",
          [this] { return volume("volume.detach"); });
    auto* create_command = named("create", "Make a volume; prints its block device",
                                 [this] { return volume_create(); });
    create_command->add_option("--scheme", volume_scheme_, "as for create (the pool's)");
    create_command->add_option("--size", size_, "size of the volume (what is free)");
    create_command->add_option("--strip", strip_, "bytes of a stripe on one member");
    create_command->add_flag("--no-attach", no_attach_, "make no block device yet");
    auto* resize = named("resize", "Change a volume's size", [this] { return volume_resize(); });
    resize->add_option("SIZE", new_size_, "the new size");
    resize->add_option("--size", size_, "the new size");
    named("delete", "Delete a volume with its data", [this] { return volume("volume.delete"); });
    pool_command(*group, "list", "List a pool's volumes",
                 [this] { return Outcome<Invocation>(on_pool("volume.list")); });
}

Outcome<CommandLine::Parsed> CommandLine::parse(int argc, const char* const* argv) {
    // Known before parsing, so that a usage error already has the right shape.
    json_ = std::any_of(argv, argv + argc, [](const char* word) {
        return std::string_view(word) == "--json";
    });
    Parsed parsed;
    try {
        app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        std::ostringstream err;
        if (app_.exit(error, out, err) == 0) {
            parsed.text = out.str();
            return parsed;
        }
        return Failure(Errc::invalid_argument, one_line(error.what()) + " (see xsanctl --help)");
    }
    if (!make_) {
        return Failure(Errc::invalid_argument, "a command is missing (see xsanctl --help)");
    }
    XSAN_TRY(auto invocation, make_());
    if (invocation.action != Invocation::Action::compare_wear) {
        const rpc::MethodSpec* method = rpc::find_method(invocation.method);
        XSAN_ASSERT(method != nullptr);
        XSAN_TRY_VOID(rpc::check_params(*method, invocation.params));
    }
    invocation.socket = socket_;
    invocation.wants_json = json_;
    parsed.invocation = std::move(invocation);
    return parsed;
}

}  // namespace xsan::ctl
