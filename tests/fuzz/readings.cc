// Fuzz target: the file of readings.
// What is accepted is in range and names no drive twice; what is not is refused with one line; nothing is thrown.
#include <set>
#include <string>

#include "daemon/readings_file.h"
#include "fuzz/input.h"

using namespace xsan;
using namespace xsan::daemon;

namespace {

void check(const wl::WearReading& r) {
    XSAN_ASSERT(!r.percentage_used || (*r.percentage_used >= 0 && *r.percentage_used <= 255));
    XSAN_ASSERT(!r.bytes_written || (*r.bytes_written >= 0 && *r.bytes_written <= 0x1p60));
    XSAN_ASSERT(!r.spare_percent || *r.spare_percent <= 100);
    XSAN_ASSERT(!r.spare_threshold_percent || *r.spare_threshold_percent <= 100);
    XSAN_ASSERT(!r.temperature_celsius || (*r.temperature_celsius >= -273 && *r.temperature_celsius <= 1000));
}

void check(const ReadingsFile& file) {
    std::set<std::string> serials;
    std::set<std::string> paths;
    for (const ReadingsFile::Entry& entry : file.drives) {
        XSAN_ASSERT(entry.serial.empty() != entry.path.empty());
        if (entry.path.empty()) {
            XSAN_ASSERT(serials.insert(entry.serial).second);
        } else {
            XSAN_ASSERT(entry.path.front() == '/' && paths.insert(drive_path(entry.path)).second);
        }
        check(entry.reading);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto outcome = parse_readings(text, "wear.toml");
    if (outcome) {
        check(*outcome);
    } else {
        const std::string& message = outcome.error().message;
        XSAN_ASSERT(!message.empty() && message.find('\n') == std::string::npos);
    }
    return 0;
}
