// Verbs on volumes.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "daemon/service.h"

namespace xsan::daemon {

Task<Service::Answer> Service::volume_create(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    pool::VolumeOptions options;
    options.name = params.text("name");
    options.size_bytes = params.maybe_size("size_bytes").value_or(0);
    const auto& state = entry->pool->state();
    // Without a scheme: the pool's first one, which `create` was given.
    options.scheme = *state.schemes().at(0);
    if (const auto text = params.maybe_text("scheme")) {
        unsigned holding = 0;
        for (const auto& member : state.members()) {
            if (member && member->state != meta::MemberState::removed && !member->spare) holding++;
        }
        const auto strip =
            static_cast<std::uint32_t>(params.maybe_size("strip_bytes").value_or(options.scheme.strip_bytes));
        XSAN_CO_CHECK(options.scheme, ec::parse_scheme(*text, holding, strip));
    } else if (params.has("strip_bytes")) {
        co_return Failure(Errc::invalid_argument, "strip size belongs to a scheme: give --scheme too");
    }
    const auto volumes = entry->pool->volumes();
    options.block_bytes = volumes.empty() ? static_cast<std::uint32_t>(options_.config.create.block_bytes)
                                          : volumes.front()->info().block_bytes;
    // Nobody can say otherwise here: what the drives can do.
    options.block_bytes = std::max(options.block_bytes, entry->pool->member_block_bytes());
    const bool attach_it = params.flag("attach");
    if (attach_it) XSAN_CO_TRY_VOID(check_ublk());
    XSAN_CO_TRY(pool::Volume * volume, entry->pool->create_volume(std::move(options)));
    Json device = nullptr;
    if (attach_it) {
        const auto path = co_await attach(*entry, *volume);
        if (!path) {
            co_return Failure(path.error().code, fmt::format("volume '{}' was created, but: {}",
                                                             volume->info().name, path.error().message));
        }
        device = *path;
    }
    co_await save_state();
    co_return Json::object({{"name", volume->info().name},
                            {"device", device},
                            {"size_bytes", volume->info().size_bytes}});
}

Task<Service::Answer> Service::volume_resize(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_CHECK(pool::Volume* volume, find_volume(*entry, params.text("name")));
    XSAN_CO_TRY_VOID(entry->pool->resize_volume(volume->info().name, params.size("size_bytes")));
    bool at_next_attach = false;
    if (const auto at = entry->targets.find(volume->id()); at != entry->targets.end()) {
        const auto resized = co_await at->second->resize(volume->info().size_bytes);
        if (!resized && resized.error().code != Errc::unsupported) co_return resized.error();
        at_next_attach = !resized;
    }
    co_return Json::object({{"name", volume->info().name},
                            {"size_bytes", volume->info().size_bytes},
                            {"at_next_attach", at_next_attach}});
}

Task<Service::Answer> Service::volume_attach(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_CHECK(pool::Volume* volume, find_volume(*entry, params.text("name")));
    XSAN_CO_TRY_VOID(check_ublk());
    XSAN_CO_TRY(const std::string path, attach(*entry, *volume));
    co_await save_state();
    co_return Json::object({{"device", path}});
}

Task<Service::Answer> Service::volume_detach(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_CHECK(pool::Volume* volume, find_volume(*entry, params.text("name")));
    XSAN_CO_TRY_VOID(detach(*entry, *volume, true));
    co_await save_state();
    co_return Json::object({{"name", volume->info().name}});
}

Task<Service::Answer> Service::volume_delete(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    XSAN_CO_CHECK(pool::Volume* volume, find_volume(*entry, params.text("name")));
    if (const auto at = entry->targets.find(volume->id()); at != entry->targets.end()) {
        co_return Failure(Errc::busy, fmt::format("volume '{}' is attached as {}: detach it first",
                                                  volume->info().name, at->second->path()));
    }
    XSAN_CO_TRY_VOID(entry->pool->delete_volume(params.text("name")));
    co_return Json::object({{"name", params.text("name")}});
}

Task<Service::Answer> Service::volume_list(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    co_return Json::object({{"volumes", describe_volumes(*entry)}});
}

}  // namespace xsan::daemon
