// Volumes of a pool: create, resize, delete, find.
#include <fmt/format.h>

#include "base/units.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "reactor/cross.h"

namespace xsan::pool {
namespace {

// A deleted volume keeps its record, without a name, until its clusters are free again.
constexpr std::size_t kUnmapAtOnce = 64;

bool is_deleted(const meta::VolumeInfo& info) { return info.name.empty(); }

}  // namespace

Volume* Pool::find_volume(const std::string& volume_name) {
    for (auto& [id, volume] : volumes_) {
        if (volume->info().name == volume_name) return volume.get();
    }
    return nullptr;
}

std::vector<Volume*> Pool::volumes() {
    std::vector<Volume*> out;
    for (auto& [id, volume] : volumes_) {
        if (!is_deleted(volume->info())) out.push_back(volume.get());
    }
    return out;
}

// The slot of a scheme in the pool's list; a record to add it where it is new.
Outcome<SchemeId> Pool::scheme_slot(const ec::Scheme& scheme, std::vector<meta::Record>& records) const {
    const auto& schemes = state().schemes();
    std::size_t slot = 0;
    for (; slot < schemes.size(); slot++) {
        if (schemes[slot] == scheme) return SchemeId{static_cast<std::uint16_t>(slot)};
    }
    if (slot >= GroupTable::kSchemesMax) {
        return Failure(Errc::no_space, fmt::format("pool '{}' has {} schemes already", name(), slot));
    }
    meta::Record record;
    record.kind = meta::RecordKind::scheme_set;
    record.scheme_id = SchemeId{static_cast<std::uint16_t>(slot)};
    record.scheme = scheme;
    records.push_back(std::move(record));
    return records.back().scheme_id;
}

// Extents that the volumes of the pool may come to need, were they filled.
std::uint64_t Pool::provisioned_extents() const {
    std::uint64_t extents = 0;
    for (const auto& [id, volume] : state().volumes()) {
        const ec::Scheme& s = *state().schemes()[volume.info.scheme.get()];
        const std::uint64_t group = raid::group_data_bytes(s, state().pool().extent_bytes);
        extents += divide_up(volume.info.size_bytes, group) * s.total_strips();
    }
    return extents;
}

// Within the scheme's bounds, and all maps together within the format's, however thin a volume is.
Outcome<void> Pool::check_volume_size(std::uint64_t size_bytes, std::uint32_t cluster_bytes,
                                      std::uint64_t clusters_now) const {
    XSAN_TRY_VOID(check_size_bounds(size_bytes, cluster_bytes));
    const std::uint64_t clusters = size_bytes / cluster_bytes + 1;
    const std::uint64_t others = state().cluster_total() - clusters_now;
    if (others + clusters <= meta::kClustersTotalMax) return {};
    return Failure(Errc::invalid_argument,
                   fmt::format("size {} is too large for pool '{}' beside its other volumes",
                               format_size(size_bytes), name()));
}

// What the pool holds beyond what its volumes may come to need.
std::uint64_t Pool::room_for_volume(const ec::Scheme& scheme) const {
    const std::uint64_t total = data_bytes_total(scheme);
    const std::uint64_t group = raid::group_data_bytes(scheme, state().pool().extent_bytes);
    const std::uint64_t taken = divide_up(provisioned_extents(), scheme.total_strips()) * group;
    return total > taken ? total - taken : 0;
}

Task<Outcome<Volume*>> Pool::create_volume(VolumeOptions options) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    if (find_volume(options.name) != nullptr) {
        co_return Failure(Errc::exists, fmt::format("pool '{}' has a volume '{}' already", name(), options.name));
    }
    unsigned holding = 0;
    for (const auto& member : state().members()) {
        if (member && member->state != meta::MemberState::removed && !member->spare) holding++;
    }
    if (holding < options.scheme.members_min()) {
        co_return Failure(Errc::invalid_argument,
                          fmt::format("scheme {} needs at least {} drives, pool '{}' has {}",
                                      options.scheme.name(), options.scheme.members_min(), name(), holding));
    }
    std::vector<meta::Record> records;
    XSAN_CO_CHECK(const SchemeId scheme, scheme_slot(options.scheme, records));
    const std::uint64_t extent = state().pool().extent_bytes;
    const std::uint32_t cluster = cluster_bytes_of(options.scheme, extent);
    XSAN_CO_CHECK_VOID(check_volume_blocks(options.block_bytes));
    const bool was_given = options.size_bytes != 0;
    if (!was_given) options.size_bytes = room_for_volume(options.scheme);
    if (was_given) XSAN_CO_CHECK_VOID(check_volume_size(options.size_bytes, cluster, 0));
    options.size_bytes = round_down(options.size_bytes, options.block_bytes);
    if (options.size_bytes < cluster) {
        co_return Failure(Errc::no_space,
                          fmt::format("no room for a volume in pool '{}': the smallest one has {}", name(),
                                      format_size(cluster)));
    }
    XSAN_CO_CHECK_VOID(check_volume_size(options.size_bytes, cluster, 0));
    meta::Record record;
    record.kind = meta::RecordKind::volume_set;
    std::uint32_t id = 0;
    for (const auto& [known, volume] : state().volumes()) id = std::max(id, known.get() + 1);
    for (const auto& [known, volume] : volumes_) id = std::max(id, known.get() + 1);
    record.volume.id = meta::VolumeId{id};
    record.volume.uuid = Uuid::random(rng_);
    record.volume.name = options.name;
    record.volume.scheme = scheme;
    record.volume.size_bytes = options.size_bytes;
    record.volume.block_bytes = options.block_bytes;
    record.volume.cluster_bytes = cluster;
    records.push_back(std::move(record));
    const auto committed = co_await commit(std::move(records));
    if (!committed) co_return Failure(committed.error().code, "the pool's metadata cannot be written");
    groups_->refresh_schemes();
    if (stripe_log_ != nullptr) stripe_log_->use_block(options.block_bytes);
    auto volume = std::make_unique<Volume>(*this, meta::VolumeId{id},
                                           static_cast<unsigned>(environment_.reactors.size()));
    Volume* created = volume.get();
    volumes_.emplace(meta::VolumeId{id}, std::move(volume));
    co_return created;
}

Task<Outcome<void>> Pool::change_volume(const std::string& volume_name, meta::VolumeInfo info) {
    meta::Record record;
    record.kind = meta::RecordKind::volume_set;
    record.volume = std::move(info);
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    const auto committed = co_await commit(std::move(records));
    if (!committed) {
        co_return Failure(committed.error().code,
                          fmt::format("volume '{}': the pool's metadata cannot be written", volume_name));
    }
    co_return Outcome<void>{};
}

Task<Outcome<void>> Pool::resize_volume(const std::string& volume_name, std::uint64_t size_bytes) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    Volume* volume = find_volume(volume_name);
    if (volume == nullptr) {
        co_return Failure(Errc::not_found, fmt::format("pool '{}' has no volume '{}'", name(), volume_name));
    }
    meta::VolumeInfo info = volume->info();
    size_bytes = round_down(size_bytes, info.block_bytes);
    if (size_bytes < info.size_bytes) {
        co_return Failure(Errc::unsupported,
                          fmt::format("volume '{}' has {}: it can grow, but not shrink to {}", volume_name,
                                      format_size(info.size_bytes), format_size(size_bytes)));
    }
    XSAN_CO_CHECK_VOID(check_volume_size(size_bytes, info.cluster_bytes, info.clusters()));
    info.size_bytes = size_bytes;
    const auto changed = co_await change_volume(volume_name, std::move(info));
    if (changed) volume->refresh();
    co_return changed;
}

Task<Outcome<void>> Pool::set_attachment(const std::string& volume_name, bool attached, int device_number) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    Volume* volume = find_volume(volume_name);
    XSAN_ASSERT(volume != nullptr);
    meta::VolumeInfo info = volume->info();
    info.attached = attached;
    if (device_number >= 0) info.device_number = device_number;
    if (info == volume->info()) co_return Outcome<void>{};
    co_return co_await change_volume(volume_name, std::move(info));
}

// One commit takes the volume away; its space comes back in the background, also after a restart.
Task<Outcome<void>> Pool::delete_volume(const std::string& volume_name) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    Volume* volume = find_volume(volume_name);
    if (volume == nullptr) {
        co_return Failure(Errc::not_found, fmt::format("pool '{}' has no volume '{}'", name(), volume_name));
    }
    meta::VolumeInfo info = volume->info();
    info.name.clear();
    info.attached = false;
    const auto changed = co_await change_volume(volume_name, std::move(info));
    if (changed) tasks_.spawn(free_volume(volume->id()));
    co_return changed;
}

// Everything that is mapped, in portions.
Task<Result<void>> Pool::unmap_all(meta::VolumeId id) {
    const meta::VolumeMap& map = *state().volumes().at(id).map;
    std::vector<ClusterIndex> clusters;
    ClusterIndex next = map.next_mapped(ClusterIndex{0});
    while (next.get() < map.clusters() && !stopping_) {
        clusters.push_back(next);
        next = map.next_mapped(ClusterIndex{next.get() + 1});
        if (clusters.size() < kUnmapAtOnce && next.get() < map.clusters()) continue;
        XSAN_CO_TRY_VOID(unmap_on_control(id, clusters));
        clusters.clear();
    }
    co_return Result<void>{};
}

// When something could not be done the next start tries again.
Task<void> Pool::free_volume(meta::VolumeId id) {
    const meta::Volume& volume = state().volumes().at(id);
    // Requests that were under way when it was deleted may map clusters still.
    do {
        co_await drain_volume(*volumes_.at(id));
        co_await engine_->quiescence().synchronize();
        if (stopping_) co_return;
        const auto unmapped = co_await unmap_all(id);
        if (!unmapped || stopping_) co_return;
    } while (volume.map->mapped() > 0);
    const SchemeId scheme = volume.info.scheme;
    meta::Record record;
    record.kind = meta::RecordKind::volume_remove;
    record.volume.id = id;
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    // Out of the list before its record is gone: nobody may ask it for that.
    const auto gone = volumes_.extract(id);
    const auto committed = co_await commit(std::move(records));
    if (!committed) co_return;
    co_await remove_empty_groups(scheme);
}

void Pool::free_deleted_volumes() {
    for (const auto& [id, volume] : state().volumes()) {
        if (is_deleted(volume.info)) tasks_.spawn(free_volume(id));
    }
}

}  // namespace xsan::pool
