// Writing SVG.
#include "xsanctl/wear/svg.h"

#include <fmt/format.h>

#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

constexpr double kMargin = 44;
constexpr double kLegendLine = 14;

std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            default: safe += c;
        }
    }
    return safe;
}

// Frame, titles, a line each 20 points, and the marks.
std::string frame(const Panel& panel, double left, double top, const Chart& chart) {
    std::string text = fmt::format(
        "<g transform=\"translate({:.0f},{:.0f})\">\n<text x=\"0\" y=\"-18\" "
        "font-weight=\"bold\">{}</text>\n<text x=\"0\" y=\"-5\" fill=\"#555\">{}</text>\n"
        "<rect width=\"{:.0f}\" height=\"{:.0f}\" fill=\"#fff\" stroke=\"#999\"/>\n",
        left, top, escaped(panel.title), escaped(panel.note), chart.panel_width,
        chart.panel_height);
    for (double wear = 0; wear <= chart.wear_max; wear += 20) {
        const double y = chart.panel_height * (1 - wear / chart.wear_max);
        text += fmt::format(
            "<line x1=\"0\" x2=\"{0:.0f}\" y1=\"{1:.1f}\" y2=\"{1:.1f}\" stroke=\"#eee\"/><text "
            "x=\"-4\" y=\"{2:.1f}\" text-anchor=\"end\" fill=\"#555\">{3:.0f}</text>\n",
            chart.panel_width, y, y + 3, wear);
    }
    for (const double mark : panel.marks) {
        const double y = chart.panel_height * (1 - mark / chart.wear_max);
        text += fmt::format(
            "<line x1=\"0\" x2=\"{0:.0f}\" y1=\"{1:.1f}\" y2=\"{1:.1f}\" stroke=\"#c00\" "
            "stroke-dasharray=\"4 3\"/><text x=\"4\" y=\"{2:.1f}\" fill=\"#c00\">{3:g}</text>\n",
            chart.panel_width, y, y - 3, mark);
    }
    return text;
}

std::string line(const Curve& curve, const Panel& panel, const Chart& chart) {
    if (curve.points.empty()) return {};
    std::string points;
    for (const auto& [time, wear] : curve.points) {
        points += fmt::format("{:.1f},{:.1f} ",
                              chart.panel_width * (time - panel.time_begin) / panel.time_length,
                              chart.panel_height * (1 - wear / chart.wear_max));
    }
    points.pop_back();
    if (curve.points.size() == 1) {  // a line of one point would not be seen
        return fmt::format("<circle r=\"2\" cx=\"{}\" cy=\"{}\" fill=\"{}\"/>\n",
                           points.substr(0, points.find(',')), points.substr(points.find(',') + 1),
                           curve.colour);
    }
    return fmt::format(
        "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>\n",
        curve.colour, points);
}

std::string legend(const Panel& panel, const Chart& chart) {
    std::string text;
    double y = kLegendLine;
    for (const Curve& curve : panel.curves) {
        text += fmt::format(
            "<line x1=\"{0:.0f}\" x2=\"{1:.0f}\" y1=\"{2:.0f}\" y2=\"{2:.0f}\" stroke=\"{3}\" "
            "stroke-width=\"3\"/><text x=\"{4:.0f}\" y=\"{5:.0f}\">{6}</text>\n",
            chart.panel_width + 12, chart.panel_width + 26, y, curve.colour,
            chart.panel_width + 32, y + 4, escaped(curve.label));
        y += kLegendLine;
    }
    return text;
}

std::string print_panel(const Panel& panel, double left, double top, const Chart& chart) {
    std::string text = frame(panel, left, top, chart);
    for (const Curve& curve : panel.curves) text += line(curve, panel, chart);
    if (panel.has_legend) text += legend(panel, chart);
    if (!panel.text_begin.empty()) {
        text += fmt::format("<text x=\"0\" y=\"{:.0f}\" fill=\"#555\">{}</text>\n",
                            chart.panel_height + 14, escaped(panel.text_begin));
    }
    return text + fmt::format(
                      "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\" fill=\"#555\">{}"
                      "</text>\n</g>\n",
                      chart.panel_width, chart.panel_height + 14, escaped(panel.text_end));
}

// A legend may be longer than its panel is high.
double height_of(const Chart& chart) {
    double height = chart.panel_height;
    for (const Panel& panel : chart.panels) {
        if (!panel.has_legend) continue;
        const auto lines = static_cast<double>(panel.curves.size() + 1);
        if (lines * kLegendLine > height) height = lines * kLegendLine;
    }
    return height;
}

}  // namespace

std::string member_colour(std::size_t member, std::size_t members) {
    const double part =
        members > 1 ? static_cast<double>(member) / static_cast<double>(members - 1) : 0;
    return fmt::format("hsl({:.0f},70%,42%)", 220 * (1 - part));
}

std::string print_svg(const Chart& chart) {
    const auto panels = static_cast<unsigned>(chart.panels.size());
    const unsigned rows = (panels + chart.columns - 1) / chart.columns;
    const double step_x = chart.panel_width + kMargin;
    const double step_y = height_of(chart) + 1.5 * kMargin;
    std::string text = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" "
        "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"#fff\"/>\n<text x=\"{:.0f}\" y=\"18\" font-size=\"13\">{}</text>\n",
        chart.columns * step_x + kMargin + chart.legend_width, rows * step_y + kMargin, kMargin,
        escaped(chart.title));
    for (unsigned i = 0; i < panels; i++) {
        text += print_panel(chart.panels[i], kMargin + step_x * (i % chart.columns),
                            1.5 * kMargin + step_y * (i / chart.columns), chart);
    }
    return text + "</svg>\n";
}

}  // namespace xsan::ctl::wear
