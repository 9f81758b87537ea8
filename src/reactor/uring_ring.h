// UringRing: one io_uring with the best flags that the running kernel grants, and the few system
// calls the loop needs. It knows entries, not operations; UringReactor ties the two together.
//
// Submission goes through io_uring_enter2 directly, so that one call submits, waits with a timeout
// and collects deferred completions, with the same meaning under every version of liburing.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "reactor/reactor.h"

namespace xsan {

// What the running kernel granted, for the log and for fallbacks.
struct UringFeatures {
    bool single_issuer_defer_taskrun = false;
    bool cooperative_taskrun = false;
    bool large_entries = false;  // SQE128 and CQE32: needed by ublk and by NVMe passthrough
    bool registered_ring = false;
    unsigned file_slots = 0;  // size of the table of registered files; 0 when there is none
};

// The result of one completion.
struct UringResult {
    std::int32_t value = 0;   // as the kernel gives it: >= 0, or a negative errno
    std::uint32_t flags = 0;  // IORING_CQE_F_*
    std::uint64_t extra = 0;  // the first word of a 32-byte CQE: an NVMe command's result
    bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
};

class UringRing {
  public:
    struct Completion {
        std::uint64_t user_data;
        UringResult result;
    };

    UringRing() = default;
    UringRing(const UringRing&) = delete;
    UringRing& operator=(const UringRing&) = delete;
    ~UringRing();

    // Creates the ring, disabled where the kernel ties it to its first issuer. `entries` is the
    // size of the submission queue; the completion queue is eight times as large.
    Outcome<void> open(unsigned entries, unsigned file_slots);

    // Makes the calling thread the issuer, once; later calls must come from the same thread.
    void enable();
    // The calling thread gives back what it registered in its own name. Before the thread ends.
    void leave_thread();

    const UringFeatures& features() const { return features_; }

    // The next submission entry, zeroed; nullptr while the queue is full.
    io_uring_sqe* next_sqe();
    // The oldest completion, taken off the queue.
    std::optional<Completion> pop();
    bool has_completion() const;
    unsigned unsubmitted() const;
    // The kernel has completions that it hands over only inside a system call.
    bool kernel_has_work() const;

    // Submits all entries, lets deferred work run, and waits for one completion for at most
    // `wait_ns` (0: does not wait; nullopt: without limit). Returns a negative errno; -ETIME and
    // -EINTR are normal.
    int enter(std::optional<TimeNs> wait_ns);

    Result<void> update_file(unsigned slot, int fd);  // fd -1 empties the slot

  private:
    Outcome<void> create(unsigned entries);

    io_uring ring_{};
    UringFeatures features_;
    bool open_ = false;
    bool enabled_ = false;
    unsigned sqe_bytes_ = 0;
};

}  // namespace xsan
