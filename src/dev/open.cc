// Claims and opens devices of every kind.
#include "dev/open.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "dev/device_limits.h"
#include "dev/mem_device.h"
#include "dev/nvme_device.h"
#include "dev/unique_fd.h"
#include "dev/uring_block_device.h"

namespace xsan::dev {
namespace {

Failure failure_of(const std::string& path, int os_errno) {
    if (os_errno == EBUSY) {
        return {Errc::busy, fmt::format("{} is in use by another program or by the kernel", path)};
    }
    return {error_from_errno(os_errno).code, fmt::format("{}: {}", path, std::strerror(os_errno))};
}

Outcome<std::unique_ptr<BlockDevice>> open_block(const DeviceSpec& spec, DeviceIdentity identity,
                                                 const OpenOptions& options) {
    const int mode = options.read_only ? O_RDONLY : O_RDWR | O_EXCL;
    UniqueFd fd(::open(spec.path.c_str(), mode | O_DIRECT | O_CLOEXEC));
    if (!fd) return failure_of(spec.path, errno);
    XSAN_TRY(const DeviceLimits limits, read_block_limits(fd.get(), spec.device_number, spec.path));
    return std::make_unique<UringBlockDevice>(std::move(fd), UringBlockDevice::Target::block_device,
                                              std::move(identity), limits);
}

Outcome<std::unique_ptr<BlockDevice>> open_file(const DeviceSpec& spec, DeviceIdentity identity,
                                                const OpenOptions& options) {
    const int mode = (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    bool direct = true;
    UniqueFd fd(::open(spec.path.c_str(), mode | O_DIRECT));
    if (!fd && errno == EINVAL) {
        direct = false;
        fd = UniqueFd(::open(spec.path.c_str(), mode));
        if (fd) {
            log(LogLevel::info,
                "{}: its file system has no direct I/O; writing through the page cache", spec.path);
        }
    }
    if (!fd) return failure_of(spec.path, errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return failure_of(spec.path, errno);
    if (!S_ISREG(status.st_mode)) {
        return Failure{Errc::invalid_argument,
                       fmt::format("{} is no regular file any more", spec.path)};
    }
    if (!options.read_only) {
        // A lock of the open file, not of the process: it ends with the last use of the descriptor.
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
            return failure_of(spec.path, errno == EAGAIN || errno == EACCES ? EBUSY : errno);
        }
    }
    XSAN_TRY(const DeviceLimits limits, read_file_limits(fd.get(), direct, spec.path));
    return std::make_unique<UringBlockDevice>(std::move(fd), UringBlockDevice::Target::regular_file,
                                              std::move(identity), limits);
}

}  // namespace

Outcome<std::unique_ptr<BlockDevice>> open_device(const DeviceSpec& spec,
                                                  const OpenOptions& options) {
    switch (spec.kind) {
        case DeviceKind::mem:
            return MemDevice::create(spec.size_bytes);
        case DeviceKind::null:
            return std::make_unique<NullDevice>(spec.size_bytes);
        case DeviceKind::file:
        case DeviceKind::block:
        case DeviceKind::nvme:
            break;
    }
    XSAN_TRY(auto identity, identify(spec));
    if (spec.kind == DeviceKind::file) return open_file(spec, std::move(identity), options);
    if (spec.kind == DeviceKind::block) return open_block(spec, std::move(identity), options);
    return open_nvme(spec, std::move(identity), options);
}

}  // namespace xsan::dev
