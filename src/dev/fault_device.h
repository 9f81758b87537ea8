// FaultDevice: a decorator that lets chosen requests fail, vanish or wait. For tests and for the
// injection of faults where a drive offers none. Rules may be changed from any thread while
// requests run.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dev/block_device.h"
#include "reactor/cross.h"

namespace xsan::dev {

struct FaultRule {
    // Which requests: a set of kinds (bit 1 << IoKind), and those that touch [offset, offset +
    // length). A flush touches every range.
    std::uint32_t kinds = 0x1F;
    std::uint64_t offset = 0;
    std::uint64_t length = UINT64_MAX;
    // Lets `skip` matching requests pass first, then strikes `times` requests.
    std::uint64_t skip = 0;
    std::uint64_t times = UINT64_MAX;
    // The error that the request completes with.
    Error error{Errc::io_error};
    // The request reaches the device and is acted on; only its answer is lost.
    bool applied = false;

    static std::uint32_t bit(IoKind kind) { return 1u << static_cast<unsigned>(kind); }
};

class FaultDevice final : public BlockDevice {
  public:
    explicit FaultDevice(BlockDevice& below) : below_(&below) {}
    explicit FaultDevice(std::unique_ptr<BlockDevice> below)
        : owned_(std::move(below)), below_(owned_.get()) {}
    ~FaultDevice() override;

    const DeviceIdentity& identity() const override { return below_->identity(); }
    const DeviceLimits& limits() const override { return below_->limits(); }
    void submit(IoRequest& request) override;
    // With those that hold() keeps.
    unsigned in_flight() const override;
    Task<void> close() override { return below_->close(); }

    void add_rule(const FaultRule& rule);
    void clear_rules();
    // Everything fails with device_gone from now on, like a drive that was pulled; or works again.
    void set_gone(bool gone);
    // Requests submitted from now on wait until release(), which passes them on in order, on this
    // thread's reactor. Hold and release are for tests with one reactor.
    void hold();
    void release();
    std::size_t held() const;
    // Requests that a rule or set_gone() struck.
    std::uint64_t struck() const;

  private:
    // What a request meets: the error to complete it with, ok if none.
    struct Verdict {
        Error error;
        bool applied = false;
    };
    Verdict judge(const IoRequest& request);
    void pass_and_fail(IoRequest& request, Error error);

    std::unique_ptr<BlockDevice> owned_;
    BlockDevice* below_;
    mutable SpinLock lock_;
    std::vector<FaultRule> rules_;
    bool gone_ = false;
    bool holding_ = false;
    IoRequest* held_first_ = nullptr;
    IoRequest* held_last_ = nullptr;
    std::size_t held_ = 0;
    std::uint64_t struck_ = 0;
};

}  // namespace xsan::dev
