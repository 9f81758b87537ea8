// What the kernel says about block devices and files. Blocks: run it through Offload.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "dev/block_device.h"

namespace xsan::dev {

// Of an open block device; `path` is for the sentence of a failure.
Outcome<DeviceLimits> read_block_limits(int fd, dev_t device, const std::string& path);

// Of an open regular file; `direct` says whether it was opened with O_DIRECT.
Outcome<DeviceLimits> read_file_limits(int fd, bool direct, const std::string& path);

}  // namespace xsan::dev
