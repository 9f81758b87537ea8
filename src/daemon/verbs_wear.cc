// Verbs of wear leveling and events: docs/rpc.md has their answers.
#include <fmt/format.h>

#include "base/units.h"
#include "daemon/json_values.h"
#include "daemon/names.h"
#include "daemon/service.h"
#include "pool/wear.h"

namespace xsan::daemon {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kHottest = 10;

Json describe_spread(const wl::Spread& spread) {
    return Json::object({{"mean", spread.mean},
                         {"deviation", spread.deviation},
                         {"cv", spread.cv},
                         {"min", spread.low},
                         {"max", spread.high},
                         {"max_over_min", value_or_null(max_over_min(spread))}});
}

Json describe_settings(const wl::WearSettings& settings) {
    Json all = Json::object();
    for (const wl::SettingValue& setting : wl::list_settings(settings)) {
        Json value = std::visit([](const auto& v) { return Json(v); }, setting.value);
        all[std::string(setting.key)] = std::move(value);
    }
    return all;
}

Json describe_task(const pool::Pool& pool, const pool::Wear& wear) {
    const pool::Wear::TaskView task = wear.task();
    return Json::object({{"state", leveling_state_name(task.state)},
                         {"schedule", wear.settings().schedule.text()},
                         {"last_plan_time", value_or_null(task.last_plan_seconds)},
                         {"next_plan_time", value_or_null(task.next_plan_seconds)},
                         {"levels_wear", task.levels_wear},
                         {"moves_waiting", pool.moves().waiting()},
                         {"moves_running", pool.moves().running()},
                         {"moves_done", task.moves_done},
                         {"moves_failed", task.moves_failed},
                         {"moved_bytes", task.moved_bytes},
                         {"rate_bytes", value_or_null(task.rate_bytes)},
                         {"latency_ns", value_or_null(task.latency_ns)},
                         {"latency_quiet_ns", value_or_null(task.latency_quiet_ns)}});
}

Json describe_reading(const wl::Account& account) {
    if (!account.reading) return nullptr;
    const wl::WearReading& r = *account.reading;
    return Json::object({{"time", account.reading_seconds},
                         {"percentage_used", value_or_null(r.percentage_used)},
                         {"written_bytes", value_or_null(r.bytes_written)},
                         {"spare_percent", value_or_null(r.spare_percent)},
                         {"spare_threshold_percent", value_or_null(r.spare_threshold_percent)},
                         {"media_errors", value_or_null(r.media_errors)},
                         {"temperature_celsius", value_or_null(r.temperature_celsius)}});
}

Json per_day(double rate_per_second) { return rate_per_second * kDaySeconds; }

// The next threshold that the member has not reached, and the days until then as the trend has them.
void add_outlook(Json& out, const wl::Account& account, const std::vector<double>& thresholds) {
    const auto trend = wl::trend_of(account);
    out["rate_points_per_day"] = trend ? per_day(trend->rate) : Json(nullptr);
    const wl::Outlook outlook = wl::outlook_of(account, thresholds);
    const auto& time = outlook.time;
    out["threshold"] = value_or_null(outlook.threshold);
    out["days_to_threshold"] = time ? Json(time->expected_seconds / kDaySeconds) : Json(nullptr);
    out["days_earliest"] = time ? Json(time->earliest_seconds / kDaySeconds) : Json(nullptr);
    out["days_latest"] = time && time->latest_seconds ? Json(*time->latest_seconds / kDaySeconds) : Json(nullptr);
}

void add_account(Json& out, const wl::Account& account, const std::vector<double>& thresholds) {
    Json written = Json::object();
    for (std::size_t kind = 0; kind < wl::kAccountKinds; kind++) {
        const wl::IoTotal& sum = account.totals.written[kind];
        written[std::string(account_kind_name(kind))] = Json::object({{"count", sum.count}, {"bytes", sum.bytes}});
    }
    out["wear"] = account.level();
    out["endurance_bytes"] = account.endurance.bytes;
    out["endurance_origin"] = origin_name(account.endurance.origin);
    out["bytes_per_point"] = account.meter.bytes_per_point();
    out["source"] = origin_name(account.origin);
    out["reading"] = describe_reading(account);
    out["since"] = account.since_seconds;
    out["written"] = std::move(written);
    out["write_amplification"] = value_or_null(account.totals.amplification());
    out["writes"] = account.totals.writes().count;
    out["written_bytes"] = account.totals.writes().bytes;
    out["reads"] = account.totals.reads.count;
    out["read_bytes"] = account.totals.reads.bytes;
    add_outlook(out, account, thresholds);
}

Json describe_member(const pool::MemberStatus& status, const pool::Wear::MemberView& view,
                     const std::vector<double>& thresholds) {
    const wl::MemberCandidate& candidate = view.candidate;
    const double total = candidate.extents_total;
    Json out = Json::object({{"index", status.index.get()},
                             {"uuid", status.member.uuid.to_string()},
                             {"path", status.member.path},
                             {"model", text_or_null(status.member.model)},
                             {"serial", text_or_null(status.member.serial)},
                             {"state", member_state_name(status)},
                             {"rate_bytes", view.rate_bytes},
                             {"request_seconds", value_or_null(view.request_seconds)},
                             {"outstanding", candidate.outstanding},
                             {"slow", candidate.slow},
                             {"worn_out", candidate.worn_out},
                             {"healthy", candidate.healthy},
                             {"fill", total > 0 ? 1 - candidate.extents_free / total : 0.0},
                             {"used_bytes", status.used_bytes},
                             {"size_bytes", status.member.layout.size_bytes}});
    // A member that was gone when the pool was started has no account here.
    if (view.account != nullptr) add_account(out, *view.account, thresholds);
    return out;
}

Json describe_plan(const wl::Plan& plan, std::uint64_t extent_bytes) {
    Json moves = Json::array();
    for (const wl::Move& move : plan.moves) {
        moves.push_back(Json::object({{"group", move.group.get()},
                                      {"slot", move.slot},
                                      {"from", move.from.get()},
                                      {"to", move.to.get()},
                                      {"reason", wl::move_reason_name(move.reason)},
                                      {"gain_per_byte", move.gain_per_byte}}));
    }
    return Json::object({{"levels_wear", plan.levels_wear},
                         {"spread", plan.spread},
                         {"spread_predicted", plan.spread_predicted},
                         {"bytes", plan.moves.size() * extent_bytes},
                         {"moves", std::move(moves)}});
}

Json describe_threshold(const wl::Account& account, const std::optional<wl::WearTrend>& trend, double threshold) {
    Json out = Json::object({{"threshold", threshold},
                             {"reached", account.level() >= threshold},
                             {"days", nullptr},
                             {"days_earliest", nullptr},
                             {"days_latest", nullptr}});
    const auto time = trend ? wl::time_to_wear(*trend, threshold) : std::nullopt;
    if (!time || account.level() >= threshold) return out;
    out["days"] = time->expected_seconds / kDaySeconds;
    out["days_earliest"] = time->earliest_seconds / kDaySeconds;
    if (time->latest_seconds) out["days_latest"] = *time->latest_seconds / kDaySeconds;
    return out;
}

Json name_member(const pool::Pool& pool, MemberIndex member) {
    const pool::DriveName drive = pool.drive_name(member);
    return Json::object({{"index", member.get()},
                         {"uuid", pool.state().members()[member.get()]->uuid.to_string()},
                         {"path", drive.path},
                         {"serial", text_or_null(drive.serial)}});
}

}  // namespace

// The pool's moves give way to users: it is told what they have to wait for. Both end with the entry.
void Service::watch_users(Entry& entry) {
    pool::Wear* wear = entry.pool->wear();
    if (wear == nullptr) return;
    wear->set_load_source([&entry] {
        pool::UserLoad load;
        for (const auto& [id, target] : entry.targets) {
            const ublk::OpSum sum = target->io().transfers();
            load.requests += sum.count;
            load.nanoseconds += sum.time_ns;
        }
        return load;
    });
}

Outcome<pool::Wear*> Service::find_wear(const rpc::Params& params) {
    XSAN_TRY(Entry* entry, find(params.text("pool")));
    if (entry->pool->wear() != nullptr) return entry->pool->wear();
    return Failure(Errc::unsupported, "no accounts of wear are kept: set `enabled = true` under [wear] in the "
                                      "configuration, and start xsand anew");
}

Task<Outcome<std::optional<MemberIndex>>> Service::maybe_member(pool::Pool& pool, std::optional<std::string> text) {
    if (!text) co_return std::optional<MemberIndex>();
    XSAN_CO_TRY(const MemberIndex member, resolve_member(pool, std::move(*text)));
    co_return std::optional(member);
}

Task<Service::Answer> Service::wear_show(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    const pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    Json members = Json::array();
    const auto views = wear->members();
    for (const pool::MemberStatus& status : pool.member_status()) {
        const auto view = std::ranges::find(views, status.index, &pool::Wear::MemberView::member);
        if (view == views.end()) continue;
        members.push_back(describe_member(status, *view, wear->settings().warn_at));
    }
    Json hottest = Json::array();
    for (const auto& hot : wear->hottest(kHottest)) {
        hottest.push_back(Json::object({{"group", hot.group.get()}, {"rate_bytes", hot.rate_bytes}}));
    }
    const bool was_written = wear->user_bytes() > 0;
    const double amplification = wl::write_amplification(wear->device_bytes(), wear->user_bytes());
    co_return Json::object({{"pool", pool.name()},
                            {"time", wear->now_seconds()},
                            {"policy", pool.placement_name()},
                            {"mode", text_or_null(std::string(pool.placement().mode_name()))},
                            {"policies", pool.placement_names()},
                            {"task", describe_task(pool, *wear)},
                            {"settings", describe_settings(wear->settings())},
                            {"wear", describe_spread(wear->wear_spread())},
                            {"fill", describe_spread(wear->fill_spread())},
                            {"write_amplification", was_written ? Json(amplification) : Json(nullptr)},
                            {"user_written_bytes", wear->user_bytes()},
                            {"predicted_spread", wear->predicted_spread()},
                            {"hottest", std::move(hottest)},
                            {"members", std::move(members)}});
}

Task<Service::Answer> Service::wear_history(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(const pool::Wear* wear, find_wear(params));
    pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    XSAN_CO_TRY(const auto wanted, maybe_member(pool, params.maybe_text("member")));
    Json members = Json::array();
    for (const auto& view : wear->members()) {
        if (view.account == nullptr || (wanted && *wanted != view.member)) continue;
        Json member = name_member(pool, view.member);
        Json points = Json::array();
        for (const wl::WearPoint& point : view.account->history.points()) {
            const auto time = static_cast<std::int64_t>(point.time_seconds);
            points.push_back(Json::object({{"time", time}, {"wear", point.wear}}));
        }
        member["points"] = std::move(points);
        members.push_back(std::move(member));
    }
    co_return Json::object({{"pool", pool.name()}, {"time", wear->now_seconds()}, {"members", std::move(members)}});
}

Task<Service::Answer> Service::wear_policy(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    const pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    if (params.has("policy")) {
        std::string policy = params.text("policy");
        XSAN_CO_TRY_VOID(wear->set_policy(std::move(policy)));
    }
    co_return Json::object({{"policy", pool.placement_name()}, {"policies", pool.placement_names()}});
}

Task<Service::Answer> Service::wear_set(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    std::vector<std::string> changes = params.texts("settings");
    XSAN_CO_TRY_VOID(wear->change_settings(std::move(changes)));
    co_return Json::object({{"settings", describe_settings(wear->settings())}});
}

Task<Service::Answer> Service::wear_endurance(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    XSAN_CO_TRY(const MemberIndex member, resolve_member(pool, params.text("member")));
    XSAN_CO_TRY_VOID(wear->set_endurance(member, static_cast<double>(params.size("endurance_bytes"))));
    for (const auto& view : wear->members()) {
        if (view.member != member || view.account == nullptr) continue;
        co_return Json::object({{"index", member.get()},
                                {"endurance_bytes", view.account->endurance.bytes},
                                {"endurance_origin", origin_name(view.account->endurance.origin)}});
    }
    co_return Failure(Errc::not_found, "the member has left the pool");
}

Task<Service::Answer> Service::wear_start(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    XSAN_CO_TRY_VOID(wear->set_task(true));
    co_return Json::object({{"task", describe_task(*pools_.at(params.text("pool")).pool, *wear)}});
}

Task<Service::Answer> Service::wear_stop(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    XSAN_CO_TRY_VOID(wear->set_task(false));
    co_return Json::object({{"task", describe_task(*pools_.at(params.text("pool")).pool, *wear)}});
}

Task<Service::Answer> Service::wear_pause(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    wear->set_paused(true);
    co_return Json::object({{"task", describe_task(*pools_.at(params.text("pool")).pool, *wear)}});
}

Task<Service::Answer> Service::wear_resume(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    wear->set_paused(false);
    co_return Json::object({{"task", describe_task(*pools_.at(params.text("pool")).pool, *wear)}});
}

Task<Service::Answer> Service::wear_balance(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    XSAN_CO_CHECK(const wl::Plan plan, wear->balance());
    co_return describe_plan(plan, pools_.at(params.text("pool")).pool->state().pool().extent_bytes);
}

Task<Service::Answer> Service::wear_plan(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    co_return describe_plan(wear->plan(true), pools_.at(params.text("pool")).pool->state().pool().extent_bytes);
}

Task<Service::Answer> Service::wear_predict(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    const pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    std::vector<double> thresholds = wear->settings().warn_at;
    if (const auto asked = params.maybe_size("threshold")) thresholds.assign(1, static_cast<double>(*asked));
    std::optional<double> worst;
    Json members = Json::array();
    for (const auto& view : wear->members()) {
        if (view.account == nullptr) continue;
        const auto trend = wl::trend_of(*view.account);
        Json member = name_member(pool, view.member);
        member["wear"] = view.account->level();
        member["rate_points_per_day"] = trend ? per_day(trend->rate) : Json(nullptr);
        member["rate_low"] = trend ? per_day(trend->rate_low) : Json(nullptr);
        member["rate_high"] = trend ? per_day(trend->rate_high) : Json(nullptr);
        Json all = Json::array();
        for (const double threshold : thresholds) {
            all.push_back(describe_threshold(*view.account, trend, threshold));
            if (view.account->level() >= threshold) worst = std::max(worst.value_or(0), threshold);
        }
        member["thresholds"] = std::move(all);
        members.push_back(std::move(member));
    }
    co_return Json::object({{"pool", pool.name()},
                            {"time", wear->now_seconds()},
                            {"thresholds", thresholds},
                            {"worst_reached", value_or_null(worst)},
                            {"members", std::move(members)}});
}

Task<Service::Answer> Service::wear_reset(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(pool::Wear* wear, find_wear(params));
    pool::Pool& pool = *pools_.at(params.text("pool")).pool;
    XSAN_CO_TRY(const auto member, maybe_member(pool, params.maybe_text("member")));
    XSAN_CO_TRY(const auto done, wear->reset(member, params.flag("history")));
    Json indexes = Json::array();
    for (const MemberIndex one : done) indexes.push_back(one.get());
    co_return Json::object({{"members", std::move(indexes)}});
}

Task<Service::Answer> Service::events(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(const Entry* entry, find(params.text("pool")));
    const pool::EventLog& log = entry->pool->events();
    Json events = Json::array();
    const std::size_t count_max = params.size("count_max");
    // Those behind a number, oldest first, for who follows; else the newest.
    const auto since = params.maybe_size("since");
    for (const pool::PoolEvent& event : since ? log.since(*since, count_max) : log.newest(count_max)) {
        events.push_back(Json::object({{"number", event.number},
                                       {"time", event.unix_seconds},
                                       {"kind", pool::event_kind_name(event.kind)},
                                       {"text", event.text}}));
    }
    co_return Json::object({{"pool", params.text("pool")},
                            {"first", value_or_null(log.first())},
                            {"last", log.last()},
                            {"events", std::move(events)}});
}

}  // namespace xsan::daemon
