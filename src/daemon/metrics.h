// The metrics of pools, members and volumes (docs/metrics.md has the table), each part on the control reactor.
// Nothing here writes, waits or counts: the figures are those that `show` gives, and what block devices counted.
//
// To add one: a Metric and its line in all_metrics() (metrics.cc), a call of MetricSet::add(), a row in
// docs/metrics.md, which the unit test compares.
#pragma once

#include <span>
#include <string>

#include "daemon/metric_set.h"
#include "pool/pool.h"
#include "ublk/io_counters.h"

namespace xsan::daemon {

// Every family that a snapshot may hold.
std::span<const Metric* const> all_metrics();

void add_build_metrics(MetricSet& set);
void add_pool_metrics(MetricSet& set, pool::Pool& pool);
void add_member_metrics(MetricSet& set, const pool::Pool& pool);
void add_job_metrics(MetricSet& set, const pool::Pool& pool);

// Figures of wear, one call for each pool: the place for them. There are none yet.
void add_wear_metrics(MetricSet& set, const pool::Pool& pool);

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
