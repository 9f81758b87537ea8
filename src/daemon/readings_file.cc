// Reading the file of readings.
#include "daemon/readings_file.h"

#include <set>

#include "base/text.h"
#include "daemon/toml_item.h"

namespace xsan::daemon {
namespace {

constexpr std::uint64_t kWrittenBytesMax = kTiB << 20;
constexpr double kPercentUsedMax = 255;  // what a drive's health log can hold

Outcome<void> read_key(const TomlItem& item, std::string_view key, ReadingsFile::Entry& entry) {
    wl::WearReading& reading = entry.reading;
    if (key == "serial") {
        XSAN_TRY(entry.serial, read_text(item, 128));
        if (entry.serial.empty()) return item.refuse("must not be empty");
    } else if (key == "path") {
        XSAN_TRY(entry.path, read_absolute_path(item));
    } else if (key == "percentage_used") {
        XSAN_TRY(reading.percentage_used, read_number(item, 0, kPercentUsedMax));
    } else if (key == "written_bytes") {
        XSAN_TRY(const auto bytes, read_size(item, {0, kWrittenBytesMax, false}));
        reading.bytes_written = static_cast<double>(bytes);
    } else if (key == "spare_percent") {
        XSAN_TRY(const auto percent, read_integer(item, 0, 100));
        reading.spare_percent = static_cast<unsigned>(percent);
    } else if (key == "spare_threshold_percent") {
        XSAN_TRY(const auto percent, read_integer(item, 0, 100));
        reading.spare_threshold_percent = static_cast<unsigned>(percent);
    } else if (key == "media_errors") {
        XSAN_TRY(const auto errors, read_integer(item, 0, INT64_MAX));
        reading.media_errors = static_cast<std::uint64_t>(errors);
    } else if (key == "temperature_celsius") {
        XSAN_TRY(reading.temperature_celsius, read_number(item, -273, 1000));
    } else {
        return item.refuse("unknown key");
    }
    return {};
}

Outcome<ReadingsFile::Entry> read_drive(const TomlItem& item) {
    if (!item.node.is_table()) return item.refuse("must be a table");
    ReadingsFile::Entry entry;
    for (const auto& [key, node] : *item.node.as_table()) {
        const TomlItem value{node, item.file, fmt::format("{}.{}", item.path, quotable(key.str()))};
        XSAN_TRY_VOID(read_key(value, key.str(), entry));
    }
    if (entry.serial.empty() == entry.path.empty()) return item.refuse("needs either serial or path");
    return entry;
}

Outcome<ReadingsFile> read_drives(const TomlItem& item) {
    const auto* list = item.node.as_array();
    if (list == nullptr) return item.refuse("must be tables: [[drive]]");
    ReadingsFile file;
    std::set<std::string> names;
    for (const auto& node : *list) {
        const TomlItem one{node, item.file, item.path};
        XSAN_TRY(auto entry, read_drive(one));
        // No serial begins like an absolute path; where one does, the two are still told apart.
        const std::string name = entry.path.empty() ? "serial " + entry.serial : "path " + drive_path(entry.path);
        if (!names.insert(name).second) {
            return one.refuse(fmt::format("'{}' appears twice", quotable(entry.serial + entry.path)));
        }
        file.drives.push_back(std::move(entry));
    }
    return file;
}

bool is_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string drive_path(std::string_view path) {
    constexpr std::string_view kGeneric = "/dev/ng";
    if (path.starts_with(kGeneric)) {
        const std::string_view rest = path.substr(kGeneric.size());
        const auto at = rest.find('n');
        if (at != std::string_view::npos && is_digits(rest.substr(0, at)) && is_digits(rest.substr(at + 1))) {
            return "/dev/nvme" + std::string(rest);
        }
    }
    return std::string(path);
}

Outcome<ReadingsFile> parse_readings(std::string_view text, std::string_view file_name) {
    XSAN_TRY(const auto document, parse_toml(text, file_name, kReadingsBytesMax));
    ReadingsFile readings;
    for (const auto& [key, node] : document) {
        const TomlItem item{node, file_name, quotable(key.str())};
        if (key.str() != "drive") return item.refuse("unknown key");
        XSAN_TRY(readings, read_drives(item));
    }
    return readings;
}

}  // namespace xsan::daemon
