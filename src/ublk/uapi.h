// The kernel's ublk interface, as far as xsan uses it: the numbers and layouts of Linux 6.12, and
// of later kernels where a feature bit says that they are there. Debian 12's <linux/ublk_cmd.h> is
// older than the ioctl-encoded commands, so it is not included at all.
//
// Invariants: every struct here is shared with the kernel: fixed sizes, no padding, host byte
// order.
#pragma once

#include <linux/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace xsan::ublk::uapi {

// ---- control commands, on /dev/ublk-control
// ----------------------------------------------------------

// The argument of a control command; it lies in the 80 bytes of command space of a 128-byte SQE.
struct ControlArgument {
    std::uint32_t device_id;    // UINT32_MAX with add_device: the lowest free
    std::uint16_t queue_id;     // UINT16_MAX: the command is not about one queue
    std::uint16_t length;       // of the buffer at `address`
    std::uint64_t address;      // of a buffer, in or out
    std::uint64_t data;         // pid, timeout or size, by command
    std::uint16_t path_length;  // for devices of unprivileged users only
    std::uint16_t pad;
    std::uint32_t reserved;
};
static_assert(sizeof(ControlArgument) == 32);

// Commands are encoded like ioctls. The size that is encoded is that of ControlArgument.
inline constexpr std::uint32_t kGetDeviceInfo = _IOR('u', 0x02, ControlArgument);
inline constexpr std::uint32_t kAddDevice = _IOWR('u', 0x04, ControlArgument);
inline constexpr std::uint32_t kDeleteDevice = _IOWR('u', 0x05, ControlArgument);
inline constexpr std::uint32_t kStartDevice = _IOWR('u', 0x06, ControlArgument);
inline constexpr std::uint32_t kStopDevice = _IOWR('u', 0x07, ControlArgument);
inline constexpr std::uint32_t kSetParams = _IOWR('u', 0x08, ControlArgument);
inline constexpr std::uint32_t kGetParams = _IOR('u', 0x09, ControlArgument);
inline constexpr std::uint32_t kStartUserRecovery = _IOWR('u', 0x10, ControlArgument);
inline constexpr std::uint32_t kEndUserRecovery = _IOWR('u', 0x11, ControlArgument);
inline constexpr std::uint32_t kGetFeatures = _IOR('u', 0x13, ControlArgument);
inline constexpr std::uint32_t kDeleteDeviceAsync = _IOR('u', 0x14, ControlArgument);
inline constexpr std::uint32_t kUpdateSize = _IOWR('u', 0x15, ControlArgument);
inline constexpr std::uint32_t kQuiesceDevice = _IOWR('u', 0x16, ControlArgument);
inline constexpr std::uint32_t kTryStopDevice = _IOWR('u', 0x17, ControlArgument);

// Feature bits: what a kernel offers, and what a device was created with.
inline constexpr std::uint64_t kFeatureUserRecovery = 1ull << 3;
inline constexpr std::uint64_t kFeatureUserRecoveryReissue = 1ull << 4;
inline constexpr std::uint64_t kFeatureIoctlEncoding = 1ull << 6;
inline constexpr std::uint64_t kFeatureUserCopy = 1ull << 7;
inline constexpr std::uint64_t kFeatureUpdateSize = 1ull << 10;
inline constexpr std::uint64_t kFeatureQuiesce = 1ull << 12;
inline constexpr std::uint64_t kFeatureSafeStop = 1ull << 17;

enum class DeviceState : std::uint16_t { dead = 0, live = 1, quiesced = 2, fail_io = 3 };

// Goes in with kAddDevice and comes back as the kernel accepted it; comes out of kGetDeviceInfo.
struct DeviceInfo {
    std::uint16_t queues;
    std::uint16_t queue_depth;
    std::uint16_t state;
    std::uint16_t pad0;
    std::uint32_t io_bytes_max;
    std::uint32_t device_id;
    std::int32_t server_pid;
    std::uint32_t pad1;
    std::uint64_t flags;
    std::uint64_t
        server_flags;  // the server's own; the driver keeps them and does not look at them
    std::uint32_t owner_uid;
    std::uint32_t owner_gid;
    std::uint64_t reserved1;
    std::uint64_t reserved2;
};
static_assert(sizeof(DeviceInfo) == 64 && offsetof(DeviceInfo, server_flags) == 32);

// ---- parameters
// ----------------------------------------------------------------------------------------

inline constexpr std::uint32_t kParamBasic = 1u << 0;
inline constexpr std::uint32_t kParamDiscard = 1u << 1;

inline constexpr std::uint32_t kAttributeReadOnly = 1u << 0;
inline constexpr std::uint32_t kAttributeVolatileCache = 1u << 2;
inline constexpr std::uint32_t kAttributeFua = 1u << 3;

struct BasicParams {
    std::uint32_t attributes;
    std::uint8_t logical_block_shift;
    std::uint8_t physical_block_shift;
    std::uint8_t io_opt_shift;
    std::uint8_t io_min_shift;
    std::uint32_t sectors_max;
    std::uint32_t chunk_sectors;
    std::uint64_t device_sectors;
    std::uint64_t virtual_boundary_mask;
};
static_assert(sizeof(BasicParams) == 32);

struct DiscardParams {
    std::uint32_t alignment_bytes;
    std::uint32_t granularity_bytes;
    std::uint32_t sectors_max;
    std::uint32_t write_zeroes_sectors_max;
    std::uint16_t segments_max;
    std::uint16_t reserved0;
};
static_assert(sizeof(DiscardParams) == 20);

// The beginning of the kernel's parameter block; `length` says how much of it this side knows.
struct Params {
    std::uint32_t length;
    std::uint32_t types;  // kParam*: which of the following hold
    BasicParams basic;
    DiscardParams discard;
    std::uint32_t unused;  // the kernel's next block begins here; never named in `types`
};
static_assert(sizeof(Params) == 64 && offsetof(Params, discard) == 40);
inline constexpr std::uint32_t kParamsLength = offsetof(Params, unused);

// ---- requests, on /dev/ublkcN
// ----------------------------------------------------------------------------

// The argument of fetch and commit, in the command space of the SQE.
struct IoArgument {
    std::uint16_t queue_id;
    std::uint16_t tag;
    std::int32_t result;    // of commit: bytes, or a negative errno
    std::uint64_t address;  // of the tag's buffer
};
static_assert(sizeof(IoArgument) == 16);

inline constexpr std::uint32_t kFetch = _IOWR('u', 0x20, IoArgument);
inline constexpr std::uint32_t kCommitAndFetch = _IOWR('u', 0x21, IoArgument);

// What a fetch completes with.
inline constexpr std::int32_t kFetchedRequest = 0;
inline constexpr std::int32_t kFetchAborted = -ENODEV;  // the device stops: do not fetch again

// One request, in the memory that the kernel shares read-only. Read it through IoDescriptor only.
struct RawDescriptor {
    std::uint32_t op_flags;
    std::uint32_t sectors;
    std::uint64_t start_sector;
    std::uint64_t address;
};
static_assert(sizeof(RawDescriptor) == 24);

// Where a queue's descriptors are in the character device: at queue * (room for the greatest
// depth).
inline constexpr std::uint32_t kQueueDepthMax = 4096;

inline constexpr std::uint32_t kSectorBytes = 512;

}  // namespace xsan::ublk::uapi
