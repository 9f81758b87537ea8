// Device names and identities.
#include "dev/device_probe.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/units.h"
#include "dev/sysfs.h"

namespace xsan::dev {
namespace {

Failure refuse(Errc code, std::string message) {
    return {code, std::move(message)};
}

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Cuts `@DOMAIN` off. A path that exists with its @ is taken as it is.
Outcome<void> split_domain(std::string& text, std::string& domain) {
    const std::size_t at = text.rfind('@');
    struct stat status {};
    if (at == std::string::npos || ::stat(text.c_str(), &status) == 0) return {};
    domain = text.substr(at + 1);
    if (!is_valid_name(domain)) {
        return refuse(Errc::invalid_argument,
                      fmt::format("'{}' is no failure domain: letters, digits and ._- after the @, "
                                  "at most 32",
                                  domain));
    }
    text.resize(at);
    return {};
}

Outcome<DeviceSpec> parse_sized(DeviceSpec spec, DeviceKind kind, std::string_view size) {
    spec.kind = kind;
    XSAN_TRY(spec.size_bytes, parse_size(size));
    if (spec.size_bytes == 0 || spec.size_bytes % 4096 != 0) {
        return refuse(Errc::invalid_argument,
                      fmt::format("{}: the size must be a multiple of 4K", spec.path));
    }
    return spec;
}

// "nvme0c1n1": one path of a namespace with several; the namespace itself is nvme0n1.
bool is_multipath_path(const std::string& name) {
    return name.starts_with("nvme") && name.find('c') != std::string::npos;
}

Outcome<DeviceSpec> parse_block(DeviceSpec spec, dev_t number) {
    spec.kind = DeviceKind::block;
    spec.block_path = spec.path;
    spec.device_number = number;
    const std::string name = base_name(sysfs_block_dir(number));
    if (is_multipath_path(name)) {
        return refuse(Errc::invalid_argument,
                      fmt::format("{} is one path of a namespace with several; name the namespace",
                                  spec.path));
    }
    return spec;
}

Outcome<DeviceSpec> parse_char(DeviceSpec spec, dev_t number) {
    const std::string name = base_name(sysfs_char_dir(number));
    unsigned controller = 0;
    unsigned space = 0;
    int end = 0;
    if (std::sscanf(name.c_str(), "ng%un%u%n", &controller, &space, &end) != 2 ||
        static_cast<std::size_t>(end) != name.size()) {
        const bool is_controller = name.starts_with("nvme");
        return refuse(
            Errc::invalid_argument,
            is_controller
                ? fmt::format("{} is an NVMe controller; name a namespace, such as {}n1", spec.path,
                              spec.path)
                : fmt::format("{} is a character device, and no NVMe namespace", spec.path));
    }
    spec.kind = DeviceKind::nvme;
    spec.block_path = fmt::format("/dev/nvme{}n{}", controller, space);
    struct stat status {};
    if (::stat(spec.block_path.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) {
        return refuse(Errc::not_found,
                      fmt::format("{} has no block device {} to claim the drive with", spec.path,
                                  spec.block_path));
    }
    spec.device_number = status.st_rdev;
    return spec;
}

std::string text_or_empty(const std::string& path) {
    return read_text(path).value_or(std::string());
}

// Attributes of an NVMe namespace's controller or, with multipath, of its subsystem.
void identify_nvme(const std::string& whole, DeviceIdentity& identity) {
    const std::string device = whole + "/device";
    identity.model = text_or_empty(device + "/model");
    identity.serial = text_or_empty(device + "/serial");
    identity.firmware = text_or_empty(device + "/firmware_rev");
    identity.transport = text_or_empty(device + "/transport");
    if (!identity.transport.empty()) return;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(device, error)) {
        identity.transport = text_or_empty(entry.path().string() + "/transport");
        if (!identity.transport.empty()) return;
    }
}

Outcome<DeviceIdentity> identify_drive(const DeviceSpec& spec, DeviceIdentity identity) {
    const std::string folder = sysfs_block_dir(spec.device_number);
    if (folder.empty()) {
        return refuse(Errc::not_found,
                      fmt::format("{} has no entry in sysfs; is it gone?", spec.path));
    }
    const std::string whole = sysfs_whole_device(folder);
    const bool is_nvme = base_name(whole).starts_with("nvme");
    if (is_nvme) {
        identify_nvme(whole, identity);
    } else {
        identity.model = text_or_empty(whole + "/device/model");
        identity.serial = text_or_empty(whole + "/device/serial");
        if (identity.serial.empty()) identity.serial = text_or_empty(whole + "/serial");
        identity.firmware = text_or_empty(whole + "/device/rev");
    }
    const std::string wwid = is_nvme ? text_or_empty(whole + "/wwid") : std::string();
    if (wwid.empty()) {
        identity.unique_id =
            fmt::format("block:{}:{}", major(spec.device_number), minor(spec.device_number));
    } else {
        const auto partition = read_number(folder + "/partition");
        identity.unique_id = fmt::format("nvme:{}", wwid);
        if (partition.has_value()) identity.unique_id += fmt::format("-part{}", *partition);
    }
    return identity;
}

}  // namespace

bool is_valid_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && is_alphanumeric(name[0]) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
           });
}

Outcome<DeviceSpec> parse_device(std::string_view text) {
    DeviceSpec spec;
    spec.path = std::string(text);
    XSAN_TRY_VOID(split_domain(spec.path, spec.domain));
    // By value: `spec` itself moves on.
    const std::string path = spec.path;
    if (path.starts_with("mem:"))
        return parse_sized(std::move(spec), DeviceKind::mem, std::string_view(path).substr(4));
    if (path.starts_with("null:"))
        return parse_sized(std::move(spec), DeviceKind::null, std::string_view(path).substr(5));
    if (!path.starts_with("/")) {
        return refuse(
            Errc::invalid_argument,
            fmt::format("'{}' is no device: give an absolute path, mem:SIZE or null:SIZE", path));
    }
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        const int os_errno = errno;
        return refuse(error_from_errno(os_errno).code,
                      fmt::format("{}: {}", path, std::strerror(os_errno)));
    }
    if (S_ISBLK(status.st_mode)) return parse_block(std::move(spec), status.st_rdev);
    if (S_ISCHR(status.st_mode)) return parse_char(std::move(spec), status.st_rdev);
    if (S_ISREG(status.st_mode)) {
        spec.kind = DeviceKind::file;
        return spec;
    }
    return refuse(
        Errc::invalid_argument,
        fmt::format("{} is neither a block device, an NVMe namespace nor a regular file", path));
}

Outcome<DeviceIdentity> identify(const DeviceSpec& spec) {
    static std::atomic<unsigned> nameless{0};
    DeviceIdentity identity;
    identity.path = spec.path;
    switch (spec.kind) {
        case DeviceKind::mem:
        case DeviceKind::null:
            // Two of them are two devices, whatever their size.
            identity.kind = spec.kind == DeviceKind::mem ? "mem" : "null";
            identity.unique_id = fmt::format("{}:{}", identity.kind, nameless.fetch_add(1));
            return identity;
        case DeviceKind::file: {
            struct stat status {};
            if (::stat(spec.path.c_str(), &status) != 0) {
                const int os_errno = errno;
                return refuse(error_from_errno(os_errno).code,
                              fmt::format("{}: {}", spec.path, std::strerror(os_errno)));
            }
            identity.kind = "file";
            identity.unique_id = fmt::format("file:{}:{}", status.st_dev, status.st_ino);
            return identity;
        }
        case DeviceKind::block:
            identity.kind = "block";
            break;
        case DeviceKind::nvme:
            identity.kind = "nvme";
            break;
    }
    return identify_drive(spec, std::move(identity));
}

}  // namespace xsan::dev
