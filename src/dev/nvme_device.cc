// Operations on NVMe namespaces.
#include "dev/nvme_device.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "dev/iov_cursor.h"
#include "dev/request_check.h"
#include "dev/zero_buffer.h"

namespace xsan::dev {
namespace {

constexpr std::uint8_t kTriesMax = 5;
constexpr TimeNs kRetryDelay = 100 * kMillisecond;
constexpr std::uint64_t kPrpPage = 4096;
constexpr unsigned kRangeDepth = 16;  // range commands of one request in flight

std::uint64_t pages_of(const IoRequest& request) {
    std::uint64_t pages = 0;
    for (std::uint32_t i = 0; i < request.iov_count; i++) {
        const auto address = reinterpret_cast<std::uintptr_t>(request.iov[i].iov_base);
        pages += (address % kPrpPage + request.iov[i].iov_len + kPrpPage - 1) / kPrpPage;
    }
    return pages;
}

// What a command's completion means: a negative errno of the kernel, or the drive's status.
Error error_of(std::int32_t result) {
    if (result >= 0) return error_from_nvme_status(static_cast<std::uint32_t>(result));
    // The request was checked before: EINVAL is what a namespace without a path answers, and would
    // not cost the member.
    if (result == -EINVAL) return {Errc::io_error, EINVAL};
    return error_from_errno(-result);
}

// EINTR is the kernel's word for a command that a controller reset or a removal cancelled.
bool is_retryable(std::int32_t result) {
    if (result >= 0) return is_retryable_nvme_status(static_cast<std::uint32_t>(result));
    return result == -EINTR || result == -EAGAIN;
}

}  // namespace

NvmeDevice::NvmeDevice(UniqueFd generic, UniqueFd claim, DeviceIdentity identity,
                       const DeviceLimits& limits, const NvmeRules& rules)
    : generic_(std::move(generic)),
      claim_(std::move(claim)),
      identity_(std::move(identity)),
      limits_(limits),
      rules_(rules) {
    XSAN_ASSERT(limits_.logical_block_bytes == 1u << rules_.block_shift);
    XSAN_ASSERT(limits_.transfer_bytes_max >> rules_.block_shift <= kNvmeBlocksMax);
}

NvmeDevice::~NvmeDevice() {
    lanes_.for_each([](const Lane& lane) { XSAN_ASSERT(lane.ops.in_use() == 0); });
}

unsigned NvmeDevice::in_flight() const {
    unsigned sum = 0;
    lanes_.for_each([&](const Lane& lane) { sum += lane.ops.in_use(); });
    return sum;
}

Task<void> NvmeDevice::close() {
    std::vector<Lane*> lanes;
    lanes_.for_each([&](Lane& lane) { lanes.push_back(&lane); });
    for (Lane* lane : lanes) {
        co_await lane->generic.release();
        co_await lane->claim.release();
    }
    generic_.reset();
    claim_.reset();
}

NvmeDevice::Lane& NvmeDevice::lane() {
    Lane& here = lanes_.local([this] {
        return std::make_unique<Lane>(UringReactor::current(), generic_.get(), claim_.get());
    });
    XSAN_ASSERT(&here.reactor == &Reactor::current());
    return here;
}

NvmeDevice::Op& NvmeDevice::new_op(IoRequest& request, Step step, std::uint64_t offset,
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

void NvmeDevice::submit(IoRequest& request) {
    Error error = check_request(limits_, request);
    if (error.is_ok()) {
        const Lane& here = lane();
        if (!here.claim.registered() || !here.reactor.features().large_entries) {
            error = {Errc::unsupported};
        }
    }
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
            issue(new_op(request, Step::flush, 0, 0));
            break;
        case IoKind::write_zeroes:
            submit_range(request,
                         rules_.write_zeroes_bytes_max > 0 ? Step::write_zeroes : Step::zero_write);
            break;
        case IoKind::discard:
            if (rules_.zeroing_deallocate) {
                submit_range(request, Step::write_zeroes);
            } else if (rules_.discard_bytes_max > 0) {
                submit_range(request, Step::deallocate);
            } else {
                complete_later(request, {Errc::unsupported});
            }
            break;
    }
}

void NvmeDevice::submit_transfer(IoRequest& request) {
    if (request.length <= limits_.transfer_bytes_max &&
        request.iov_count <= limits_.iov_count_max && pages_of(request) <= rules_.segments_max) {
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
    limits.pages = rules_.segments_max;
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

// Commands that name a range and carry no data of the request's; a whole extent may take thousands.
// Only the first kRangeDepth are submitted; each continues with the piece kRangeDepth further on.
void NvmeDevice::submit_range(IoRequest& request, Step step) {
    const std::uint64_t bytes_max = range_bytes_max(step);
    const std::uint64_t end = request.offset + request.length;
    std::uint64_t offset = request.offset;
    for (unsigned i = 0; i < kRangeDepth && offset < end; i++) {
        const std::uint64_t length = std::min(bytes_max, end - offset);
        issue(new_op(request, step, offset, length));
        offset += length;
    }
}

// Of one command.
std::uint64_t NvmeDevice::range_bytes_max(Step step) const {
    if (step == Step::write_zeroes) return rules_.write_zeroes_bytes_max;
    if (step == Step::deallocate) return rules_.discard_bytes_max;
    return std::min<std::uint64_t>(limits_.transfer_bytes_max, zero_buffer().size());
}

// False when the operation has no further piece, or its request has failed already.
bool NvmeDevice::continue_range(Op& op) {
    if (op.step == Step::transfer || op.step == Step::flush) return false;
    const IoRequest& request = *op.request;
    const std::uint64_t bytes_max = range_bytes_max(op.step);
    const std::uint64_t end = request.offset + request.length;
    const std::uint64_t stride = bytes_max * kRangeDepth;
    if (!request.error.is_ok() || end - op.offset <= stride) return false;
    op.offset += stride;
    op.length = std::min(bytes_max, end - op.offset);
    op.tries = 0;
    issue(op);
    return true;
}

void NvmeDevice::issue(Op& op) {
    const LbaRange range{op.offset >> rules_.block_shift, op.length >> rules_.block_shift};
    const bool fua = op.request->fua;
    nvme_uring_cmd command{};
    bool is_vector = false;
    switch (op.step) {
        case Step::transfer:
            command = op.request->kind == IoKind::write ? nvme_write(rules_.nsid, range, fua)
                                                        : nvme_read(rules_.nsid, range);
            is_vector = op.iov_count > 1;
            command.addr = is_vector ? reinterpret_cast<std::uintptr_t>(op.iov)
                                     : reinterpret_cast<std::uintptr_t>(op.iov->iov_base);
            command.data_len =
                is_vector ? op.iov_count : static_cast<std::uint32_t>(op.iov->iov_len);
            break;
        case Step::flush:
            command = nvme_flush(rules_.nsid);
            break;
        case Step::write_zeroes: {
            const bool deallocate = op.request->kind == IoKind::discard;
            command = nvme_write_zeroes(rules_.nsid, range, fua, deallocate);
            break;
        }
        case Step::zero_write:
            command = nvme_write(rules_.nsid, range, fua);
            command.addr = reinterpret_cast<std::uintptr_t>(zero_buffer().data());
            command.data_len = static_cast<std::uint32_t>(op.length);
            break;
        case Step::deallocate:
            op.range.attributes = 0;
            op.range.count = static_cast<std::uint32_t>(range.count);
            op.range.first = range.first;
            command = nvme_deallocate(rules_.nsid, &op.range, 1);
            break;
    }
    io_uring_sqe& sqe = *op.lane->reactor.prepare(op.uring);
    op.lane->generic.aim(sqe);
    sqe.opcode = IORING_OP_URING_CMD;
    sqe.cmd_op = is_vector ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
    std::memcpy(static_cast<void*>(sqe.cmd), &command, sizeof(command));
}

void NvmeDevice::finished(Op& op, std::int32_t result) {
    if (result == 0) {
        if (continue_range(op)) return;
        end_piece(op, {});
        return;
    }
    if (is_retryable(result) && ++op.tries < kTriesMax) {
        op.retry.work = {[](void* argument) {
                             Op& self = *static_cast<Op*>(argument);
                             self.device->issue(self);
                         },
                         &op};
        op.lane->reactor.arm(op.retry, op.lane->reactor.now() + kRetryDelay * op.tries);
        return;
    }
    // A cancelled command that stays cancelled after a second: the drive does not come back by
    // itself.
    end_piece(op, result == -EINTR ? Error{Errc::device_gone, EINTR} : error_of(result));
}

void NvmeDevice::end_piece(Op& op, Error error) {
    IoRequest& request = *op.request;
    op.lane->ops.put(op);
    if (!error.is_ok() && request.error.is_ok()) request.error = error;
    if (--request.device_word == 0) request.complete(request.error);
}

}  // namespace xsan::dev
