// A comparison for people: table and bars, CSV, SVG.
#include <fmt/format.h>

#include <algorithm>

#include "xsanctl/table.h"
#include "xsanctl/wear/compare.h"
#include "xsanctl/wear/svg.h"

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

Panel panel_of(const PolicyResult& result) {
    Panel panel;
    panel.title = result.policy;
    panel.note = fmt::format("cv {:.3f}, extra {:.2f} %, gap {:.2f}", result.spread.cv,
                             100 * result.extra_write_fraction(), result.first_end_of_life_gap);
    panel.time_length = std::max(result.days, 1.0);
    panel.text_end = fmt::format("{:.1f} years", panel.time_length / 365);
    const std::size_t members = result.wear.size();
    for (std::size_t member = 0; member < members; member++) {
        Curve curve;
        curve.colour = member_colour(member, members);
        for (const WearSample& sample : result.history) {
            curve.points.emplace_back(sample.day, sample.wear[member]);
        }
        panel.curves.push_back(std::move(curve));
    }
    return panel;
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
    Chart chart;
    chart.title = "Wear of each member, points of rated endurance, over time: " +
                  workload_name(comparison.options);
    chart.wear_max = std::max(100.0, wear_max(comparison));
    for (const PolicyResult& result : comparison.policies) {
        chart.panels.push_back(panel_of(result));
    }
    return print_svg(chart);
}

}  // namespace xsan::ctl::wear
