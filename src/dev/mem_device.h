// Devices without a drive, for tests and benches: MemDevice keeps its bytes in memory (`mem:SIZE`),
// NullDevice keeps nothing (`null:SIZE`: a read leaves the buffer as it is, a write goes nowhere).
// Both may be used from several reactors at once; they act inside submit() and complete from the
// loop. Memory counts what the loop is still to complete, so that load can be tested without a drive; null does
// not: what the engine costs is measured over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "dev/block_device.h"
#include "dev/per_reactor.h"

namespace xsan::dev {

class MemDevice final : public BlockDevice {
  public:
    // no_space where the system does not give that much address space.
    static Outcome<std::unique_ptr<BlockDevice>> create(std::uint64_t size_bytes,
                                                        std::uint32_t logical_block_bytes = 512);
    // `size_bytes` of zeros, taken from the system as they are written; a multiple of
    // logical_block_bytes, which is a power of two.
    explicit MemDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes = 512);
    ~MemDevice() override;

    const DeviceIdentity& identity() const override { return identity_; }
    const DeviceLimits& limits() const override { return limits_; }
    void submit(IoRequest& request) override;
    unsigned in_flight() const override;

    std::byte* data() { return data_; }  // for tests that look or damage behind the device's back

  private:
    MemDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes, std::byte* memory);
    void act(const IoRequest& request);

    DeviceIdentity identity_;
    DeviceLimits limits_;
    std::byte* data_ = nullptr;
    PerReactor<OwnCount> in_flight_;
};

class NullDevice final : public BlockDevice {
  public:
    explicit NullDevice(std::uint64_t size_bytes, std::uint32_t logical_block_bytes = 512);

    const DeviceIdentity& identity() const override { return identity_; }
    const DeviceLimits& limits() const override { return limits_; }
    void submit(IoRequest& request) override;

  private:
    DeviceIdentity identity_;
    DeviceLimits limits_;
};

}  // namespace xsan::dev
