// Control: ublk's control commands, on /dev/ublk-control.
//
// Every function blocks, for at most its command's timeout: call it through Offload, never on a
// reactor. Any thread may call; each command has a small ring of its own, since commands are rare
// and one that the kernel never answers must not stand in the way of the others.
//
// Invariants:
//  - A command that did not end in time is cancelled; if it ignores that as well, its ring and
//  buffer stay
//    with the kernel until the process ends, and Errc::timed_out is returned.
//  - Errors are those of the kernel, with os_errno; the caller knows which device and what to
//  advise.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ublk/uapi.h"

namespace xsan::ublk {

using uapi::DeviceState;

// A ublk device, as the kernel knows it.
struct DeviceInfo {
    unsigned number = 0;  // N of /dev/ublkbN
    unsigned queues = 0;
    unsigned depth = 0;
    std::uint32_t io_bytes_max = 0;
    DeviceState state = DeviceState::dead;
    int server_pid = -1;             // of the process that serves or served it
    std::uint64_t flags = 0;         // uapi::kFeature*
    std::uint64_t server_flags = 0;  // for xsan: the low bits of the volume's UUID

    bool recoverable() const;
};

struct AddRequest {
    int number = -1;  // -1: the lowest free
    unsigned queues = 1;
    unsigned depth = 128;
    std::uint32_t io_bytes_max = 1u << 20;
    std::uint64_t flags = 0;
    std::uint64_t server_flags = 0;
};

class Control {
  public:
    // Opens the control device. The error's os_errno is open's.
    static Result<Control> open();
    Control(Control&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Control& operator=(Control&&) = delete;
    ~Control();

    // What this kernel offers; unsupported where it is too old for the question.
    Result<std::uint64_t> features() const;

    // Creates /dev/ublkcN. The answer says what the kernel made of the request: it limits the
    // queues to the number of CPUs. exists: the number is taken.
    Result<DeviceInfo> add_device(const AddRequest& request) const;
    // Only between add_device and the first start_device.
    Result<void> set_params(unsigned number, const uapi::Params& params) const;
    Result<uapi::Params> get_params(unsigned number) const;
    // Creates /dev/ublkbN. Waits until every tag of every queue has been fetched.
    Result<void> start_device(unsigned number, int server_pid) const;
    // Ends the block device: waits for requests in flight, fails those that come later.
    Result<void> stop_device(unsigned number) const;
    // The same, but busy when anybody has it open. Needs kFeatureSafeStop.
    Result<void> try_stop_device(unsigned number) const;
    // Frees the number, after the last user of both device files is gone.
    Result<void> delete_device(unsigned number) const;
    Result<DeviceInfo> device_info(unsigned number) const;

    // busy until the old server's last file is closed and its requests have been taken back.
    Result<void> start_user_recovery(unsigned number) const;
    // Waits until every tag has been fetched; then requests flow again.
    Result<void> end_user_recovery(unsigned number, int server_pid) const;
    // Takes the device from its living server, whose fetches end. Needs kFeatureQuiesce. busy:
    // requests did not end within the time.
    Result<void> quiesce_device(unsigned number, unsigned timeout_ms) const;
    // Needs kFeatureUpdateSize.
    Result<void> update_size(unsigned number, std::uint64_t bytes) const;

  private:
    explicit Control(int fd) : fd_(fd) {}
    Result<void> run(std::uint32_t command, unsigned number, std::uint64_t data, void* buffer,
                     std::uint16_t length, unsigned timeout_ms) const;

    int fd_;
};

}  // namespace xsan::ublk
