// What a pool is given: where it runs, which devices, and what is to be made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dev/aligned_buffer.h"
#include "dev/block_device.h"
#include "ec/scheme.h"
#include "meta/records.h"
#include "pool/wear.h"
#include "raid/engine.h"
#include "reactor/reactor.h"
#include "wl/registry.h"

namespace xsan::pool {

struct Environment {
    std::vector<Reactor*> reactors;  // [0] is the control reactor, on which the pool is used
    std::uint64_t seed = 0;          // entropy for identifiers and choices
    // Placement extensions that pools may use; nullptr: those of this library. Outlives the pool.
    const wl::Registry* placements = nullptr;
    dev::BufferPool::Options buffers{};
    unsigned interlock_slots_log2 = raid::EngineOptions{}.interlock_slots_log2;
    // raid::EngineOptions: up to which size whole stripes are logged with their payload.
    std::uint64_t log_payload_bytes_max = raid::EngineOptions{}.log_payload_bytes_max;
    // The most that a lane's ring of the stripe log takes of a member, in whole blocks: small rings
    // are often full, which tests want.
    std::uint64_t stripe_log_lane_bytes_max = UINT64_MAX;
    // Bytes a second that a rebuild may write where the pool itself says nothing; 0: no limit.
    std::uint64_t rebuild_rate_max = 0;
    std::uint64_t scrub_rate_max = 0;  // the same for what a scrub may read
    WearOptions wear{};
};

struct NewDevice {
    std::unique_ptr<dev::BlockDevice> device;
    std::string domain;
    bool spare = false;
};

struct VolumeOptions {
    std::string name;
    ec::Scheme scheme;
    std::uint64_t size_bytes = 0;  // 0: all that is left
    std::uint32_t block_bytes = 4096;
};

struct CreateOptions {
    std::string name;
    ec::Scheme scheme;
    std::uint64_t extent_bytes = 0;  // 0: chosen from the sizes
    meta::Consistency consistency = meta::Consistency::log;
    // Fixed for ever, and on every member: how many extents the pool may have one day, and the size of the
    // metadata log (meta::LayoutInput). 0: chosen, for large pools. Small ones make assembly cheap.
    std::uint32_t extents_max = 0;
    std::uint64_t metadata_log_bytes = 0;
    std::uint64_t stripe_log_bytes = 0;  // of these members; those that join later have what fits their size
    // A volume that create_volume() makes next: what is wrong with it refuses the pool.
    std::optional<VolumeOptions> volume{};
};

}  // namespace xsan::pool
