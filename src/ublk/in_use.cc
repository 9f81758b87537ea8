// Evidence of use: the kernel's exclusive claim, mounts, swap, stacked devices, loop devices, open
// files.
#include "ublk/in_use.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "ublk/devices.h"

namespace xsan::ublk {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kTries = 20;
constexpr unsigned kTryMicroseconds = 100'000;

std::string first_line(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// The disk and its partitions, by the kernel's names.
struct Disk {
    std::vector<std::string> names;    // ublkb0, ublkb0p1
    std::vector<std::string> numbers;  // "259:0"
    std::vector<fs::path> sysfs;
    bool has_number(std::string_view number) const {
        return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
    }
    bool has_path(std::string_view path) const {
        return std::any_of(names.begin(), names.end(),
                           [&](const std::string& name) { return path == "/dev/" + name; });
    }
};

// Calls f(path) for the entries of a directory until it returns true. Entries may vanish meanwhile.
template <class F>
void for_each_entry(const fs::path& directory, F f) {
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        if (f(it->path())) return;
    }
}

Disk look_at(unsigned number) {
    const std::string name = fmt::format("ublkb{}", number);
    Disk disk;
    const auto add = [&disk](const fs::path& sysfs) {
        disk.names.push_back(sysfs.filename());
        disk.numbers.push_back(first_line(sysfs / "dev"));
        disk.sysfs.push_back(sysfs);
    };
    const fs::path sysfs = fs::path("/sys/block") / name;
    add(sysfs);
    for_each_entry(sysfs, [&add](const fs::path& entry) {
        std::error_code error;
        if (fs::exists(entry / "partition", error)) add(entry);
        return false;
    });
    return disk;
}

std::optional<std::string> find_mount(const Disk& disk) {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        // id, parent, device, root, mount point, ..., "-", type, source, options
        std::istringstream words(line);
        std::string id, parent, device, root, point, word, type, source;
        words >> id >> parent >> device >> root >> point;
        while (words >> word && word != "-") {
        }
        words >> type >> source;
        if (disk.has_number(device) || disk.has_path(source)) return "mounted on " + point;
    }
    std::ifstream swaps("/proc/swaps");
    for (std::string line; std::getline(swaps, line);) {
        if (disk.has_path(line.substr(0, line.find_first_of(" \t")))) return "used as swap";
    }
    return std::nullopt;
}

std::optional<std::string> find_stacked(const Disk& disk) {
    std::optional<std::string> found;
    const auto take = [&found](const fs::path& holder) {
        found = "held by " + holder.filename().string();
        return true;
    };
    for (const fs::path& sysfs : disk.sysfs)
        for_each_entry(sysfs / "holders", take);
    for_each_entry("/sys/block", [&](const fs::path& device) {
        return disk.has_path(first_line(device / "loop" / "backing_file")) && take(device);
    });
    return found;
}

std::string number_of_file(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return {};
    return fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev));
}

// A process other than this one that has the device open.
std::optional<std::string> find_opener(const Disk& disk) {
    const std::string self = std::to_string(::getpid());
    std::optional<std::string> found;
    for_each_entry("/proc", [&](const fs::path& process) {
        const std::string pid = process.filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos || pid == self) return false;
        for_each_entry(process / "fd", [&](const fs::path& file) {
            const std::string number = number_of_file(file);
            if (number.empty() || !disk.has_number(number)) return false;
            found = fmt::format("open in {} (process {})", first_line(process / "comm"), pid);
            return true;
        });
        return found.has_value();
    });
    return found;
}

std::optional<std::string> find_use(const Disk& disk) {
    for (const auto find : {find_mount, find_stacked, find_opener}) {
        if (auto use = find(disk); use.has_value()) return use;
    }
    return std::nullopt;
}

}  // namespace

ExclusiveClaim::ExclusiveClaim(ExclusiveClaim&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

void ExclusiveClaim::release() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Outcome<ExclusiveClaim> claim_unused(unsigned number) {
    const std::string path = block_path(number);
    std::string use;
    for (unsigned attempt = 0; attempt < kTries; attempt++) {
        if (attempt > 0) ::usleep(kTryMicroseconds);
        const int fd = ::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fd < 0 && errno != EBUSY) {
            return Failure(error_from_errno(errno).code,
                           fmt::format("cannot open {}: {}", path, std::strerror(errno)));
        }
        const Disk disk = look_at(number);
        const auto found = find_use(disk);
        if (fd >= 0 && !found.has_value()) {
            ExclusiveClaim claim(fd);
            // A volume that has lost too many drives must be possible to stop: they may come back. What the
            // kernel could not write back it has given up by now.
            if (::fsync(fd) != 0) {
                log(LogLevel::error, "what was cached of {} could not be written back: {}", path,
                    std::strerror(errno));
            }
            return claim;
        }
        if (fd >= 0) ::close(fd);
        use = found.value_or("claimed by the kernel or another program");
        if (use.starts_with("mounted") || use.starts_with("used") || use.starts_with("held")) break;
    }
    return Failure(Errc::busy, fmt::format("{} is {}; end that use first", path, use));
}

}  // namespace xsan::ublk
