// Bars of wear and fill, by member, for a terminal. Functions of values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xsanctl/render.h"

namespace xsan::ctl::wear {

struct Bar {
    std::string label;
    double percent = 0;   // is clamped to 0..100 for its length, not for its number
    bool is_known = true;  // otherwise an empty bar and "-"
};

// A scale, and a line for each bar: its label, the bar with a mark at each of `marks` (percent,
// ascending), its number, and the highest mark that it has reached. No line is wider than
// view.width, down to 40 columns; labels are cut to a quarter of it. ASCII unless view.unicode.
std::string bar_chart(const std::string& title, const std::vector<Bar>& bars,
                      const std::vector<double>& marks, const View& view);

// The charts of wear and fill of an answer of wear.show. Marks: the setting warn_at, or 80 and 90.
std::string member_charts(const nlohmann::json& shown, const View& view);

}  // namespace xsan::ctl::wear
