// UringReactor: a reactor driven by one io_uring, on one thread.
//
// Contract of operations:
//  - An operation is a UringOp embedded in whatever issues it. prepare() hands out an SQE that is
//    tied to it and never fails: a full submission queue is submitted first, and a full slab grows
//    by a block, since what one request fans out to (strips, pieces) has no small bound.
//  - user_data is a slab index plus generation. A completion whose key is unknown is a broken
//    invariant.
//  - The op and every buffer it names belong to the kernel until its last completion (no
//    IORING_CQE_F_MORE).
//  - Completions run from the loop, in batches; SQEs that they prepare are submitted once per
//    batch.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "reactor/reactor.h"
#include "reactor/uring_ring.h"

namespace xsan {

struct UringOp {
    void (*done)(UringOp& op, UringResult result) = nullptr;
    void* owner = nullptr;
    std::uint32_t slab_slot = UINT32_MAX;  // the reactor's while the operation is in flight
};

struct UringOptions {
    unsigned index = 0;
    unsigned entries = 512;       // submission queue; the completion queue is eight times as large
    unsigned slab_slots = 16384;  // operations in flight before the slab grows
    // Size of the table of registered files; less where RLIMIT_NOFILE does not allow it. Passthrough
    // members need two each, and a pool has up to 1024.
    unsigned file_slots = 2 * 1024 + 64;
    int cpu = -1;                 // pin the thread there; -1: do not pin
};

class UringReactor final : public Reactor {
  public:
    // Negotiates ring flags with the kernel, best first. unsupported when there is no usable
    // io_uring, with a sentence that says what to change (kernel version, the io_uring_disabled
    // sysctl). The ring is created here but enabled on the thread that calls run(), which becomes
    // its only issuer.
    static Outcome<std::unique_ptr<UringReactor>> create(const UringOptions& options);
    ~UringReactor() override;

    const UringFeatures& features() const { return ring_.features(); }
    static UringReactor& current() { return static_cast<UringReactor&>(Reactor::current()); }

    // An SQE, zeroed and tied to `op`; fill it in before the next prepare(). It has 128 bytes where
    // features().large_entries (a command's data then starts at io_uring_sqe::cmd), else 64.
    io_uring_sqe* prepare(UringOp& op);

    // Asks the kernel to cancel `op`; its completion still arrives (usually with -ECANCELED).
    void cancel_op(UringOp& op);

    // For operations that only the end of the ring ends (a ublk fetch, when the device outlives the
    // process): `op` does not count as in flight any more. It and its buffers stay with the kernel
    // until this reactor is destroyed; until the loop ends, its completion may still arrive.
    void leave_to_kernel(UringOp& op);

    // A slot of the ring's table of registered files; keeps its own reference to the open file
    // until unregister_file, and beyond the death of the process until the ring's last request has
    // ended.
    Result<unsigned> register_file(int fd);
    void unregister_file(unsigned slot);

    // Runs the loop on the calling thread until stop() was called and nothing is ready any more.
    // Operations that are still in flight then are a broken invariant of their owners. May be
    // called again, from the same thread.
    void run();
    // From any thread. The poster of work and the caller of stop() must be done with this reactor
    // before it is destroyed: join their threads first.
    void stop();

    // Operations in flight; 0 when everything the owners started has ended.
    std::size_t in_flight() const { return in_flight_; }

    TimeNs now() const override;
    // The time at which somebody first asked for it in this turn of the loop: one clock call for all that a batch of
    // completions asks. Home thread.
    TimeNs turn_time() {
        if (turn_time_ == 0) turn_time_ = now();
        return turn_time_;
    }

  private:
    struct SlabEntry {
        UringOp* op = nullptr;
        std::uint32_t generation = 0;
        std::uint32_t next_free = 0;
        bool left = false;  // not counted in in_flight_
    };

    static constexpr std::uint32_t kSlabBlock = 1024;
    using SlabBlock = std::array<SlabEntry, kSlabBlock>;

    explicit UringReactor(const UringOptions& options);
    SlabEntry& entry(std::uint32_t slot) { return (*slab_[slot / kSlabBlock])[slot % kSlabBlock]; }
    void grow_slab();
    void wake() override;
    void pin_thread() const;
    io_uring_sqe* acquire_sqe();
    void arm_wake_read();
    void turn();
    void enter_kernel();
    void enter(std::optional<TimeNs> wait_ns);
    bool reap();
    void dispatch(const UringRing::Completion& completion);
    void stash_completions();

    UringOptions options_;
    UringRing ring_;
    int wake_fd_ = -1;
    std::uint64_t wake_value_ = 0;
    UringOp wake_op_;
    bool ending_ = false;  // the wake-up read is being cancelled and must not be armed again
    TimeNs turn_time_ = 0;  // 0: nobody has asked in this turn
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> stop_requested_{false};
    std::vector<std::unique_ptr<SlabBlock>> slab_;  // blocks never move
    std::uint32_t free_slot_ = UINT32_MAX;
    std::size_t in_flight_ = 0;  // without the wake-up read and cancellations
    std::size_t cancels_in_flight_ = 0;
    // Completions taken off a full queue at a moment when none may run (rare).
    std::deque<UringRing::Completion> stash_;
    std::vector<bool> file_slots_;
};

}  // namespace xsan
