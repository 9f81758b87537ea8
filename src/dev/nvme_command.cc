// Encodings of NVMe commands and status codes.
#include "dev/nvme_command.h"

#include "base/assert.h"

namespace xsan::dev {
namespace {

enum : std::uint8_t {
    kOpFlush = 0x00,
    kOpWrite = 0x01,
    kOpRead = 0x02,
    kOpWriteZeroes = 0x08,
    kOpDatasetManagement = 0x09,
};

constexpr std::uint32_t kForceUnitAccess = 1u << 30;  // command dword 12
constexpr std::uint32_t kDeallocate = 1u << 25;       // command dword 12 of Write Zeroes
constexpr std::uint32_t kAttributeDeallocate = 1u << 2;
constexpr std::uint32_t kDoNotRetry = 1u << 14;
constexpr std::uint32_t kStatusMask = 0x7FF;

nvme_uring_cmd with_range(std::uint8_t opcode, std::uint32_t nsid, LbaRange range) {
    XSAN_ASSERT(range.count >= 1 && range.count <= kNvmeBlocksMax);
    nvme_uring_cmd command{};
    command.opcode = opcode;
    command.nsid = nsid;
    command.cdw10 = static_cast<std::uint32_t>(range.first);
    command.cdw11 = static_cast<std::uint32_t>(range.first >> 32);
    command.cdw12 = static_cast<std::uint32_t>(range.count - 1);
    return command;
}

Errc generic_status(std::uint32_t code) {
    switch (code) {
        case 0x01:
            return Errc::unsupported;  // invalid opcode
        case 0x02:
            return Errc::invalid_argument;  // invalid field
        case 0x07:
            return Errc::timed_out;  // aborted, as the kernel does after a timeout
        case 0x0B:
            return Errc::device_gone;  // invalid namespace
        case 0x1D:
            return Errc::busy;  // sanitize in progress
        case 0x20:
            return Errc::read_only;  // write protected
        case 0x80:
            return Errc::invalid_argument;  // LBA out of range
        case 0x81:
            return Errc::no_space;  // capacity exceeded
        case 0x82:
            return Errc::busy;  // namespace not ready
        case 0x83:
            return Errc::permission;  // reservation conflict
        case 0x84:
            return Errc::busy;  // format in progress
        default:
            return Errc::io_error;
    }
}

Errc media_status(std::uint32_t code) {
    switch (code) {
        case 0x81:  // unrecovered read error
        case 0x82:  // guard check
        case 0x83:  // application tag check
        case 0x84:  // reference tag check
        case 0x87:
            return Errc::media_error;  // deallocated or unwritten block
        case 0x86:
            return Errc::permission;  // access denied
        default:
            return Errc::io_error;  // 0x80 write fault, 0x85 compare failure
    }
}

}  // namespace

nvme_uring_cmd nvme_read(std::uint32_t nsid, LbaRange range) {
    return with_range(kOpRead, nsid, range);
}

nvme_uring_cmd nvme_write(std::uint32_t nsid, LbaRange range, bool fua) {
    nvme_uring_cmd command = with_range(kOpWrite, nsid, range);
    if (fua) command.cdw12 |= kForceUnitAccess;
    return command;
}

nvme_uring_cmd nvme_flush(std::uint32_t nsid) {
    nvme_uring_cmd command{};
    command.opcode = kOpFlush;
    command.nsid = nsid;
    return command;
}

nvme_uring_cmd nvme_write_zeroes(std::uint32_t nsid, LbaRange range, bool fua, bool deallocate) {
    nvme_uring_cmd command = with_range(kOpWriteZeroes, nsid, range);
    if (fua) command.cdw12 |= kForceUnitAccess;
    if (deallocate) command.cdw12 |= kDeallocate;
    return command;
}

nvme_uring_cmd nvme_deallocate(std::uint32_t nsid, const DatasetRange* ranges,
                               std::uint32_t count) {
    XSAN_ASSERT(count >= 1 && count <= 256);
    nvme_uring_cmd command{};
    command.opcode = kOpDatasetManagement;
    command.nsid = nsid;
    command.addr = reinterpret_cast<std::uintptr_t>(ranges);
    command.data_len = count * static_cast<std::uint32_t>(sizeof(DatasetRange));
    command.cdw10 = count - 1;
    command.cdw11 = kAttributeDeallocate;
    return command;
}

Error error_from_nvme_status(std::uint32_t status) {
    const std::uint32_t code = status & 0xFF;
    if ((status & kStatusMask) == 0) return {};
    switch ((status & kStatusMask) >> 8) {
        case 0:
            return {generic_status(code), 0, status};
        case 1:
            return {code == 0x82 ? Errc::read_only : Errc::invalid_argument, 0, status};
        case 2:
            return {media_status(code), 0, status};
        case 3:
            return {Errc::device_gone, 0, status};  // no path to the drive
        default:
            return {Errc::io_error, 0, status};
    }
}

bool is_retryable_nvme_status(std::uint32_t status) {
    if ((status & kDoNotRetry) != 0) return false;
    switch (status & kStatusMask) {
        case 0x004:  // data transfer error
        case 0x008:  // queue deleted: a reset was under way
        case 0x01D:  // sanitize in progress
        case 0x082:  // namespace not ready
        case 0x084:
            return true;  // format in progress
        default:
            return ((status & kStatusMask) >> 8) == 3;  // path errors
    }
}

}  // namespace xsan::dev
