// Plain text for terminals: aligned columns, progress bars, times.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsan::ctl {

// Columns as wide as their widest cell, two spaces apart; the last is not padded.
class Table {
  public:
    struct Column {
        std::string title;
        bool right = false;
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    void add_row(std::vector<std::string> cells);
    std::string print(std::string_view indent) const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

// "[#########-----------]"; percent is clamped to 0..100.
std::string progress_bar(double percent, std::size_t width);

// "0:42", "12:05", "3:07:00".
std::string format_seconds(std::uint64_t seconds);

}  // namespace xsan::ctl
