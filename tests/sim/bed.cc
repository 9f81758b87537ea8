// Worlds, drives and pools for the simulator.
#include "sim/bed.h"

#include <algorithm>

#include "base/units.h"
#include "meta/examine.h"
#include "support/volume_io.h"

namespace xsan::simtest {
namespace {

// At least as many as all drives of a run can have.
std::uint32_t extents_max(const Config& config) {
    return 16 * config.drive_mib;
}

sim::WorldOptions world_options(const Config& config) {
    sim::WorldOptions options;
    options.reactors = config.reactors;
    options.order = sim::Order::random;
    return options;
}

}  // namespace

Bed::Bed(const Config& c, sim::ChoiceStream& choices) : world(choices, world_options(c)), config(c) {
    for (unsigned i = 0; i < c.members + c.spares; i++)
        add_drive();
}

Bed::~Bed() {
    if (pool != nullptr) abandon();
}

sim::SimDevice& Bed::add_drive() {
    sim::SimDeviceOptions options;
    options.size_bytes = config.drive_mib * kMiB;
    options.block_bytes = config.device_block_bytes;
    options.atomic_bytes = config.atomic_bytes;
    options.volatile_cache = config.volatile_cache;
    options.discard_zeroes = config.discard_zeroes;
    options.reorder = config.reorder;
    options.latency.spread = config.spread;
    options.instance = static_cast<std::uint16_t>(drives.size());
    drives.push_back(std::make_unique<sim::SimDevice>(world, options));
    return *drives.back();
}

ec::Scheme Bed::scheme() const {
    auto scheme = ec::parse_scheme(config.scheme, config.members, config.strip_bytes);
    XSAN_ASSERT(scheme.has_value());
    return *scheme;
}

meta::MemberLayout Bed::layout(unsigned drive) const {
    const bool small = config.metadata_log_bytes != 0;
    const bool is_first = drive < config.members + config.spares;
    const auto layout = meta::member_layout({config.drive_mib * kMiB, kMiB,
                                             small ? extents_max(config) : meta::kExtentsDefault,
                                             config.metadata_log_bytes,
                                             is_first ? config.stripe_log_bytes : 0});
    XSAN_ASSERT(layout.has_value());
    return *layout;
}

std::unique_ptr<dev::BlockDevice> Bed::plug(unsigned drive) {
    return std::make_unique<test::Plug>(*drives[drive]);
}

pool::Environment Bed::environment() {
    pool::Environment environment;
    for (unsigned i = 0; i < world.reactor_count(); i++)
        environment.reactors.push_back(&world.reactor(i));
    environment.seed = mix_seed(world.choices().seed(), world.now());
    environment.interlock_slots_log2 = 8;
    environment.log_payload_bytes_max = config.log_payload_bytes_max;
    if (config.log_ring_bytes != 0) environment.stripe_log_lane_bytes_max = config.log_ring_bytes;
    environment.wear.enabled = config.wear;
    environment.wear.reader = &ages;
    return environment;
}

Task<Outcome<void>> Bed::create() {
    std::vector<pool::NewDevice> devices;
    for (unsigned i = 0; i < drives.size(); i++)
        devices.push_back({plug(i), "", i >= config.members});
    pool::CreateOptions options;
    options.name = "tank";
    options.scheme = scheme();
    options.extent_bytes = kMiB;
    options.consistency = config.policy;
    if (config.metadata_log_bytes != 0) options.extents_max = extents_max(config);
    options.metadata_log_bytes = config.metadata_log_bytes;
    options.stripe_log_bytes = config.stripe_log_bytes;
    auto made = co_await pool::Pool::create(environment(), std::move(options), devices);
    if (!made) co_return made.error();
    pool = std::move(*made);
    co_return Outcome<void>{};
}

Task<Outcome<void>> Bed::assemble(bool accept_missing, int cloned_drive) {
    std::vector<pool::Pool::Found> found;
    for (unsigned i = 0; i < drives.size(); i++) {
        if (drives[i]->is_gone()) continue;
        const int times = cloned_drive == static_cast<int>(i) ? 2 : 1;
        for (int n = 0; n < times; n++) {
            pool::Pool::Found one;
            one.device = plug(i);
            auto examined = co_await meta::examine(*one.device);
            if (!examined) {
                // Never formatted (a pool whose creation, or whose growth, was cut off).
                if (examined.error().code == Errc::not_found) continue;
                if (examined.error().code == Errc::corrupt) continue;
                co_return examined.error();
            }
            one.examined = std::move(*examined);
            found.push_back(std::move(one));
        }
    }
    auto made = co_await pool::Pool::assemble(environment(), found, accept_missing);
    if (!made) co_return made.error();
    pool = std::move(*made);
    co_return Outcome<void>{};
}

Task<void> Bed::abandon_task() {
    co_await pool->abandon();
}

void Bed::abandon() {
    const bool done = finish(abandon_task());
    XSAN_ASSERT(done);
    pool.reset();
}

}  // namespace xsan::simtest
