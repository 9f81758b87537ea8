// Volume: a virtual disk, as a BlockDevice: a map from its address space to places in groups.
//
// A request runs on the reactor where it was submitted. It holds a quiescence token from before it looks at
// the map until it is answered, so that what it looked up stays what it was. Unmapped clusters read as zeros
// without I/O; the first write to one maps it, through the pool, with one commit.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dev/block_device.h"
#include "meta/state.h"
#include "pool/pool.h"
#include "reactor/task_group.h"

namespace xsan::pool {

class Volume final : public dev::BlockDevice {
  public:
    Volume(Pool& pool, meta::VolumeId id, unsigned reactors);
    ~Volume() override;

    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return limits_; }
    void submit(dev::IoRequest& request) override;

    meta::VolumeId id() const { return id_; }
    const meta::VolumeInfo& info() const;
    const ec::Scheme& scheme() const;
    std::uint64_t mapped_bytes() const;
    // After a resize; new requests see the new size.
    void refresh();
    // The bytes in which the pool gives space; discard works on whole ones.
    std::uint32_t cluster_bytes() const { return cluster_bytes_; }

    // Waits for the requests of the current reactor; the owner calls it on each reactor.
    Task<void> drain();

  private:
    struct Span {  // the part of a request inside one cluster
        ClusterIndex cluster;
        std::uint64_t offset;  // in the cluster
        std::uint64_t length;
        std::uint64_t buffer_offset;
    };
    template <class Fn>
    void for_each_cluster(std::uint64_t offset, std::uint64_t length, Fn&& fn) const;

    Task<void> serve(dev::IoRequest& request);
    Task<Result<void>> serve_checked(dev::IoRequest& request, bool& waited);
    Task<Result<void>> read(std::uint64_t offset, std::uint64_t length, std::byte* out, bool& waited);
    Task<Result<void>> read_span(meta::MapEntry entry, Span span, std::byte* out);
    Task<Result<void>> write(std::uint64_t offset, std::uint64_t length, const std::byte* data,
                             raid::WriteFlags flags);
    Task<Result<void>> write_span(Span span, const std::byte* data, raid::WriteFlags flags);
    Task<Result<void>> zero(std::uint64_t offset, std::uint64_t length, raid::WriteFlags flags,
                            bool keep_space);
    Task<Result<void>> discard(std::uint64_t offset, std::uint64_t length);
    raid::GroupRange place(meta::MapEntry entry, const Span& span) const;

    Pool& pool_;
    meta::VolumeId id_;
    const meta::VolumeMap* map_;
    std::uint32_t cluster_bytes_;
    dev::DeviceIdentity identity_;
    dev::DeviceLimits limits_;
    std::atomic<std::uint64_t> size_bytes_{0};
    std::vector<std::unique_ptr<TaskGroup>> tasks_;  // by reactor
};

}  // namespace xsan::pool
