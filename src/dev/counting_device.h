// CountingDevice: passes every request on and counts it, for tests that assert exact numbers of
// device I/Os and for benches. Counts are kept per reactor (relaxed), summed by counts().
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "dev/block_device.h"
#include "dev/per_reactor.h"

namespace xsan::dev {

struct IoCounts {
    struct One {
        std::uint64_t requests = 0;
        std::uint64_t bytes = 0;
        friend bool operator==(const One&, const One&) = default;
    };
    One read, write, flush, write_zeroes, discard;
    std::uint64_t fua_writes = 0;  // also counted in `write` and `write_zeroes`

    std::uint64_t requests() const {
        return read.requests + write.requests + flush.requests + write_zeroes.requests +
               discard.requests;
    }
    friend bool operator==(const IoCounts&, const IoCounts&) = default;
};

class CountingDevice final : public BlockDevice {
  public:
    // The device below stays the caller's, or becomes this one's.
    explicit CountingDevice(BlockDevice& below) : below_(&below) {}
    explicit CountingDevice(std::unique_ptr<BlockDevice> below)
        : owned_(std::move(below)), below_(owned_.get()) {}

    const DeviceIdentity& identity() const override { return below_->identity(); }
    const DeviceLimits& limits() const override { return below_->limits(); }
    void submit(IoRequest& request) override {
        Cells& cells = cells_.local([] { return std::make_unique<Cells>(); });
        const auto kind = static_cast<std::size_t>(request.kind);
        add(cells.requests[kind], 1);
        add(cells.bytes[kind], request.length);
        if (request.fua) add(cells.fua, 1);
        below_->submit(request);
    }
    unsigned in_flight() const override { return below_->in_flight(); }
    Task<void> close() override { return below_->close(); }

    // What was submitted since the start or the last reset(), over all reactors.
    IoCounts counts() const {
        IoCounts sum;
        IoCounts::One* const kinds[] = {&sum.read, &sum.write, &sum.flush, &sum.write_zeroes,
                                        &sum.discard};
        cells_.for_each([&](const Cells& cells) {
            for (std::size_t i = 0; i < kKinds; i++) {
                kinds[i]->requests += cells.requests[i].load(std::memory_order_relaxed);
                kinds[i]->bytes += cells.bytes[i].load(std::memory_order_relaxed);
            }
            sum.fua_writes += cells.fua.load(std::memory_order_relaxed);
        });
        return sum;
    }
    // While no reactor submits.
    void reset() {
        cells_.for_each([](Cells& cells) {
            for (std::size_t i = 0; i < kKinds; i++) {
                cells.requests[i].store(0, std::memory_order_relaxed);
                cells.bytes[i].store(0, std::memory_order_relaxed);
            }
            cells.fua.store(0, std::memory_order_relaxed);
        });
    }

  private:
    static constexpr std::size_t kKinds = 5;
    using Cell = std::atomic<std::uint64_t>;
    struct alignas(64) Cells {
        std::array<Cell, kKinds> requests{};
        std::array<Cell, kKinds> bytes{};
        Cell fua{0};
    };
    // Only the own reactor writes a cell, so that no locked instruction is needed.
    static void add(Cell& cell, std::uint64_t amount) {
        cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }

    std::unique_ptr<BlockDevice> owned_;
    BlockDevice* below_;
    PerReactor<Cells> cells_;
};

}  // namespace xsan::dev
