// See metrics.h.
#include "daemon/metrics.h"

#include <array>
#include <map>
#include <utility>

#include "daemon/names.h"
#include "daemon/service.h"
#include "pool/volume.h"

namespace xsan::daemon {
namespace {

using enum prometheus::MetricType;

constexpr Metric kBuildInfo{"xsan_build_info", Gauge, "Always 1; says which xsand this is."};

constexpr Metric kPoolState{"xsan_pool_state", Gauge, "1 for the state that the pool is in, 0 for the others."};
constexpr Metric kPoolMembers{"xsan_pool_members", Gauge, "Members of the pool, by state."};
constexpr Metric kPoolSize{"xsan_pool_size_bytes", Gauge, "Size of all members."};
constexpr Metric kPoolUsed{"xsan_pool_used_bytes", Gauge, "Of the members' bytes, those given to groups."};
constexpr Metric kPoolLostGroups{"xsan_pool_lost_groups", Gauge,
                                 "Groups that have lost strips: pending can be rebuilt, unplaced wait for a member "
                                 "that takes them, failed have lost more than the code can decode."};
constexpr Metric kEngineOperations{"xsan_pool_engine_operations_total", Counter,
                                   "What the stripe engine did, since the pool was started."};

constexpr Metric kMemberInfo{"xsan_member_info", Gauge, "Always 1; says which drive the member is."};
constexpr Metric kMemberState{"xsan_member_state", Gauge, "1 for the state that the member is in, 0 for the others."};
constexpr Metric kMemberSize{"xsan_member_size_bytes", Gauge, "Size of the member."};
constexpr Metric kMemberUsed{"xsan_member_used_bytes", Gauge, "Bytes of the member that are given to groups."};
constexpr Metric kMemberReads{"xsan_member_reads_total", Counter, "Reads of the member, since the pool was started."};
constexpr Metric kMemberReadBytes{"xsan_member_read_bytes_total", Counter,
                                  "Bytes read from the member, since the pool was started."};
constexpr Metric kMemberWrites{"xsan_member_writes_total", Counter,
                               "Writes to the member by what they carry, since the pool was started."};
constexpr Metric kMemberWrittenBytes{"xsan_member_written_bytes_total", Counter,
                                     "Bytes written to the member by what they are, since the pool was started."};
constexpr Metric kMemberCorrected{"xsan_member_corrected_errors_total", Counter,
                                  "Read errors of the member that were corrected from the others, ever."};

constexpr Metric kJobState{"xsan_job_state", Gauge, "1 for the state that the job is in, 0 for the others."};
constexpr Metric kJobDone{"xsan_job_done_ratio", Gauge, "How much of the job is done, 0 to 1."};
constexpr Metric kJobRate{"xsan_job_bytes_per_second", Gauge, "What the job moves now; 0 where that is not known."};

constexpr Metric kVolumeInfo{"xsan_volume_info", Gauge, "Always 1; says what the volume is, and where."};
constexpr Metric kVolumeState{"xsan_volume_state", Gauge, "1 for the state of the volume's groups, 0 for the others."};
constexpr Metric kVolumeAttached{"xsan_volume_attached", Gauge, "1 where the volume has a block device."};
constexpr Metric kVolumeSize{"xsan_volume_size_bytes", Gauge, "Size of the volume."};
constexpr Metric kVolumeMapped{"xsan_volume_mapped_bytes", Gauge, "Bytes of the volume that have a place."};
constexpr Metric kVolumeRequests{"xsan_volume_requests_total", Counter,
                                 "Requests answered, errors among them, since the volume was attached."};
constexpr Metric kVolumeErrors{"xsan_volume_request_errors_total", Counter,
                               "Requests answered with an error, since the volume was attached."};
constexpr Metric kVolumeBytes{"xsan_volume_bytes_total", Counter,
                              "Bytes of requests that succeeded, since the volume was attached."};
constexpr Metric kVolumeTime{"xsan_volume_request_duration_seconds", Summary,
                             "Time from fetching a request to answering it, since the volume was attached."};

constexpr std::array kAll{
    &kBuildInfo,     &kPoolState,       &kPoolMembers,     &kPoolSize,     &kPoolUsed,           &kPoolLostGroups,
    &kEngineOperations, &kMemberInfo,   &kMemberState,     &kMemberSize,   &kMemberUsed,         &kMemberReads,
    &kMemberReadBytes, &kMemberWrites,  &kMemberWrittenBytes, &kMemberCorrected, &kJobState,     &kJobDone,
    &kJobRate,       &kVolumeInfo,      &kVolumeState,     &kVolumeAttached, &kVolumeSize,       &kVolumeMapped,
    &kVolumeRequests, &kVolumeErrors,   &kVolumeBytes,     &kVolumeTime,
};

double ratio_of(const pool::JobStatus& job) { return percent_of(job.bytes_done, job.bytes_total) / 100.0; }

void add_member(MetricSet& set, const pool::Pool& pool, const pool::MemberStatus& status) {
    const meta::Member& member = status.member;
    const MetricLabels labels = member_labels(pool, status.index);
    MetricLabels info = with_label(labels, "uuid", member.uuid.to_string());
    info = with_label(with_label(info, "path", member.path), "model", member.model);
    info = with_label(info, "domain", member.domain);
    set.add(kMemberInfo, std::move(info), 1);
    set.add_state(kMemberState, labels, kMemberStateNames, member_state_name(status));
    set.add(kMemberSize, labels, member.layout.size_bytes);
    set.add(kMemberUsed, labels, status.used_bytes);
    set.add(kMemberReads, labels, status.traffic.reads.count);
    set.add(kMemberReadBytes, labels, status.traffic.reads.bytes);
    for (std::size_t kind = 0; kind < raid::kWriteKinds; kind++) {
        const raid::IoSum& sum = status.traffic.writes_by_kind[kind];
        const MetricLabels of_kind = with_label(labels, "kind", kWriteKindNames[kind]);
        set.add(kMemberWrites, of_kind, sum.count);
        set.add(kMemberWrittenBytes, of_kind, sum.bytes);
    }
    const MetricLabels of_metadata = with_label(labels, "kind", kMetadataName);
    set.add(kMemberWrites, of_metadata, status.metadata_written.writes);
    set.add(kMemberWrittenBytes, of_metadata, status.metadata_written.bytes);
    set.add(kMemberCorrected, labels, member.counters.corrected_errors);
}

void add_operation(MetricSet& set, const MetricLabels& labels, std::string_view name, const ublk::OpSum& sum) {
    const MetricLabels of_it = with_label(labels, "operation", name);
    set.add(kVolumeRequests, of_it, sum.count);
    set.add(kVolumeErrors, of_it, sum.errors);
    set.add(kVolumeBytes, of_it, sum.bytes);
    set.add_summary(kVolumeTime, of_it, sum.count, static_cast<double>(sum.time_ns) / static_cast<double>(kSecond));
}

}  // namespace

MetricLabels with_label(const MetricLabels& labels, std::string_view name, std::string_view value) {
    MetricLabels more = labels;
    more.push_back({std::string(name), std::string(value)});
    return more;
}

MetricLabels pool_labels(const pool::Pool& pool) { return {{"pool", pool.name()}}; }

MetricLabels member_labels(const pool::Pool& pool, MemberIndex member) {
    MetricLabels labels = pool_labels(pool);
    labels.push_back({"member", std::to_string(member.get())});
    labels.push_back({"serial", pool.state().members()[member.get()]->serial});
    return labels;
}

std::vector<const Metric*> all_metrics() {
    std::vector<const Metric*> all(kAll.begin(), kAll.end());
    for (const Metric* metric : all_wear_metrics()) all.push_back(metric);
    return all;
}

void add_build_metrics(MetricSet& set) { set.add(kBuildInfo, {{"version", XSAN_VERSION}}, 1); }

void add_pool_metrics(MetricSet& set, pool::Pool& pool) {
    const MetricLabels labels = pool_labels(pool);
    set.add_state(kPoolState, labels, kHealthNames, health_name(pool.health()));
    const pool::RebuildStatus lost = pool.rebuild_status();
    set.add(kPoolLostGroups, with_label(labels, "state", "pending"), lost.pending_groups);
    set.add(kPoolLostGroups, with_label(labels, "state", "unplaced"), lost.unplaced_groups);
    set.add(kPoolLostGroups, with_label(labels, "state", "failed"), lost.failed_groups);
    const raid::EngineCounters engine = pool.engine().counters();
    set.add(kEngineOperations, with_label(labels, "kind", "full_stripe_write"), engine.full_stripe_writes);
    set.add(kEngineOperations, with_label(labels, "kind", "delta_write"), engine.delta_writes);
    set.add(kEngineOperations, with_label(labels, "kind", "reconstruct_write"), engine.reconstruct_writes);
    set.add(kEngineOperations, with_label(labels, "kind", "merged_write"), engine.merged_writes);
    set.add(kEngineOperations, with_label(labels, "kind", "degraded_read"), engine.degraded_reads);
}

void add_member_metrics(MetricSet& set, const pool::Pool& pool) {
    std::uint64_t size = 0;
    std::uint64_t used = 0;
    std::map<std::string_view, unsigned> count_by_state;
    for (const pool::MemberStatus& status : pool.member_status()) {
        size += status.member.layout.size_bytes;
        used += status.used_bytes;
        count_by_state[member_state_name(status)]++;
        add_member(set, pool, status);
    }
    const MetricLabels labels = pool_labels(pool);
    for (const std::string_view state : kMemberStateNames) {
        set.add(kPoolMembers, with_label(labels, "state", state), count_by_state[state]);
    }
    set.add(kPoolSize, labels, size);
    set.add(kPoolUsed, labels, used);
}

void add_job_metrics(MetricSet& set, const pool::Pool& pool) {
    for (const pool::JobStatus& job : pool.job_status()) {
        const MetricLabels labels = with_label(pool_labels(pool), "kind", job_kind_name(job.kind));
        set.add_state(kJobState, labels, kJobStateNames, job_state_name(job.state));
        set.add(kJobDone, labels, ratio_of(job));
        set.add(kJobRate, labels, job.rate_bytes);
    }
}

void add_request_metrics(MetricSet& set, const MetricLabels& labels, const ublk::TargetIo& io) {
    constexpr std::array<std::pair<std::string_view, dev::IoKind>, ublk::kIoKinds> kOperations{{
        {"read", dev::IoKind::read},
        {"write", dev::IoKind::write},
        {"flush", dev::IoKind::flush},
        {"discard", dev::IoKind::discard},
        {"write_zeroes", dev::IoKind::write_zeroes},
    }};
    for (const auto& [name, kind] : kOperations) add_operation(set, labels, name, io.of(kind));
    add_operation(set, labels, "other", io.other);
}

void add_volume_metrics(MetricSet& set, const pool::Pool& pool, const VolumeMetrics& one) {
    const meta::VolumeInfo& info = one.volume->info();
    const MetricLabels labels = with_label(pool_labels(pool), "volume", info.name);
    MetricLabels named = with_label(labels, "uuid", info.uuid.to_string());
    named = with_label(named, "scheme", one.volume->scheme().name());
    set.add(kVolumeInfo, with_label(named, "device", one.device), 1);
    set.add_state(kVolumeState, labels, kHealthNames, health_name(one.health));
    set.add(kVolumeAttached, labels, one.io != nullptr ? 1 : 0);
    set.add(kVolumeSize, labels, info.size_bytes);
    set.add(kVolumeMapped, labels, one.volume->mapped_bytes());
    if (one.io != nullptr) add_request_metrics(set, labels, *one.io);
}

MetricSnapshot Service::metrics() {
    MetricSet set;
    add_build_metrics(set);
    for (auto& [name, entry] : pools_) {
        if (entry.is_leaving) continue;
        pool::Pool& pool = *entry.pool;
        add_pool_metrics(set, pool);
        add_member_metrics(set, pool);
        add_job_metrics(set, pool);
        add_wear_metrics(set, pool);
        // Looks at all groups, hence once for each scheme and not for each volume.
        std::map<SchemeId, pool::PoolHealth> health_by_scheme;
        for (pool::Volume* volume : pool.volumes()) {
            const auto [health, is_new] = health_by_scheme.try_emplace(volume->info().scheme);
            if (is_new) health->second = pool.volume_health(*volume);
            VolumeMetrics one{volume, health->second, {}, nullptr};
            ublk::TargetIo io;
            if (const auto target = entry.targets.find(volume->id()); target != entry.targets.end()) {
                io = target->second->io();
                one.device = target->second->path();
                one.io = &io;
            }
            add_volume_metrics(set, pool, one);
        }
    }
    return set.take();
}

}  // namespace xsan::daemon
