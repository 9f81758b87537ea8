// Looks at the kernel and at /sys.
#include "ublk/devices.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>

namespace xsan::ublk {
namespace {

std::string kernel_release() {
    utsname name{};
    return ::uname(&name) == 0 ? name.release : "unknown";
}

bool file_mentions(const std::string& path, std::string_view word) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.find(word) != std::string::npos) return true;
    }
    return false;
}

// Whether `modprobe ublk_drv` can help. True also when the modules cannot be looked at.
bool module_may_exist(const std::string& release) {
    for (const char* root : {"/lib/modules/", "/usr/lib/modules/"}) {
        const std::string list = root + release + "/modules.dep";
        if (::access(list.c_str(), R_OK) == 0) return file_mentions(list, "/ublk_drv.ko");
    }
    return true;
}

Failure why_no_control(Error error) {
    const std::string release = kernel_release();
    if (error.code == Errc::permission) {
        return {Errc::permission,
                "/dev/ublk-control: permission denied; exporting devices needs root"};
    }
    if (error.code != Errc::not_found && error.code != Errc::device_gone) {
        return {Errc::unsupported,
                fmt::format("cannot open /dev/ublk-control: {}", std::strerror(error.os_errno))};
    }
    if (::access("/sys/module/ublk_drv", F_OK) == 0 &&
        file_mentions("/proc/misc", "ublk-control")) {
        return {Errc::unsupported,
                "the ublk driver is loaded but /dev/ublk-control is missing; is /dev a "
                "devtmpfs of this machine?"};
    }
    if (!module_may_exist(release)) {
        return {
            Errc::unsupported,
            fmt::format("this kernel ({}) has no ublk driver; use one with CONFIG_BLK_DEV_UBLK, "
                        "Linux 6.5 or newer",
                        release)};
    }
    return {Errc::unsupported, "the ublk driver is not loaded; load it with: modprobe ublk_drv"};
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

// The N of all entries PREFIXN in a directory, in order.
std::vector<unsigned> numbered_entries(const char* path, std::string_view prefix) {
    std::vector<unsigned> numbers;
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path));
    if (directory == nullptr) return numbers;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with(prefix)) continue;
        unsigned number = 0;
        const char* const first = name.data() + prefix.size();
        const char* const last = name.data() + name.size();
        const auto parsed = std::from_chars(first, last, number);
        if (parsed.ec == std::errc{} && parsed.ptr == last) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace

std::string block_path(unsigned number) {
    return fmt::format("/dev/ublkb{}", number);
}
std::string char_path(unsigned number) {
    return fmt::format("/dev/ublkc{}", number);
}

Outcome<Control> open_control() {
    auto control = Control::open();
    if (!control.has_value()) return why_no_control(control.error());
    return std::move(control).value();
}

Outcome<void> check_kernel() {
    XSAN_TRY(const Control control, open_control());
    const auto features = control.features();
    constexpr std::uint64_t kNeeded = uapi::kFeatureUserRecovery |
                                      uapi::kFeatureUserRecoveryReissue |
                                      uapi::kFeatureIoctlEncoding;
    if (features.has_value() && (*features & kNeeded) == kNeeded) return {};
    if (!features.has_value() && features.error().code == Errc::permission) {
        return Failure(Errc::permission,
                       "ublk's control commands were refused; exporting devices needs "
                       "root, and kernel.io_uring_disabled must be 0");
    }
    if (!features.has_value() && features.error().code == Errc::timed_out) {
        return Failure(
            Errc::timed_out,
            fmt::format("the ublk driver of this kernel ({}) does not answer; use another "
                        "kernel",
                        kernel_release()));
    }
    return Failure(Errc::unsupported,
                   fmt::format("the ublk driver of this kernel ({}) is too old; use "
                               "Linux 6.5 or newer",
                               kernel_release()));
}

Outcome<std::vector<DeviceInfo>> list_devices() {
    std::vector<unsigned> numbers = numbered_entries("/sys/class/ublk-char", "ublkc");
    if (numbers.empty()) numbers = numbered_entries("/dev", "ublkc");
    std::vector<DeviceInfo> devices;
    if (numbers.empty()) return devices;
    XSAN_TRY(const Control control, open_control());
    for (const unsigned number : numbers) {
        const auto info = control.device_info(number);
        // It may have gone since the look into /sys.
        if (!info.has_value() && info.error().code == Errc::device_gone) continue;
        if (!info.has_value()) {
            return Failure(info.error().code,
                           fmt::format("cannot look at {}: {}", block_path(number),
                                       std::strerror(info.error().os_errno)));
        }
        devices.push_back(*info);
    }
    return devices;
}

Claimants claimants(const std::vector<DeviceInfo>& devices, std::uint64_t volume_bits) {
    Claimants found;
    bool waits = false;
    for (const DeviceInfo& info : devices) {
        if (info.server_flags != volume_bits) continue;
        if (info.state == DeviceState::dead) {
            found.dead.push_back(info.number);
            continue;
        }
        const bool is_left = info.state != DeviceState::live;
        if (found.alive && (waits || !is_left)) continue;
        found.alive = info.number;
        waits = is_left;
    }
    return found;
}

bool is_alive(int pid) {
    return ::access(fmt::format("/proc/{}", pid).c_str(), F_OK) == 0;
}

Outcome<void> delete_device(unsigned number) {
    XSAN_TRY(const Control control, open_control());
    const auto info = control.device_info(number);
    if (!info.has_value()) {
        return Failure(Errc::not_found, fmt::format("there is no {}", block_path(number)));
    }
    if (info->state == DeviceState::live && is_alive(info->server_pid)) {
        return Failure(Errc::busy, fmt::format("{} is served by process {}; stop that first",
                                               block_path(number), info->server_pid));
    }
    const auto stopped = control.stop_device(number);
    if (!stopped.has_value()) {
        return Failure(stopped.error().code, fmt::format("cannot stop {}: {}", block_path(number),
                                                         std::strerror(stopped.error().os_errno)));
    }
    const auto deleted = control.delete_device(number);
    // Late: it disappears when its last user closes it.
    if (!deleted.has_value() && deleted.error().code != Errc::timed_out) {
        return Failure(deleted.error().code, fmt::format("cannot delete {}: {}", block_path(number),
                                                         std::strerror(deleted.error().os_errno)));
    }
    return {};
}

}  // namespace xsan::ublk
