// Queue: one hardware queue of a ublk device, served on one reactor.
//
// Each tag has a slot: the command with which it waits in the kernel, a page-aligned buffer, and
// the request that the device below sees. A slot is in one of four states:
//   fetching  the kernel has its command; the next request of this tag will complete it
//   serving   the device below has its request
//   kept      the request is not answered, and will not be: the next server gets it again (abandon)
//   ended     the device stops; the tag is not fetched again
//
// Invariants:
//  - The kernel ties each tag to the thread that first fetches it: everything but create() and the
//    destructor runs on the queue's reactor.
//  - A request is answered once, with what the device below said, and never with EAGAIN.
//  - The buffers belong to the kernel while any slot is fetching: it copies a write's data there
//  before
//    the command completes.
//  - After abandon() without an end of all fetches, the queue must outlive its reactor's ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dev/block_device.h"
#include "reactor/sync.h"
#include "reactor/task.h"
#include "reactor/uring_reactor.h"
#include "ublk/descriptor.h"
#include "ublk/io_counters.h"
#include "ublk/uapi.h"

namespace xsan::ublk {

struct QueueConfig {
    unsigned number = 0;  // of the device; for the log
    unsigned index = 0;   // of the queue
    unsigned depth = 0;
    std::uint32_t io_bytes_max = 0;
    std::uint64_t size_bytes = 0;
    int char_fd = -1;  // of /dev/ublkcN, open for as long as the queue lives
    // The queue continues one of a dead process, whose unanswered requests come again: first on
    // each tag, and during this time after the first of them where the kernel may have given them
    // other tags.
    bool recovered = false;
    TimeNs repetition_window_ns = 0;
};

class Queue {
  public:
    // Maps descriptors and buffers. Blocks for a moment; any thread.
    static Result<std::unique_ptr<Queue>> create(const QueueConfig& config,
                                                 dev::BlockDevice& device, UringReactor& reactor);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue();

    UringReactor& reactor() { return reactor_; }

    // Fetches every tag. They reach the kernel with the reactor's next submission.
    Task<void> start();
    // Returns when no slot is fetching or serving. The kernel ends the fetches when the device
    // stops.
    Task<void> wait_ended();
    // Answers no request from now on, except with success; returns when no slot is serving.
    Task<void> abandon();
    // Gives the fetches up, so that the reactor may end: after abandon(), for kernels that end them
    // only with the ring.
    Task<void> leave_fetches();
    Task<void> set_size(std::uint64_t bytes);

    // What was answered since create(). On any thread.
    TargetIo io() const { return io_.sum(); }

  private:
    struct Slot {
        UringOp op;
        dev::IoRequest request;
        Queue* queue = nullptr;
        std::uint16_t tag = 0;
        bool maybe_repeated = false;
        TimeNs fetched_at = 0;
    };

    Queue(const QueueConfig& config, dev::BlockDevice& device, UringReactor& reactor)
        : config_(config), device_(device), reactor_(reactor), slots_(config.depth) {}
    Result<void> map();
    std::byte* buffer_of(const Slot& slot) const {
        return buffers_ + std::size_t{slot.tag} * config_.io_bytes_max;
    }

    void submit_command(Slot& slot, std::uint32_t command, std::int32_t result);
    void on_command(Slot& slot, std::int32_t result);
    void serve(Slot& slot);
    bool is_maybe_repeated(Slot& slot);
    void on_served(Slot& slot);
    void answer(Slot& slot, std::int32_t result, bool is_known = true);
    void check_idle();

    const QueueConfig config_;
    dev::BlockDevice& device_;
    UringReactor& reactor_;
    const uapi::RawDescriptor* descriptors_ = nullptr;
    std::byte* buffers_ = nullptr;
    std::vector<Slot> slots_;
    unsigned fetching_ = 0;
    unsigned serving_ = 0;
    bool abandoning_ = false;
    bool left_ = false;
    std::uint64_t size_bytes_ = 0;
    std::optional<TimeNs> repetitions_end_;
    bool refusal_logged_ = false;
    Event idle_changed_;
    IoCounters io_;
};

}  // namespace xsan::ublk
