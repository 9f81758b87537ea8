// Tables, bars and times.
#include "xsanctl/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace xsan::ctl {

void Table::add_row(std::vector<std::string> cells) {
    XSAN_ASSERT(cells.size() == columns_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::print(std::string_view indent) const {
    std::vector<std::string> titles;
    std::vector<std::size_t> widths;
    for (const auto& column : columns_) {
        titles.push_back(column.title);
        widths.push_back(column.title.size());
    }
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    const auto print_row = [&](const std::vector<std::string>& row) {
        std::string line(indent);
        for (std::size_t i = 0; i < row.size(); i++) {
            if (i > 0) line += "  ";
            const std::string padding(widths[i] - row[i].size(), ' ');
            line += columns_[i].right ? padding + row[i] : row[i] + padding;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    };
    print_row(titles);
    for (const auto& row : rows_) print_row(row);
    return text;
}

std::string progress_bar(double percent, std::size_t width) {
    const double share = std::clamp(percent, 0.0, 100.0) / 100;
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
    return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, '-'));
}

std::string format_seconds(std::uint64_t seconds) {
    const std::uint64_t hours = seconds / 3600;
    const std::uint64_t minutes = seconds / 60 % 60;
    if (hours == 0) return fmt::format("{}:{:02}", minutes, seconds % 60);
    return fmt::format("{}:{:02}:{:02}", hours, minutes, seconds % 60);
}

}  // namespace xsan::ctl
