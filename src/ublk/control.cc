// Runs control commands one by one, each with a deadline.
#include "ublk/control.h"

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/assert.h"
#include "base/log.h"

namespace xsan::ublk {
namespace {

constexpr unsigned kQuickMs = 10'000;  // commands that only look or set
// Commands that wait for requests or for queues, or for a lock that others hold while they do.
constexpr unsigned kSlowMs = 60'000;
constexpr unsigned kCancelMs = 1'000;

// One command: its ring and the memory that the kernel reads and writes.
struct Command {
    io_uring ring{};
    alignas(8) std::array<std::byte, 128> buffer{};
    Command* next = nullptr;
};

// Commands that the kernel never answered: theirs until the process ends.
std::atomic<Command*> g_unanswered{nullptr};

void leave_to_kernel(std::unique_ptr<Command> command) {
    Command* node = command.release();
    node->next = g_unanswered.load();
    while (!g_unanswered.compare_exchange_weak(node->next, node)) {
    }
}

__kernel_timespec timespec_of(unsigned ms) {
    __kernel_timespec t{};
    t.tv_sec = ms / 1000;
    t.tv_nsec = (ms % 1000) * 1'000'000LL;
    return t;
}

constexpr std::uint64_t kCommandKey = 1;
constexpr std::uint64_t kCancelKey = 2;

// The result of the command, or nullopt-like -ETIME when it did not come in time.
bool wait_for_command(io_uring& ring, unsigned timeout_ms, int& result) {
    for (;;) {
        __kernel_timespec limit = timespec_of(timeout_ms);
        io_uring_cqe* cqe = nullptr;
        const int got = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
        if (got == -EINTR) continue;  // starts the time again; signals are rare
        if (got < 0) return false;
        const std::uint64_t key = cqe->user_data;
        result = cqe->res;
        io_uring_cqe_seen(&ring, cqe);
        if (key == kCommandKey) return true;
    }
}

void cancel_command(io_uring& ring) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    XSAN_ASSERT(sqe != nullptr);
    std::memset(sqe, 0, 2 * sizeof(*sqe));
    io_uring_prep_cancel64(sqe, kCommandKey, 0);
    sqe->user_data = kCancelKey;
    io_uring_submit(&ring);
}

void fill_sqe(io_uring_sqe* sqe, int fd, std::uint32_t command,
              const uapi::ControlArgument& argument) {
    std::memset(sqe, 0, 2 * sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd;
    sqe->cmd_op = command;
    sqe->user_data = kCommandKey;
    std::memcpy(sqe->cmd, &argument, sizeof(argument));
}

DeviceInfo info_from(const uapi::DeviceInfo& raw) {
    DeviceInfo info;
    info.number = raw.device_id;
    info.queues = raw.queues;
    info.depth = raw.queue_depth;
    info.io_bytes_max = raw.io_bytes_max;
    info.state = static_cast<DeviceState>(raw.state);
    info.server_pid = raw.server_pid;
    info.flags = raw.flags;
    info.server_flags = raw.server_flags;
    return info;
}

}  // namespace

bool DeviceInfo::recoverable() const {
    constexpr std::uint64_t kNeeded =
        uapi::kFeatureUserRecovery | uapi::kFeatureUserRecoveryReissue;
    return state == DeviceState::quiesced && (flags & kNeeded) == kNeeded;
}

Result<Control> Control::open() {
    const int fd = ::open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
    if (fd < 0) return error_from_errno(errno);
    return Control(fd);
}

Control::~Control() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> Control::run(std::uint32_t command, unsigned number, std::uint64_t data, void* buffer,
                          std::uint16_t length, unsigned timeout_ms) const {
    auto state = std::make_unique<Command>();
    XSAN_ASSERT(length <= state->buffer.size());
    // The driver insists on 128-byte SQEs.
    const int created = io_uring_queue_init(4, &state->ring, IORING_SETUP_SQE128);
    if (created < 0) return error_from_errno(-created);
    if (length != 0) std::memcpy(state->buffer.data(), buffer, length);

    uapi::ControlArgument argument{};
    argument.device_id = number;
    argument.queue_id = UINT16_MAX;
    argument.data = data;
    if (length != 0) {
        argument.length = length;
        argument.address = reinterpret_cast<std::uintptr_t>(state->buffer.data());
    }
    fill_sqe(io_uring_get_sqe(&state->ring), fd_, command, argument);
    const int submitted = io_uring_submit(&state->ring);
    if (submitted < 0) {
        io_uring_queue_exit(&state->ring);
        return error_from_errno(-submitted);
    }

    int result = 0;
    bool late = false;
    if (!wait_for_command(state->ring, timeout_ms, result)) {
        late = true;
        cancel_command(state->ring);
        if (!wait_for_command(state->ring, kCancelMs, result)) {
            log(LogLevel::error,
                "ublk: the kernel never answered control command {:#x} for device {}",
                command & 0xffu, static_cast<int>(number));
            leave_to_kernel(std::move(state));
            return Error(Errc::timed_out, ETIMEDOUT);
        }
    }
    io_uring_queue_exit(&state->ring);
    if (result < 0) return late ? Error(Errc::timed_out, -result) : error_from_errno(-result);
    if (length != 0) std::memcpy(buffer, state->buffer.data(), length);
    return {};
}

Result<std::uint64_t> Control::features() const {
    std::uint64_t features = 0;
    XSAN_TRY_VOID(run(uapi::kGetFeatures, 0, 0, &features, sizeof(features), kQuickMs));
    return features;
}

Result<DeviceInfo> Control::add_device(const AddRequest& request) const {
    uapi::DeviceInfo raw{};
    raw.queues = static_cast<std::uint16_t>(request.queues);
    raw.queue_depth = static_cast<std::uint16_t>(request.depth);
    raw.io_bytes_max = request.io_bytes_max;
    raw.device_id = static_cast<std::uint32_t>(request.number);
    raw.flags = request.flags;
    raw.server_flags = request.server_flags;
    XSAN_TRY_VOID(run(uapi::kAddDevice, raw.device_id, 0, &raw, sizeof(raw), kQuickMs));
    return info_from(raw);
}

Result<void> Control::set_params(unsigned number, const uapi::Params& params) const {
    uapi::Params copy = params;
    return run(uapi::kSetParams, number, 0, &copy, sizeof(copy), kQuickMs);
}

Result<uapi::Params> Control::get_params(unsigned number) const {
    uapi::Params params{};
    params.length = uapi::kParamsLength;
    XSAN_TRY_VOID(run(uapi::kGetParams, number, 0, &params, sizeof(params), kSlowMs));
    return params;
}

Result<void> Control::start_device(unsigned number, int server_pid) const {
    return run(uapi::kStartDevice, number, static_cast<std::uint64_t>(server_pid), nullptr, 0,
               kSlowMs);
}

Result<void> Control::stop_device(unsigned number) const {
    return run(uapi::kStopDevice, number, 0, nullptr, 0, kSlowMs);
}

Result<void> Control::try_stop_device(unsigned number) const {
    return run(uapi::kTryStopDevice, number, 0, nullptr, 0, kSlowMs);
}

Result<void> Control::delete_device(unsigned number) const {
    return run(uapi::kDeleteDevice, number, 0, nullptr, 0, kQuickMs);
}

Result<DeviceInfo> Control::device_info(unsigned number) const {
    uapi::DeviceInfo raw{};
    XSAN_TRY_VOID(run(uapi::kGetDeviceInfo, number, 0, &raw, sizeof(raw), kQuickMs));
    return info_from(raw);
}

Result<void> Control::start_user_recovery(unsigned number) const {
    return run(uapi::kStartUserRecovery, number, 0, nullptr, 0, kSlowMs);
}

Result<void> Control::end_user_recovery(unsigned number, int server_pid) const {
    return run(uapi::kEndUserRecovery, number, static_cast<std::uint64_t>(server_pid), nullptr, 0,
               kSlowMs);
}

Result<void> Control::quiesce_device(unsigned number, unsigned timeout_ms) const {
    return run(uapi::kQuiesceDevice, number, timeout_ms, nullptr, 0, timeout_ms + kQuickMs);
}

Result<void> Control::update_size(unsigned number, std::uint64_t bytes) const {
    return run(uapi::kUpdateSize, number, bytes / uapi::kSectorBytes, nullptr, 0, kQuickMs);
}

}  // namespace xsan::ublk
