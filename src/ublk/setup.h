// The blocking steps in the life of an exported device, in the order in which Target takes them.
// Each is called through Offload. They own nothing but the open character device, which they hand
// out.
#pragma once

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "dev/block_device.h"
#include "reactor/reactor.h"
#include "ublk/control.h"
#include "ublk/params.h"

namespace xsan::ublk {

// The open /dev/ublkcN. The kernel lets one process have it open, once.
class CharDevice {
  public:
    CharDevice() = default;
    explicit CharDevice(int fd) : fd_(fd) {}
    CharDevice(CharDevice&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    CharDevice& operator=(CharDevice&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~CharDevice() { close(); }
    int fd() const { return fd_; }
    void close();

  private:
    int fd_ = -1;
};

// A device whose queues may be fetched.
struct ReadyDevice {
    DeviceInfo info;
    CharDevice file;
    std::uint64_t size_bytes = 0;  // as the kernel has it
    TimeNs repetition_window_ns = 0;
};

// Adds a device: /dev/ublkcN is there, /dev/ublkbN is not. Leaves nothing behind when it fails.
Outcome<ReadyDevice> add_device(const dev::DeviceLimits& limits, const TargetOptions& options);
// Starts it, while the queues are fetched elsewhere; returns when /dev/ublkbN can be opened.
Outcome<void> start_device(unsigned number);

// Takes a device over from a server that has died, waiting some time for its remains to go.
Outcome<ReadyDevice> take_over(unsigned number, const dev::DeviceLimits& limits,
                               const TargetOptions& options);
// Lets its requests flow again, while the queues are fetched elsewhere.
Outcome<void> finish_take_over(unsigned number);

// Ends /dev/ublkbN, which nobody may use: busy. Its fetches end.
Outcome<void> stop_unused(unsigned number);
// Ends it in any case, for a start that failed.
Outcome<void> stop_failed(unsigned number);
// Frees the number, after the character device was closed.
void forget(unsigned number);
// Gives the living device back to the kernel, for another process: its fetches end. False where the
// kernel cannot.
bool give_back(const DeviceInfo& info);
Outcome<void> set_device_size(const DeviceInfo& info, std::uint64_t bytes);

}  // namespace xsan::ublk
