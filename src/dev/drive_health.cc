// Reads the health log through libnvme.
#include "dev/drive_health.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <libnvme.h>
// libnvme leaks macros with the names of functions in base/units.h.
#undef round_up
#undef round_down

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dev/unique_fd.h"

namespace xsan::dev {
namespace {

// A 16-byte little-endian counter, held at the largest 64-bit value.
std::uint64_t counter(const std::uint8_t (&bytes)[16]) {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + 8, 8);
    return high == 0 ? low : UINT64_MAX;
}

std::uint64_t data_units(const std::uint8_t (&bytes)[16]) {
    constexpr std::uint64_t kUnitBytes = 512000;
    return std::min(counter(bytes), UINT64_MAX / kUnitBytes) * kUnitBytes;
}

}  // namespace

Outcome<DriveHealth> read_health(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        const int os_errno = errno;
        return Failure{error_from_errno(os_errno).code,
                       fmt::format("{}: {}", path, std::strerror(os_errno))};
    }
    nvme_smart_log smart{};
    const int rc = nvme_get_log_smart(fd.get(), NVME_NSID_ALL, false, &smart);
    if (rc < 0 && (errno == ENOTTY || errno == EINVAL)) {
        return Failure{Errc::unsupported,
                       fmt::format("{} is no NVMe drive and tells no health", path)};
    }
    if (rc != 0) {
        return Failure{Errc::io_error, fmt::format("{}: the health log cannot be read: {}", path,
                                                   rc < 0 ? std::strerror(errno)
                                                          : nvme_status_to_string(rc, false))};
    }
    DriveHealth health;
    health.critical_warning = smart.critical_warning;
    health.available_spare_percent = smart.avail_spare;
    health.spare_threshold_percent = smart.spare_thresh;
    health.used_percent = smart.percent_used;
    health.temperature_celsius = (smart.temperature[0] | smart.temperature[1] << 8) - 273;
    health.read_bytes = data_units(smart.data_units_read);
    health.written_bytes = data_units(smart.data_units_written);
    health.power_on_hours = counter(smart.power_on_hours);
    health.unsafe_shutdowns = counter(smart.unsafe_shutdowns);
    health.media_errors = counter(smart.media_errors);
    return health;
}

}  // namespace xsan::dev
