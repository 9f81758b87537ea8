// The loop, the slab of operations and the wake-up of one io_uring reactor.
#include "reactor/uring_reactor.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace xsan {
namespace {

constexpr std::uint32_t kNoSlot = UINT32_MAX;
// user_data of cancellations, whose own completion says nothing that the cancelled one does not.
// No operation has it: generations start at 1.
constexpr std::uint64_t kCancelKey = 0;
// Ready items run between two looks at the ring: bounds how long a completion waits for its turn.
constexpr std::size_t kReadyBatch = 256;

}  // namespace

UringReactor::UringReactor(const UringOptions& options)
    : Reactor(options.index), options_(options) {
    while (slab_.size() * kSlabBlock < options.slab_slots) grow_slab();
}

// One block more, at the head of the free list.
void UringReactor::grow_slab() {
    const auto first = static_cast<std::uint32_t>(slab_.size() * kSlabBlock);
    slab_.push_back(std::make_unique<SlabBlock>());
    for (std::uint32_t i = kSlabBlock; i-- > 0;) {
        entry(first + i).next_free = free_slot_;
        free_slot_ = first + i;
    }
}

Outcome<std::unique_ptr<UringReactor>> UringReactor::create(const UringOptions& options) {
    XSAN_ASSERT(options.entries > 0 && options.slab_slots > 1);
    std::unique_ptr<UringReactor> reactor(new UringReactor(options));
    XSAN_TRY_VOID(reactor->ring_.open(options.entries, options.file_slots));
    reactor->file_slots_.resize(reactor->features().file_slots);
    // A blocking eventfd: io_uring waits for it by polling, and gives -EAGAIN for a non-blocking
    // one.
    reactor->wake_fd_ = ::eventfd(0, EFD_CLOEXEC);
    if (reactor->wake_fd_ < 0) {
        return Failure{Errc::io_error, fmt::format("eventfd: {}", std::strerror(errno))};
    }
    return reactor;
}

UringReactor::~UringReactor() {
    XSAN_ASSERT(in_flight_ == 0 && stash_.empty());
    XSAN_ASSERT(ready_.empty());
    if (wake_fd_ >= 0) ::close(wake_fd_);
}

TimeNs UringReactor::now() const {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<TimeNs>(time.tv_sec) * kSecond + static_cast<TimeNs>(time.tv_nsec);
}

io_uring_sqe* UringReactor::acquire_sqe() {
    for (;;) {
        if (io_uring_sqe* sqe = ring_.next_sqe(); sqe != nullptr) return sqe;
        const int rc = ring_.enter(TimeNs{0});
        if (rc >= 0 || rc == -EINTR) continue;
        // The kernel has no memory for requests or no room for completions: make room. Completions
        // must not run here, inside somebody's submit.
        XSAN_ASSERT(rc == -EAGAIN || rc == -EBUSY);
        stash_completions();
        ::sched_yield();
    }
}

io_uring_sqe* UringReactor::prepare(UringOp& op) {
    XSAN_ASSERT(is_home());
    XSAN_ASSERT(op.slab_slot == kNoSlot && op.done != nullptr);
    if (free_slot_ == kNoSlot) grow_slab();
    io_uring_sqe* sqe = acquire_sqe();
    SlabEntry& taken = entry(free_slot_);
    op.slab_slot = free_slot_;
    free_slot_ = taken.next_free;
    taken.op = &op;
    if (++taken.generation == 0) taken.generation = 1;
    sqe->user_data = std::uint64_t{taken.generation} << 32 | op.slab_slot;
    in_flight_++;
    return sqe;
}

void UringReactor::cancel_op(UringOp& op) {
    XSAN_ASSERT(is_home());
    if (op.slab_slot == kNoSlot) return;  // has ended already
    io_uring_sqe* sqe = acquire_sqe();
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = std::uint64_t{entry(op.slab_slot).generation} << 32 | op.slab_slot;
    sqe->user_data = kCancelKey;
    cancels_in_flight_++;
}

void UringReactor::leave_to_kernel(UringOp& op) {
    XSAN_ASSERT(is_home());
    if (op.slab_slot == kNoSlot) return;  // has ended already
    XSAN_ASSERT(!entry(op.slab_slot).left);
    entry(op.slab_slot).left = true;
    in_flight_--;
}

void UringReactor::dispatch(const UringRing::Completion& completion) {
    if (completion.user_data == kCancelKey) {
        cancels_in_flight_--;
        return;
    }
    const auto slot = static_cast<std::uint32_t>(completion.user_data);
    XSAN_ASSERT(slot < slab_.size() * kSlabBlock);
    SlabEntry& ended = entry(slot);
    XSAN_ASSERT(ended.op != nullptr && ended.generation == completion.user_data >> 32);
    UringOp& op = *ended.op;
    if (!completion.result.more()) {
        ended.op = nullptr;
        ended.next_free = free_slot_;
        free_slot_ = slot;
        op.slab_slot = kNoSlot;  // the owner may use the operation again at once, or free it
        if (!std::exchange(ended.left, false)) in_flight_--;
    }
    op.done(op, completion.result);
}

bool UringReactor::reap() {
    bool any = false;
    while (!stash_.empty()) {
        const UringRing::Completion completion = stash_.front();
        stash_.pop_front();
        dispatch(completion);
        any = true;
    }
    // What completes while these run is the next batch: bounded by what the queue can hold.
    for (unsigned left = options_.entries * 8; left > 0; left--) {
        const auto completion = ring_.pop();
        if (!completion.has_value()) break;
        dispatch(*completion);
        any = true;
    }
    return any;
}

void UringReactor::stash_completions() {
    while (const auto completion = ring_.pop())
        stash_.push_back(*completion);
}

// Submits what the batch prepared and, when there is nothing else to do, waits.
void UringReactor::enter_kernel() {
    if (!ready_.empty() || !inbox_empty() || !stash_.empty() || ring_.has_completion()) {
        if (ring_.unsubmitted() > 0 || ring_.kernel_has_work()) enter(TimeNs{0});
        return;
    }
    std::optional<TimeNs> wait_ns;
    if (has_timer()) {
        const TimeNs time = now();
        wait_ns = next_deadline() > time ? next_deadline() - time : 0;
    }
    // Either the poster sees `sleeping_` and writes the eventfd, or we see its work here: both
    // sides store before they load, all in one order.
    sleeping_.store(true, std::memory_order_seq_cst);
    const bool stopping = stop_requested_.load(std::memory_order_seq_cst);
    if (!inbox_empty() || stopping) wait_ns = 0;
    enter(wait_ns);
    sleeping_.store(false, std::memory_order_relaxed);
}

void UringReactor::enter(std::optional<TimeNs> wait_ns) {
    const int rc = ring_.enter(wait_ns);
    if (rc == -EBUSY || rc == -EAGAIN) {
        ::sched_yield();  // the kernel is short of memory; what is prepared goes with the next turn
    } else {
        XSAN_ASSERT(rc >= 0 || rc == -ETIME || rc == -EINTR);
    }
}

void UringReactor::turn() {
    turn_time_ = 0;
    reap();
    run_ready(kReadyBatch);
    drain_inbox();
    if (has_timer()) fire_timers(now());
    enter_kernel();
}

void UringReactor::arm_wake_read() {
    wake_op_.done = [](UringOp& op, UringResult) {
        auto& self = *static_cast<UringReactor*>(op.owner);
        self.in_flight_++;  // balances arm_wake_read: this one is not the owners'
        if (!self.ending_) self.arm_wake_read();
    };
    wake_op_.owner = this;
    io_uring_sqe* sqe = prepare(wake_op_);
    in_flight_--;
    sqe->opcode = IORING_OP_READ;
    sqe->fd = wake_fd_;
    sqe->addr = reinterpret_cast<std::uintptr_t>(&wake_value_);
    sqe->len = sizeof(wake_value_);
}

void UringReactor::wake() {
    if (!sleeping_.load(std::memory_order_seq_cst)) return;
    const std::uint64_t one = 1;
    ssize_t written = 0;
    do {
        written = ::write(wake_fd_, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    XSAN_ASSERT(written == sizeof(one));
}

void UringReactor::stop() {
    stop_requested_.store(true, std::memory_order_seq_cst);
    wake();
}

void UringReactor::pin_thread() const {
    if (options_.cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(options_.cpu), &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0) {
        log(LogLevel::warning, "reactor {} cannot run on CPU {} alone: {}", index(), options_.cpu,
            std::strerror(errno));
    }
}

void UringReactor::run() {
    Scope scope(*this);
    pin_thread();
    ring_.enable();
    arm_wake_read();
    const auto ended = [this] {
        return stop_requested_.load(std::memory_order_seq_cst) && ready_.empty() && inbox_empty() &&
               stash_.empty() && !ring_.has_completion();
    };
    while (!ended())
        turn();
    XSAN_ASSERT(in_flight_ == 0);
    ending_ = true;
    cancel_op(wake_op_);
    while (wake_op_.slab_slot != kNoSlot || cancels_in_flight_ > 0)
        turn();
    ending_ = false;
    stop_requested_.store(false, std::memory_order_seq_cst);
    ring_.leave_thread();
}

Result<unsigned> UringReactor::register_file(int fd) {
    const auto slot = std::find(file_slots_.begin(), file_slots_.end(), false);
    if (slot == file_slots_.end()) return Error{Errc::no_space};
    const auto index = static_cast<unsigned>(slot - file_slots_.begin());
    XSAN_TRY_VOID(ring_.update_file(index, fd));
    *slot = true;
    return index;
}

void UringReactor::unregister_file(unsigned slot) {
    XSAN_ASSERT(slot < file_slots_.size() && file_slots_[slot]);
    const auto emptied = ring_.update_file(slot, -1);
    XSAN_ASSERT(emptied.has_value());
    file_slots_[slot] = false;
}

}  // namespace xsan
