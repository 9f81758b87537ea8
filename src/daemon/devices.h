// Devices named by a person: looked at, checked, claimed. Nothing here writes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dev/open.h"
#include "meta/store.h"
#include "reactor/offload.h"
#include "reactor/task.h"

namespace xsan::daemon {

struct OpenedDevice {
    std::string given;  // as it was named
    std::string domain;
    std::unique_ptr<dev::BlockDevice> device;
    std::optional<meta::Examined> examined;  // when it carries an xsan superblock that can be read
    std::optional<Failure> unreadable;       // why a superblock that is there cannot be used
};

// Opens all devices for a pool that is to be made or to grow. Refuses, each in one line: the same drive twice
// or under two names, one that is in use, and, unless `force`, one that carries anything that is known.
// `own_pool`: superblocks of this pool are no obstacle (its members come back).
struct OpenRules {
    bool force = false;
    std::optional<Uuid> own_pool;
};
// The failure of a command that holds open devices: closes them first.
Task<void> close_devices(std::vector<OpenedDevice>& devices);

Task<Outcome<std::vector<OpenedDevice>>> open_for_pool(std::vector<std::string> names, OpenRules rules,
                                                       Offload& offload);

// Opens devices to find pools on them; those that cannot be opened or carry no superblock are left out, with
// the reason logged at debug level, or returned as a failure where `must` is set.
// `busy_wait`: how long a device in use is asked again. A daemon that was killed holds its drives until
// their last I/O has ended, and its successor must not take them for missing.
struct AssemblyRules {
    bool must = false;
    std::chrono::milliseconds busy_wait{0};
};
struct FoundDevices {
    std::vector<OpenedDevice> members;
    std::vector<Failure> notes;  // superblocks that are there and cannot be used
};
Task<Outcome<FoundDevices>> open_for_assembly(std::vector<std::string> names, AssemblyRules rules,
                                              Offload& offload);

// What is equal for all names of one drive; empty where the name stands for none. Blocks.
std::string unique_id_of(const std::string& name);

// Every block device that may carry a pool: NVMe namespaces and other disks, one name each.
std::vector<std::string> scan_device_names();

}  // namespace xsan::daemon
