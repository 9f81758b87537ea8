// Who uses a device, and what is written on it.
#include <blkid/blkid.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "dev/device_probe.h"
#include "dev/sysfs.h"
#include "dev/unique_fd.h"

namespace xsan::dev {
namespace {

namespace fs = std::filesystem;

// A block device and its partitions: name in sysfs and number.
struct Part {
    std::string folder;
    dev_t number;
};

std::vector<Part> parts_of(dev_t device) {
    std::vector<Part> parts;
    const std::string folder = sysfs_block_dir(device);
    parts.push_back({folder, device});
    if (folder.empty()) return parts;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        const std::string path = entry.path().string();
        if (!read_number(path + "/partition").has_value()) continue;
        unsigned major_number = 0;
        unsigned minor_number = 0;
        const std::string number = read_text(path + "/dev").value_or("");
        if (std::sscanf(number.c_str(), "%u:%u", &major_number, &minor_number) != 2) continue;
        parts.push_back({path, makedev(major_number, minor_number)});
    }
    return parts;
}

bool is_one_of(const std::vector<Part>& parts, dev_t number) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](const Part& part) { return part.number == number; });
}

// The kernel writes blanks in paths as \040 and so on.
std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// Where one of the parts is mounted; empty when nowhere.
std::string mount_point(const std::vector<Part>& parts) {
    std::istringstream lines(read_text("/proc/self/mountinfo").value_or(""));
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string id, parent, number, root, place, field, type, source;
        fields >> id >> parent >> number >> root >> place;
        while (fields >> field && field != "-") {
        }
        fields >> type >> source;
        unsigned major_number = 0;
        unsigned minor_number = 0;
        if (std::sscanf(number.c_str(), "%u:%u", &major_number, &minor_number) == 2 &&
            is_one_of(parts, makedev(major_number, minor_number))) {
            return unescape(place);
        }
        // btrfs and others show a number of their own; their source is the device.
        struct stat status {};
        if (source.starts_with("/") && ::stat(unescape(source).c_str(), &status) == 0 &&
            S_ISBLK(status.st_mode) && is_one_of(parts, status.st_rdev)) {
            return unescape(place);
        }
    }
    return {};
}

// Whether a line of /proc/swaps names something that `is_it` recognises.
template <class F>
bool is_swap(F&& is_it) {
    std::istringstream lines(read_text("/proc/swaps").value_or(""));
    std::string line;
    std::getline(lines, line);  // the headline
    while (std::getline(lines, line)) {
        const std::string path = unescape(line.substr(0, line.find(' ')));
        struct stat status {};
        if (::stat(path.c_str(), &status) == 0 && is_it(status)) return true;
    }
    return false;
}

Outcome<void> check_block_unused(const DeviceSpec& spec) {
    const auto parts = parts_of(spec.device_number);
    if (const std::string place = mount_point(parts); !place.empty()) {
        return Failure{Errc::busy,
                       fmt::format("{} is mounted at {}; unmount it first", spec.path, place)};
    }
    if (is_swap([&](const struct stat& s) {
            return S_ISBLK(s.st_mode) && is_one_of(parts, s.st_rdev);
        })) {
        return Failure{Errc::busy,
                       fmt::format("{} is in use as swap; swapoff it first", spec.path)};
    }
    std::error_code error;
    for (const Part& part : parts) {
        for (const auto& holder : fs::directory_iterator(part.folder + "/holders", error)) {
            return Failure{Errc::busy, fmt::format("{} is in use by /dev/{}", spec.path,
                                                   holder.path().filename().string())};
        }
    }
    // What the kernel itself says: any exclusive opener of the device or of a partition is in the
    // way.
    const UniqueFd fd(::open(spec.block_path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    if (!fd && errno == EBUSY) {
        return Failure{Errc::busy, fmt::format("{} is in use by another program", spec.path)};
    }
    if (!fd) {
        const int os_errno = errno;
        return Failure{error_from_errno(os_errno).code,
                       fmt::format("{}: {}", spec.block_path, std::strerror(os_errno))};
    }
    return {};
}

Outcome<void> check_file_unused(const DeviceSpec& spec) {
    const UniqueFd fd(::open(spec.path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat mine {};
    if (!fd || ::fstat(fd.get(), &mine) != 0) {
        const int os_errno = errno;
        return Failure{error_from_errno(os_errno).code,
                       fmt::format("{}: {}", spec.path, std::strerror(os_errno))};
    }
    if (is_swap([&](const struct stat& s) {
            return s.st_dev == mine.st_dev && s.st_ino == mine.st_ino && S_ISREG(s.st_mode);
        })) {
        return Failure{Errc::busy,
                       fmt::format("{} is in use as swap; swapoff it first", spec.path)};
    }
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/sys/block", error)) {
        const auto backing = read_text(entry.path().string() + "/loop/backing_file");
        struct stat other {};
        if (backing.has_value() && ::stat(backing->c_str(), &other) == 0 &&
            other.st_dev == mine.st_dev && other.st_ino == mine.st_ino) {
            return Failure{Errc::busy, fmt::format("{} is in use by /dev/{}", spec.path,
                                                   entry.path().filename().string())};
        }
    }
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
        return Failure{Errc::busy, fmt::format("{} is in use by another program", spec.path)};
    }
    return {};
}

std::string probe_value(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 && value != nullptr
               ? std::string(value)
               : std::string();
}

// One finding of libblkid in words.
std::string describe(blkid_probe probe) {
    if (const std::string table = probe_value(probe, "PTTYPE"); !table.empty()) {
        return fmt::format("a partition table ({})", table);
    }
    const std::string type = probe_value(probe, "TYPE");
    const std::string usage = probe_value(probe, "USAGE");
    const std::string label = probe_value(probe, "LABEL");
    const std::string labelled = label.empty() ? "" : fmt::format(" labelled '{}'", label);
    if (type == "LVM2_member") return "an LVM physical volume";
    if (type == "linux_raid_member") return "a member of a Linux RAID array" + labelled;
    if (type == "swap") return "swap space" + labelled;
    if (usage == "raid") return fmt::format("a RAID signature ({})", type);
    if (usage == "crypto") return fmt::format("an encrypted volume ({})", type);
    if (usage == "filesystem") return fmt::format("a filesystem ({}){}", type, labelled);
    return type.empty() ? std::string() : fmt::format("a signature of {}{}", type, labelled);
}

}  // namespace

Outcome<std::optional<std::string>> find_signature(const DeviceSpec& spec) {
    if (spec.kind == DeviceKind::mem || spec.kind == DeviceKind::null)
        return std::optional<std::string>();
    const std::string& path = spec.block_path.empty() ? spec.path : spec.block_path;
    errno = 0;
    const std::unique_ptr<std::remove_pointer_t<blkid_probe>, decltype(&blkid_free_probe)> probe(
        blkid_new_probe_from_filename(path.c_str()), &blkid_free_probe);
    if (probe == nullptr) {
        const int os_errno = errno != 0 ? errno : EIO;
        return Failure{error_from_errno(os_errno).code,
                       fmt::format("{}: {}", path, std::strerror(os_errno))};
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(),
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe.get(), 1);
    std::string found;
    int rc = 0;
    while ((rc = blkid_do_probe(probe.get())) == 0) {
        const std::string one = describe(probe.get());
        if (one.empty() || found.find(one) != std::string::npos) continue;
        found += found.empty() ? one : " and " + one;
    }
    if (rc < 0) {
        return Failure{Errc::io_error, fmt::format("{} cannot be read to see what is on it", path)};
    }
    return found.empty() ? std::optional<std::string>() : std::optional<std::string>(found);
}

Outcome<void> check_unused(const DeviceSpec& spec) {
    switch (spec.kind) {
        case DeviceKind::nvme:
        case DeviceKind::block:
            return check_block_unused(spec);
        case DeviceKind::file:
            return check_file_unused(spec);
        case DeviceKind::mem:
        case DeviceKind::null:
            break;
    }
    return {};
}

}  // namespace xsan::dev
