// Target: one block device, exported as /dev/ublkbN.
//
// Owned by whoever exports (the pool's volume, a tool); lives on the reactor that started it, its
// control reactor, where all of its functions are called, one at a time. Queue q is served on
// reactors[q mod count]: there the device below gets the requests and must complete them. The
// device below must serve reads before start() returns: the kernel looks for partitions. Ends by
// stop() or abandon(), which the destructor asserts. The Offload must run functions on other
// threads, and have one left for what the device below needs: the kernel's start command waits for
// the fetches and reads of the reactors.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "dev/block_device.h"
#include "reactor/offload.h"
#include "reactor/task.h"
#include "reactor/uring_reactor.h"
#include "ublk/control.h"
#include "ublk/devices.h"
#include "ublk/params.h"
#include "ublk/queue.h"
#include "ublk/setup.h"

namespace xsan::ublk {

class Target {
  public:
    using Reactors =
        std::span<UringReactor* const>;  // of the caller's, until the call has returned

    // Creates a device and returns when /dev/ublkbN can be opened. Leaves nothing behind when it
    // fails.
    static Task<Outcome<std::unique_ptr<Target>>> start(dev::BlockDevice& device,
                                                        TargetOptions options, Reactors reactors,
                                                        Offload& offload);

    // Continues a device whose server has died or abandoned it; waits up to 30 s for what is left
    // of that process. Everything that repairs the volume after a crash comes before this call:
    // requests flow at its end, first those that the old server did not answer, with `reissued`
    // set. Queues, depth and request size are those of the device, whatever the options say. A
    // device that is not this volume's is refused. A failure leaves the device waiting in the
    // kernel.
    static Task<Outcome<std::unique_ptr<Target>>> recover(dev::BlockDevice& device, unsigned number,
                                                          TargetOptions options, Reactors reactors,
                                                          Offload& offload);

    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;
    ~Target();

    // Takes the device away, when nobody uses it. busy, with one line that says who does: the
    // target goes on serving. Other failures leave it serving as well. Stopping what is stopped
    // succeeds.
    Task<Outcome<void>> stop();

    // For a daemon that ends while its devices go on: requests that the device below has are
    // finished, others stay unanswered, for the next daemon. Does not fail. The target must then
    // live until the reactors are destroyed, because the kernel may still write into its buffers;
    // on kernels that cannot take a device back it waits for the end of this process.
    Task<void> abandon();

    // Tells the kernel a new size. unsupported where it cannot learn it before the next attach.
    Task<Outcome<void>> resize(std::uint64_t bytes);

    unsigned number() const { return info_.number; }
    std::string path() const { return block_path(info_.number); }
    std::uint64_t size_bytes() const { return size_bytes_; }  // as the kernel has it
    const DeviceInfo& info() const { return info_; }

    // What was answered since start() or recover(); goes on to be there after stop(). While queues run, too.
    TargetIo io() const;

  private:
    enum class State { starting, serving, stopped, abandoned };

    Target(dev::BlockDevice& device, Offload& offload) : device_(device), offload_(offload) {}
    Outcome<void> make_queues(ReadyDevice ready, Reactors reactors, bool recovered);
    Task<void> start_queues();
    Task<void> wait_queues_ended();
    Task<void> leave_queues();
    Task<void> set_queue_sizes(std::uint64_t bytes);
    Task<void> close_device();
    void drop_queues();

    dev::BlockDevice& device_;
    Offload& offload_;
    DeviceInfo info_;
    CharDevice file_;
    std::uint64_t size_bytes_ = 0;  // as the kernel has it
    std::vector<std::unique_ptr<Queue>> queues_;
    TargetIo ended_io_;  // of queues that are no more
    State state_ = State::starting;
};

}  // namespace xsan::ublk
