// Starting pools from what is found on devices.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "daemon/service.h"

namespace xsan::daemon {

// Groups the devices by pool and starts each pool, or only the one named.
Task<Service::Assembled> Service::assemble_from(std::vector<OpenedDevice> devices, const std::string& only,
                                                bool accept_missing) {
    std::map<Uuid, Candidates> by_pool;
    for (OpenedDevice& one : devices) {
        const meta::Superblock& superblock = one.examined->superblock;
        Candidates& candidates = by_pool[superblock.pool_uuid];
        candidates.name = superblock.pool_name;
        candidates.found.push_back({std::move(one.device), *one.examined});
    }
    Assembled result;
    for (auto& [uuid, candidates] : by_pool) {
        if (!only.empty() && candidates.name != only) continue;
        if (pools_.contains(candidates.name)) {
            const bool same = pools_.at(candidates.name).pool->state().pool().uuid == uuid;
            if (same) continue;
            Refusal refusal{candidates.name, Failure(Errc::exists, fmt::format("another pool named '{}' is running: "
                                                                               "stop it first",
                                                                               candidates.name))};
            result.refused.push_back(std::move(refusal));
            continue;
        }
        pool::Environment surroundings = environment();
        auto pool = co_await pool::Pool::assemble(std::move(surroundings), candidates.found, accept_missing);
        if (!pool) {
            log(LogLevel::error, "pool {}: {}", candidates.name, pool.error().message);
            Refusal refusal{candidates.name, pool.error()};
            result.refused.push_back(std::move(refusal));
            continue;
        }
        const std::string name = (*pool)->name();
        Entry& entry = pools_[name];
        entry.pool = std::move(*pool);
        watch_users(entry);
        log(LogLevel::info, "pool {} is running", name);
        note_progress();
        const auto resumed = co_await resume_volumes(entry);
        if (!resumed) {
            Refusal refusal{name, resumed.error()};
            result.refused.push_back(std::move(refusal));
        }
        result.started.push_back(name);
    }
    // What no pool has taken is let go.
    for (auto& [uuid, candidates] : by_pool) {
        for (pool::Pool::Found& found : candidates.found) {
            if (found.device != nullptr) co_await found.device->close();
        }
    }
    co_await save_state();
    co_return result;
}

// The device that waits for this volume. Dead ones of it, which the kernel cannot give to anybody any more, are
// deleted: users see their end, and the number is free.
Task<std::optional<unsigned>> Service::device_of(const pool::Volume& volume,
                                                 const std::vector<ublk::DeviceInfo>& devices) {
    const ublk::Claimants claimants = ublk::claimants(devices, volume.info().uuid.low_bits());
    for (const unsigned dead : claimants.dead) co_await delete_device(dead);
    co_return claimants.alive;
}

Task<bool> Service::delete_device(unsigned number) {
    Outcome<void> deleted;
    std::function<void()> remove = [&]() { deleted = ublk::delete_device(number); };
    co_await offload_.run(remove);
    if (deleted) remove_link(number);
    if (!deleted) log(LogLevel::warning, "{}", deleted.error().message);
    co_return deleted.has_value();
}

// Volumes that were attached: a live block device of ours is taken over, else a new one is made.
Task<Outcome<void>> Service::resume_volumes(Entry& entry) {
    Outcome<std::vector<ublk::DeviceInfo>> live = std::vector<ublk::DeviceInfo>{};
    std::function<void()> look = [&]() { live = ublk::list_devices(); };
    co_await offload_.run(look);
    Outcome<void> result;
    for (pool::Volume* volume : entry.pool->volumes()) {
        std::optional<unsigned> number;
        if (live) number = co_await device_of(*volume, *live);
        note_progress();
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
            if (co_await delete_device(info.number)) {
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
        // What was used last comes first, by the name that was chosen then (passthrough or not); files are found in
        // no other way.
        const std::vector<std::string> remembered = remembered_devices();
        names.insert(names.begin(), remembered.begin(), remembered.end());
        std::function<void()> look = [&]() {
            for (std::string& name : scan_device_names()) names.push_back(std::move(name));
        };
        co_await offload_.run(look);
    }
    AssemblyRules rules;
    rules.must = !scan;
    XSAN_CO_TRY(auto found, open_for_assembly(std::move(names), rules, offload_));
    if (found.members.empty() && !scan) {
        co_return Failure(Errc::not_found, "none of these devices carries an xsan superblock");
    }
    const auto assembled = co_await assemble_from(std::move(found.members), only, accept_missing);
    co_return answer_of(assembled, found.notes, only, scan);
}

// A pool or drives that were named are a failure when they do not start; a scan tells what it has met.
Service::Answer Service::answer_of(const Assembled& assembled, const std::vector<Failure>& notes,
                                   const std::string& only, bool scanned) {
    const bool none = assembled.started.empty();
    if (!assembled.refused.empty() && (!only.empty() || (none && !scanned))) {
        return assembled.refused.back().why;
    }
    if (!only.empty() && none) {
        if (!notes.empty()) return notes.front();
        return Failure(Errc::not_found,
                       fmt::format("no member of a pool '{}' was found: name its drives, or see that they are "
                                   "there and free",
                                   only));
    }
    Json refused = Json::array();
    for (const Refusal& one : assembled.refused) {
        refused.push_back(Json::object(
            {{"pool", one.pool}, {"code", errc_name(one.why.code)}, {"message", one.why.message}}));
    }
    Json seen = Json::array();
    for (const Failure& note : notes) {
        seen.push_back(Json::object({{"code", errc_name(note.code)}, {"message", note.message}}));
    }
    return Json::object({{"pools", assembled.started}, {"refused", refused}, {"notes", seen}});
}

}  // namespace xsan::daemon
