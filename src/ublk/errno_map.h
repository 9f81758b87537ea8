// What the kernel is told when a request fails.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace xsan::ublk {

// The result to commit for a failed request: a negative errno. Never EAGAIN, EBUSY or ENOMEM, which
// the block layer passes on as a passing condition and filesystems do not expect from a disk.
std::int32_t commit_errno(Error error);

}  // namespace xsan::ublk
