// wear.history: tables, CSV and the chart of wear over time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "xsanctl/status.h"
#include "xsanctl/table.h"
#include "xsanctl/wear/csv.h"
#include "xsanctl/wear/render.h"
#include "xsanctl/wear/svg.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

constexpr double kChartMarks[] = {80, 90};
// "2026-11-20T08:41:07Z" and a column "  100.0".
constexpr std::size_t kTimeWidth = 20;
constexpr std::size_t kColumnWidth = 7;

// The points of a member that have a time and a wear, by time.
std::map<std::int64_t, double> points_of_member(const json& member) {
    std::map<std::int64_t, double> points;
    for (const auto& point : list_of(member, "points")) {
        const double time = number_of(point, "time", NAN);
        const double wear = number_of(point, "wear", NAN);
        if (std::isfinite(time) && std::isfinite(wear) && std::fabs(time) < 9e15) {
            points[static_cast<std::int64_t>(time)] = wear;
        }
    }
    return points;
}

// A line for each time: what members have in common in time stands in one.
std::string wide_table(const json& members) {
    std::vector<Table::Column> columns{{"TIME"}};
    std::map<std::int64_t, std::vector<std::string>> rows;
    for (std::size_t i = 0; i < members.size(); i++) {
        columns.push_back({"#" + text_of(members[i], "index"), true});
        for (const auto& [time, wear] : points_of_member(members[i])) {
            auto& row = rows.try_emplace(time, members.size(), "-").first->second;
            row[i] = fmt::format("{:.1f}", wear);
        }
    }
    Table table(std::move(columns));
    for (auto& [time, cells] : rows) {
        cells.insert(cells.begin(), time_text(time));
        table.add_row(cells);
    }
    return table.print("");
}

std::string long_table(const json& members) {
    Table table({{"#", true}, {"SERIAL"}, {"TIME"}, {"WEAR", true}});
    for (const auto& member : members) {
        for (const auto& [time, wear] : points_of_member(member)) {
            table.add_row({text_of(member, "index"), printable(text_of(member, "serial")),
                           time_text(time), fmt::format("{:.1f}", wear)});
        }
    }
    return table.print("");
}

}  // namespace

std::string render_history(const json& history, const View& view) {
    const json& members = list_of(history, "members");
    const bool is_empty = std::all_of(members.begin(), members.end(), [](const json& member) {
        return points_of_member(member).empty();
    });
    if (is_empty) return "no history yet\n";
    const bool fits = kTimeWidth + kColumnWidth * members.size() <= view.width;
    return fits ? wide_table(members) : long_table(members);
}

std::string history_csv(const json& history) {
    std::string text = "time,member,serial,wear\n";
    for (const auto& member : list_of(history, "members")) {
        const std::string index = text_of(member, "index");
        const std::string serial = text_of(member, "serial");
        for (const auto& [time, wear] : points_of_member(member)) {
            text += fmt::format("{},{},{},{}\n", time, csv_field(index),
                                serial == "-" ? "" : csv_field(serial), wear);
        }
    }
    return text;
}

std::string history_svg(const json& history) {
    const json& members = list_of(history, "members");
    Panel panel;
    panel.has_legend = true;
    panel.marks.assign(std::begin(kChartMarks), std::end(kChartMarks));
    std::int64_t begin = INT64_MAX;
    std::int64_t end = INT64_MIN;
    Chart chart;
    for (std::size_t i = 0; i < members.size(); i++) {
        Curve curve;
        curve.colour = member_colour(i, members.size());
        curve.label = text_of(members[i], "index") + " " + text_of(members[i], "serial");
        for (const auto& [time, wear] : points_of_member(members[i])) {
            begin = std::min(begin, time);
            end = std::max(end, time);
            chart.wear_max = std::max(chart.wear_max, wear);
            curve.points.emplace_back(static_cast<double>(time), wear);
        }
        panel.curves.push_back(std::move(curve));
    }
    if (begin <= end) {
        panel.time_begin = static_cast<double>(begin);
        panel.time_length = std::max(static_cast<double>(end) - panel.time_begin, 1.0);
        panel.text_begin = time_text(begin);
        panel.text_end = time_text(end);
    } else {
        panel.note = "no history yet";
    }
    chart.title = fmt::format("Wear of the members of pool {}, points of rated endurance, over time",
                              text_of(history, "pool"));
    chart.panel_width = 760;
    chart.panel_height = 400;
    chart.legend_width = 180;
    chart.columns = 1;
    chart.panels.push_back(std::move(panel));
    return print_svg(chart);
}

}  // namespace xsan::ctl::wear
