// A comparison for people: table and bars, CSV, SVG.
#include <fmt/format.h>

#include <algorithm>

#include "xsanctl/table.h"
#include "xsanctl/wear/compare.h"

namespace xsan::ctl::wear {
namespace {

constexpr std::size_t kBarWidth = 40;

// '=' as far as the member was worn at the start, '#' for what came on top.
std::string wear_bar(double before, double after) {
    const auto width = [](double wear) {
        return static_cast<std::size_t>(std::clamp(wear, 0.0, 100.0) / 100 * kBarWidth + 0.5);
    };
    const std::size_t start = std::min(width(before), width(after));
    const std::size_t end = width(after);
    return std::string(start, '=') + std::string(end - start, '#') +
           std::string(kBarWidth - end, '.');
}

double wear_max(const Comparison& comparison) {
    double highest = 0;
    for (const PolicyResult& r : comparison.policies) {
        for (const WearSample& sample : r.history) {
            highest = std::max(highest, *std::max_element(sample.wear.begin(), sample.wear.end()));
        }
    }
    return std::max(highest, 1.0);
}

// Geometry of the chart, in pixels.
constexpr double kPanelWidth = 220;
constexpr double kPanelHeight = 180;
constexpr double kMargin = 44;
constexpr unsigned kPanelsPerRow = 4;

// Members from new to old go from blue to red.
std::string colour(std::size_t member, std::size_t members) {
    const double part =
        members > 1 ? static_cast<double>(member) / static_cast<double>(members - 1) : 0;
    return fmt::format("hsl({:.0f},70%,42%)", 220 * (1 - part));
}

std::string panel(const PolicyResult& result, double left, double top, double scale_max) {
    const double days = std::max(result.days, 1.0);
    std::string text = fmt::format(
        "<g transform=\"translate({:.0f},{:.0f})\">\n<text x=\"0\" y=\"-18\" "
        "font-weight=\"bold\">{}</text>\n<text x=\"0\" y=\"-5\" fill=\"#555\">cv {:.3f}, extra "
        "{:.2f} %, gap "
        "{:.2f}</text>\n<rect width=\"{:.0f}\" height=\"{:.0f}\" fill=\"#fff\" stroke=\"#999\"/>\n",
        left, top, result.policy, result.spread.cv, 100 * result.extra_write_fraction(),
        result.first_end_of_life_gap, kPanelWidth, kPanelHeight);
    for (double wear = 0; wear <= scale_max; wear += 20) {
        const double y = kPanelHeight * (1 - wear / scale_max);
        text += fmt::format(
            "<line x1=\"0\" x2=\"{0:.0f}\" y1=\"{1:.1f}\" y2=\"{1:.1f}\" stroke=\"#eee\"/><text "
            "x=\"-4\" y=\"{2:.1f}\" text-anchor=\"end\" fill=\"#555\">{3:.0f}</text>\n",
            kPanelWidth, y, y + 3, wear);
    }
    const std::size_t members = result.wear.size();
    for (std::size_t member = 0; member < members; member++) {
        std::string points;
        for (const WearSample& sample : result.history) {
            points += fmt::format("{:.1f},{:.1f} ", kPanelWidth * sample.day / days,
                                  kPanelHeight * (1 - sample.wear[member] / scale_max));
        }
        points.pop_back();
        text += fmt::format(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>\n",
            colour(member, members), points);
    }
    text += fmt::format(
        "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\" fill=\"#555\">{:.1f} "
        "years</text>\n</g>\n",
        kPanelWidth, kPanelHeight + 14, days / 365);
    return text;
}

}  // namespace

std::string to_text(const Comparison& comparison) {
    const CompareOptions& o = comparison.options;
    std::string text = fmt::format(
        "{}+{} on {} members, {:.0f} % full, {}, until mean wear has grown by {} points\n\n",
        o.data_strips, o.parity_strips, o.ages.size(), 100 * o.fill, workload_name(o), o.growth);
    Table table({{"POLICY"},
                 {"CV", true},
                 {"DEVIATION", true},
                 {"MIN", true},
                 {"MAX", true},
                 {"EXTRA WRITES", true},
                 {"GAP", true},
                 {"MOVES", true},
                 {"YEARS", true}});
    for (const PolicyResult& r : comparison.policies) {
        table.add_row({r.policy, fmt::format("{:.4f}", r.spread.cv),
                       fmt::format("{:.2f}", r.spread.deviation),
                       fmt::format("{:.1f}", r.spread.low), fmt::format("{:.1f}", r.spread.high),
                       fmt::format("{:.2f} %", 100 * r.extra_write_fraction()),
                       fmt::format("{:.3f}", r.first_end_of_life_gap), std::to_string(r.moves),
                       fmt::format("{:.1f}", r.days / 365)});
    }
    text += table.print("");
    for (const PolicyResult& r : comparison.policies) {
        text += fmt::format("\n{}\n", r.policy);
        for (std::size_t i = 0; i < r.wear.size(); i++) {
            text += fmt::format("  {:3}  {}  {:5.1f}\n", i,
                                wear_bar(r.history.front().wear[i], r.wear[i]), r.wear[i]);
        }
    }
    if (comparison.cv_bound > 0) {
        text += fmt::format("\nno policy can end below a cv of {:.4f}\n", comparison.cv_bound);
    }
    text += fmt::format(
        "most even: {}; first ends of life furthest apart: {} (of those within {:.0f} % extra "
        "writes)\n",
        comparison.best, comparison.best_spaced, 100 * kExtraWritesMax);
    return text;
}

std::string to_csv(const Comparison& comparison) {
    std::string text = "policy,day,member,wear\n";
    for (const PolicyResult& r : comparison.policies) {
        for (const WearSample& sample : r.history) {
            for (std::size_t i = 0; i < sample.wear.size(); i++) {
                text +=
                    fmt::format("{},{:.0f},{},{:.4f}\n", r.policy, sample.day, i, sample.wear[i]);
            }
        }
    }
    return text;
}

std::string to_svg(const Comparison& comparison) {
    const double scale_max = std::max(100.0, wear_max(comparison));
    const auto panels = static_cast<unsigned>(comparison.policies.size());
    const unsigned rows = (panels + kPanelsPerRow - 1) / kPanelsPerRow;
    const double step_x = kPanelWidth + kMargin;
    const double step_y = kPanelHeight + 1.5 * kMargin;
    std::string text = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" "
        "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"#fff\"/>\n<text x=\"{:.0f}\" y=\"18\" font-size=\"13\">Wear of each member, points "
        "of rated "
        "endurance, over time: {}</text>\n",
        kPanelsPerRow * step_x + kMargin, rows * step_y + kMargin, kMargin,
        workload_name(comparison.options));
    for (unsigned i = 0; i < panels; i++) {
        text += panel(comparison.policies[i], kMargin + step_x * (i % kPanelsPerRow),
                      1.5 * kMargin + step_y * (i / kPanelsPerRow), scale_max);
    }
    return text + "</svg>\n";
}

}  // namespace xsan::ctl::wear
