// Reading values of TOML files: what is common to the configuration and to a file of readings. toml++ stays behind
// these functions, its exceptions in toml_item.cc. A refusal is one line that names file, line and key.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <toml++/toml.h>

#include "base/result.h"

namespace xsan::daemon {

// A value of the file with what a message about it needs.
struct TomlItem {
    const toml::node& node;
    std::string_view file;
    std::string path;  // "reactors.count"

    Failure refuse(std::string_view problem) const {
        return {Errc::invalid_argument,
                fmt::format("{}:{}: {}: {}", file, node.source().begin.line, path, problem)};
    }
};

Outcome<std::int64_t> read_integer(const TomlItem& item, std::int64_t least, std::int64_t most);
// An integer or a float, and no infinity.
Outcome<double> read_number(const TomlItem& item, double least, double most);
Outcome<bool> read_bool(const TomlItem& item);
// Without control characters.
Outcome<std::string> read_text(const TomlItem& item, std::size_t bytes_max);
Outcome<std::string> read_absolute_path(const TomlItem& item);
Outcome<std::string> read_choice(const TomlItem& item, std::span<const std::string_view> choices);

struct SizeRange {
    std::uint64_t least;
    std::uint64_t most;
    bool power_of_two;
};
// An integer of bytes, or a string such as "64K".
Outcome<std::uint64_t> read_size(const TomlItem& item, SizeRange range);

// `file_name` is for messages only. At most `bytes_max` of text.
Outcome<toml::table> parse_toml(std::string_view text, std::string_view file_name, std::size_t bytes_max);

// Blocks. A regular file's content, of which no more than bytes_max + 1 bytes. Errors: not_found and others of the
// system's, invalid_argument.
Outcome<std::string> read_text_file(const std::string& path, std::size_t bytes_max);

}  // namespace xsan::daemon
