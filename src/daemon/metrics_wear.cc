// Metrics of wear, of what levels it, and of events. Once a second, hence nothing here takes a plan or looks at more
// than each member and each group once.
#include <array>
#include <optional>

#include "base/units.h"
#include "daemon/metrics.h"
#include "daemon/names.h"

namespace xsan::daemon {
namespace {

constexpr double kNanoseconds = 1e9;  // of a second
constexpr double kPercent = 100;      // of the whole
constexpr std::size_t kHotGroupsMost = 10;

constexpr Metric gauge(std::string_view name, std::string_view help) {
    return {name, prometheus::MetricType::Gauge, help};
}
constexpr Metric counter(std::string_view name, std::string_view help) {
    return {name, prometheus::MetricType::Counter, help};
}

// `units`: so many of `value` are one of what the metric counts.
template <class T>
Known scaled(const std::optional<T>& value, double units) {
    if (!value) return std::nullopt;
    return static_cast<double>(*value) / units;
}

// Of a member's account.
struct AccountFacts {
    const wl::Account& account;
    wl::Outlook outlook;
};
using OfAccount = Figure<AccountFacts>;
constexpr std::array kOfAccount{
    OfAccount{gauge("xsan_member_wear_points", "Wear of the member: 0 is new, 100 its rated endurance."),
              [](const AccountFacts& of) -> Known { return of.account.level(); }},
    OfAccount{gauge("xsan_member_endurance_bytes", "Rated endurance of the member."),
              [](const AccountFacts& of) -> Known { return of.account.endurance.bytes; }},
    OfAccount{gauge("xsan_member_bytes_per_point", "Bytes that wear the member by one point."),
              [](const AccountFacts& of) -> Known { return of.account.meter.bytes_per_point(); }},
    OfAccount{gauge("xsan_member_wear_points_per_day", "Trend of the member's wear."),
              [](const AccountFacts& of) -> Known {
                  const auto trend = wl::trend_of(of.account);
                  return trend ? Known(trend->rate * kDaySeconds) : std::nullopt;
              }},
    OfAccount{gauge("xsan_member_next_threshold_points", "The lowest threshold that was not reached."),
              [](const AccountFacts& of) -> Known { return of.outlook.threshold; }},
    OfAccount{gauge("xsan_member_next_threshold_expected_seconds",
                    "Until the member reaches its next threshold, by the trend of its wear."),
              [](const AccountFacts& of) -> Known {
                  return of.outlook.time ? Known(of.outlook.time->expected_seconds) : std::nullopt;
              }},
    OfAccount{gauge("xsan_member_next_threshold_earliest_seconds",
                    "The same, by the upper bound of the trend's 95 % confidence interval."),
              [](const AccountFacts& of) -> Known {
                  return of.outlook.time ? Known(of.outlook.time->earliest_seconds) : std::nullopt;
              }},
    OfAccount{gauge("xsan_member_next_threshold_latest_seconds",
                    "The same, by the lower bound of the trend's 95 % confidence interval."),
              [](const AccountFacts& of) -> Known {
                  return of.outlook.time ? of.outlook.time->latest_seconds : std::nullopt;
              }},
    OfAccount{gauge("xsan_member_account_start_timestamp_seconds", "When the member's account began, Unix time."),
              [](const AccountFacts& of) -> Known { return of.account.since_seconds; }},
    OfAccount{counter("xsan_member_account_reads_total", "Reads of the member, since its account began."),
              [](const AccountFacts& of) -> Known { return of.account.totals.reads.count; }},
    OfAccount{counter("xsan_member_account_read_bytes_total", "Bytes read from the member, since its account began."),
              [](const AccountFacts& of) -> Known { return of.account.totals.reads.bytes; }},
    OfAccount{gauge("xsan_member_write_amplification_ratio",
                    "Bytes written to the member for each byte of users' data on it."),
              [](const AccountFacts& of) -> Known { return of.account.totals.amplification(); }},
};
constexpr Metric kWearInfo = gauge("xsan_member_wear_info", "Always 1; says where wear and endurance are known from.");
constexpr Metric kAccountWrites = counter("xsan_member_account_writes_total",
                                          "Writes to the member by what they carry, since its account began.");
constexpr Metric kAccountWritten = counter("xsan_member_account_written_bytes_total",
                                           "Bytes written to the member by what they are, since its account began.");

// Of what the drive or the file of readings said last.
struct ReadingFacts {
    const wl::WearReading& reading;
    std::int64_t unix_seconds;
};
using OfReading = Figure<ReadingFacts>;
constexpr std::array kOfReading{
    OfReading{gauge("xsan_member_reading_timestamp_seconds",
                    "When the drive or the file of readings last said anything, Unix time."),
              [](const ReadingFacts& of) -> Known { return of.unix_seconds; }},
    OfReading{gauge("xsan_member_drive_used_ratio",
                    "Endurance used up as the drive or the file of readings says; may pass 1."),
              [](const ReadingFacts& of) { return scaled(of.reading.percentage_used, kPercent); }},
    OfReading{counter("xsan_member_drive_written_bytes_total",
                      "Written to the drive in its life, as it or the file of readings says."),
              [](const ReadingFacts& of) -> Known { return of.reading.bytes_written; }},
    OfReading{gauge("xsan_member_spare_ratio", "Spare blocks that are left, 0 to 1, as the drive says."),
              [](const ReadingFacts& of) { return scaled(of.reading.spare_percent, kPercent); }},
    OfReading{gauge("xsan_member_spare_threshold_ratio", "Spare blocks that the drive should have."),
              [](const ReadingFacts& of) { return scaled(of.reading.spare_threshold_percent, kPercent); }},
    OfReading{gauge("xsan_member_media_errors", "As the drive or the file of readings says."),
              [](const ReadingFacts& of) -> Known { return of.reading.media_errors; }},
    OfReading{gauge("xsan_member_temperature_celsius", "As the drive or the file of readings says."),
              [](const ReadingFacts& of) -> Known { return of.reading.temperature_celsius; }},
};

// Of what placement sees of a member.
using MemberView = pool::Wear::MemberView;
using OfMember = Figure<MemberView>;
constexpr std::array kOfMember{
    OfMember{gauge("xsan_member_write_bytes_per_second", "Written to the member, lately."),
             [](const MemberView& of) -> Known { return of.rate_bytes; }},
    OfMember{gauge("xsan_member_request_seconds", "What a request of the member takes, lately."),
             [](const MemberView& of) -> Known { return of.request_seconds; }},
    OfMember{gauge("xsan_member_outstanding_requests", "Requests that wait at the member, lately."),
             [](const MemberView& of) -> Known { return of.candidate.outstanding; }},
    OfMember{gauge("xsan_member_slow", "1 where the member takes much longer than the others."),
             [](const MemberView& of) -> Known { return of.candidate.slow; }},
    OfMember{gauge("xsan_member_worn_out", "1 where the drive is low on spare blocks, by its own threshold."),
             [](const MemberView& of) -> Known { return of.candidate.worn_out; }},
    OfMember{gauge("xsan_member_healthy", "1 where new groups may be placed on the member."),
             [](const MemberView& of) -> Known { return of.candidate.healthy; }},
    OfMember{gauge("xsan_member_fill_ratio", "Extents of the member that are given to groups."),
             [](const MemberView& of) -> Known {
                 const double total = of.candidate.extents_total;
                 return total > 0 ? 1 - of.candidate.extents_free / total : 0.0;
             }},
};

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

// Of a pool as a whole.
struct PoolFacts {
    const pool::Pool& pool;
    const pool::Wear& wear;
    pool::Wear::TaskView task;
};
using OfPool = Figure<PoolFacts>;
constexpr std::array kOfPool{
    OfPool{counter("xsan_pool_user_written_bytes_total",
                   "Written by users since the accounts began or were reset."),
           [](const PoolFacts& of) -> Known { return of.wear.user_bytes(); }},
    OfPool{counter("xsan_pool_device_written_bytes_total",
                   "Written to members since the accounts began or were reset."),
           [](const PoolFacts& of) -> Known { return of.wear.device_bytes(); }},
    OfPool{gauge("xsan_pool_write_amplification_ratio",
                 "The latter over the former: written to members for a byte of users."),
           [](const PoolFacts& of) -> Known {
               if (of.wear.user_bytes() <= 0) return std::nullopt;
               return wl::write_amplification(of.wear.device_bytes(), of.wear.user_bytes());
           }},
    OfPool{gauge("xsan_pool_leveling_active", "1 where the last plan of the task levels wear."),
           [](const PoolFacts& of) -> Known { return of.task.levels_wear; }},
    OfPool{gauge("xsan_pool_last_plan_timestamp_seconds", "When the task last planned, Unix time."),
           [](const PoolFacts& of) -> Known { return of.task.last_plan_seconds; }},
    OfPool{gauge("xsan_pool_next_plan_timestamp_seconds", "When it plans next, Unix time."),
           [](const PoolFacts& of) -> Known { return of.task.next_plan_seconds; }},
    OfPool{counter("xsan_pool_moved_bytes_total",
                   "Bytes that relocations of the background task moved, since the pool was started."),
           [](const PoolFacts& of) -> Known { return of.task.moved_bytes; }},
    OfPool{gauge("xsan_pool_moves_waiting", "Relocations that wait."),
           [](const PoolFacts& of) -> Known { return of.pool.moves().waiting(); }},
    OfPool{gauge("xsan_pool_moves_running", "Relocations that run."),
           [](const PoolFacts& of) -> Known { return of.pool.moves().running(); }},
    OfPool{gauge("xsan_pool_moves_limit_bytes_per_second",
                 "What relocations may write now; absent where they are not limited."),
           [](const PoolFacts& of) -> Known { return of.task.rate_bytes; }},
    OfPool{gauge("xsan_pool_user_latency_seconds", "Mean latency of users' requests, lately."),
           [](const PoolFacts& of) { return scaled(of.task.latency_ns, kNanoseconds); }},
    OfPool{gauge("xsan_pool_user_latency_quiet_seconds", "The same while nothing moves."),
           [](const PoolFacts& of) { return scaled(of.task.latency_quiet_ns, kNanoseconds); }},
};
constexpr Metric kPolicy = gauge("xsan_pool_placement_info", "Always 1; says which policy places new groups.");
constexpr Metric kLevelingState = gauge("xsan_pool_leveling_state",
                                        "1 for the state that the background task is in, 0 for the others.");
constexpr Metric kMoves = counter("xsan_pool_moves_total",
                                  "Relocations of the background task that ended, since the pool was started.");
constexpr Metric kHeat = gauge("xsan_group_heat_bytes_per_second",
                               "Written by users to the pool's hottest groups, ten at most; half life a day.");
constexpr Metric kEvents = counter("xsan_pool_events_total", "Events by kind, since the pool was started.");
constexpr Metric kLastEvent = gauge("xsan_pool_last_event_number", "Number of the last event; 0: there was none.");

// Those that stand in no table above.
constexpr std::array kOthers{
    &kWearInfo, &kAccountWrites, &kAccountWritten, &kPolicy, &kLevelingState, &kMoves, &kHeat, &kEvents, &kLastEvent,
};

void add_totals(MetricSet& set, const MetricLabels& labels, const wl::AccountTotals& totals) {
    for (std::size_t kind = 0; kind < wl::kAccountKinds; kind++) {
        const MetricLabels of_kind = with_label(labels, "kind", account_kind_name(kind));
        set.add(kAccountWrites, of_kind, totals.written[kind].count);
        set.add(kAccountWritten, of_kind, totals.written[kind].bytes);
    }
}

void add_spread(MetricSet& set, const SpreadMetrics& metrics, const MetricLabels& labels, const wl::Spread& spread) {
    set.add(metrics[0], labels, spread.mean);
    set.add(metrics[1], labels, spread.deviation);
    set.add(metrics[2], labels, spread.cv);
    set.add(metrics[3], labels, spread.low);
    set.add(metrics[4], labels, spread.high);
    if (const auto ratio = max_over_min(spread)) set.add(metrics[5], labels, *ratio);
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
    std::vector<const Metric*> all(kOthers.begin(), kOthers.end());
    const auto append = [&all](const auto& figures) {
        for (const auto& figure : figures) all.push_back(&figure.metric);
    };
    append(kOfAccount), append(kOfReading), append(kOfMember), append(kOfPool);
    for (const SpreadMetrics* metrics : {&kWearSpread, &kFillSpread}) {
        for (const Metric& metric : *metrics) all.push_back(&metric);
    }
    return all;
}

void add_account_metrics(MetricSet& set, const MetricLabels& labels, const wl::Account& account,
                         std::span<const double> thresholds) {
    const MetricLabels sourced = with_label(labels, "source", origin_name(account.origin));
    set.add(kWearInfo, with_label(sourced, "endurance_origin", origin_name(account.endurance.origin)), 1);
    set.add_all(kOfAccount, labels, AccountFacts{account, wl::outlook_of(account, thresholds)});
    add_totals(set, labels, account.totals);
    if (account.reading) set.add_all(kOfReading, labels, ReadingFacts{*account.reading, account.reading_seconds});
}

void add_wear_metrics(MetricSet& set, const pool::Pool& pool) {
    const MetricLabels labels = pool_labels(pool);
    set.add(kPolicy, with_label(labels, "policy", pool.placement_name()), 1);
    add_events(set, labels, pool.events());
    const pool::Wear* wear = pool.wear();
    if (wear == nullptr) return;
    for (const MemberView& view : wear->members()) {
        const MetricLabels of_member = member_labels(pool, view.member);
        set.add_all(kOfMember, of_member, view);
        if (view.account != nullptr) add_account_metrics(set, of_member, *view.account, wear->settings().warn_at);
    }
    add_spread(set, kWearSpread, labels, wear->wear_spread());
    add_spread(set, kFillSpread, labels, wear->fill_spread());
    const PoolFacts facts{pool, *wear, wear->task()};
    set.add_all(kOfPool, labels, facts);
    set.add_state(kLevelingState, labels, kLevelingStateNames, leveling_state_name(facts.task.state));
    set.add(kMoves, with_label(labels, "result", "moved"), facts.task.moves_done);
    set.add(kMoves, with_label(labels, "result", "failed"), facts.task.moves_failed);
    for (const auto& hot : wear->hottest(kHotGroupsMost)) {
        set.add(kHeat, with_label(labels, "group", std::to_string(hot.group.get())), hot.rate_bytes);
    }
}

}  // namespace xsan::daemon
