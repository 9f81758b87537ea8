// Tables of pools, members, volumes and jobs.
#include "xsanctl/render.h"

#include <fmt/format.h>

#include "xsanctl/events.h"
#include "xsanctl/status.h"
#include "xsanctl/table.h"
#include "xsanctl/wear/render.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kJobBarWidth = 24;

std::string render_pools(const json& pools) {
    if (pools.empty()) return "no pools\n";
    Table table({{"NAME"}, {"STATE"}, {"SIZE", true}, {"USED", true}, {"VOLUMES", true}, {"UUID"}});
    for (const auto& pool : pools) {
        table.add_row({text_of(pool, "name"), text_of(pool, "state"), size_of(pool, "size_bytes"),
                       size_of(pool, "used_bytes"), text_of(pool, "volumes_count"),
                       text_of(pool, "uuid")});
    }
    return table.print("");
}

std::string render_members(const json& members) {
    if (members.empty()) return {};
    Table table({{"#", true}, {"PATH"}, {"SERIAL"}, {"STATE"}, {"USED", true}, {"SIZE", true}});
    for (const auto& member : members) {
        table.add_row({text_of(member, "index"), text_of(member, "path"), text_of(member, "serial"),
                       text_of(member, "state"), size_of(member, "used_bytes"),
                       size_of(member, "size_bytes")});
    }
    return "members\n" + table.print("  ");
}

std::string render_volumes(const json& volumes, std::string_view indent) {
    if (volumes.empty()) return {};
    Table table({{"NAME"}, {"SCHEME"}, {"DEVICE"}, {"STATE"}, {"MAPPED", true}, {"SIZE", true}});
    for (const auto& volume : volumes) {
        table.add_row({text_of(volume, "name"), text_of(volume, "scheme"),
                       text_of(volume, "device"), text_of(volume, "state"),
                       size_of(volume, "mapped_bytes"), size_of(volume, "size_bytes")});
    }
    return table.print(indent);
}

std::string render_jobs(const json& jobs) {
    if (jobs.empty()) return {};
    Table table({{"KIND"}, {"STATE"}, {"PROGRESS"}, {"%", true}, {"PACE"}});
    for (const auto& job : jobs) {
        const double percent = number_of(job, "percent", 0);
        table.add_row({text_of(job, "kind"), text_of(job, "state"),
                       progress_bar(percent, kJobBarWidth), fmt::format("{:.0f}", percent),
                       pace_of(job)});
    }
    return "jobs\n" + table.print("  ");
}

std::string render_show(const json& pool) {
    std::string text =
        fmt::format("pool {}  {}\n  uuid         {}\n  consistency  {}\n  atomic write {}\n",
                    text_of(pool, "name"), text_of(pool, "state"), text_of(pool, "uuid"),
                    text_of(pool, "consistency"), size_of(pool, "atomic_bytes"));
    const std::string members = render_members(list_of(pool, "members"));
    const std::string volumes = render_volumes(list_of(pool, "volumes"), "  ");
    const std::string jobs = render_jobs(list_of(pool, "jobs"));
    if (!members.empty()) text += "\n" + members;
    if (!volumes.empty()) text += "\nvolumes\n" + volumes;
    if (!jobs.empty()) text += "\n" + jobs;
    return text;
}

std::string render_rebuild(const json& status) {
    const std::string jobs = render_jobs(list_of(status, "jobs"));
    return fmt::format("{}groups to rebuild: {}, without a place: {}, lost: {}\n",
                       jobs.empty() ? std::string("no jobs\n") : jobs,
                       text_of(status, "pending_groups"), text_of(status, "unplaced_groups"),
                       text_of(status, "failed_groups"));
}

// One line of where the group is, and one for each strip that goes elsewhere.
std::string render_group(const json& group) {
    std::string members;
    std::string moves;
    for (const auto& strip : list_of(group, "strips")) {
        const bool lost = text_of(strip, "state") == "lost";
        const std::string at = text_of(strip, "member");
        members += fmt::format("{}{}{}", members.empty() ? "" : " ", at, lost ? "(lost)" : "");
        const std::string to = text_of(strip, "to");
        if (to == "-") continue;
        moves += fmt::format("  from member {}{} to member {}\n", at, lost ? " (lost)" : "", to);
    }
    return fmt::format("group {}  {}  {}  on members {}\n{}", text_of(group, "group"), text_of(group, "scheme"),
                       text_of(group, "state"), members, moves);
}

std::string render_scrub(const json& status) {
    const double percent = number_of(status, "percent", 0);
    return fmt::format("scrub {}  {} {:.0f} %  {}\n", text_of(status, "state"),
                       progress_bar(percent, kJobBarWidth), percent, view_scrub(status).details);
}

std::string render_assembled(const json& pools) {
    if (pools.empty()) return "no pools found\n";
    std::string text;
    for (const auto& pool : pools) {
        if (pool.is_string()) text += pool.get<std::string>() + "\n";
    }
    return text;
}

}  // namespace

std::string render(std::string_view method, const json& result, const View& view) {
    if (method.starts_with("wear.")) return wear::render(method, result, view);
    if (method == "events") return render_events(result);
    if (method == "list") return render_pools(list_of(result, "pools"));
    if (method == "show") return render_show(result);
    if (method == "assemble") return render_assembled(list_of(result, "pools"));
    if (method == "relocate" || method == "rebuild.group") return render_group(result);
    if (method.starts_with("rebuild.")) return render_rebuild(result);
    if (method.starts_with("scrub.")) return render_scrub(result);
    if (method == "volume.list") {
        const std::string text = render_volumes(list_of(result, "volumes"), "");
        return text.empty() ? "no volumes\n" : text;
    }
    // create, volume.create, volume.attach: the block device and nothing else, for scripts.
    const std::string device = text_of(result, "device");
    return device == "-" ? std::string() : device + "\n";
}

}  // namespace xsan::ctl
