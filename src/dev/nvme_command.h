// NVMe commands as the kernel's passthrough takes them, and what a drive's status means. Pure.
// Source: NVM Express NVM Command Set Specification 1.0, sections 3.2 and 3.3; Base
// Specification 2.0, figure "Status Code"; linux/nvme_ioctl.h.
#pragma once

#include <linux/nvme_ioctl.h>

#include <array>
#include <cstdint>

#include "base/endian.h"
#include "base/error.h"

namespace xsan::dev {

// A range of logical blocks, count >= 1.
struct LbaRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
};

// One range of a Dataset Management command, as it lies in memory.
struct DatasetRange {
    Le32 attributes;
    Le32 count;
    Le64 first;
};
static_assert(sizeof(DatasetRange) == 16);

inline constexpr std::uint64_t kNvmeBlocksMax = 65536;  // of one command with a 16-bit count

// Data pointers of read and write are the caller's to fill in (addr, data_len).
nvme_uring_cmd nvme_read(std::uint32_t nsid, LbaRange range);
nvme_uring_cmd nvme_write(std::uint32_t nsid, LbaRange range, bool fua);
nvme_uring_cmd nvme_flush(std::uint32_t nsid);
// `deallocate`: the drive should also give the blocks back; they read zeros either way.
nvme_uring_cmd nvme_write_zeroes(std::uint32_t nsid, LbaRange range, bool fua, bool deallocate);
// `ranges` points to `count` DatasetRange (1 to 256) that stay until the command has ended.
nvme_uring_cmd nvme_deallocate(std::uint32_t nsid, const DatasetRange* ranges, std::uint32_t count);

// A status as passthrough gives it: status code, code type (bits 8 to 10), more, do-not-retry (bit
// 14). 0 is Errc::ok. Error::detail keeps the status.
Error error_from_nvme_status(std::uint32_t status);
// The command was not the problem and may be sent again as it is.
bool is_retryable_nvme_status(std::uint32_t status);

}  // namespace xsan::dev
