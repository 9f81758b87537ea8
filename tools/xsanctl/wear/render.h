// Answers of the wear.* methods as text for people and as charts (CSV: csv.h). Functions of values; whatever an
// answer lacks is shown as "-".
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "xsanctl/render.h"

namespace xsan::ctl::wear {

// The text of a wear.* method's result.
std::string render(std::string_view method, const nlohmann::json& result, const View& view);

// wear.show: what is in force, spreads, the table of members; with view.chart their bars as well.
std::string render_show(const nlohmann::json& shown, const View& view);

// wear.history: a line for each time and a column for each member, or where those do not fit a line
// for each time and member.
std::string render_history(const nlohmann::json& history, const View& view);
// A line for each member over time, with marks at 80 and 90 points.
std::string history_svg(const nlohmann::json& history);

// wear.plan, and wear.balance, whose moves have begun.
std::string render_plan(const nlohmann::json& plan, bool is_begun);

// wear.predict.
std::string render_prediction(const nlohmann::json& prediction);
// What comes first: a member by whose trend a threshold that it has not reached is so many days off.
struct Foreseen {
    std::string member;  // "3 (xsan3)"
    double threshold = 0;
    double days = 0;
};
std::optional<Foreseen> next_foreseen(const nlohmann::json& prediction);
// What `--check` says of it: the first of its thresholds is reached, or the last; one that is both is the last. Else,
// with `within_days`, one is foreseen within so many days.
enum class Check { none, foreseen, first, last };
Check check_prediction(const nlohmann::json& prediction, std::optional<double> within_days = {});

}  // namespace xsan::ctl::wear
