// Starting pools from what is found on devices.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "daemon/service.h"

namespace xsan::daemon {

// Groups the devices by pool and starts each pool (or only the one named). The names of the pools that were
// started; a failure when a pool that was asked for could not be, or when none could.
Task<Outcome<std::vector<std::string>>> Service::assemble_from(std::vector<OpenedDevice> devices,
                                                               const std::string& only,
                                                               bool accept_missing) {
    std::map<Uuid, Candidates> by_pool;
    for (OpenedDevice& one : devices) {
        const meta::Superblock& superblock = one.examined->superblock;
        Candidates& candidates = by_pool[superblock.pool_uuid];
        candidates.name = superblock.pool_name;
        candidates.found.push_back({std::move(one.device), *one.examined});
    }
    std::vector<std::string> started;
    std::optional<Failure> failure;
    for (auto& [uuid, candidates] : by_pool) {
        if (!only.empty() && candidates.name != only) continue;
        if (pools_.contains(candidates.name)) {
            const bool same = pools_.at(candidates.name).pool->state().pool().uuid == uuid;
            if (!same) {
                failure = Failure(Errc::exists,
                                  fmt::format("another pool named '{}' is running: stop it first", candidates.name));
            }
            continue;
        }
        pool::Environment surroundings = environment();
        auto pool = co_await pool::Pool::assemble(std::move(surroundings), candidates.found, accept_missing);
        if (!pool) {
            failure = pool.error();
            log(LogLevel::error, "pool {}: {}", candidates.name, pool.error().message);
            continue;
        }
        const std::string name = (*pool)->name();
        Entry& entry = pools_[name];
        entry.pool = std::move(*pool);
        log(LogLevel::info, "pool {} is running", name);
        const auto resumed = co_await resume_volumes(entry);
        if (!resumed) failure = resumed.error();
        started.push_back(name);
    }
    // What no pool has taken is let go.
    for (auto& [uuid, candidates] : by_pool) {
        for (pool::Pool::Found& found : candidates.found) {
            if (found.device != nullptr) co_await found.device->close();
        }
    }
    co_await save_state();
    if (failure && (started.empty() || !only.empty())) co_return *failure;
    if (!only.empty() && started.empty() && !pools_.contains(only)) {
        co_return Failure(Errc::not_found,
                          fmt::format("no member of a pool '{}' was found: name its drives, or see that they are "
                                      "there and free",
                                      only));
    }
    co_return started;
}

// Volumes that were attached: a live block device of ours is taken over, else a new one is made.
Task<Outcome<void>> Service::resume_volumes(Entry& entry) {
    Outcome<std::vector<ublk::DeviceInfo>> live = std::vector<ublk::DeviceInfo>{};
    std::function<void()> look = [&]() { live = ublk::list_devices(); };
    co_await offload_.run(look);
    Outcome<void> result;
    for (pool::Volume* volume : entry.pool->volumes()) {
        std::optional<unsigned> number;
        if (live) {
            for (const ublk::DeviceInfo& info : *live) {
                if (info.server_flags == volume->info().uuid.low_bits()) number = info.number;
            }
        }
        Outcome<void> one;
        if (number) {
            one = co_await recover(entry, *volume, *number);
        } else if (volume->info().attached) {
            const auto attached = co_await attach(entry, *volume);
            if (!attached) one = attached.error();
        }
        if (!one) {
            log(LogLevel::error, "volume {}/{}: {}", entry.pool->name(), volume->info().name,
                one.error().message);
            result = one;
        }
    }
    co_return result;
}

// Block devices that a previous daemon of ours left for a pool that runs, and that belong to none of its volumes
// any more. Those of a pool that could not be started wait for it.
Task<void> Service::delete_orphans(const std::map<std::string, Remembered>& before) {
    Outcome<std::vector<ublk::DeviceInfo>> live = std::vector<ublk::DeviceInfo>{};
    std::function<void()> look = [&]() { live = ublk::list_devices(); };
    co_await offload_.run(look);
    if (!live) co_return;
    for (const auto& [name, remembered] : before) {
        const auto at = pools_.find(name);
        if (at == pools_.end()) continue;
        const auto volumes = at->second.pool->volumes();
        for (const ublk::DeviceInfo& info : *live) {
            const bool ours = std::ranges::count(remembered.ublk_numbers, info.number) > 0;
            // A volume whose device could not be taken over this time keeps it.
            const bool wanted = std::ranges::any_of(volumes, [&](const pool::Volume* volume) {
                return volume->info().uuid.low_bits() == info.server_flags;
            });
            if (!ours || wanted) continue;
            Outcome<void> deleted;
            std::function<void()> remove = [&]() { deleted = ublk::delete_device(info.number); };
            co_await offload_.run(remove);
            if (deleted) {
                log(LogLevel::warning, "/dev/ublkb{} belongs to no volume any more and was deleted",
                    info.number);
            }
        }
    }
}

Task<Service::Answer> Service::assemble(Json json) {
    const rpc::Params params(json);
    const std::string only = params.maybe_text("pool").value_or("");
    const bool accept_missing = params.flag("accept_missing");
    std::vector<std::string> names = params.texts("devices");
    if (!only.empty() && pools_.contains(only)) {
        co_return Failure(Errc::exists, fmt::format("pool '{}' is running already", only));
    }
    const bool scan = params.flag("scan") || names.empty();
    if (scan) {
        std::function<void()> look = [&]() {
            for (std::string& name : scan_device_names()) names.push_back(std::move(name));
        };
        co_await offload_.run(look);
        // Files and passthrough names are not found by looking; those that were used last are remembered.
        for (std::string& name : remembered_devices()) names.push_back(std::move(name));
    }
    AssemblyRules rules;
    rules.must = !scan;
    XSAN_CO_TRY(auto opened, open_for_assembly(std::move(names), rules, offload_));
    if (opened.empty() && !scan) {
        co_return Failure(Errc::not_found, "none of these devices carries an xsan superblock");
    }
    XSAN_CO_TRY(const auto started, assemble_from(std::move(opened), only, accept_missing));
    co_return Json::object({{"pools", started}});
}

}  // namespace xsan::daemon
