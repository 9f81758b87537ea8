// Charts of lines over time as SVG: one or several panels to one scale of wear. Functions of values.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace xsan::ctl::wear {

struct Curve {
    std::string label;  // in the legend
    std::string colour;
    std::vector<std::pair<double, double>> points;  // time, wear; times ascend
};

struct Panel {
    std::string title;
    std::string note;        // a line below the title
    double time_begin = 0;   // at the left edge
    double time_length = 1;  // > 0, of the whole width
    std::string text_begin;  // below the edges
    std::string text_end;
    std::vector<double> marks;  // points of wear that get a line across
    std::vector<Curve> curves;
    bool has_legend = false;
};

struct Chart {
    std::string title;
    double panel_width = 220;  // pixels
    double panel_height = 180;
    double legend_width = 0;  // pixels, beside the last panel of a row
    unsigned columns = 4;     // panels in a row
    double wear_max = 100;    // at the upper edge
    std::vector<Panel> panels;
};

// Any text may stand in titles and labels.
std::string print_svg(const Chart& chart);

// Members in their order go from blue to red.
std::string member_colour(std::size_t member, std::size_t members);

}  // namespace xsan::ctl::wear
