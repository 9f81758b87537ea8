// The metrics of pools, members and volumes (docs/metrics.md has the table), each part on the control reactor.
// Nothing here writes, waits or counts: the figures are those that `show` gives, and what block devices counted.
//
// To add one: a Figure in one of the tables (metrics_wear.cc); or a Metric, its line in the list of all and a call of
// MetricSet::add(); and a row in docs/metrics.md, which the unit test compares.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/metric_set.h"
#include "pool/pool.h"
#include "ublk/io_counters.h"
#include "wl/account.h"

namespace xsan::daemon {

// Every family that a snapshot may hold.
std::vector<const Metric*> all_metrics();
std::vector<const Metric*> all_wear_metrics();  // part of it

MetricLabels with_label(const MetricLabels& labels, std::string_view name, std::string_view value);
MetricLabels pool_labels(const pool::Pool& pool);
MetricLabels member_labels(const pool::Pool& pool, MemberIndex member);

void add_build_metrics(MetricSet& set);
void add_pool_metrics(MetricSet& set, pool::Pool& pool);
void add_member_metrics(MetricSet& set, const pool::Pool& pool);
void add_job_metrics(MetricSet& set, const pool::Pool& pool);

// Wear of the members, what levels it, and events: metrics_wear.cc.
void add_wear_metrics(MetricSet& set, const pool::Pool& pool);
// What is known of one member's wear; `labels`: pool, member, serial. `thresholds`: points, ascending.
void add_account_metrics(MetricSet& set, const MetricLabels& labels, const wl::Account& account,
                         std::span<const double> thresholds);

struct VolumeMetrics {
    pool::Volume* volume = nullptr;
    pool::PoolHealth health = pool::PoolHealth::online;
    std::string device;                // empty: detached
    const ublk::TargetIo* io = nullptr;  // nullptr: detached
};
void add_volume_metrics(MetricSet& set, const pool::Pool& pool, const VolumeMetrics& one);
// What a volume's block device counted; `labels`: pool and volume.
void add_request_metrics(MetricSet& set, const MetricLabels& labels, const ublk::TargetIo& io);

}  // namespace xsan::daemon
