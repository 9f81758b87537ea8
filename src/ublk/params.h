// What the kernel is told about an exported device, computed from what the device is. Pure.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "base/units.h"
#include "base/uuid.h"
#include "dev/block_device.h"
#include "ublk/uapi.h"

namespace xsan::ublk {

struct TargetOptions {
    Uuid volume;  // its low bits are kept by ublk, so that a daemon finds its device again
    int preferred_number = -1;              // N of /dev/ublkbN; when taken, or -1: the lowest free
    unsigned queues = 0;                    // 0: one per reactor
    unsigned depth = 128;                   // requests per queue, at most 4096
    std::uint32_t io_bytes_max = 1u << 20;  // of one read or write; a multiple of 4096
    bool read_only = false;

    // Hints for filesystems, any size; 0 for none. What ublk can say is a power of two: the largest
    // that divides them.
    std::uint32_t io_min_bytes = 0;  // the strip
    std::uint64_t io_opt_bytes = 0;  // data strips x strip
    // Where the kernel splits reads and writes, so that one request touches one stripe. Used only
    // when it is a power of two, because the kernel knows no other; 0 for none.
    std::uint64_t chunk_bytes = 0;

    std::uint32_t discard_granularity_bytes = 0;  // the cluster; 0: no discard
    std::uint64_t discard_bytes_max = kGiB;       // of one discard
    std::uint64_t write_zeroes_bytes_max = 64 * kMiB;
    // Called on a helper thread when N of /dev/ublkbN is known and nobody has been told of the device yet: what
    // must be there when its uevent comes is made here.
    std::function<void(unsigned number)> before_start;
};

// The largest power of two that divides `bytes`; 0 for 0.
constexpr std::uint64_t largest_power_dividing(std::uint64_t bytes) {
    return bytes & (~bytes + 1);
}

// The parameters of a device, or what ublk cannot express about it: invalid_argument.
Outcome<uapi::Params> compute_params(const dev::DeviceLimits& limits, const TargetOptions& options);

}  // namespace xsan::ublk
