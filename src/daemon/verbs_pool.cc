// Verbs on pools and members.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "daemon/names.h"
#include "daemon/service.h"

namespace xsan::daemon {
namespace {

Outcome<meta::Consistency> parse_consistency(const std::string& text) {
    if (text == "resync") return meta::Consistency::resync;
    if (text == "none") return meta::Consistency::none;
    if (text == "log") return meta::Consistency::log;
    return Failure(Errc::invalid_argument,
                   fmt::format("'{}' is no consistency policy: use log, resync or none", text));
}

Task<void> close_unused(std::vector<pool::NewDevice>& devices) {
    for (pool::NewDevice& one : devices) {
        if (one.device != nullptr) co_await one.device->close();
    }
    devices.clear();
}

}  // namespace

Task<Service::Answer> Service::create(Json json) {
    const rpc::Params params(json);
    const Config::Create& defaults = options_.config.create;
    const std::string name = params.text("name");
    if (pools_.contains(name)) {
        co_return Failure(Errc::exists, fmt::format("a pool named '{}' is running already", name));
    }
    std::vector<std::string> names = params.texts("devices");
    const std::size_t holding = names.size();
    for (std::string& spare : params.texts("spares")) names.push_back(std::move(spare));

    pool::CreateOptions options;
    options.name = name;
    const auto strip = static_cast<std::uint32_t>(
        params.maybe_size("strip_bytes").value_or(defaults.strip_bytes));
    XSAN_CO_CHECK(options.scheme,
                  ec::parse_scheme(params.text("scheme"), static_cast<unsigned>(holding), strip));
    options.extent_bytes = params.maybe_size("extent_bytes").value_or(defaults.extent_bytes.value_or(0));
    XSAN_CO_CHECK(options.consistency,
                  parse_consistency(params.maybe_text("consistency").value_or(defaults.consistency)));
    const bool attach_it = params.flag("attach");
    if (attach_it) XSAN_CO_TRY_VOID(check_ublk());

    OpenRules rules;
    rules.force = params.flag("force");
    XSAN_CO_TRY(auto opened, open_for_pool(std::move(names), rules, offload_));
    std::vector<pool::NewDevice> devices;
    for (OpenedDevice& one : opened) {
        const bool spare = devices.size() >= holding;
        devices.push_back({std::move(one.device), std::move(one.domain), spare});
    }

    pool::VolumeOptions volume;
    volume.name = params.maybe_text("volume").value_or("data");
    volume.scheme = options.scheme;
    volume.size_bytes = params.maybe_size("size_bytes").value_or(0);
    volume.block_bytes =
        static_cast<std::uint32_t>(params.maybe_size("block_bytes").value_or(defaults.block_bytes));
    options.volume = volume;
    pool::Environment surroundings = environment();
    auto made = co_await pool::Pool::create(std::move(surroundings), std::move(options), devices);
    co_await close_unused(devices);
    if (!made) co_return made.error();
    const auto created = co_await (*made)->create_volume(std::move(volume));
    if (!created) {
        const auto undone = co_await (*made)->destroy();
        if (!undone) log(LogLevel::error, "{}", undone.error().message);
        co_return created.error();
    }
    Entry& entry = pools_[name];
    entry.pool = std::move(*made);
    watch_users(entry);
    if (pool::Wear* wear = entry.pool->wear()) {
        const auto used = co_await wear->set_policy(options_.config.wear.policy);
        if (!used) log(LogLevel::warning, "pool {}: {}", name, used.error().message);
    }
    log(LogLevel::info, "pool {} was created", name);
    Json device = nullptr;
    Outcome<std::string> path = std::string();
    if (attach_it) path = co_await attach(entry, **created);
    co_await save_state();
    if (!path) {
        co_return Failure(path.error().code,
                          fmt::format("pool '{}' was created, but: {}", name, path.error().message));
    }
    if (attach_it) device = *path;
    co_return Json::object({{"pool", describe(entry)}, {"device", device}});
}

Task<Service::Answer> Service::stop_pool(Json json) {
    const rpc::Params params(json);
    const std::string name = params.text("pool");
    XSAN_CO_CHECK(Entry* entry, find(name));
    // Volumes stay marked as attached: the next assembly attaches them again.
    XSAN_CO_TRY_VOID(detach_all(*entry, false));
    entry->is_leaving = true;
    const auto stopped = co_await entry->pool->stop();
    pools_.erase(name);
    remembered_.erase(name);
    co_await save_state();
    if (!stopped) co_return stopped.error();
    log(LogLevel::info, "pool {} was stopped", name);
    co_return Json::object({{"pool", name}});
}

Task<Service::Answer> Service::destroy(Json json) {
    const rpc::Params params(json);
    const std::string name = params.text("pool");
    XSAN_CO_CHECK(Entry* entry, find(name));
    if (!params.flag("yes")) {
        co_return Failure(Errc::invalid_argument,
                          fmt::format("destroying pool '{}' deletes all of its data: say --yes", name));
    }
    XSAN_CO_TRY_VOID(detach_all(*entry, false));
    entry->is_leaving = true;
    const auto destroyed = co_await entry->pool->destroy();
    pools_.erase(name);
    remembered_.erase(name);
    co_await save_state();
    if (!destroyed) co_return destroyed.error();
    log(LogLevel::info, "pool {} was destroyed", name);
    co_return Json::object({{"pool", name}});
}

Task<Service::Answer> Service::add(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    const bool spare = params.flag("spare");
    OpenRules rules;
    rules.force = params.flag("force");
    rules.own_pool = entry->pool->state().pool().uuid;
    XSAN_CO_TRY(auto opened, open_for_pool(params.texts("devices"), rules, offload_));
    const auto added = co_await add_opened(*entry, opened, spare, rules.force);
    co_await close_devices(opened);
    if (!added) co_return added.error();
    co_await save_state();
    co_return describe(*entry);
}

// Members of this pool that were away come back; others join.
Task<Outcome<void>> Service::add_opened(Entry& entry, std::vector<OpenedDevice>& opened, bool spare,
                                        bool force) {
    const Uuid own = entry.pool->state().pool().uuid;
    for (const OpenedDevice& one : opened) {
        const bool ours = one.examined && one.examined->superblock.pool_uuid == own;
        if (ours && !entry.pool->is_known(one.examined->superblock) && !force) {
            co_return Failure(Errc::exists, fmt::format("{} was a member of this pool once and was replaced: use "
                                                        "--force to add it anew",
                                                        one.given));
        }
    }
    std::vector<pool::NewDevice> fresh;
    std::vector<pool::Pool::Found> back;
    for (OpenedDevice& one : opened) {
        if (!one.examined || !entry.pool->is_known(one.examined->superblock)) {
            fresh.push_back({std::move(one.device), std::move(one.domain), spare});
        } else {
            back.push_back({std::move(one.device), *one.examined});
        }
    }
    // All are checked before the first is taken.
    Outcome<void> result = entry.pool->check_add(fresh);
    for (const pool::Pool::Found& found : back) {
        if (result) result = entry.pool->check_readmit(found, force);
    }
    for (pool::Pool::Found& found : back) {
        if (result) result = co_await entry.pool->readmit(found, force);
        if (found.device != nullptr) co_await found.device->close();
    }
    if (result && !fresh.empty()) result = co_await entry.pool->add(fresh);
    co_await close_unused(fresh);
    co_return result;
}

// By any name of its drive; else by what find_member() takes.
Task<Outcome<MemberIndex>> Service::resolve_member(pool::Pool& pool, std::string text) {
    if (!text.empty() && text.front() == '/') {
        std::string unique_id;
        std::function<void()> look = [&]() { unique_id = unique_id_of(text); };
        co_await offload_.run(look);
        if (const auto found = pool.find_live_member(unique_id); found && !unique_id.empty()) co_return *found;
    }
    co_return pool.find_member(text);
}

Task<Service::Answer> Service::fail(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_TRY(const MemberIndex member, resolve_member(*entry->pool, params.text("device")));
    XSAN_CO_TRY_VOID(entry->pool->fail(member));
    co_await save_state();
    co_return describe(*entry);
}

Task<Service::Answer> Service::rebuild_start(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_TRY_VOID(entry->pool->set_rebuild(false, params.maybe_size("rate_max_bytes")));
    Json only_pool;
    only_pool["pool"] = params.text("pool");
    co_return co_await rebuild_status(std::move(only_pool));
}

Task<Service::Answer> Service::rebuild_pause(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_TRY_VOID(entry->pool->set_rebuild(true, params.maybe_size("rate_max_bytes")));
    Json only_pool;
    only_pool["pool"] = params.text("pool");
    co_return co_await rebuild_status(std::move(only_pool));
}

Task<Service::Answer> Service::rebuild_status(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    const pool::RebuildStatus status = entry->pool->rebuild_status();
    co_return Json::object({{"jobs", describe_jobs(*entry->pool)},
                            {"pending_groups", status.pending_groups},
                            {"unplaced_groups", status.unplaced_groups},
                            {"failed_groups", status.failed_groups}});
}

Task<Service::Answer> Service::scrub_start(Json json, bool repair) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_TRY_VOID(entry->pool->start_scrub(repair, params.maybe_size("rate_max_bytes")));
    co_return co_await scrub_status(std::move(json));
}

Task<Service::Answer> Service::scrub_hold(Json json, bool paused) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_TRY_VOID(entry->pool->set_scrub(paused, params.maybe_size("rate_max_bytes")));
    co_return co_await scrub_status(std::move(json));
}

Task<Service::Answer> Service::scrub_check(Json json) { return scrub_start(std::move(json), false); }
Task<Service::Answer> Service::scrub_repair(Json json) { return scrub_start(std::move(json), true); }
Task<Service::Answer> Service::scrub_pause(Json json) { return scrub_hold(std::move(json), true); }
Task<Service::Answer> Service::scrub_resume(Json json) { return scrub_hold(std::move(json), false); }

Task<Service::Answer> Service::scrub_status(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    const pool::ScrubStatus& scrub = entry->pool->scrub_status();
    const double percent = scrub.stripes_total == 0
                               ? (scrub.state == pool::JobState::done ? 100.0 : 0.0)
                               : 100.0 * static_cast<double>(scrub.stripes_checked) /
                                     static_cast<double>(scrub.stripes_total);
    Json state = nullptr;
    Json kind = nullptr;
    if (scrub.ever) {
        state = job_state_name(scrub.state);
        kind = scrub.repairs ? "repair" : "check";
    }
    Json wrong = Json::array();
    for (const auto& [member, bytes] : scrub.wrong_bytes) {
        wrong.push_back(Json::object({{"index", member.get()}, {"wrong_bytes", bytes}}));
    }
    co_return Json::object({{"state", state},
                            {"kind", kind},
                            {"resumed", scrub.resumed},
                            {"rate_max_bytes", scrub.rate_max},
                            {"percent", percent},
                            {"stripes_checked", scrub.stripes_checked},
                            {"stripes_total", scrub.stripes_total},
                            {"mismatches", scrub.mismatches},
                            {"incomplete", scrub.incomplete},
                            {"errors", scrub.errors},
                            {"repaired", scrub.repaired},
                            {"untold", scrub.untold},
                            {"members", wrong}});
}

}  // namespace xsan::daemon
