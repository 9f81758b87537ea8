// Plans, predictions and the answers of what changes something.
#include <fmt/format.h>

#include <algorithm>

#include "xsanctl/status.h"
#include "xsanctl/table.h"
#include "xsanctl/wear/render.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

std::string render_settings(const json& settings) {
    if (!settings.is_object()) return {};
    Table table({{"SETTING"}, {"VALUE"}});
    for (const auto& item : settings.items()) {
        table.add_row({printable(item.key()), printable(text_of(settings, item.key().c_str()))});
    }
    return table.print("");
}

std::string render_policy(const json& result) {
    std::string others;
    for (const auto& name : list_of(result, "policies")) {
        if (!name.is_string() || name == text_of(result, "policy")) continue;
        others += (others.empty() ? "" : ", ") + printable(name.get<std::string>());
    }
    return fmt::format("policy {}{}\n", text_of(result, "policy"),
                       others.empty() ? "" : " (others: " + others + ")");
}

std::string render_task(const json& result) {
    const json& task = object_of(result, "task");
    return fmt::format("wear leveling is {}, schedule {}; {} moves waiting, {} running\n", text_of(task, "state"),
                       text_of(task, "schedule"), text_of(task, "moves_waiting"),
                       text_of(task, "moves_running"));
}

std::string render_reset(const json& result) {
    std::string members;
    for (const auto& index : list_of(result, "members")) members += " " + index.dump();
    return members.empty() ? "no account was reset\n"
                           : "the accounts of members" + members + " begin anew\n";
}

// "120 d (90 d to 180 d)", "reached", "never".
std::string days_of(const json& threshold, bool is_rate_known) {
    if (text_of(threshold, "reached") == "true") return "reached";
    const auto text = [&](const char* key) {
        const double days = number_of(threshold, key, -1);
        return days < 0 ? std::string("never") : days_text(days);
    };
    if (number_of(threshold, "days", -1) < 0) {
        if (number_of(threshold, "days_earliest", -1) < 0) return is_rate_known ? "never" : "-";
        return fmt::format("never ({} at the earliest)", text("days_earliest"));
    }
    return fmt::format("{} ({} to {})", text("days"), text("days_earliest"), text("days_latest"));
}

// The thresholds of the answer that are numbers.
std::vector<double> thresholds_of(const json& prediction) {
    std::vector<double> thresholds;
    for (const auto& threshold : list_of(prediction, "thresholds")) {
        if (threshold.is_number()) thresholds.push_back(threshold.get<double>());
    }
    return thresholds;
}

const json* find_threshold(const json& member, double threshold) {
    for (const auto& one : list_of(member, "thresholds")) {
        if (number_of(one, "threshold", -1) == threshold) return &one;
    }
    return nullptr;
}

std::string wear_rate_of(const json& member) {
    const std::string rate = points_of(member, "rate_points_per_day", 3);
    const std::string low = points_of(member, "rate_low", 3);
    const std::string high = points_of(member, "rate_high", 3);
    return low == "-" || high == "-" ? rate : fmt::format("{} ({} to {})", rate, low, high);
}

}  // namespace

std::string render_plan(const json& plan, bool is_begun) {
    std::string text = fmt::format("spread {}, predicted {}; {}\n", points_of(plan, "spread", 1),
                                   points_of(plan, "spread_predicted", 1),
                                   text_of(plan, "levels_wear") == "true" ? "wear is to be levelled"
                                                                          : "wear is level enough");
    const json& moves = list_of(plan, "moves");
    if (moves.empty()) return text + "nothing to move\n";
    Table table({{"GROUP", true}, {"SLOT", true}, {"FROM", true}, {"TO", true}, {"REASON"}, {"GAIN", true}});
    for (const auto& move : moves) {
        table.add_row({text_of(move, "group"), text_of(move, "slot"), text_of(move, "from"),
                       text_of(move, "to"), text_of(move, "reason"),
                       points_of(move, "gain_per_byte", 1)});
    }
    return text + table.print("") +
           fmt::format("{} moves {} {}\n", moves.size(), is_begun ? "have begun and write" : "would write",
                       amount_of(plan, "bytes"));
}

std::string render_prediction(const json& prediction) {
    const std::vector<double> thresholds = thresholds_of(prediction);
    std::vector<Table::Column> columns{{"#", true}, {"PATH"}, {"SERIAL"}, {"WEAR", true}, {"PER DAY", true}};
    for (const double threshold : thresholds) {
        columns.push_back({fmt::format("{:g} POINTS", threshold), true});
    }
    Table table(std::move(columns));
    for (const auto& member : list_of(prediction, "members")) {
        std::vector<std::string> row{text_of(member, "index"), printable(text_of(member, "path")),
                                     printable(text_of(member, "serial")),
                                     points_of(member, "wear", 1), wear_rate_of(member)};
        const bool is_rate_known = points_of(member, "rate_points_per_day", 3) != "-";
        for (const double threshold : thresholds) {
            const json* one = find_threshold(member, threshold);
            row.push_back(one == nullptr ? "-" : days_of(*one, is_rate_known));
        }
        table.add_row(std::move(row));
    }
    const std::string worst = text_of(prediction, "worst_reached");
    return table.print("") + (worst == "-" ? std::string() : "a member has reached " + worst + " points\n");
}

std::optional<Foreseen> next_foreseen(const json& prediction) {
    std::optional<Foreseen> next;
    for (const auto& member : list_of(prediction, "members")) {
        for (const auto& one : list_of(member, "thresholds")) {
            const double days = number_of(one, "days", -1);
            if (days < 0 || text_of(one, "reached") == "true" || (next && next->days <= days)) continue;
            const std::string name =
                fmt::format("{} ({})", text_of(member, "index"), printable(text_of(member, "serial")));
            next = Foreseen{name, number_of(one, "threshold", 0), days};
        }
    }
    return next;
}

Check check_prediction(const json& prediction, std::optional<double> within_days) {
    std::vector<double> thresholds = thresholds_of(prediction);
    if (thresholds.empty()) return Check::none;
    std::sort(thresholds.begin(), thresholds.end());
    double reached = number_of(prediction, "worst_reached", -1);
    for (const auto& member : list_of(prediction, "members")) {
        for (const auto& one : list_of(member, "thresholds")) {
            if (text_of(one, "reached") != "true") continue;
            reached = std::max(reached, number_of(one, "threshold", -1));
        }
    }
    if (reached >= thresholds.back()) return Check::last;
    if (reached >= thresholds.front()) return Check::first;
    const auto next = next_foreseen(prediction);
    return within_days && next && next->days <= *within_days ? Check::foreseen : Check::none;
}

std::string render(std::string_view method, const json& result, const View& view) {
    if (method == "wear.show") return render_show(result, view);
    if (method == "wear.history") return render_history(result, view);
    if (method == "wear.plan" || method == "wear.balance") {
        return render_plan(result, method == "wear.balance");
    }
    if (method == "wear.predict") return render_prediction(result);
    if (method == "wear.policy") return render_policy(result);
    if (method == "wear.set") return render_settings(object_of(result, "settings"));
    if (method == "wear.endurance") {
        return fmt::format("member {} is rated for {} ({})\n", text_of(result, "index"),
                           amount_of(result, "endurance_bytes"), text_of(result, "endurance_origin"));
    }
    if (method == "wear.reset") return render_reset(result);
    return render_task(result);  // start, stop, pause, resume
}

}  // namespace xsan::ctl::wear
