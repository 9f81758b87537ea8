// Life of the service and its table of verbs.
#include "daemon/service.h"

#include <fmt/format.h>

#include "base/log.h"

namespace xsan::daemon {
namespace {

constexpr std::chrono::seconds kOldDaemonWait{20};

}  // namespace

Service::Service(ReactorPool& reactors, Offload& offload, ServiceOptions options)
    : reactors_(reactors), offload_(offload), options_(std::move(options)),
      readings_(offload_, options_.config.wear), rng_(options_.seed) {}

Service::~Service() = default;

void Service::handle(rpc::Dispatcher& dispatcher, std::string_view method, Verb verb) {
    dispatcher.handle(method, [this, verb](rpc::Caller, Json params) {
        return (this->*verb)(std::move(params));
    });
}

void Service::handle_change(rpc::Dispatcher& dispatcher, std::string_view method, Verb verb) {
    dispatcher.handle(method, [this, verb](rpc::Caller, Json params) {
        return exclusively(verb, std::move(params));
    });
}

Task<Service::Answer> Service::exclusively(Verb verb, Json params) {
    co_await changes_.lock();
    AsyncMutex::Guard guard(changes_);
    co_return co_await (this->*verb)(std::move(params));
}

void Service::register_methods(rpc::Dispatcher& dispatcher) {
    handle(dispatcher, "ping", &Service::ping);
    handle(dispatcher, "version", &Service::version);
    handle(dispatcher, "list", &Service::list);
    handle(dispatcher, "show", &Service::show);
    handle(dispatcher, "rebuild.status", &Service::rebuild_status);
    handle(dispatcher, "scrub.status", &Service::scrub_status);
    handle(dispatcher, "volume.list", &Service::volume_list);
    handle_change(dispatcher, "create", &Service::create);
    handle_change(dispatcher, "assemble", &Service::assemble);
    handle_change(dispatcher, "stop", &Service::stop_pool);
    handle_change(dispatcher, "destroy", &Service::destroy);
    handle_change(dispatcher, "add", &Service::add);
    handle_change(dispatcher, "fail", &Service::fail);
    handle_change(dispatcher, "rebuild.start", &Service::rebuild_start);
    handle_change(dispatcher, "rebuild.resume", &Service::rebuild_start);
    handle_change(dispatcher, "rebuild.pause", &Service::rebuild_pause);
    handle_change(dispatcher, "rebuild.group", &Service::rebuild_group);
    handle_change(dispatcher, "relocate", &Service::relocate);
    handle(dispatcher, "wear.show", &Service::wear_show);
    handle(dispatcher, "wear.plan", &Service::wear_plan);
    handle(dispatcher, "wear.predict", &Service::wear_predict);
    handle(dispatcher, "events", &Service::events);
    // Waits for changes, since it looks for a drive by its name, and the pool must stay meanwhile.
    handle_change(dispatcher, "wear.history", &Service::wear_history);
    handle_change(dispatcher, "wear.policy", &Service::wear_policy);
    handle_change(dispatcher, "wear.set", &Service::wear_set);
    handle_change(dispatcher, "wear.endurance", &Service::wear_endurance);
    handle_change(dispatcher, "wear.start", &Service::wear_start);
    handle_change(dispatcher, "wear.stop", &Service::wear_stop);
    handle_change(dispatcher, "wear.pause", &Service::wear_pause);
    handle_change(dispatcher, "wear.resume", &Service::wear_resume);
    handle_change(dispatcher, "wear.balance", &Service::wear_balance);
    handle_change(dispatcher, "wear.reset", &Service::wear_reset);
    handle_change(dispatcher, "scrub.check", &Service::scrub_check);
    handle_change(dispatcher, "scrub.repair", &Service::scrub_repair);
    handle_change(dispatcher, "scrub.pause", &Service::scrub_pause);
    handle_change(dispatcher, "scrub.resume", &Service::scrub_resume);
    handle_change(dispatcher, "volume.create", &Service::volume_create);
    handle_change(dispatcher, "volume.resize", &Service::volume_resize);
    handle_change(dispatcher, "volume.attach", &Service::volume_attach);
    handle_change(dispatcher, "volume.detach", &Service::volume_detach);
    handle_change(dispatcher, "volume.delete", &Service::volume_delete);
}

pool::Environment Service::environment() {
    pool::Environment environment;
    for (unsigned i = 0; i < reactors_.size(); i++) environment.reactors.push_back(&reactors_.at(i));
    environment.seed = rng_.next();
    environment.rebuild_rate_max = options_.config.rebuild.rate_max_bytes;
    environment.scrub_rate_max = options_.config.scrub.rate_max_bytes;
    environment.wear.enabled = options_.config.wear.enabled;
    environment.wear.reader = &readings_;
    environment.wear.wall_seconds = options_.wall_seconds;
    // Of each reactor: enough 4 KiB to 64 KiB buffers for a queue of small writes, few large ones.
    environment.buffers.counts = {512, 32, 32, 32, 256, 16, 16, 16, 16, 2};
    return environment;
}

Outcome<Service::Entry*> Service::find(const std::string& pool_name) {
    const auto at = pools_.find(pool_name);
    if (at != pools_.end()) return &at->second;
    return Failure(Errc::not_found, fmt::format("there is no running pool '{}': `xsanctl list` shows those that "
                                                "run, `xsanctl assemble` starts one",
                                                pool_name));
}

Outcome<pool::Volume*> Service::find_volume(Entry& entry, const std::string& volume_name) {
    if (pool::Volume* volume = entry.pool->find_volume(volume_name)) return volume;
    return Failure(Errc::not_found,
                   fmt::format("pool '{}' has no volume '{}'", entry.pool->name(), volume_name));
}

Task<void> Service::start() {
    co_await changes_.lock();
    AsyncMutex::Guard guard(changes_);
    if (const auto loaded = load_state(); !loaded) log(LogLevel::warning, "{}", loaded.error().message);
    const auto before = remembered_;
    if (before.empty()) co_return;
    AssemblyRules rules;
    rules.busy_wait = kOldDaemonWait;
    auto opened = co_await open_for_assembly(remembered_devices(), rules, offload_);
    if (!opened) {
        log(LogLevel::error, "{}", opened.error().message);
        co_return;
    }
    note_progress();
    const auto assembled = co_await assemble_from(std::move(opened->members), "", false);
    for (const Refusal& one : assembled.refused) log(LogLevel::error, "pool {}: {}", one.pool, one.why.message);
    co_await delete_orphans(before);
}

Task<void> Service::stop() {
    co_await changes_.lock();
    AsyncMutex::Guard guard(changes_);
    for (auto& [name, entry] : pools_) {
        Remembered& left = remembered_[name];
        left = {member_paths(*entry.pool), {}};
        for (pool::Volume* volume : entry.pool->volumes()) {
            const auto at = entry.targets.find(volume->id());
            if (at == entry.targets.end()) continue;
            const unsigned number = at->second->number();
            const auto stopped = co_await at->second->stop();
            if (stopped) {
                remove_link(number);
            } else {
                log(LogLevel::info, "{} stays for the next daemon: {}", at->second->path(),
                    stopped.error().message);
                co_await at->second->abandon();
                left.ublk_numbers.push_back(number);
            }
            abandoned_.push_back(std::move(at->second));
            entry.targets.erase(at);
        }
        const auto stopped = co_await entry.pool->stop();
        if (!stopped) log(LogLevel::error, "{}", stopped.error().message);
    }
    pools_.clear();
    co_await readings_.stop();
    co_await write_state();
}

Task<Service::Answer> Service::ping(Json) { co_return Json::object({{"pong", true}}); }

}  // namespace xsan::daemon
