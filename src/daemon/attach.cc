// Volumes as block devices: attach, detach, take over.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "daemon/service.h"

namespace xsan::daemon {
namespace {

// What the udev rule imports to make /dev/xsan/POOL/VOLUME.
std::string link_path(const std::string& folder, unsigned number) {
    return fmt::format("{}/links/ublkb{}", folder, number);
}

void write_link(const std::string& folder, unsigned number, const std::string& pool_name,
                const std::string& volume_name) {
    std::error_code error;
    std::filesystem::create_directories(folder + "/links", error);
    std::ofstream out(link_path(folder, number), std::ios::trunc);
    out << "XSAN_POOL=" << pool_name << "\nXSAN_VOLUME=" << volume_name << "\n";
    if (!out.flush()) log(LogLevel::warning, "cannot write {}", link_path(folder, number));
}

}  // namespace

void Service::remove_link(unsigned number) const {
    std::error_code error;
    std::filesystem::remove(link_path(options_.run_folder, number), error);
}

Task<Outcome<void>> Service::check_ublk() {
    Outcome<void> result;
    std::function<void()> check = [&]() { result = ublk::check_kernel(); };
    co_await offload_.run(check);
    co_return result;
}

ublk::TargetOptions Service::target_options(const pool::Volume& volume) const {
    const ec::Scheme& scheme = volume.scheme();
    ublk::TargetOptions options;
    options.volume = volume.info().uuid;
    options.preferred_number = volume.info().device_number;
    options.queues = options_.config.ublk.queues;
    options.depth = options_.config.ublk.queue_depth;
    options.io_bytes_max = static_cast<std::uint32_t>(options_.config.ublk.request_bytes_max);
    options.io_min_bytes = scheme.strip_bytes;
    options.io_opt_bytes = scheme.stripe_data_bytes();
    options.chunk_bytes = 0;  // a request may span stripes: the engine works on them side by side
    options.discard_granularity_bytes = volume.cluster_bytes();
    return options;
}

Task<Outcome<std::string>> Service::attach(Entry& entry, pool::Volume& volume) {
    if (const auto at = entry.targets.find(volume.id()); at != entry.targets.end()) {
        co_return at->second->path();
    }
    volume.refresh();
    std::vector<UringReactor*> reactors;
    for (unsigned i = 0; i < reactors_.size(); i++) reactors.push_back(&reactors_.at(i));
    const std::string pool_name = entry.pool->name();
    const std::string volume_name = volume.info().name;
    ublk::TargetOptions options = target_options(volume);
    // udev's rule reads the file when the device appears.
    std::optional<unsigned> linked;
    options.before_start = [&](unsigned number) {
        linked = number;
        write_link(options_.run_folder, number, pool_name, volume_name);
    };
    auto target = co_await ublk::Target::start(volume, std::move(options), reactors, offload_);
    if (!target) {
        if (linked) remove_link(*linked);
        co_return target.error();
    }
    const unsigned number = (*target)->number();
    const std::string path = (*target)->path();
    entry.targets.emplace(volume.id(), std::move(*target));
    XSAN_CO_TRY_VOID(
        entry.pool->set_attachment(volume.info().name, true, static_cast<int>(number)));
    log(LogLevel::info, "volume {}/{} is {}", pool_name, volume.info().name, path);
    co_return path;
}

Task<Outcome<void>> Service::recover(Entry& entry, pool::Volume& volume, unsigned number) {
    std::vector<UringReactor*> reactors;
    for (unsigned i = 0; i < reactors_.size(); i++) reactors.push_back(&reactors_.at(i));
    ublk::TargetOptions options = target_options(volume);
    XSAN_CO_TRY(auto target,
                ublk::Target::recover(volume, number, std::move(options), reactors, offload_));
    log(LogLevel::info, "volume {}/{} goes on as {}", entry.pool->name(), volume.info().name, target->path());
    entry.targets.emplace(volume.id(), std::move(target));
    co_return Outcome<void>{};
}

Task<Outcome<void>> Service::detach(Entry& entry, pool::Volume& volume, bool remember) {
    const auto at = entry.targets.find(volume.id());
    if (at == entry.targets.end()) co_return Outcome<void>{};
    XSAN_CO_TRY_VOID(at->second->stop());
    remove_link(at->second->number());
    entry.targets.erase(at);
    if (!remember) co_return Outcome<void>{};
    co_return co_await entry.pool->set_attachment(volume.info().name, false, -1);
}

// All or none: a device in use refuses before the first one goes.
Task<Outcome<void>> Service::detach_all(Entry& entry, bool remember) {
    std::vector<pool::Volume*> gone;
    Outcome<void> result;
    for (pool::Volume* volume : entry.pool->volumes()) {
        if (!entry.targets.contains(volume->id())) continue;
        result = co_await detach(entry, *volume, remember);
        if (!result) break;
        gone.push_back(volume);
    }
    if (result) co_return result;
    for (pool::Volume* volume : gone) {
        const auto back = co_await attach(entry, *volume);
        if (!back) log(LogLevel::error, "{}", back.error().message);
    }
    co_return result;
}

}  // namespace xsan::daemon
