// What ublk devices this machine has, whether it can have any, and how to remove one.
// All functions block: call them through Offload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ublk/control.h"

namespace xsan::ublk {

std::string block_path(unsigned number);  // /dev/ublkbN
std::string char_path(unsigned number);   // /dev/ublkcN

// unsupported or permission, with one line that says what to do, when this kernel cannot serve ublk
// devices that survive their server. Changes nothing: call it before anything is written.
Outcome<void> check_kernel();

// Opens the control device, or says why not, as check_kernel does.
Outcome<Control> open_control();

// All devices of this machine, whoever serves them, by number. Empty where ublk is not loaded.
Outcome<std::vector<DeviceInfo>> list_devices();

// The devices that carry a volume's bits: one that can be taken over, before one that somebody serves, and
// those that are dead. A pure function.
struct Claimants {
    std::optional<unsigned> alive;
    std::vector<unsigned> dead;
};
Claimants claimants(const std::vector<DeviceInfo>& devices, std::uint64_t volume_bits);

// Removes a device that nobody serves, such as one that matches no volume. Requests that wait in it
// fail. not_found; busy while a process serves it.
Outcome<void> delete_device(unsigned number);

// Whether /proc has the process; one that was killed and is still dying counts as alive.
bool is_alive(int pid);

}  // namespace xsan::ublk
