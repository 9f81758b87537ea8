// What `show`, `list` and `version` say: the keys of docs/rpc.md.
#include <sys/utsname.h>

#include <algorithm>

#include "daemon/json_values.h"
#include "daemon/names.h"
#include "daemon/service.h"

namespace xsan::daemon {

namespace {

using Json = nlohmann::json;

Json describe_sum(std::uint64_t count, std::uint64_t bytes) {
    return Json::object({{"count", count}, {"bytes", bytes}});
}

// Since the pool was started.
Json describe_io(const pool::MemberStatus& status) {
    Json written = Json::object();
    for (std::size_t kind = 0; kind < raid::kWriteKinds; kind++) {
        const raid::IoSum& sum = status.traffic.writes_by_kind[kind];
        written[kWriteKindNames[kind]] = describe_sum(sum.count, sum.bytes);
    }
    written[kMetadataName] = describe_sum(status.metadata_written.writes, status.metadata_written.bytes);
    const raid::IoSum writes = status.traffic.writes();
    return Json::object({{"reads", status.traffic.reads.count},
                         {"read_bytes", status.traffic.reads.bytes},
                         {"writes", writes.count + status.metadata_written.writes},
                         {"written_bytes", writes.bytes + status.metadata_written.bytes},
                         {"written", std::move(written)}});
}

}  // namespace

Service::Json Service::describe_members(const pool::Pool& pool) const {
    Json members = Json::array();
    for (const pool::MemberStatus& status : pool.member_status()) {
        const meta::Member& member = status.member;
        members.push_back(Json::object({
            {"index", status.index.get()},
            {"uuid", member.uuid.to_string()},
            {"path", member.path},
            {"model", text_or_null(member.model)},
            {"serial", text_or_null(member.serial)},
            {"domain", text_or_null(member.domain)},
            {"state", member_state_name(status)},
            {"used_bytes", status.used_bytes},
            {"size_bytes", member.layout.size_bytes},
            {"data_offset_bytes", member.layout.data_offset},
            {"written_bytes", member.counters.written_bytes},
            {"read_bytes", member.counters.read_bytes},
            {"corrected_errors", member.counters.corrected_errors},
            {"io", describe_io(status)},
        }));
    }
    return members;
}

Service::Json Service::describe_volumes(Entry& entry) {
    Json volumes = Json::array();
    for (pool::Volume* volume : entry.pool->volumes()) {
        const meta::VolumeInfo& info = volume->info();
        const auto target = entry.targets.find(volume->id());
        const bool attached = target != entry.targets.end();
        const pool::PoolHealth health = entry.pool->volume_health(*volume);
        std::string_view state = attached ? "attached" : "detached";
        if (health == pool::PoolHealth::degraded) state = "degraded";
        if (health == pool::PoolHealth::failed) state = "failed";
        Json device = nullptr;
        if (attached) device = target->second->path();
        volumes.push_back(Json::object({
            {"name", info.name},
            {"uuid", info.uuid.to_string()},
            {"scheme", volume->scheme().name()},
            {"strip_bytes", volume->scheme().strip_bytes},
            {"block_bytes", info.block_bytes},
            {"device", device},
            {"size_bytes", info.size_bytes},
            {"mapped_bytes", volume->mapped_bytes()},
            {"state", state},
        }));
    }
    return volumes;
}

Service::Json Service::describe_jobs(const pool::Pool& pool) const {
    Json jobs = Json::array();
    for (const pool::JobStatus& job : pool.job_status()) {
        Json rate = nullptr;
        Json eta = nullptr;
        if (job.rate_bytes > 0) rate = job.rate_bytes;
        if (job.eta_seconds) eta = *job.eta_seconds;
        jobs.push_back(Json::object({{"kind", job_kind_name(job.kind)},
                                     {"state", job_state_name(job.state)},
                                     {"percent", percent_of(job.bytes_done, job.bytes_total)},
                                     {"rate_bytes", rate},
                                     {"eta_seconds", eta}}));
    }
    return jobs;
}

Service::Json Service::describe(Entry& entry) {
    pool::Pool& pool = *entry.pool;
    // What a power cut writes wholly or not at all: a block, or less where a drive promises less.
    std::uint32_t atomic_bytes = 4096;
    for (pool::Volume* volume : pool.volumes()) {
        atomic_bytes = std::min(atomic_bytes, volume->info().block_bytes);
    }
    atomic_bytes = std::min(atomic_bytes, pool.member_atomic_bytes());
    const raid::EngineCounters counters = pool.engine().counters();
    return Json::object({
        {"name", pool.name()},
        {"uuid", pool.state().pool().uuid.to_string()},
        {"state", health_name(pool.health())},
        {"consistency", consistency_name(pool.state().pool().consistency)},
        {"atomic_bytes", atomic_bytes},
        {"extent_bytes", pool.state().pool().extent_bytes},
        {"members", describe_members(pool)},
        {"volumes", describe_volumes(entry)},
        {"jobs", describe_jobs(pool)},
        {"unplaced_groups", pool.rebuild_status().unplaced_groups},
        {"counters", Json::object({{"full_stripe_writes", counters.full_stripe_writes},
                                   {"delta_writes", counters.delta_writes},
                                   {"reconstruct_writes", counters.reconstruct_writes},
                                   {"merged_writes", counters.merged_writes},
                                   {"degraded_reads", counters.degraded_reads}})},
    });
}

Task<Service::Answer> Service::list(Json) {
    Json pools = Json::array();
    for (auto& [name, entry] : pools_) {
        std::uint64_t size = 0;
        std::uint64_t used = 0;
        for (const pool::MemberStatus& member : entry.pool->member_status()) {
            size += member.member.layout.size_bytes;
            used += member.used_bytes;
        }
        pools.push_back(Json::object({{"name", name},
                                      {"uuid", entry.pool->state().pool().uuid.to_string()},
                                      {"state", health_name(entry.pool->health())},
                                      {"size_bytes", size},
                                      {"used_bytes", used},
                                      {"members_count", entry.pool->member_status().size()},
                                      {"volumes_count", entry.pool->volumes().size()}}));
    }
    co_return Json::object({{"pools", pools}});
}

Task<Service::Answer> Service::show(Json json) {
    const rpc::Params params(json);
    XSAN_CO_CHECK(Entry* entry, find(params.text("pool")));
    co_return describe(*entry);
}

Task<Service::Answer> Service::version(Json) {
    utsname system{};
    ::uname(&system);
    const UringFeatures& features = reactors_.at(0).features();
    co_return Json::object({{"version", XSAN_VERSION},
                            {"kernel", std::string(system.release)},
                            {"reactors", reactors_.size()},
                            {"passthrough", features.large_entries}});
}

}  // namespace xsan::daemon
