// What a device named on a command line is, what is on it, and who uses it.
// Everything here blocks: run it through Offload. Nothing here writes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dev/block_device.h"

namespace xsan::dev {

enum class DeviceKind : std::uint8_t {
    nvme,   // /dev/ngXnY: NVMe passthrough
    block,  // /dev/nvmeXnY or another kernel block device
    file,   // a regular file
    mem,    // mem:SIZE
    null,   // null:SIZE
};

struct DeviceSpec {
    DeviceKind kind = DeviceKind::file;
    std::string path;              // absolute, as given; "mem:SIZE" and "null:SIZE" for those
    std::string block_path;        // nvme: the sibling block device; block: path; else empty
    std::string domain;            // failure domain, empty where none was given
    std::uint64_t size_bytes = 0;  // mem and null only
    dev_t device_number = 0;       // block: its number; nvme: that of the sibling block device
};

// `text` is `/dev/nvmeXnY`, `/dev/ngXnY`, another block device, a regular file, `mem:SIZE` or
// `null:SIZE`, with `@DOMAIN` behind it where a failure domain is given.
Outcome<DeviceSpec> parse_device(std::string_view text);

// The failure domain's alphabet, which is that of all names: [A-Za-z0-9][A-Za-z0-9._-]{0,31}.
bool is_valid_name(std::string_view name);

// Model, serial, firmware and so on. unique_id is equal for all names of one device: an NVMe
// namespace has the kernel's world-wide name, whether by /dev/nvmeXnY, /dev/ngXnY, a link, or
// another controller's path.
Outcome<DeviceIdentity> identify(const DeviceSpec& spec);

// "an ext4 filesystem labelled 'home'", "a GPT partition table", ...; nullopt when nothing is known
// there.
Outcome<std::optional<std::string>> find_signature(const DeviceSpec& spec);

// Fails with busy and a sentence when the device is mounted, swap, held by another device (LVM, md,
// loop) or claimed by another program; the same for any partition of it.
Outcome<void> check_unused(const DeviceSpec& spec);

}  // namespace xsan::dev
