// Answers of the wear.* methods as text for people, CSV and charts. Functions of values; whatever an
// answer lacks is shown as "-".
#pragma once

#include <nlohmann/json.hpp>
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
// "time,member,serial,wear", lines end in LF (RFC 4180 otherwise).
std::string history_csv(const nlohmann::json& history);
// A line for each member over time, with marks at 80 and 90 points.
std::string history_svg(const nlohmann::json& history);

// wear.plan, and wear.balance, whose moves have begun.
std::string render_plan(const nlohmann::json& plan, bool is_begun);

// wear.predict.
std::string render_prediction(const nlohmann::json& prediction);
// What `--check` says of it: the first of its thresholds is reached, or the last. One that is both
// is the last.
enum class Check { none, first, last };
Check check_prediction(const nlohmann::json& prediction);

}  // namespace xsan::ctl::wear
