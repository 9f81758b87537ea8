// NvmeDevice: an NVMe namespace by passthrough (/dev/ngXnY, IORING_OP_URING_CMD): commands go to
// the drive as they are, without the kernel's block layer, and its status comes back as it is.
//
// The claim is the sibling block device /dev/nvmeXnY, open with O_EXCL. Passthrough commands hold
// no reference on it, so it is registered with every ring that issues them: io_uring drops
// registered files only after the ring's last request has ended. Therefore, when a new process can
// claim the drive, no command of a dead one is under way any more. A reactor that cannot register
// the claim issues nothing.
//
// Unlike the block layer, passthrough does not split or retry: both are done here. A media error is
// not retried: the engine reconstructs instead.
#pragma once

#include <memory>
#include <vector>

#include "dev/block_device.h"
#include "dev/nvme_command.h"
#include "dev/open.h"
#include "dev/per_reactor.h"
#include "dev/ring_file.h"
#include "dev/unique_fd.h"

namespace xsan::dev {

// What commands to this namespace must obey, besides DeviceLimits.
struct NvmeRules {
    std::uint32_t nsid = 0;
    std::uint32_t block_shift = 9;
    std::uint32_t segments_max = 127;          // pages of memory that one command may touch
    std::uint64_t write_zeroes_bytes_max = 0;  // of one command; 0: not supported
    std::uint64_t discard_bytes_max = 0;       // of one command; 0: not supported
    bool zeroing_deallocate = false;  // Write Zeroes may deallocate, and zeros are promised
};

class NvmeDevice final : public BlockDevice {
  public:
    NvmeDevice(UniqueFd generic, UniqueFd claim, DeviceIdentity identity,
               const DeviceLimits& limits, const NvmeRules& rules);
    ~NvmeDevice() override;

    const DeviceIdentity& identity() const override { return identity_; }
    const DeviceLimits& limits() const override { return limits_; }
    void submit(IoRequest& request) override;
    unsigned in_flight() const override;
    Task<void> close() override;

  private:
    enum class Step : std::uint8_t { transfer, flush, write_zeroes, zero_write, deallocate };
    struct Lane;
    struct Op {
        UringOp uring;
        NvmeDevice* device = nullptr;
        Lane* lane = nullptr;
        IoRequest* request = nullptr;
        Step step = Step::transfer;
        std::uint8_t tries = 0;
        std::uint64_t offset = 0;  // of this command
        std::uint64_t length = 0;
        const iovec* iov = nullptr;
        std::uint32_t iov_count = 0;
        std::vector<iovec> pieces;  // iov points here when the request was cut
        DatasetRange range;
        Timer retry;
        Op* next_free = nullptr;
    };
    struct Lane {
        Lane(UringReactor& r, int generic_fd, int claim_fd)
            : reactor(r), generic(r, generic_fd), claim(r, claim_fd) {}
        UringReactor& reactor;
        RingFile generic;
        RingFile claim;
        OpPool<Op> ops;
    };

    Lane& lane();
    Op& new_op(IoRequest& request, Step step, std::uint64_t offset, std::uint64_t length);
    void submit_transfer(IoRequest& request);
    void submit_range(IoRequest& request, Step step);
    std::uint64_t range_bytes_max(Step step) const;
    bool continue_range(Op& op);
    void issue(Op& op);
    void finished(Op& op, std::int32_t result);
    void end_piece(Op& op, Error error);

    UniqueFd generic_;
    UniqueFd claim_;
    DeviceIdentity identity_;
    DeviceLimits limits_;
    NvmeRules rules_;
    PerReactor<Lane> lanes_;
};

// Blocks. Refuses a namespace with metadata or protection information, with a sentence.
Outcome<std::unique_ptr<BlockDevice>> open_nvme(const DeviceSpec& spec, DeviceIdentity identity,
                                                const OpenOptions& options);

}  // namespace xsan::dev
