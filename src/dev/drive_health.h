// What an NVMe drive says about its own health (SMART / Health Information, log page 02h).
// Blocks: run it through Offload.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace xsan::dev {

struct DriveHealth {
    std::uint8_t critical_warning =
        0;  // bits of the log page: 0 spare, 1 temperature, 2 reliability, ...
    std::uint8_t available_spare_percent = 0;
    std::uint8_t spare_threshold_percent = 0;
    std::uint8_t used_percent = 0;  // of the endurance; may pass 100
    std::int32_t temperature_celsius = 0;
    std::uint64_t read_bytes = 0;  // since manufacture, in steps of 512,000
    std::uint64_t written_bytes = 0;
    std::uint64_t power_on_hours = 0;
    std::uint64_t unsafe_shutdowns = 0;
    std::uint64_t media_errors = 0;
};

// `path` is /dev/nvmeXnY or /dev/ngXnY. unsupported for other devices.
Outcome<DriveHealth> read_health(const std::string& path);

}  // namespace xsan::dev
