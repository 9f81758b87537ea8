// Operations on block devices and files.
#include "dev/uring_block_device.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "dev/iov_cursor.h"
#include "dev/request_check.h"
#include "dev/zero_buffer.h"

namespace xsan::dev {
namespace {

constexpr std::uint8_t kTriesMax = 10;  // of an operation that was interrupted

bool is_unsupported(int os_errno) {
    return os_errno == EOPNOTSUPP || os_errno == ENOSYS;
}

}  // namespace

UringBlockDevice::UringBlockDevice(UniqueFd fd, Target target, DeviceIdentity identity,
                                   const DeviceLimits& limits)
    : fd_(std::move(fd)), target_(target), identity_(std::move(identity)), limits_(limits) {
    XSAN_ASSERT(static_cast<bool>(fd_));
}

UringBlockDevice::~UringBlockDevice() {
    lanes_.for_each([](const Lane& lane) { XSAN_ASSERT(lane.ops.in_use() == 0); });
}

unsigned UringBlockDevice::in_flight() const {
    unsigned sum = 0;
    lanes_.for_each([&](const Lane& lane) { sum += lane.ops.in_use(); });
    return sum;
}

Task<void> UringBlockDevice::close() {
    std::vector<Lane*> lanes;
    lanes_.for_each([&](Lane& lane) { lanes.push_back(&lane); });
    for (Lane* lane : lanes)
        co_await lane->file.release();
    fd_.reset();
}

UringBlockDevice::Lane& UringBlockDevice::lane() {
    Lane& here =
        lanes_.local([this] { return std::make_unique<Lane>(UringReactor::current(), fd_.get()); });
    XSAN_ASSERT(&here.reactor == &Reactor::current());
    return here;
}

UringBlockDevice::Op& UringBlockDevice::new_op(IoRequest& request, Step step, std::uint64_t offset,
                                               std::uint64_t length) {
    Lane& here = lane();
    Op& op = here.ops.get();
    op.device = this;
    op.lane = &here;
    op.request = &request;
    op.step = step;
    op.tries = 0;
    op.offset = offset;
    op.length = length;
    op.iov = nullptr;
    op.iov_count = 0;
    op.uring.owner = &op;
    op.uring.done = [](UringOp& uring, UringResult result) {
        Op& self = *static_cast<Op*>(uring.owner);
        self.device->finished(self, result.value);
    };
    request.device_word++;
    return op;
}

void UringBlockDevice::submit(IoRequest& request) {
    const Error error = check_request(limits_, request);
    if (!error.is_ok() || (request.length == 0 && request.kind != IoKind::flush)) {
        complete_later(request, error);
        return;
    }
    request.error = {};
    request.device_word = 0;
    switch (request.kind) {
        case IoKind::read:
        case IoKind::write:
            submit_transfer(request);
            break;
        case IoKind::flush:
            issue(new_op(request, Step::sync, 0, 0));
            break;
        case IoKind::write_zeroes: {
            const bool native = has_zero_range_.load(std::memory_order_relaxed);
            issue(new_op(request, native ? Step::zero_range : Step::zero_write, request.offset,
                         request.length));
            break;
        }
        case IoKind::discard:
            issue(new_op(request, Step::punch, request.offset, request.length));
            break;
    }
}

void UringBlockDevice::submit_transfer(IoRequest& request) {
    if (request.length <= limits_.transfer_bytes_max &&
        request.iov_count <= limits_.iov_count_max) {
        Op& op = new_op(request, Step::transfer, request.offset, request.length);
        op.iov = request.iov;
        op.iov_count = request.iov_count;
        issue(op);
        return;
    }
    IovCursor cursor(request.iov, request.iov_count);
    IovCursor::Limits limits;
    limits.bytes = limits_.transfer_bytes_max;
    limits.pieces = limits_.iov_count_max;
    limits.multiple = limits_.logical_block_bytes;
    std::uint64_t offset = request.offset;
    const std::uint64_t end = request.offset + request.length;
    while (offset < end) {
        Op& op = new_op(request, Step::transfer, offset, 0);
        op.pieces.clear();
        op.length = cursor.take(limits, op.pieces);
        XSAN_ASSERT(op.length > 0);
        op.iov = op.pieces.data();
        op.iov_count = static_cast<std::uint32_t>(op.pieces.size());
        offset += op.length;
        issue(op);
    }
}

// Fills in the next entry for the operation's step.
void UringBlockDevice::issue(Op& op) {
    io_uring_sqe& sqe = *op.lane->reactor.prepare(op.uring);
    op.lane->file.aim(sqe);
    sqe.off = op.offset;
    switch (op.step) {
        case Step::transfer: {
            const bool is_write = op.request->kind == IoKind::write;
            if (op.iov_count == 1) {
                sqe.opcode = is_write ? IORING_OP_WRITE : IORING_OP_READ;
                sqe.addr = reinterpret_cast<std::uintptr_t>(op.iov->iov_base);
                sqe.len = static_cast<std::uint32_t>(op.iov->iov_len);
            } else {
                sqe.opcode = is_write ? IORING_OP_WRITEV : IORING_OP_READV;
                sqe.addr = reinterpret_cast<std::uintptr_t>(op.iov);
                sqe.len = op.iov_count;
            }
            if (is_write && op.request->fua) sqe.rw_flags = RWF_DSYNC;
            break;
        }
        case Step::sync:
            sqe.opcode = IORING_OP_FSYNC;
            sqe.off = 0;  // everything
            sqe.fsync_flags = IORING_FSYNC_DATASYNC;
            break;
        case Step::punch:
        case Step::zero_range:
            sqe.opcode = IORING_OP_FALLOCATE;
            sqe.addr = op.length;  // the interface's place for the length; `len` is the mode
            sqe.len = FALLOC_FL_KEEP_SIZE |
                      (op.step == Step::punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
            break;
        case Step::zero_write:
            sqe.opcode = IORING_OP_WRITE;
            sqe.addr = reinterpret_cast<std::uintptr_t>(zero_buffer().data());
            sqe.len = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(op.length, zero_buffer().size()));
            break;
    }
}

void UringBlockDevice::finished(Op& op, std::int32_t result) {
    if ((result == -EINTR || result == -EAGAIN) && ++op.tries < kTriesMax) {
        issue(op);
        return;
    }
    switch (op.step) {
        case Step::transfer:
            transfer_finished(op, result);
            return;
        case Step::sync:
            end_piece(op, result < 0 ? error_of(-result) : Error{});
            return;
        case Step::punch:
            if (result < 0 && is_unsupported(-result) && target_ == Target::regular_file) {
                // A file promises zeros after a discard, whatever its file system can do.
                op.step = Step::zero_range;
                issue(op);
                return;
            }
            end_piece(op, result < 0 ? error_of(-result) : Error{});
            return;
        case Step::zero_range:
        case Step::zero_write:
            continue_zeroes(op, result);
            return;
    }
}

void UringBlockDevice::transfer_finished(Op& op, std::int32_t result) {
    if (result < 0) {
        end_piece(op, error_of(-result));
        return;
    }
    const auto moved = static_cast<std::uint64_t>(result);
    if (moved == op.length) {
        end_piece(op, {});
        return;
    }
    const std::uint64_t whole = moved / limits_.logical_block_bytes * limits_.logical_block_bytes;
    if (whole == 0) {
        // The end of the device before the end of the request: a vanished drive has size 0.
        end_piece(op, device_is_gone() ? Error{Errc::device_gone} : Error{Errc::io_error});
        return;
    }
    std::vector<iovec> rest;
    IovCursor cursor(op.iov, op.iov_count);
    cursor.skip(whole);
    op.offset += whole;
    op.length -= whole;
    const std::uint64_t left = cursor.take({}, rest);
    XSAN_ASSERT(left == op.length);
    op.pieces = std::move(rest);
    op.iov = op.pieces.data();
    op.iov_count = static_cast<std::uint32_t>(op.pieces.size());
    issue(op);
}

void UringBlockDevice::continue_zeroes(Op& op, std::int32_t result) {
    if (op.step == Step::zero_range && result < 0 && is_unsupported(-result)) {
        has_zero_range_.store(false, std::memory_order_relaxed);
        op.step = Step::zero_write;
        issue(op);
        return;
    }
    if (result < 0) {
        end_piece(op, error_of(-result));
        return;
    }
    if (op.step == Step::zero_write) {
        const std::uint64_t whole = static_cast<std::uint64_t>(result) /
                                    limits_.logical_block_bytes * limits_.logical_block_bytes;
        if (whole == 0) {
            end_piece(op, device_is_gone() ? Error{Errc::device_gone} : Error{Errc::io_error});
            return;
        }
        op.offset += whole;
        op.length -= whole;
        if (op.length > 0) {
            issue(op);
            return;
        }
    }
    if (op.request->fua) {
        op.step = Step::sync;
        issue(op);
        return;
    }
    end_piece(op, {});
}

void UringBlockDevice::end_piece(Op& op, Error error) {
    IoRequest& request = *op.request;
    op.lane->ops.put(op);
    // The kernel has one error for "cannot be read" and "cannot be written"; only reads are
    // repairable.
    if (error.code == Errc::media_error && request.kind != IoKind::read)
        error.code = Errc::io_error;
    if (!error.is_ok() && request.error.is_ok()) request.error = error;
    if (--request.device_word == 0) request.complete(request.error);
}

Error UringBlockDevice::error_of(int os_errno) const {
    const Error error = error_from_errno(os_errno);
    if (error.code == Errc::device_gone) return error;
    if (target_ == Target::block_device && error.code != Errc::media_error &&
        !is_unsupported(os_errno)) {
        if (device_is_gone()) return {Errc::device_gone, os_errno};
        // On a device of fixed size "no space" is the end of the device.
        if (error.code == Errc::no_space) return {Errc::io_error, os_errno};
    }
    return error;
}

// Off the data path: only after an error. The call reads one field of the kernel's and does not
// wait.
bool UringBlockDevice::device_is_gone() const {
    if (target_ != Target::block_device) return false;
    std::uint64_t bytes = 0;
    return ::ioctl(fd_.get(), BLKGETSIZE64, &bytes) != 0 || bytes == 0;
}

}  // namespace xsan::dev
