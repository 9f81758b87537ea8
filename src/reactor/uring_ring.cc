// Negotiation of ring flags and the system calls of one ring.
#include "reactor/uring_ring.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "reactor/uring_compat.h"

namespace xsan {
namespace {

constexpr unsigned kCompletionsPerEntry = 8;

// Completions run on the issuer's own calls, which needs no interrupts between processors and gives
// one batch per call; DEFER_TASKRUN exists since 6.1 and wants SINGLE_ISSUER.
constexpr unsigned kDeferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                               IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED;
constexpr unsigned kCooperative = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr unsigned kLarge = IORING_SETUP_SQE128 | IORING_SETUP_CQE32;

constexpr std::array<unsigned, 6> kFlagsBestFirst = {
    kLarge | kDeferred, kLarge | kCooperative, kLarge, kDeferred, kCooperative, 0,
};

std::string explain(int os_errno) {
    switch (os_errno) {
        case ENOSYS:
            return "this kernel has no io_uring; xsan needs Linux 6.1 or newer";
        case EPERM:
        case EACCES:
            return "io_uring is not permitted; set the sysctl kernel.io_uring_disabled to 0 and "
                   "check the "
                   "container's seccomp profile";
        case ENOMEM:
            return "not enough locked memory for io_uring; raise LimitMEMLOCK";
        case EMFILE:
        case ENFILE:
            return "too many open files; raise LimitNOFILE";
        default:
            return fmt::format("io_uring cannot be set up: {}", std::strerror(os_errno));
    }
}

}  // namespace

UringRing::~UringRing() {
    if (open_) io_uring_queue_exit(&ring_);
}

Outcome<void> UringRing::create(unsigned entries) {
    int last_error = EINVAL;
    for (const unsigned mode : kFlagsBestFirst) {
        io_uring_params params{};
        params.flags = mode | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = entries * kCompletionsPerEntry;
        const int rc = io_uring_queue_init_params(entries, &ring_, &params);
        if (rc == 0) {
            open_ = true;
            features_.single_issuer_defer_taskrun = (mode & IORING_SETUP_DEFER_TASKRUN) != 0;
            features_.cooperative_taskrun = (mode & IORING_SETUP_COOP_TASKRUN) != 0;
            features_.large_entries = (mode & IORING_SETUP_SQE128) != 0;
            sqe_bytes_ = features_.large_entries ? 128 : 64;
            enabled_ = (mode & IORING_SETUP_R_DISABLED) == 0;
            constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
            if ((params.features & kNeeded) == kNeeded) return {};
            return Failure{Errc::unsupported,
                           "this kernel's io_uring is too old; xsan needs Linux 6.1 or newer"};
        }
        last_error = -rc;
        if (last_error != EINVAL) break;  // a refusal that other flags do not change
    }
    return Failure{Errc::unsupported, explain(last_error)};
}

Outcome<void> UringRing::open(unsigned entries, unsigned file_slots) {
    XSAN_ASSERT(!open_);
    XSAN_TRY_VOID(create(entries));
    // The indirection between queue and entries is the identity for the whole life of the ring.
    if (ring_.sq.array != nullptr) {
        const unsigned count = *ring_.sq.kring_entries;
        for (unsigned i = 0; i < count; i++)
            ring_.sq.array[i] = i;
    }
    // The kernel refuses a table larger than the limit of open files.
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < file_slots) {
        file_slots = static_cast<unsigned>(limit.rlim_cur);
    }
    if (io_uring_register_files_sparse(&ring_, file_slots) == 0) features_.file_slots = file_slots;
    return {};
}

void UringRing::enable() {
    if (!enabled_) {
        // By hand: liburing 2.3 declares io_uring_enable_rings but does not export it.
        const int rc = io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                         IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
        XSAN_ASSERT(rc == 0);
        enabled_ = true;
    }
    features_.registered_ring = io_uring_register_ring_fd(&ring_) == 1;
}

void UringRing::leave_thread() {
    if (features_.registered_ring) io_uring_unregister_ring_fd(&ring_);
    features_.registered_ring = false;
}

io_uring_sqe* UringRing::next_sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) std::memset(static_cast<void*>(sqe), 0, sqe_bytes_);
    return sqe;
}

bool UringRing::has_completion() const {
    return *ring_.cq.khead != io_uring_smp_load_acquire(ring_.cq.ktail);
}

std::optional<UringRing::Completion> UringRing::pop() {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) return std::nullopt;
    const unsigned mask = *ring_.cq.kring_mask;
    const io_uring_cqe& cqe = ring_.cq.cqes[(head & mask) << (features_.large_entries ? 1 : 0)];
    Completion completion{cqe.user_data, {cqe.res, cqe.flags, 0}};
    if (features_.large_entries) completion.result.extra = cqe.big_cqe[0];
    io_uring_smp_store_release(ring_.cq.khead, head + 1);
    return completion;
}

unsigned UringRing::unsubmitted() const {
    return ring_.sq.sqe_tail - io_uring_smp_load_acquire(ring_.sq.khead);
}

bool UringRing::kernel_has_work() const {
    constexpr unsigned kWork = IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN;
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & kWork) != 0;
}

int UringRing::enter(std::optional<TimeNs> wait_ns) {
    // Publish what was prepared. sqe_head is liburing's own count of published entries.
    ring_.sq.sqe_head = ring_.sq.sqe_tail;
    io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);

    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (features_.registered_ring) flags |= IORING_ENTER_REGISTERED_RING;
    __kernel_timespec timeout{};
    io_uring_getevents_arg argument{};
    unsigned completions_min = 1;
    if (wait_ns.has_value() && *wait_ns == 0) {
        completions_min = 0;
    } else if (wait_ns.has_value()) {
        timeout.tv_sec = static_cast<long long>(*wait_ns / kSecond);
        timeout.tv_nsec = static_cast<long long>(*wait_ns % kSecond);
        argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
    }
    const int fd = features_.registered_ring ? ring_.enter_ring_fd : ring_.ring_fd;
    // The argument takes a signal mask's place; its type is the interface's.
    return io_uring_enter2(static_cast<unsigned>(fd), unsubmitted(), completions_min, flags,
                           reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
}

Result<void> UringRing::update_file(unsigned slot, int fd) {
    const int rc = io_uring_register_files_update(&ring_, slot, &fd, 1);
    if (rc < 0) return error_from_errno(-rc);
    return {};
}

}  // namespace xsan
