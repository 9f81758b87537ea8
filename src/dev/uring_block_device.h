// UringBlockDevice: a kernel block device or a regular file through io_uring.
//
//  - read, write: READ/WRITE or READV/WRITEV, O_DIRECT where the file system has it; `fua` is
//    RWF_DSYNC.
//  - flush: FSYNC (data).
//  - discard: FALLOCATE with PUNCH_HOLE, so that reads give zeros afterwards.
//  - write_zeroes: FALLOCATE with ZERO_RANGE; zeros from memory where that is not supported.
//
// Owned by whoever opened it (open.h), used on any number of reactors, closed with close(). The
// descriptor is the claim on the device (O_EXCL, or a lock on the file): the kernel holds it until
// the last operation has ended, even those of a process that died.
//
// Invariant: IoRequest::device_word counts the pieces of a request that are still to end;
// IoRequest::error holds the first error among them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dev/block_device.h"
#include "dev/per_reactor.h"
#include "dev/ring_file.h"
#include "dev/unique_fd.h"

namespace xsan::dev {

class UringBlockDevice final : public BlockDevice {
  public:
    enum class Target : std::uint8_t { block_device, regular_file };

    // Takes an open and claimed descriptor and what is known of it; see open.h.
    UringBlockDevice(UniqueFd fd, Target target, DeviceIdentity identity,
                     const DeviceLimits& limits);
    ~UringBlockDevice() override;

    const DeviceIdentity& identity() const override { return identity_; }
    const DeviceLimits& limits() const override { return limits_; }
    void submit(IoRequest& request) override;
    unsigned in_flight() const override;
    Task<void> close() override;

  private:
    // What one operation does next: a request may take several in turn.
    enum class Step : std::uint8_t { transfer, sync, punch, zero_range, zero_write };
    struct Lane;
    struct Op {
        UringOp uring;
        UringBlockDevice* device = nullptr;
        Lane* lane = nullptr;
        IoRequest* request = nullptr;
        Step step = Step::transfer;
        std::uint8_t tries = 0;
        std::uint64_t offset = 0;  // of what is left to do
        std::uint64_t length = 0;
        const iovec* iov = nullptr;
        std::uint32_t iov_count = 0;
        std::vector<iovec> pieces;  // iov points here when the request was cut
        Op* next_free = nullptr;
    };
    struct Lane {
        Lane(UringReactor& r, int fd) : reactor(r), file(r, fd) {}
        UringReactor& reactor;
        RingFile file;
        OpPool<Op> ops;
    };

    Lane& lane();
    Op& new_op(IoRequest& request, Step step, std::uint64_t offset, std::uint64_t length);
    void submit_transfer(IoRequest& request);
    void issue(Op& op);
    void finished(Op& op, std::int32_t result);
    void transfer_finished(Op& op, std::int32_t result);
    void continue_zeroes(Op& op, std::int32_t result);
    void end_piece(Op& op, Error error);
    Error error_of(int os_errno) const;
    bool device_is_gone() const;

    UniqueFd fd_;
    Target target_;
    DeviceIdentity identity_;
    DeviceLimits limits_;
    std::atomic<bool> has_zero_range_{true};
    PerReactor<Lane> lanes_;
};

}  // namespace xsan::dev
