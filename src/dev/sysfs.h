// Small blocking readers of sysfs and procfs. Run them through Offload.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace xsan::dev {

// The whole file without trailing white space; nullopt when it cannot be read.
std::optional<std::string> read_text(const std::string& path);
std::optional<std::uint64_t> read_number(const std::string& path);

// "/sys/devices/.../block/nvme0n1" of a block device number; empty when there is none.
std::string sysfs_block_dir(dev_t device);
// The same for a character device.
std::string sysfs_char_dir(dev_t device);
// The whole device's folder: that of `block_dir`, or the one above it for a partition.
std::string sysfs_whole_device(const std::string& block_dir);
// The last component of a path.
std::string base_name(const std::string& path);

}  // namespace xsan::dev
