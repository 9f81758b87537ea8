// A file of readings: what a user, or a program of the user's, says of the wear of drives that do not say it
// themselves (man/xsan.toml.5, "File of readings"). TOML, tables [[drive]].
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "wl/wear.h"

namespace xsan::daemon {

inline constexpr std::size_t kReadingsBytesMax = 4 * kMiB;

struct ReadingsFile {
    // Of one drive: either `serial` or `path` is not empty. No two of a file have the same.
    struct Entry {
        std::string serial;
        std::string path;  // absolute, as the file has it
        wl::WearReading reading;
    };
    std::vector<Entry> drives;
};

// All of it or a Failure with one line that names file, line and key. `file_name` is for messages only.
Outcome<ReadingsFile> parse_readings(std::string_view text, std::string_view file_name);

// The name under which both devices of an NVMe namespace are one drive: /dev/ng0n1 becomes /dev/nvme0n1.
std::string drive_path(std::string_view path);

}  // namespace xsan::daemon
