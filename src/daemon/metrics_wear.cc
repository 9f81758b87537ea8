// Metrics of wear, of what levels it, and of events. Once a second, hence nothing here takes a plan or looks at more
// than each member and each group once.
#include <array>
#include <optional>

#include "daemon/metrics.h"
#include "daemon/names.h"

namespace xsan::daemon {
namespace {

constexpr double kSecondsOfDay = 86400;
constexpr double kNanoseconds = 1e9;  // of a second
constexpr std::size_t kHotGroupsMost = 10;

constexpr Metric gauge(std::string_view name, std::string_view help) {
    return {name, prometheus::MetricType::Gauge, help};
}
constexpr Metric counter(std::string_view name, std::string_view help) {
    return {name, prometheus::MetricType::Counter, help};
}

constexpr Metric kWear = gauge("xsan_member_wear_points", "Wear of the member: 0 is new, 100 its rated endurance.");
constexpr Metric kWearInfo = gauge("xsan_member_wear_info", "Always 1; says where wear and endurance are known from.");
constexpr Metric kEndurance = gauge("xsan_member_endurance_bytes", "Rated endurance of the member.");
constexpr Metric kPerPoint = gauge("xsan_member_bytes_per_point", "Bytes that wear the member by one point.");
constexpr Metric kWearRate = gauge("xsan_member_wear_points_per_day", "Trend of the member's wear.");
constexpr Metric kNext = gauge("xsan_member_next_threshold_points", "The lowest threshold that was not reached.");
constexpr Metric kNextExpected = gauge("xsan_member_next_threshold_expected_seconds",
                                       "Until the member reaches its next threshold, by the trend of its wear.");
constexpr Metric kNextEarliest = gauge("xsan_member_next_threshold_earliest_seconds",
                                       "The same, by the upper bound of the trend's 95 % confidence interval.");
constexpr Metric kNextLatest = gauge("xsan_member_next_threshold_latest_seconds",
                                     "The same, by the lower bound of the trend's 95 % confidence interval.");
constexpr Metric kAccountStart = gauge("xsan_member_account_start_timestamp_seconds",
                                       "When the member's account began, Unix time.");
constexpr Metric kAccountWrites = counter("xsan_member_account_writes_total",
                                          "Writes to the member by what they carry, since its account began.");
constexpr Metric kAccountWritten = counter("xsan_member_account_written_bytes_total",
                                           "Bytes written to the member by what they are, since its account began.");
constexpr Metric kAccountReads = counter("xsan_member_account_reads_total",
                                         "Reads of the member, since its account began.");
constexpr Metric kAccountRead = counter("xsan_member_account_read_bytes_total",
                                        "Bytes read from the member, since its account began.");
constexpr Metric kMemberAmplification = gauge("xsan_member_write_amplification_ratio",
                                              "Bytes written to the member for each byte of users' data on it.");
constexpr Metric kWriteRate = gauge("xsan_member_write_bytes_per_second", "Written to the member, lately.");
constexpr Metric kRequestTime = gauge("xsan_member_request_seconds", "What a request of the member takes, lately.");
constexpr Metric kOutstanding = gauge("xsan_member_outstanding_requests", "Requests that wait at the member, lately.");
constexpr Metric kSlow = gauge("xsan_member_slow", "1 where the member takes much longer than the others.");
constexpr Metric kWornOut = gauge("xsan_member_worn_out",
                                   "1 where the drive is low on spare blocks, by its own threshold.");
constexpr Metric kHealthy = gauge("xsan_member_healthy", "1 where new groups may be placed on the member.");
constexpr Metric kMemberFill = gauge("xsan_member_fill_ratio", "Extents of the member that are given to groups.");
constexpr Metric kReadingTime = gauge("xsan_member_reading_timestamp_seconds",
                                      "When the drive or the file of readings last said anything, Unix time.");
constexpr Metric kDriveUsed = gauge("xsan_member_drive_used_ratio",
                                    "Endurance used up as the drive or the file of readings says; may pass 1.");
constexpr Metric kDriveWritten = counter("xsan_member_drive_written_bytes_total",
                                         "Written to the drive in its life, as it or the file of readings says.");
constexpr Metric kSpare = gauge("xsan_member_spare_ratio", "Spare blocks that are left, 0 to 1, as the drive says.");
constexpr Metric kSpareLeast = gauge("xsan_member_spare_threshold_ratio", "Spare blocks that the drive should have.");
constexpr Metric kMediaErrors = gauge("xsan_member_media_errors", "As the drive or the file of readings says.");
constexpr Metric kTemperature = gauge("xsan_member_temperature_celsius", "As the drive or the file of readings says.");

// A spread's figures: one after the other mean, deviation, coefficient of variation, min, max, max / min.
using SpreadMetrics = std::array<Metric, 6>;
constexpr SpreadMetrics kWearSpread{
    gauge("xsan_pool_wear_mean_points", "Mean of the members' wear."),
    gauge("xsan_pool_wear_deviation_points", "Standard deviation of the members' wear."),
    gauge("xsan_pool_wear_variation_ratio", "Coefficient of variation of the members' wear: deviation / mean."),
    gauge("xsan_pool_wear_min_points", "Wear of the least worn member."),
    gauge("xsan_pool_wear_max_points", "Wear of the most worn member."),
    gauge("xsan_pool_wear_max_min_ratio", "Wear of the most worn member over that of the least worn one."),
};
constexpr SpreadMetrics kFillSpread{
    gauge("xsan_pool_fill_mean_ratio", "Mean of the members' fill."),
    gauge("xsan_pool_fill_deviation_ratio", "Standard deviation of the members' fill."),
    gauge("xsan_pool_fill_variation_ratio", "Coefficient of variation of the members' fill: deviation / mean."),
    gauge("xsan_pool_fill_min_ratio", "Fill of the emptiest member."),
    gauge("xsan_pool_fill_max_ratio", "Fill of the fullest member."),
    gauge("xsan_pool_fill_max_min_ratio", "Fill of the fullest member over that of the emptiest one."),
};

constexpr Metric kUserBytes = counter("xsan_pool_user_written_bytes_total",
                                      "Written by users since the accounts began or were reset.");
constexpr Metric kDeviceBytes = counter("xsan_pool_device_written_bytes_total",
                                        "Written to members since the accounts began or were reset.");
constexpr Metric kPoolAmplification = gauge("xsan_pool_write_amplification_ratio",
                                            "The latter over the former: written to members for a byte of users.");
constexpr Metric kPolicy = gauge("xsan_pool_placement_info", "Always 1; says which policy places new groups.");
constexpr Metric kLevelingState = gauge("xsan_pool_leveling_state",
                                        "1 for the state that the background task is in, 0 for the others.");
constexpr Metric kLevels = gauge("xsan_pool_leveling_active", "1 where the last plan of the task levels wear.");
constexpr Metric kLastPlan = gauge("xsan_pool_last_plan_timestamp_seconds", "When the task last planned, Unix time.");
constexpr Metric kNextPlan = gauge("xsan_pool_next_plan_timestamp_seconds", "When it plans next, Unix time.");
constexpr Metric kMoves = counter("xsan_pool_moves_total",
                                  "Relocations of the background task that ended, since the pool was started.");
constexpr Metric kMovedBytes = counter("xsan_pool_moved_bytes_total",
                                       "Bytes that those relocations moved, since the pool was started.");
constexpr Metric kMovesWaiting = gauge("xsan_pool_moves_waiting", "Relocations that wait.");
constexpr Metric kMovesRunning = gauge("xsan_pool_moves_running", "Relocations that run.");
constexpr Metric kMovesLimit = gauge("xsan_pool_moves_limit_bytes_per_second",
                                     "What relocations may write now; absent where they are not limited.");
constexpr Metric kLatency = gauge("xsan_pool_user_latency_seconds", "Mean latency of users' requests, lately.");
constexpr Metric kLatencyQuiet = gauge("xsan_pool_user_latency_quiet_seconds", "The same while nothing moves.");
constexpr Metric kHeat = gauge("xsan_group_heat_bytes_per_second",
                               "Written by users to the pool's hottest groups, ten at most; half life a day.");
constexpr Metric kEvents = counter("xsan_pool_events_total", "Events by kind, since the pool was started.");
constexpr Metric kLastEvent = gauge("xsan_pool_last_event_number", "Number of the last event; 0: there was none.");

constexpr std::array kAllOfWear{
    &kWear,         &kWearInfo,      &kEndurance,    &kPerPoint,       &kWearRate,      &kNext,
    &kNextExpected, &kNextEarliest,  &kNextLatest,   &kAccountStart,   &kAccountWrites, &kAccountWritten,
    &kAccountReads, &kAccountRead,   &kMemberAmplification, &kWriteRate, &kRequestTime, &kOutstanding,
    &kSlow,         &kWornOut,       &kHealthy,      &kMemberFill,     &kReadingTime,   &kDriveUsed,
    &kDriveWritten, &kSpare,        &kSpareLeast,    &kMediaErrors,  &kTemperature,    &kUserBytes,     &kDeviceBytes,
    &kPoolAmplification, &kPolicy,   &kLevelingState, &kLevels,        &kLastPlan,      &kNextPlan,
    &kMoves,        &kMovedBytes,    &kMovesWaiting, &kMovesRunning,   &kMovesLimit,    &kLatency,
    &kLatencyQuiet, &kHeat,          &kEvents,       &kLastEvent,
};

// Absent where it is not known.
template <class T>
void add_known(MetricSet& set, const Metric& metric, const MetricLabels& labels, const std::optional<T>& value,
               double unit = 1) {
    if (value) set.add(metric, labels, static_cast<double>(*value) / unit);
}

void add_reading(MetricSet& set, const MetricLabels& labels, const wl::Account& account) {
    if (!account.reading) return;
    const wl::WearReading& reading = *account.reading;
    set.add(kReadingTime, labels, account.reading_seconds);
    add_known(set, kDriveUsed, labels, reading.percentage_used, 100);
    add_known(set, kDriveWritten, labels, reading.bytes_written);
    add_known(set, kSpare, labels, reading.spare_percent, 100);
    add_known(set, kSpareLeast, labels, reading.spare_threshold_percent, 100);
    add_known(set, kMediaErrors, labels, reading.media_errors);
    add_known(set, kTemperature, labels, reading.temperature_celsius);
}

void add_totals(MetricSet& set, const MetricLabels& labels, const wl::AccountTotals& totals) {
    for (std::size_t kind = 0; kind < wl::kAccountKinds; kind++) {
        const MetricLabels of_kind = with_label(labels, "kind", account_kind_name(kind));
        set.add(kAccountWrites, of_kind, totals.written[kind].count);
        set.add(kAccountWritten, of_kind, totals.written[kind].bytes);
    }
    set.add(kAccountReads, labels, totals.reads.count);
    set.add(kAccountRead, labels, totals.reads.bytes);
    add_known(set, kMemberAmplification, labels, totals.amplification());
}

void add_spread(MetricSet& set, const SpreadMetrics& metrics, const MetricLabels& labels, const wl::Spread& spread) {
    set.add(metrics[0], labels, spread.mean);
    set.add(metrics[1], labels, spread.deviation);
    set.add(metrics[2], labels, spread.cv);
    set.add(metrics[3], labels, spread.low);
    set.add(metrics[4], labels, spread.high);
    add_known(set, metrics[5], labels, max_over_min(spread));
}

void add_view(MetricSet& set, const MetricLabels& labels, const pool::Wear::MemberView& view) {
    const wl::MemberCandidate& candidate = view.candidate;
    set.add(kWriteRate, labels, view.rate_bytes);
    add_known(set, kRequestTime, labels, view.request_seconds);
    set.add(kOutstanding, labels, candidate.outstanding);
    set.add(kSlow, labels, candidate.slow ? 1 : 0);
    set.add(kWornOut, labels, candidate.worn_out ? 1 : 0);
    set.add(kHealthy, labels, candidate.healthy ? 1 : 0);
    const double total = candidate.extents_total;
    set.add(kMemberFill, labels, total > 0 ? 1 - candidate.extents_free / total : 0.0);
}

void add_leveling(MetricSet& set, const MetricLabels& labels, const pool::Pool& pool, const pool::Wear& wear) {
    const pool::Wear::TaskView task = wear.task();
    set.add_state(kLevelingState, labels, kLevelingStateNames, leveling_state_name(task.state));
    set.add(kLevels, labels, task.levels_wear ? 1 : 0);
    add_known(set, kLastPlan, labels, task.last_plan_seconds);
    add_known(set, kNextPlan, labels, task.next_plan_seconds);
    set.add(kMoves, with_label(labels, "result", "moved"), task.moves_done);
    set.add(kMoves, with_label(labels, "result", "failed"), task.moves_failed);
    set.add(kMovedBytes, labels, task.moved_bytes);
    set.add(kMovesWaiting, labels, pool.moves().waiting());
    set.add(kMovesRunning, labels, pool.moves().running());
    add_known(set, kMovesLimit, labels, task.rate_bytes);
    add_known(set, kLatency, labels, task.latency_ns, kNanoseconds);
    add_known(set, kLatencyQuiet, labels, task.latency_quiet_ns, kNanoseconds);
}

void add_events(MetricSet& set, const MetricLabels& labels, const pool::EventLog& events) {
    for (std::uint16_t number = 1; number <= pool::kEventKindLast; number++) {
        const auto kind = static_cast<pool::EventKind>(number);
        set.add(kEvents, with_label(labels, "kind", pool::event_kind_name(kind)), events.noted(kind));
    }
    set.add(kLastEvent, labels, events.last());
}

}  // namespace

std::vector<const Metric*> all_wear_metrics() {
    std::vector<const Metric*> all(kAllOfWear.begin(), kAllOfWear.end());
    for (const SpreadMetrics* metrics : {&kWearSpread, &kFillSpread}) {
        for (const Metric& metric : *metrics) all.push_back(&metric);
    }
    return all;
}

void add_account_metrics(MetricSet& set, const MetricLabels& labels, const wl::Account& account,
                         std::span<const double> thresholds) {
    const MetricLabels sourced = with_label(labels, "source", origin_name(account.origin));
    set.add(kWearInfo, with_label(sourced, "endurance_origin", origin_name(account.endurance.origin)), 1);
    set.add(kWear, labels, account.level());
    set.add(kEndurance, labels, account.endurance.bytes);
    set.add(kPerPoint, labels, account.meter.bytes_per_point());
    if (const auto trend = wl::trend_of(account)) set.add(kWearRate, labels, trend->rate * kSecondsOfDay);
    const wl::Outlook outlook = wl::outlook_of(account, thresholds);
    add_known(set, kNext, labels, outlook.threshold);
    if (outlook.time) {
        set.add(kNextExpected, labels, outlook.time->expected_seconds);
        set.add(kNextEarliest, labels, outlook.time->earliest_seconds);
        add_known(set, kNextLatest, labels, outlook.time->latest_seconds);
    }
    set.add(kAccountStart, labels, account.since_seconds);
    add_totals(set, labels, account.totals);
    add_reading(set, labels, account);
}

void add_wear_metrics(MetricSet& set, const pool::Pool& pool) {
    const MetricLabels labels = pool_labels(pool);
    set.add(kPolicy, with_label(labels, "policy", pool.placement_name()), 1);
    add_events(set, labels, pool.events());
    const pool::Wear* wear = pool.wear();
    if (wear == nullptr) return;
    for (const pool::Wear::MemberView& view : wear->members()) {
        const MetricLabels of_member = member_labels(pool, view.member);
        add_view(set, of_member, view);
        if (view.account != nullptr) add_account_metrics(set, of_member, *view.account, wear->settings().warn_at);
    }
    add_spread(set, kWearSpread, labels, wear->wear_spread());
    add_spread(set, kFillSpread, labels, wear->fill_spread());
    set.add(kUserBytes, labels, wear->user_bytes());
    set.add(kDeviceBytes, labels, wear->device_bytes());
    if (wear->user_bytes() > 0) {
        const double amplification = wl::write_amplification(wear->device_bytes(), wear->user_bytes());
        set.add(kPoolAmplification, labels, amplification);
    }
    add_leveling(set, labels, pool, *wear);
    for (const auto& hot : wear->hottest(kHotGroupsMost)) {
        set.add(kHeat, with_label(labels, "group", std::to_string(hot.group.get())), hot.rate_bytes);
    }
}

}  // namespace xsan::daemon
