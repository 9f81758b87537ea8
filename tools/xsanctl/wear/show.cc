// wear.show: the pool in lines, its members in a table.
#include <fmt/format.h>

#include <cmath>

#include "xsanctl/status.h"
#include "xsanctl/table.h"
#include "xsanctl/wear/chart.h"
#include "xsanctl/wear/render.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

void add_line(std::string& text, std::string_view title, const std::string& content) {
    text += fmt::format("  {:<12} {}\n", title, content);
}

bool is_true(const json& object, const char* key) { return text_of(object, key) == "true"; }

std::string task_line(const json& task) {
    std::string text = fmt::format("{}, schedule {}", text_of(task, "state"), text_of(task, "schedule"));
    if (const std::string last = time_of(task, "last_plan_time"); last != "-") {
        text += ", last plan " + last;
    }
    if (const std::string next = time_of(task, "next_plan_time"); next != "-") {
        text += ", next plan " + next;
    }
    return text + (is_true(task, "levels_wear") ? ", levels wear" : "");
}

std::string moves_line(const json& task) {
    const std::string rate = amount_of(task, "rate_bytes");
    return fmt::format("{} waiting, {} running, {} done, {} failed; {} moved{}",
                       text_of(task, "moves_waiting"), text_of(task, "moves_running"),
                       text_of(task, "moves_done"), text_of(task, "moves_failed"),
                       amount_of(task, "moved_bytes"),
                       rate == "-" ? std::string() : ", at most " + rate + "/s");
}

// `scale`: 100 for parts of 1.
std::string spread_line(const json& spread, double scale, const char* unit) {
    const auto scaled = [&](const char* key) {
        const json value = {{"v", number_of(spread, key, NAN) * scale}};
        return points_of(value, "v", 1);
    };
    return fmt::format("{} to {}{}, mean {}, deviation {}, cv {}, max/min {}", scaled("min"),
                       scaled("max"), unit, scaled("mean"), scaled("deviation"),
                       points_of(spread, "cv", 3), points_of(spread, "max_over_min", 2));
}

std::string hottest_line(const json& groups) {
    std::string text;
    for (const auto& group : groups) {
        text += fmt::format("{}{} ({}/s)", text.empty() ? "" : ", ", text_of(group, "group"),
                            amount_of(group, "rate_bytes"));
    }
    return text;
}

// "key value, key value, ...", broken where a line of the view ends.
void add_wrapped(std::string& text, std::string_view title, const json& settings, const View& view) {
    if (!settings.is_object()) return;
    std::string line;
    for (const auto& item : settings.items()) {
        const std::string one =
            printable(item.key()) + " " + printable(text_of(settings, item.key().c_str()));
        if (!line.empty() && 15 + line.size() + 2 + one.size() > view.width) {
            add_line(text, title, line + ",");
            title = "";
            line.clear();
        }
        line += (line.empty() ? "" : ", ") + one;
    }
    if (!line.empty()) add_line(text, title, line);
}

// What is not as it should be with a member.
std::string note_of(const json& member) {
    std::string note;
    const auto add = [&](const std::string& what) { note += (note.empty() ? "" : ", ") + what; };
    if (text_of(member, "healthy") == "false") add("not healthy");
    if (is_true(member, "slow")) add("slow");
    const json& reading = object_of(member, "reading");
    const double spare = number_of(reading, "spare_percent", -1);
    if (spare >= 0 && spare < number_of(reading, "spare_threshold_percent", 0)) {
        add(fmt::format("spare {:.0f} %", spare));
    }
    if (number_of(reading, "media_errors", 0) > 0) {
        add(text_of(reading, "media_errors") + " media errors");
    }
    return note;
}

std::string next_of(const json& member) {
    const double days = number_of(member, "days_to_threshold", -1);
    const std::string threshold = text_of(member, "threshold");
    if (threshold == "-" || days < 0) return "-";
    return threshold + " in " + days_text(days);
}

std::string write_rate_of(const json& member) {
    const std::string rate = amount_of(member, "rate_bytes");
    return rate == "-" ? rate : rate + "/s";
}

std::string members_table(const json& members) {
    Table table({{"#", true},
                 {"PATH"},
                 {"SERIAL"},
                 {"STATE"},
                 {"WEAR", true},
                 {"FROM"},
                 {"ENDURANCE", true},
                 {"WRITTEN", true},
                 {"AMPL", true},
                 {"RATE", true},
                 {"PER DAY", true},
                 {"NEXT", true},
                 {"FILL %", true},
                 {"SIZE", true},
                 {"NOTE"}});
    for (const auto& member : members) {
        const bool is_assumed = text_of(member, "endurance_origin") == "assumed";
        table.add_row({text_of(member, "index"), printable(text_of(member, "path")),
                       printable(text_of(member, "serial")), text_of(member, "state"),
                       points_of(member, "wear", 1), text_of(member, "source"),
                       amount_of(member, "endurance_bytes") + (is_assumed ? "?" : ""),
                       amount_of(member, "written_bytes"),
                       points_of(member, "write_amplification", 2), write_rate_of(member),
                       points_of(member, "rate_points_per_day", 3), next_of(member),
                       percent_of(member, "fill"), amount_of(member, "size_bytes"),
                       note_of(member)});
    }
    return "members\n" + table.print("  ");
}

}  // namespace

std::string render_show(const json& shown, const View& view) {
    const json& task = object_of(shown, "task");
    std::string text = fmt::format("pool {}  wear at {}\n", text_of(shown, "pool"), time_of(shown, "time"));
    add_line(text, "policy", text_of(shown, "policy"));
    add_line(text, "leveling", task_line(task));
    add_line(text, "moves", moves_line(task));
    add_line(text, "latency", fmt::format("{}, {} while nothing moves", latency_of(task, "latency_ns"),
                                          latency_of(task, "latency_quiet_ns")));
    add_line(text, "wear", spread_line(object_of(shown, "wear"), 1, " points"));
    add_line(text, "predicted", points_of(shown, "predicted_spread", 1) + " points of spread");
    add_line(text, "fill", spread_line(object_of(shown, "fill"), 100, " %"));
    add_line(text, "writes", fmt::format("{} by users, {} times as much to members",
                                         amount_of(shown, "user_written_bytes"),
                                         points_of(shown, "write_amplification", 2)));
    const std::string hottest = hottest_line(list_of(shown, "hottest"));
    if (!hottest.empty()) add_line(text, "hot groups", hottest);
    add_wrapped(text, "settings", object_of(shown, "settings"), view);
    const json& members = list_of(shown, "members");
    if (!members.empty()) text += "\n" + members_table(members);
    if (view.chart && !members.empty()) text += "\n" + member_charts(shown, view);
    return text;
}

}  // namespace xsan::ctl::wear
