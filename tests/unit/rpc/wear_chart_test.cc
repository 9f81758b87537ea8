// Properties of the bars: their length, their marks, the width of the terminal; and of charts.
#include "xsanctl/wear/chart.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/rpc/wear_answers.h"
#include "xsanctl/wear/render.h"
#include "xsanctl/wear/svg.h"

using namespace xsan;
using namespace xsan::ctl;
using namespace xsan::ctl::wear;
using xsan::test::answer_of;

namespace {

const std::vector<double> kMarks{80, 90};

// Every character of UTF-8 that the bars use is one column wide.
std::size_t columns_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::size_t count_of(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) count++;
    return count;
}

}  // namespace

TEST_CASE("a bar has its length, marks at thresholds, and says which it is over",
          "[xsanctl][wear][chart]") {
    View view;
    view.width = 41;  // twenty columns for the bar
    const std::string text =
        bar_chart("w", {{"a", 50}, {"b", 79.9}, {"c", 80}, {"d", 95}, {"e", 0, false}}, kMarks, view);
    CHECK(text == "w               80 90\n"
                  "a [##########.....:.:..]   50.0\n"
                  "b [###############:.:..]   79.9\n"
                  "c [###############|.:..]   80.0  over 80\n"
                  "d [###############|#|#.]   95.0  over 90\n"
                  "e [...............:.:..]      -\n");
}

TEST_CASE("no line is wider than the terminal, whatever the labels and values",
          "[xsanctl][wear][chart]") {
    const std::vector<Bar> bars{{std::string(300, 'x'), 1e9}, {"a\x1b[J\xc3\xa4", -5}, {"", 100}};
    for (const bool unicode : {false, true}) {
        for (const std::size_t width : {0u, 40u, 41u, 60u, 79u, 80u, 200u, 5000u}) {
            CAPTURE(unicode, width);
            View view;
            view.width = width;
            view.unicode = unicode;
            const std::string text = bar_chart("wear, points", bars, {1, 50, 99.5, 100}, view);
            for (const auto& line : lines_of(text)) {
                const bool is_huge = line.find("1000000000") != std::string::npos;
                if (!is_huge) CHECK(columns_of(line) <= std::max<std::size_t>(width, 40));
            }
            CHECK(text.find('\x1b') == std::string::npos);
            const bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) {
                return static_cast<unsigned char>(c) < 0x80;
            });
            CHECK(is_ascii == !unicode);
        }
    }
}

TEST_CASE("members have a bar of wear and one of fill, marked where the pool warns",
          "[xsanctl][wear][chart]") {
    auto shown = answer_of(test::kShown);
    const std::string text = member_charts(shown, {});
    CHECK(lines_of(text).size() == 7);
    CHECK(text.find("0 /dev/nvme0n1 [") != std::string::npos);
    CHECK(text.find("94.5  over 90\n") != std::string::npos);
    CHECK(text.find("85.0  over 80\n") != std::string::npos);
    shown["settings"]["warn_at"] = "50";
    CHECK(member_charts(shown, {}).find("94.5  over 50\n") != std::string::npos);
    for (const char* odd : {"", "90,80", "x", "-1", "120"}) {
        shown["settings"]["warn_at"] = odd;
        CHECK(member_charts(shown, {}) == text);
    }
    CHECK(member_charts(answer_of("{}"), {}).empty());
}

TEST_CASE("the chart of wear over time has a line for each member and lines at 80 and 90",
          "[xsanctl][wear][chart]") {
    const std::string svg = history_svg(answer_of(test::kHistory));
    CHECK(svg.starts_with("<svg "));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(count_of(svg, "<polyline") == 1);
    CHECK(count_of(svg, "<circle") == 1);  // one point is no line
    CHECK(count_of(svg, "stroke-dasharray") == 2);
    CHECK(svg.find("points=\"0.0,") != std::string::npos);
    CHECK(svg.find("2026-11-25T09:46:40Z") != std::string::npos);
    CHECK(svg.find(">0 xsan0</text>") != std::string::npos);
    CHECK(svg.find("3 a,&quot;b&quot;</text>") != std::string::npos);
    CHECK(history_svg(answer_of("{}")).find("no history yet") != std::string::npos);
}

TEST_CASE("text of strangers stays text in a chart", "[xsanctl][wear][chart]") {
    Chart chart;
    chart.title = "<script>&\n";
    chart.panels.emplace_back();
    chart.panels.back().has_legend = true;
    chart.panels.back().curves.push_back({"</svg>", "red", {{0, 1}, {1, 2}}});
    const std::string svg = print_svg(chart);
    CHECK(svg.find("&lt;script&gt;&amp; </text>") != std::string::npos);
    CHECK(count_of(svg, "</svg>") == 1);
}
