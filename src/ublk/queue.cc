// The life of a request: fetched, served by the device below, answered together with the next
// fetch.
#include "ublk/queue.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/units.h"
#include "ublk/errno_map.h"

namespace xsan::ublk {
namespace {

std::uint64_t page_bytes() {
    return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t descriptor_bytes(unsigned depth) {
    return round_up(std::uint64_t{depth} * sizeof(uapi::RawDescriptor), page_bytes());
}

// Parts of the device that reads, writes and their relatives address.
bool is_inside(const IoDescriptor& d, std::uint64_t size_bytes) {
    return d.length <= size_bytes && d.offset <= size_bytes - d.length;
}

}  // namespace

Result<std::unique_ptr<Queue>> Queue::create(const QueueConfig& config, dev::BlockDevice& device,
                                             UringReactor& reactor) {
    std::unique_ptr<Queue> queue(new Queue(config, device, reactor));
    XSAN_TRY_VOID(queue->map());
    return queue;
}

Result<void> Queue::map() {
    size_bytes_ = config_.size_bytes;
    const std::uint64_t place = config_.index * descriptor_bytes(uapi::kQueueDepthMax);
    void* descriptors =
        ::mmap(nullptr, descriptor_bytes(config_.depth), PROT_READ, MAP_SHARED | MAP_POPULATE,
               config_.char_fd, static_cast<off_t>(place));
    if (descriptors == MAP_FAILED) return error_from_errno(errno);
    descriptors_ = static_cast<const uapi::RawDescriptor*>(descriptors);

    void* buffers = ::mmap(nullptr, std::size_t{config_.depth} * config_.io_bytes_max,
                           PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffers == MAP_FAILED) return error_from_errno(errno);
    buffers_ = static_cast<std::byte*>(buffers);

    for (unsigned tag = 0; tag < config_.depth; tag++) {
        Slot& slot = slots_[tag];
        slot.queue = this;
        slot.tag = static_cast<std::uint16_t>(tag);
        slot.maybe_repeated = config_.recovered;
        slot.op.owner = &slot;
        slot.op.done = [](UringOp& op, UringResult result) {
            Slot& s = *static_cast<Slot*>(op.owner);
            s.queue->on_command(s, result.value);
        };
        slot.request.owner = &slot;
        slot.request.stable_buffer = true;
        slot.request.done = [](dev::IoRequest& request) {
            Slot& s = *static_cast<Slot*>(request.owner);
            s.queue->on_served(s);
        };
    }
    return {};
}

Queue::~Queue() {
    XSAN_ASSERT(serving_ == 0 && (fetching_ == 0 || left_));
    if (buffers_ != nullptr) ::munmap(buffers_, std::size_t{config_.depth} * config_.io_bytes_max);
    if (descriptors_ != nullptr) {
        ::munmap(const_cast<uapi::RawDescriptor*>(descriptors_), descriptor_bytes(config_.depth));
    }
}

Task<void> Queue::start() {
    XSAN_ASSERT(reactor_.is_home() && fetching_ == 0);
    for (Slot& slot : slots_)
        submit_command(slot, uapi::kFetch, 0);
    co_return;
}

void Queue::submit_command(Slot& slot, std::uint32_t command, std::int32_t result) {
    io_uring_sqe* sqe = reactor_.prepare(slot.op);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->cmd_op = command;
    // Not a registered file: Linux up to 6.12 lets go of a file that was unregistered only after every
    // earlier request on a registered file has ended, and a fetch waits for as long as nobody uses the
    // device. A drive that the pool has let go of would stay claimed.
    sqe->fd = config_.char_fd;
    uapi::IoArgument argument{};
    argument.queue_id = static_cast<std::uint16_t>(config_.index);
    argument.tag = slot.tag;
    argument.result = result;
    argument.address = reinterpret_cast<std::uintptr_t>(buffer_of(slot));
    std::memcpy(sqe->cmd, &argument, sizeof(argument));
    fetching_++;
}

void Queue::on_command(Slot& slot, std::int32_t result) {
    fetching_--;
    if (result == uapi::kFetchedRequest) {
        if (!abandoning_) return serve(slot);
        // Kept: whoever serves the device next gets it.
    } else if (result != uapi::kFetchAborted && !std::exchange(refusal_logged_, true)) {
        log(LogLevel::error, "ublk: /dev/ublkb{} refuses tag {} of queue {}: {}", config_.number,
            slot.tag, config_.index, std::strerror(-result));
    }
    check_idle();
}

bool Queue::is_maybe_repeated(Slot& slot) {
    if (!config_.recovered) return false;
    if (std::exchange(slot.maybe_repeated, false)) return true;
    if (config_.repetition_window_ns == 0) return false;
    const TimeNs now = reactor_.now();
    if (!repetitions_end_.has_value()) repetitions_end_ = now + config_.repetition_window_ns;
    return now < *repetitions_end_;
}

void Queue::serve(Slot& slot) {
    const IoDescriptor descriptor = decode(descriptors_[slot.tag]);
    dev::IoRequest& request = slot.request;
    request.fua = descriptor.fua;
    request.keep_space = descriptor.nounmap;
    request.reissued = is_maybe_repeated(slot);
    request.offset = descriptor.offset;
    request.length = descriptor.length;
    request.iov = nullptr;
    request.iov_count = 0;
    serving_++;
    slot.fetched_at = reactor_.turn_time();
    switch (descriptor.op) {
        case IoOp::read:
            request.kind = dev::IoKind::read;
            break;
        case IoOp::write:
            request.kind = dev::IoKind::write;
            break;
        case IoOp::discard:
            request.kind = dev::IoKind::discard;
            break;
        case IoOp::write_zeroes:
            request.kind = dev::IoKind::write_zeroes;
            break;
        case IoOp::flush:
            request.kind = dev::IoKind::flush;
            request.offset = 0;
            request.length = 0;
            return device_.submit(request);
        default:
            return answer(slot, -EOPNOTSUPP, false);
    }
    if (!is_inside(descriptor, size_bytes_)) return answer(slot, -EIO);
    if (descriptor.op == IoOp::read || descriptor.op == IoOp::write) {
        if (descriptor.length > config_.io_bytes_max) return answer(slot, -EIO);
        request.set_buffer(buffer_of(slot), descriptor.length);
    }
    device_.submit(request);
}

void Queue::on_served(Slot& slot) {
    const dev::IoRequest& request = slot.request;
    if (!request.error.is_ok()) return answer(slot, commit_errno(request.error));
    const bool has_data = request.kind == dev::IoKind::read || request.kind == dev::IoKind::write;
    answer(slot, has_data ? static_cast<std::int32_t>(request.length) : 0);
}

// `is_known`: the slot's request says which operation this was.
void Queue::answer(Slot& slot, std::int32_t result, bool is_known) {
    serving_--;
    if (abandoning_ && result < 0)
        return check_idle();  // kept: a stopping engine's error is not final
    const dev::IoRequest& request = slot.request;
    io_.count({is_known ? std::optional(request.kind) : std::nullopt, request.length,
               reactor_.turn_time() - slot.fetched_at, result < 0});
    submit_command(slot, uapi::kCommitAndFetch, result);
    check_idle();
}

// Wakes those who wait for an end. Cheap on the data path, where commands are in the kernel and
// nobody abandons.
void Queue::check_idle() {
    if (serving_ == 0 && (fetching_ == 0 || abandoning_)) idle_changed_.wake_all();
}

Task<void> Queue::wait_ended() {
    while (fetching_ > 0 || serving_ > 0)
        co_await idle_changed_.wait();
}

Task<void> Queue::abandon() {
    abandoning_ = true;
    while (serving_ > 0)
        co_await idle_changed_.wait();
}

Task<void> Queue::leave_fetches() {
    XSAN_ASSERT(abandoning_ && serving_ == 0);
    left_ = true;
    for (Slot& slot : slots_)
        reactor_.leave_to_kernel(slot.op);
    co_return;
}

Task<void> Queue::set_size(std::uint64_t bytes) {
    size_bytes_ = bytes;
    co_return;
}

}  // namespace xsan::ublk
