// UringReactor: a reactor driven by one io_uring, on one thread.
//
// Contract of operations:
//  - An operation is a UringOp embedded in whatever issues it. prepare() hands out an SQE that is tied to it
//    and never fails: a full submission queue is submitted first, a full slab is back-pressure on the caller
//    at start-up sizing (an assertion, since depths are sized then).
//  - user_data is a slab index plus generation. A completion whose key is unknown is a broken invariant.
//  - The op and every buffer it names belong to the kernel until its last completion (no IORING_CQE_F_MORE).
//  - Completions run from the loop, in batches; SQEs that they prepare are submitted once per batch.
#pragma once

#include <liburing.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "reactor/reactor.h"

namespace xsan {

// The result of one completion.
struct UringResult {
    std::int32_t value = 0;    // as the kernel gives it: >= 0, or a negative errno
    std::uint32_t flags = 0;   // IORING_CQE_F_*
    std::uint64_t extra = 0;   // the first word of a 32-byte CQE: an NVMe command's result
    bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
};

struct UringOp {
    void (*done)(UringOp& op, UringResult result) = nullptr;
    void* owner = nullptr;
    std::uint32_t slab_slot = UINT32_MAX;  // the reactor's while the operation is in flight
};

struct UringOptions {
    unsigned index = 0;
    unsigned entries = 512;       // submission queue; the completion queue is eight times as large
    unsigned slab_slots = 16384;  // operations in flight at most
    int cpu = -1;                 // pin the thread there; -1: do not pin
};

// What the running kernel granted, for the log and for fallbacks.
struct UringFeatures {
    bool single_issuer_defer_taskrun = false;
    bool cooperative_taskrun = false;
    bool large_entries = false;   // SQE128 and CQE32: needed by ublk and by NVMe passthrough
    bool registered_ring = false;
};

class UringReactor final : public Reactor {
  public:
    // Negotiates ring flags with the kernel, best first. unsupported when there is no usable io_uring, with
    // a sentence that says what to change (kernel version, the io_uring_disabled sysctl).
    // The ring is created here but enabled on the thread that calls run(), which becomes its only issuer.
    static Outcome<std::unique_ptr<UringReactor>> create(const UringOptions& options);
    ~UringReactor() override;

    const UringFeatures& features() const { return features_; }
    static UringReactor& current() { return static_cast<UringReactor&>(Reactor::current()); }

    // An SQE of 128 bytes, zeroed and tied to `op`; fill it in before the next prepare().
    // The second 64 bytes start at sqe->cmd's tail as the kernel's layout has it (io_uring_sqe::cmd).
    io_uring_sqe* prepare(UringOp& op);

    // Asks the kernel to cancel `op`; its completion still arrives (usually with -ECANCELED).
    void cancel_op(UringOp& op);

    // A slot of the ring's table of registered files; keeps its own reference to the open file until
    // unregister_file, and beyond the death of the process until the ring's last request has ended.
    Result<unsigned> register_file(int fd);
    void unregister_file(unsigned slot);

    // Runs the loop on the calling thread until stop() was called and nothing is ready any more.
    void run();
    // From any thread.
    void stop();

    // Operations in flight; 0 when everything the owners started has ended.
    std::size_t in_flight() const { return in_flight_; }

    TimeNs now() const override;

  private:
    struct SlabEntry {
        UringOp* op = nullptr;
        std::uint32_t generation = 0;
        std::uint32_t next_free = 0;
    };

    explicit UringReactor(const UringOptions& options);
    Outcome<void> open_ring();
    void wake() override;
    void arm_wake_read();
    void submit_and_wait();
    unsigned reap();
    void dispatch(std::uint64_t user_data, UringResult result);

    UringOptions options_;
    UringFeatures features_;
    io_uring ring_{};
    bool ring_open_ = false;
    int wake_fd_ = -1;
    std::uint64_t wake_value_ = 0;
    UringOp wake_op_;
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> stop_requested_{false};
    std::vector<SlabEntry> slab_;
    std::uint32_t free_slot_ = 0;
    std::size_t in_flight_ = 0;
    std::vector<bool> file_slots_;
};

}  // namespace xsan
