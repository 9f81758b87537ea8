// Limits from sysfs, ioctl and statx.
#include "dev/device_limits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/units.h"
#include "dev/sysfs.h"

namespace xsan::dev {
namespace {

constexpr std::uint32_t kIovMax = 1024;           // UIO_MAXIOV, of the kernel
constexpr std::uint32_t kFileBlockBytes = 4096;   // where the file system does not say
constexpr std::uint64_t kTransferMax = 2 * kMiB;  // longer ones gain nothing and delay others

std::uint32_t number32(const std::string& path, std::uint32_t otherwise) {
    const auto value = read_number(path);
    return value.has_value() && *value > 0 && *value <= UINT32_MAX
               ? static_cast<std::uint32_t>(*value)
               : otherwise;
}

}  // namespace

Outcome<DeviceLimits> read_block_limits(int fd, dev_t device, const std::string& path) {
    DeviceLimits limits;
    std::uint64_t bytes = 0;
    int block = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0 || ::ioctl(fd, BLKSSZGET, &block) != 0) {
        return Failure{Errc::io_error, fmt::format("{}: {}", path, std::strerror(errno))};
    }
    if (bytes == 0 || block < 512 || !std::has_single_bit(static_cast<unsigned>(block))) {
        return Failure{Errc::unsupported,
                       fmt::format("{} reports {} bytes in blocks of {}; it cannot be used", path,
                                   bytes, block)};
    }
    const std::string queue = sysfs_whole_device(sysfs_block_dir(device)) + "/queue";
    limits.logical_block_bytes = static_cast<std::uint32_t>(block);
    limits.size_bytes = round_down(bytes, limits.logical_block_bytes);
    limits.physical_block_bytes =
        std::max(number32(queue + "/physical_block_size", limits.logical_block_bytes),
                 limits.logical_block_bytes);
    limits.atomic_write_bytes = std::bit_floor(
        std::max(number32(queue + "/atomic_write_unit_max_bytes", 0), limits.logical_block_bytes));
    limits.transfer_bytes_max = std::clamp<std::uint64_t>(
        std::bit_floor(std::uint64_t{number32(queue + "/max_sectors_kb", 512)} * kKiB), 64 * kKiB,
        kTransferMax);
    limits.buffer_alignment = number32(queue + "/dma_alignment", 511) + 1;
    limits.iov_count_max = kIovMax;
    limits.volatile_cache =
        read_text(queue + "/write_cache").value_or("write back") == "write back";
    // A punched hole is a write of zeros that may deallocate; without it the kernel refuses.
    limits.discard = number32(queue + "/write_zeroes_max_bytes", 0) > 0;
    limits.discard_zeroes = limits.discard;
    limits.discard_granularity_bytes =
        std::max(number32(queue + "/discard_granularity", 0), limits.logical_block_bytes);
    return limits;
}

Outcome<DeviceLimits> read_file_limits(int fd, bool direct, const std::string& path) {
    DeviceLimits limits;
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        return Failure{Errc::io_error, fmt::format("{}: {}", path, std::strerror(errno))};
    }
    limits.logical_block_bytes = direct ? kFileBlockBytes : 512;
    limits.buffer_alignment = direct ? kFileBlockBytes : 1;
#ifdef STATX_DIOALIGN
    struct statx extended {};
    if (direct && ::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 &&
        (extended.stx_mask & STATX_DIOALIGN) != 0 && extended.stx_dio_offset_align > 0) {
        limits.logical_block_bytes = std::max(512u, std::bit_ceil(extended.stx_dio_offset_align));
        limits.buffer_alignment = std::max(1u, extended.stx_dio_mem_align);
    }
#endif
    limits.size_bytes =
        round_down(static_cast<std::uint64_t>(status.st_size), limits.logical_block_bytes);
    if (limits.size_bytes == 0) {
        return Failure{
            Errc::invalid_argument,
            fmt::format("{} is empty; give it a size first, with truncate or fallocate", path)};
    }
    limits.physical_block_bytes = std::max(4096u, limits.logical_block_bytes);
    limits.atomic_write_bytes = limits.logical_block_bytes;
    limits.transfer_bytes_max = kMiB;
    limits.iov_count_max = kIovMax;
    limits.volatile_cache = true;
    limits.discard = true;
    limits.discard_zeroes = true;
    limits.discard_granularity_bytes = 4096;
    return limits;
}

}  // namespace xsan::dev
