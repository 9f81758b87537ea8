// SimDevice: a simulated drive behind dev::BlockDevice. It keeps the interface's contract to the
// letter and asserts that its users do: alignment, bounds, the reactor that completes, buffers that
// stay unchanged.
//
// What it holds and what a power cut leaves is Media's (media.h); which requests fail is
// FaultPlan's (fault.h); when a request completes is the latency model's, in the world's virtual
// time.
//
// Ownership: lives as long as its world or shorter; at its end nothing is outstanding. After
// power_cut() with Outstanding::drop the dropped requests are never completed: whoever awaited them
// stays suspended, and its frames are the caller's to account for. Crash tests that go on to use
// the same coroutines take cut_image(), which disturbs nothing, or Outstanding::fail.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dev/block_device.h"
#include "sim/fault.h"
#include "sim/media.h"
#include "sim/sim_world.h"

namespace xsan::sim {

// Virtual time from submit to completion: base + per_kib * KiB + uniform [0, spread], and now and
// then `tail`.
struct LatencyModel {
    TimeNs base = 10 * kMicrosecond;
    TimeNs per_kib = 0;
    TimeNs spread = 0;
    unsigned tail_percent = 0;
    TimeNs tail = 0;
    unsigned channels = 0;  // requests served at the same time, others queue; 0: any number
};

struct SimDeviceOptions {
    std::uint64_t size_bytes = 1u << 30;
    std::uint32_t block_bytes = 4096;  // any size: 64-byte blocks make crash states cheap
    std::uint32_t atomic_bytes = 0;    // a multiple of block_bytes; 0: one block
    std::uint64_t transfer_bytes_max = 1u << 20;
    bool volatile_cache = false;
    bool discard = true;
    bool discard_zeroes = true;  // false: a discarded range reads as zeros, unchanged or a mix
    bool reorder = true;         // false: requests complete in the order of submission
    LatencyModel latency;
    std::string serial;          // empty: from the instance
    std::uint16_t instance = 0;  // its choices' label; distinct per device
};

struct IoCount {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
};
struct IoCounters {
    std::array<IoCount, 5> kinds{};  // by dev::IoKind; counted at submit, failed requests too
    std::uint64_t fua_writes = 0;
    std::uint64_t errors = 0;  // completed with an error
    std::uint64_t outstanding_max = 0;
    const IoCount& of(dev::IoKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }
};

class SimDevice final : public dev::BlockDevice {
  public:
    SimDevice(World& world, const SimDeviceOptions& options);
    ~SimDevice() override;

    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return limits_; }
    void submit(dev::IoRequest& request) override;
    unsigned in_flight() const override { return static_cast<unsigned>(active_.size()); }

    // --- counting ---
    const IoCounters& counters() const { return counters_; }
    void reset_counters() { counters_ = IoCounters{}; }
    std::size_t outstanding() const { return active_.size(); }
    // Called at each submit, before anything else happens to the request.
    std::function<void(dev::IoKind kind, std::uint64_t offset, std::uint64_t length)> on_io;
    // Called for each request that a fault rule hits, and for each read of a latent error.
    std::function<void(FaultKind kind, const dev::IoRequest& request)> on_fault;
    // f(const dev::IoRequest&) for each request that is outstanding, in no particular order.
    template <class F>
    void each_outstanding(F f) const {
        for (const Op* op : active_)
            f(*op->request);
    }

    // --- faults ---
    FaultPlan& faults() { return faults_; }
    // Reads of these blocks give media_error until they are rewritten (or zeroed or discarded).
    void add_latent_error(std::uint64_t offset, std::uint64_t length);
    std::size_t latent_blocks() const { return latent_.size(); }
    void flip_bit(std::uint64_t offset, unsigned bit) { media_.flip_bit(offset, bit); }
    // Lets requests that a `hold` rule caught complete now.
    void release_held();
    std::size_t held() const { return held_.size(); }
    // Pulls the drive: outstanding and later requests answer device_gone. Pulling cuts its power,
    // so that what no flush covered may be lost. come_back() returns it with what it then holds.
    void vanish(const CutOptions& options = {});
    void come_back() { gone_ = false; }
    bool is_gone() const { return gone_; }

    // --- power, snapshots ---
    enum class Outstanding : std::uint8_t { drop, fail };  // fail: they complete with device_gone
    void power_cut(const CutOptions& options = {}, Outstanding outstanding = Outstanding::drop);
    // What a cut at this moment would leave; the device runs on. `choices` need not be the world's.
    SparseImage cut_image(ChoiceStream& choices, const CutOptions& options = {}) const;
    const Media& media() const { return media_; }
    // Makes `image` the durable content. Nothing may be outstanding.
    void restore(SparseImage image);

    // Direct access for tests: what reads would see; and bytes put there durably, outside of all
    // I/O.
    void peek(std::uint64_t offset, std::span<std::byte> out) const;
    void poke(std::uint64_t offset, std::span<const std::byte> data);

  private:
    struct Op : World::Event {
        SimDevice* device = nullptr;
        dev::IoRequest* request = nullptr;
        Media::Write* write = nullptr;
        std::uint64_t flush_mark = 0;
        std::optional<FaultRule> fault;
        Errc forced = Errc::ok;    // completes with this, whatever else happens
        std::size_t position = 0;  // in active_
    };

    ChoiceLabel label(Subsystem subsystem) const { return {subsystem, options_.instance}; }
    void check_contract(const dev::IoRequest& request) const;
    void count(const dev::IoRequest& request);
    void start(Op& op);
    void begin_write(Op& op);
    TimeNs completion_time(const dev::IoRequest& request);
    void finish(Op& op);
    Errc perform(Op& op);
    Errc perform_read(const Op& op);
    Errc end_write(Op& op);
    Errc fail(Op& op);
    void discard_unpromised(const dev::IoRequest& request);
    bool touches_latent(std::uint64_t offset, std::uint64_t length) const;
    void heal_latent(std::uint64_t offset, std::uint64_t length);
    Op& take_op();
    void release(Op& op);

    World& world_;
    SimDeviceOptions options_;
    dev::DeviceIdentity identity_;
    dev::DeviceLimits limits_;
    Media media_;
    FaultPlan faults_;
    IoCounters counters_;
    std::set<std::uint64_t> latent_;  // block numbers
    bool gone_ = false;
    std::vector<TimeNs> channels_;  // when each becomes free
    TimeNs last_due_ = 0;
    std::vector<std::unique_ptr<Op>> ops_;
    std::vector<Op*> free_;
    std::vector<Op*> active_;  // submitted, not completed; no particular order
    std::vector<Op*> held_;
};

}  // namespace xsan::sim
