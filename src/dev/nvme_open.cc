// Opening an NVMe namespace for passthrough: claim, identify, limits.
#include <fcntl.h>
#include <fmt/format.h>
#include <libnvme.h>
// libnvme leaks macros with the names of functions in base/units.h.
#undef round_up
#undef round_down

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/endian.h"
#include "base/units.h"
#include "dev/device_limits.h"
#include "dev/nvme_device.h"
#include "dev/sysfs.h"

namespace xsan::dev {
namespace {

// Identify structures are little-endian; so are all machines that xsan runs on.
static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kUnitMin =
    4096;  // of MDTS: CAP.MPSMIN is not visible; 4 KiB is its smallest

struct Identified {
    nvme_id_ctrl controller{};
    nvme_id_ns space{};
    std::uint32_t nsid = 0;
};

Outcome<Identified> ask_drive(int fd, const std::string& path) {
    Identified found;
    const auto failed = [&](const char* what, int rc) {
        return Failure{Errc::io_error, fmt::format("{}: {} fails: {}", path, what,
                                                   rc < 0 ? std::strerror(errno)
                                                          : nvme_status_to_string(rc, false))};
    };
    if (const int rc = nvme_get_nsid(fd, &found.nsid); rc != 0)
        return failed("reading the namespace id", rc);
    if (const int rc = nvme_identify_ctrl(fd, &found.controller); rc != 0) {
        return failed("Identify Controller", rc);
    }
    if (const int rc = nvme_identify_ns(fd, found.nsid, &found.space); rc != 0) {
        return failed("Identify Namespace", rc);
    }
    return found;
}

// The namespace's format in use; NVM Command Set 1.0, figure 97 (FLBAS: bits 3:0 and 6:5).
const nvme_lbaf& current_format(const nvme_id_ns& space) {
    return space.lbaf[(space.flbas & 0xF) | ((space.flbas >> 5 & 0x3) << 4)];
}

// What is written wholly or not at all at a power loss, aligned to itself.
std::uint32_t atomic_bytes(const Identified& found, std::uint32_t block) {
    const nvme_id_ns& space = found.space;
    const bool own_values = (space.nsfeat & 0x2) != 0;
    std::uint64_t blocks = own_values && space.nawupf != 0
                               ? std::uint64_t{space.nawupf} + 1
                               : std::uint64_t{found.controller.awupf} + 1;
    if (own_values && space.nabspf != 0) {
        // Writes that cross this boundary are not atomic, so what is promised must divide it.
        if (space.nabo != 0) return block;
        const std::uint64_t boundary = std::uint64_t{space.nabspf} + 1;
        blocks = std::min(blocks, boundary & (~boundary + 1));
    }
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::bit_floor(blocks) * block, kMiB));
}

NvmeRules make_rules(const Identified& found, const std::string& queue, std::uint32_t block) {
    NvmeRules rules;
    rules.nsid = found.nsid;
    rules.block_shift = static_cast<std::uint32_t>(std::countr_zero(block));
    const std::uint64_t segments = read_number(queue + "/max_segments").value_or(0);
    rules.segments_max =
        segments == 0 ? 127 : static_cast<std::uint32_t>(std::min<std::uint64_t>(segments, 1024));
    // The kernel has worked out what one command may zero (WZSL, or MDTS for older drives, and
    // quirks).
    const std::uint64_t zeroes = read_number(queue + "/write_zeroes_max_bytes").value_or(0);
    rules.write_zeroes_bytes_max =
        round_down(std::min<std::uint64_t>(zeroes, kNvmeBlocksMax * block), block);
    if ((found.controller.oncs & NVME_CTRL_ONCS_DSM) != 0) {
        const std::uint64_t most = read_number(queue + "/discard_max_bytes").value_or(0);
        rules.discard_bytes_max =
            round_down(std::min<std::uint64_t>(most, std::uint64_t{UINT32_MAX} * block), block);
    }
    // DLFEAT: deallocated blocks read zeros (bits 2:0 = 1), and Write Zeroes may deallocate (bit
    // 3). Only this promises zeros: Dataset Management is a hint, which a drive may ignore for some
    // of the blocks.
    rules.zeroing_deallocate =
        rules.write_zeroes_bytes_max > 0 && (found.space.dlfeat & 0xF) == 0x9;
    return rules;
}

DeviceLimits make_limits(DeviceLimits limits, const Identified& found, const NvmeRules& rules,
                         const std::string& queue) {
    const std::uint32_t block = limits.logical_block_bytes;
    std::uint64_t most = read_number(queue + "/max_hw_sectors_kb").value_or(128) * kKiB;
    if (found.controller.mdts != 0 && found.controller.mdts < 20) {
        most = std::min(most, kUnitMin << found.controller.mdts);
    }
    most = std::min<std::uint64_t>({most, kNvmeBlocksMax * block, 2 * kMiB});
    limits.transfer_bytes_max = std::max<std::uint64_t>(std::bit_floor(most), block);
    limits.iov_count_max = std::min(1024u, rules.segments_max);
    limits.atomic_write_bytes = std::max(atomic_bytes(found, block), block);
    limits.volatile_cache = (found.controller.vwc & 0x1) != 0;
    limits.discard = rules.zeroing_deallocate || rules.discard_bytes_max > 0;
    limits.discard_zeroes = rules.zeroing_deallocate;
    // NPDG is valid when NSFEAT bit 4 says so.
    if ((found.space.nsfeat & 0x10) != 0) {
        limits.discard_granularity_bytes = (std::uint32_t{found.space.npdg} + 1) * block;
    }
    return limits;
}

}  // namespace

Outcome<std::unique_ptr<BlockDevice>> open_nvme(const DeviceSpec& spec, DeviceIdentity identity,
                                                const OpenOptions& options) {
    if (!options.large_entries) {
        return Failure{Errc::unsupported,
                       fmt::format("{}: this kernel's io_uring has no passthrough; use {}",
                                   spec.path, spec.block_path)};
    }
    // The claim comes first: nothing is asked of a drive that is someone else's.
    const int claim_mode = options.read_only ? O_RDONLY : O_RDWR | O_EXCL;
    UniqueFd claim(::open(spec.block_path.c_str(), claim_mode | O_CLOEXEC));
    if (!claim && errno == EBUSY) {
        return Failure{Errc::busy,
                       fmt::format("{} is in use by another program or by the kernel", spec.path)};
    }
    UniqueFd generic(claim ? ::open(spec.path.c_str(), O_RDWR | O_CLOEXEC) : -1);
    if (!generic) {
        const int os_errno = errno;
        return Failure{
            error_from_errno(os_errno).code,
            fmt::format("{}: {}", claim ? spec.path : spec.block_path, std::strerror(os_errno))};
    }
    XSAN_TRY(const Identified found, ask_drive(generic.get(), spec.path));
    if (current_format(found.space).ms != 0) {
        return Failure{Errc::unsupported,
                       fmt::format("{} is formatted with {} bytes of metadata per block; format it "
                                   "without (nvme format --ms=0) or use {}",
                                   spec.path, current_format(found.space).ms, spec.block_path)};
    }
    XSAN_TRY(DeviceLimits limits, read_block_limits(claim.get(), spec.device_number, spec.path));
    if (limits.logical_block_bytes != 1u << current_format(found.space).ds) {
        return Failure{
            Errc::io_error,
            fmt::format("{}: the kernel and the drive disagree about the block size; rescan it",
                        spec.path)};
    }
    const std::string queue = sysfs_whole_device(sysfs_block_dir(spec.device_number)) + "/queue";
    const NvmeRules rules = make_rules(found, queue, limits.logical_block_bytes);
    limits = make_limits(limits, found, rules, queue);
    return std::make_unique<NvmeDevice>(std::move(generic), std::move(claim), std::move(identity),
                                        limits, rules);
}

}  // namespace xsan::dev
