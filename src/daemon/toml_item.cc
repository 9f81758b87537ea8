// Values of TOML files, and toml++'s exceptions.
#include "daemon/toml_item.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "base/units.h"

namespace xsan::daemon {

Outcome<std::int64_t> read_integer(const TomlItem& item, std::int64_t least, std::int64_t most) {
    const auto* value = item.node.as_integer();
    if (value == nullptr) return item.refuse("must be an integer");
    if (value->get() < least || value->get() > most) {
        return item.refuse(fmt::format("must be {} to {}", least, most));
    }
    return value->get();
}

Outcome<double> read_number(const TomlItem& item, double least, double most) {
    double value = 0;
    if (const auto* integer = item.node.as_integer(); integer != nullptr) {
        value = static_cast<double>(integer->get());
    } else if (const auto* number = item.node.as_floating_point(); number != nullptr) {
        value = number->get();
    } else {
        return item.refuse("must be a number");
    }
    // Not a number is in no range.
    if (!(value >= least && value <= most)) return item.refuse(fmt::format("must be {} to {}", least, most));
    return value;
}

Outcome<bool> read_bool(const TomlItem& item) {
    const auto* value = item.node.as_boolean();
    if (value == nullptr) return item.refuse("must be true or false");
    return value->get();
}

Outcome<std::string> read_text(const TomlItem& item, std::size_t bytes_max) {
    const auto* value = item.node.as_string();
    if (value == nullptr) return item.refuse("must be a string");
    const std::string& text = value->get();
    if (text.size() > bytes_max) return item.refuse(fmt::format("is longer than {}", bytes_max));
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    if (std::any_of(text.begin(), text.end(), is_control)) {
        return item.refuse("must not contain control characters");
    }
    return text;
}

Outcome<std::string> read_absolute_path(const TomlItem& item) {
    XSAN_TRY(auto path, read_text(item, 4095));
    if (path.empty() || path.front() != '/') return item.refuse("must be an absolute path");
    return path;
}

Outcome<std::string> read_choice(const TomlItem& item, std::span<const std::string_view> choices) {
    XSAN_TRY(auto text, read_text(item, 64));
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
    return item.refuse(fmt::format("'{}' must be one of {}", text, fmt::join(choices, ", ")));
}

Outcome<std::uint64_t> read_size(const TomlItem& item, SizeRange range) {
    std::uint64_t bytes = 0;
    if (const auto* number = item.node.as_integer(); number != nullptr) {
        if (number->get() < 0) return item.refuse("must not be negative");
        bytes = static_cast<std::uint64_t>(number->get());
    } else {
        if (!item.node.is_string()) return item.refuse("must be a size such as \"64K\"");
        XSAN_TRY(const auto text, read_text(item, 64));
        const auto size = parse_size(text);
        if (!size) return item.refuse(size.error().message);
        bytes = *size;
    }
    if (bytes < range.least || bytes > range.most) {
        return item.refuse(fmt::format("must be {} to {}", format_size(range.least),
                                       format_size(range.most)));
    }
    if (range.power_of_two && !std::has_single_bit(bytes)) {
        return item.refuse("must be a power of two");
    }
    return bytes;
}

Outcome<toml::table> parse_toml(std::string_view text, std::string_view file_name, std::size_t bytes_max) {
    if (text.size() > bytes_max) {
        return Failure(Errc::invalid_argument,
                       fmt::format("{}: larger than {}", file_name, format_size(bytes_max)));
    }
    try {
        toml::table document = toml::parse(text, file_name);
        return document;
    } catch (const toml::parse_error& error) {
        std::string description(error.description());
        std::replace(description.begin(), description.end(), '\n', ' ');
        return Failure(Errc::invalid_argument,
                       fmt::format("{}:{}: {}", file_name, error.source().begin.line, description));
    }
}

Outcome<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return Failure(error_from_errno(errno).code, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    if (!S_ISREG(status.st_mode)) {
        return Failure(Errc::invalid_argument, fmt::format("{}: not a regular file", path));
    }
    std::ifstream file(path, std::ios::binary);
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad() || (!file.eof() && file.fail())) {
        return Failure(Errc::io_error, fmt::format("{}: cannot be read", path));
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

}  // namespace xsan::daemon
