// Drawing with characters. A cell of a bar is one column, whatever its bytes.
#include "xsanctl/wear/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "xsanctl/status.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

constexpr std::size_t kWidthLeast = 40;
constexpr std::size_t kBarLeast = 10;
constexpr std::size_t kBarMost = 100;  // a column is a percent then
// "  100.0  over 100"
constexpr std::size_t kNumberWidth = 17;

// `low`: nothing; `full`: what is reached; `mark` and `passed`: a mark before and in the bar.
struct Cells {
    const char *low, *full, *mark, *passed;
};
constexpr Cells kAscii{".", "#", ":", "|"};
constexpr Cells kBlocks{"\u00b7", "\u2588", "\u2502", "\u2503"};  // middle dot, block, bars

// The cell that ends at the mark.
std::size_t cell_of(double mark, std::size_t width) {
    const double at = std::round(mark * static_cast<double>(width) / 100);
    return static_cast<std::size_t>(std::clamp(at - 1, 0.0, static_cast<double>(width - 1)));
}

std::string draw(const Bar& bar, const std::vector<double>& marks, std::size_t width,
                 const Cells& cells) {
    const double part = bar.is_known ? std::clamp(bar.percent, 0.0, 100.0) / 100 : 0;
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
    std::vector<const char*> line(width, cells.low);
    std::fill_n(line.begin(), filled, cells.full);
    for (const double mark : marks) {
        const bool is_passed = bar.is_known && bar.percent >= mark;
        line[cell_of(mark, width)] = is_passed ? cells.passed : cells.mark;
    }
    std::string text;
    for (const char* cell : line) text += cell;
    return text;
}

// The numbers of the marks above their cells, further left where the next one needs the room.
std::string scale(const std::vector<double>& marks, std::size_t width) {
    std::string line(width, ' ');
    std::size_t free_until = width;  // what is to the right of it is taken
    for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
        const std::string number = fmt::format("{:g}", *mark);
        const std::size_t end = std::min(cell_of(*mark, width) + 1, free_until);
        if (end < number.size()) break;
        const std::size_t begin = end - number.size();
        line.replace(begin, number.size(), number);
        free_until = begin > 0 ? begin - 1 : 0;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

std::string number(const Bar& bar, const std::vector<double>& marks) {
    if (!bar.is_known) return "      -";
    std::string text = fmt::format("  {:5.1f}", bar.percent);
    for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
        if (bar.percent < *mark) continue;
        return text + fmt::format("  over {:g}", *mark);
    }
    return text;
}

// The end of a label says more than its beginning, as of a path.
std::string cut(std::string label, std::size_t width) {
    label = printable(std::move(label));
    for (char& c : label) {
        if (static_cast<unsigned char>(c) >= 0x80) c = '?';  // a byte is a column
    }
    if (label.size() > width) label = "~" + label.substr(label.size() - width + 1);
    return label;
}

std::vector<double> marks_of(const json& settings) {
    const std::string text = text_of(settings, "warn_at");
    std::vector<double> marks;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at < end) {
        if (*at == '[' || *at == ']' || *at == ',' || *at == ' ') {
            at++;
            continue;
        }
        double mark = 0;
        const auto [next, error] = std::from_chars(at, end, mark);
        if (error != std::errc() || !(mark > 0) || mark > 100) return {80, 90};
        marks.push_back(mark);
        at = next;
    }
    if (marks.empty() || !std::is_sorted(marks.begin(), marks.end())) return {80, 90};
    return marks;
}

std::vector<Bar> bars_of(const json& members, const char* key, double scale) {
    std::vector<Bar> bars;
    for (const auto& member : members) {
        Bar bar;
        bar.label = text_of(member, "index") + " " + text_of(member, "path");
        bar.percent = number_of(member, key, NAN) * scale;
        bar.is_known = std::isfinite(bar.percent);
        bars.push_back(std::move(bar));
    }
    return bars;
}

}  // namespace

std::string bar_chart(const std::string& title, const std::vector<Bar>& bars,
                      const std::vector<double>& marks, const View& view) {
    const std::size_t width = std::max(view.width, kWidthLeast);
    std::size_t label_width = title.size();
    for (const Bar& bar : bars) label_width = std::max(label_width, bar.label.size());
    label_width = std::min(label_width, width / 4);
    // Two brackets around the bar and a space before it.
    const std::size_t taken = label_width + 3 + kNumberWidth;
    const std::size_t room = width > taken ? width - taken : 0;
    const std::size_t bar_width = std::clamp(room, kBarLeast, kBarMost);
    const Cells& cells = view.unicode ? kBlocks : kAscii;
    std::string text = fmt::format("{:<{}}  {}", cut(title, label_width), label_width, scale(marks, bar_width));
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
    for (const Bar& bar : bars) {
        text += fmt::format("{:<{}} [{}]{}\n", cut(bar.label, label_width), label_width,
                            draw(bar, marks, bar_width, cells), number(bar, marks));
    }
    return text;
}

std::string member_charts(const json& shown, const View& view) {
    const json& members = list_of(shown, "members");
    if (members.empty()) return {};
    const std::vector<double> marks = marks_of(object_of(shown, "settings"));
    return bar_chart("wear, points", bars_of(members, "wear", 1), marks, view) + "\n" +
           bar_chart("fill, percent", bars_of(members, "fill", 100), marks, view);
}

}  // namespace xsan::ctl::wear
