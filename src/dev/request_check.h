// What every device does with a request before it acts on it, and how it completes one that needs
// no I/O.
#pragma once

#include "dev/block_device.h"

namespace xsan::dev {

// invalid_argument for a request that breaks the contract of block_device.h: alignment, range,
// pieces that do not add up to the length. Errc::ok otherwise.
inline Error check_request(const DeviceLimits& limits, const IoRequest& request) {
    if (request.kind == IoKind::flush) return {};
    if (((request.offset | request.length) & (limits.logical_block_bytes - 1)) != 0 ||
        request.offset > limits.size_bytes || request.length > limits.size_bytes - request.offset) {
        return {Errc::invalid_argument};
    }
    if (request.kind == IoKind::read || request.kind == IoKind::write) {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < request.iov_count; i++)
            sum += request.iov[i].iov_len;
        if (sum != request.length) return {Errc::invalid_argument};
    }
    return {};
}

// Completes from the loop, never inside submit().
inline void complete_later(IoRequest& request, Error error) {
    request.error = error;
    Reactor::current().make_ready(Work{[](void* argument) {
                                           auto& r = *static_cast<IoRequest*>(argument);
                                           r.done(r);
                                       },
                                       &request});
}

}  // namespace xsan::dev
