// Space: making groups, giving clusters their places, taking them back.
#include <algorithm>

#include "base/log.h"
#include "pool/pool.h"
#include "reactor/cross.h"
#include "wl/capacity.h"

namespace xsan::pool {
void Pool::give_back(const std::vector<StripRef>& strips, const std::vector<MemberIndex>& kept) {
    // What is free now may turn out to belong to a group at the next start.
    if (store_->is_broken()) return;
    std::vector<MemberIndex> released;
    for (const StripRef& strip : strips) {
        if (strip.state() == StripState::none) continue;
        members_.slot(strip.member()).extents.give_back(strip.extent());
        released.push_back(strip.member());
    }
    if (!released.empty()) placement_->on_strips_released(released, kept);
}

Result<std::vector<StripRef>> Pool::choose_strips(SchemeId scheme) {
    const ec::Scheme& s = *state().schemes()[scheme.get()];
    if (!room_for_group(scheme)) return Error{Errc::no_space};
    const auto candidates = members();
    const auto healthy = static_cast<unsigned>(std::count_if(
        candidates.begin(), candidates.end(), [](const auto& c) { return c.healthy && !c.spare; }));
    wl::MemberRequest request;
    request.candidates = candidates;
    request.strips = s.total_strips();
    request.parity_strips = s.parity_strips;
    // Only where members are missing may a group leave strips on none; it is rebuilt first.
    request.strips_min = healthy >= s.total_strips() ? s.total_strips()
                                                     : s.total_strips() - s.losses_promised();
    request.parity_fixed = s.has_fixed_parity();
    request.fill_in_order = s.kind == ec::CodeKind::linear;
    request.seed = rng_.next();
    std::string reasons;
    const bool is_wordy = log_sink() != nullptr && log_sink()->wants(LogLevel::debug);
    if (is_wordy) request.reasons = &reasons;
    auto chosen = placement_->select_members(request);
    if (is_wordy) log(LogLevel::debug, "pool {}: members for a group: {}", name(), reasons);
    if (!chosen) return Error{Errc::no_space};
    // raid4 keeps parity on the last member, so each member has a slot of its own, also while one is away.
    if (s.members_exact()) {
        std::vector<MemberIndex> holding;
        for (const auto& candidate : candidates) {
            if (!candidate.spare) holding.push_back(candidate.member);
        }
        if (holding.size() == s.total_strips()) {
            const wl::StripMembers found = *chosen;
            for (std::size_t slot = 0; slot < holding.size(); slot++) {
                const bool taken = std::find(found.begin(), found.end(), holding[slot]) != found.end();
                (*chosen)[slot] = taken ? std::optional(holding[slot]) : std::nullopt;
            }
        }
    }
    // In the order of members the neighbours of one would be the same in all groups, and its rebuild, which
    // leaves out one strip of each stripe, would spare some members and lean on others.
    if (s.layout == ec::Layout::rotating) {
        for (std::size_t i = chosen->size(); i > 1; i--) std::swap((*chosen)[i - 1], (*chosen)[rng_.below(i)]);
    }
    std::vector<StripRef> strips;
    for (const auto& member : *chosen) {
        if (!member) {
            strips.emplace_back();
            continue;
        }
        const auto extent = members_.slot(*member).extents.allocate();
        XSAN_ASSERT(extent.has_value());
        strips.emplace_back(*member, *extent, StripState::ok);
    }
    return strips;
}

Task<Result<void>> Pool::zero_extent(MemberIndex member, ExtentIndex extent) {
    dev::BlockDevice* device = members_.live(member);
    if (device == nullptr) co_return Error{Errc::device_gone};
    Quiescence::Scope scope(engine_->quiescence());
    const std::uint64_t offset = groups_->extent_offset(member, extent);
    const std::uint64_t length = groups_->extent_bytes();
    Result<void> zeroed = Error{Errc::unsupported};
    if (device->limits().discard_zeroes) zeroed = co_await device->discard(offset, length);
    if (!zeroed) {
        zeroed = co_await device->write_zeroes(offset, length);
        if (zeroed) engine_->traffic().count_write(member, raid::WriteKind::zeros, length);
    }
    // The zeros must be durable before anything says that this extent belongs to a group.
    if (zeroed && device->limits().volatile_cache) {
        zeroed = co_await device->flush();
        if (!zeroed) engine_->traffic().flush_has_failed(member);
    }
    if (!zeroed && zeroed.error().code != Errc::invalid_argument) {
        const auto recorded = co_await member_failed(member, zeroed.error());
        static_cast<void>(recorded);
    }
    co_return zeroed;
}

Task<Result<GroupIndex>> Pool::make_group(SchemeId scheme) {
    const auto number = free_group_number();
    if (!number) co_return number.error();
    const GroupIndex group = *number;
    auto chosen = choose_strips(scheme);
    if (!chosen) co_return chosen.error();
    const std::vector<StripRef> strips = *chosen;
    reserved_groups_.insert(group);
    std::vector<Task<Result<void>>> zeroing;
    for (const StripRef& strip : strips) {
        if (strip.state() == StripState::ok) zeroing.push_back(zero_extent(strip.member(), strip.extent()));
    }
    co_await when_all(std::span(zeroing));
    Result<void> result;
    for (auto& task : zeroing) {
        const auto one = task.take();
        if (!one) result = one;
    }
    if (result) {
        meta::Record record;
        record.kind = meta::RecordKind::group_set;
        record.group = group;
        record.scheme_id = scheme;
        // Higher than any that a group of this number had: each change of a row is an entry.
        record.generation = static_cast<std::uint32_t>(store_->sequence()) + 1;
        record.strips = strips;
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        result = co_await commit(std::move(records));
    }
    reserved_groups_.erase(group);
    if (!result) {
        give_back(strips, {});
        co_return result.error();
    }
    groups_->group_created(group);
    update_open(scheme, group);
    if (groups_->lost_slots(*state().row(group)) != 0) rebuild_wake_.set();
    co_return group;
}

Pool::OpenGroups& Pool::open_groups(SchemeId scheme) {
    const auto [at, is_new] = open_.try_emplace(scheme);
    if (is_new) {
        for (std::uint32_t g = 0; g < state().group_limit(); g++) {
            const GroupRow* row = state().row(GroupIndex{g});
            if (row != nullptr && row->scheme() == scheme) update_open(scheme, GroupIndex{g});
        }
    }
    return at->second;
}

// Nothing new goes where it could not be read again.
bool Pool::may_take_from(GroupIndex group) const {
    const GroupRow* row = state().row(group);
    if (row == nullptr) return false;
    const ec::SlotMask lost = lost_soon(*row);
    return lost == 0 || groups_->survives(*row, lost);
}

// After members were lost, or were not after all.
void Pool::update_all_open() {
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupRow* row = state().row(GroupIndex{g});
        if (row != nullptr && open_.contains(row->scheme())) update_open(row->scheme(), GroupIndex{g});
    }
}

// Brings the list of open groups up to date with what is free in `group`.
void Pool::update_open(SchemeId scheme, GroupIndex group) {
    auto& open = open_groups(scheme).groups;
    const std::uint32_t free = may_take_from(group) ? groups_->free_places(group) : 0;
    const auto at = std::lower_bound(open.begin(), open.end(), group,
                                     [](const wl::OpenGroup& o, GroupIndex g) { return o.group < g; });
    const bool listed = at != open.end() && at->group == group;
    if (free == 0) {
        if (listed) open.erase(at);
    } else if (listed) {
        at->clusters_free = free;
    } else {
        open.insert(at, wl::OpenGroup{group, free});
    }
}

Task<void> Pool::make_groups(SchemeId scheme, unsigned count) {
    std::vector<Task<Result<GroupIndex>>> tasks;
    for (unsigned i = 0; i < count; i++) tasks.push_back(make_group(scheme));
    co_await when_all(std::span(tasks));
    OpenGroups& open = open_groups(scheme);
    open.making = false;
    open.last_made = 0;
    open.last_error = {};
    for (auto& task : tasks) {
        const auto made = task.take();
        if (made.has_value()) {
            open.last_made++;
        } else if (open.last_error.is_ok() || made.error().code != Errc::no_space) {
            open.last_error = made.error();
        }
    }
    open.made.wake_all();
}

// A group with a free place. More groups are made before the open ones run out, so that a writer seldom
// waits for zeroing.
Task<Result<GroupIndex>> Pool::group_for_cluster(SchemeId scheme) {
    // Drives that fail while groups are made on them: others are tried, so often.
    int attempts_left = 8;
    for (;;) {
        OpenGroups& open = open_groups(scheme);
        const ec::Scheme& s = *state().schemes()[scheme.get()];
        const auto candidates = members();
        const auto usable = static_cast<unsigned>(std::count_if(
            candidates.begin(), candidates.end(), [](const auto& c) { return c.healthy && !c.spare; }));
        const unsigned width = std::max(1u, wl::interleave_width(usable, s.total_strips()));
        const bool wants_more = open.groups.size() < width + 1;
        if (wants_more && !open.making && room_for_group(scheme)) {
            open.making = true;
            const auto missing = static_cast<unsigned>(width + 1 - open.groups.size());
            tasks_.spawn(make_groups(scheme, missing));
        }
        wl::ClusterRequest request;
        request.open = open.groups;
        request.previous = open.previous;
        if (open.groups.size() >= width || !open.making) {
            if (const auto group = placement_->select_group(request)) {
                open.previous = group;
                co_return *group;
            }
        }
        if (!open.making) co_return Error{Errc::no_space};
        co_await open.made.wait();
        if (open.last_made == 0) {
            request.open = open.groups;
            request.previous = open.previous;
            const auto group = placement_->select_group(request);
            if (group) {
                open.previous = group;
                co_return *group;
            }
            if (open.last_error.code == Errc::no_space || --attempts_left == 0) {
                co_return open.last_error;
            }
        }
    }
}

Task<Result<meta::MapEntry>> Pool::map_cluster(meta::VolumeId volume, ClusterIndex cluster) {
    auto on_control = [&]() { return map_on_control(volume, cluster); };
    co_return co_await call_on(control(), on_control);
}

Task<Result<meta::MapEntry>> Pool::map_on_control(meta::VolumeId volume, ClusterIndex cluster) {
    const meta::Volume& v = state().volumes().at(volume);
    const auto key = std::make_pair(volume.get(), cluster.get());
    for (;;) {
        const auto busy = mapping_.find(key);
        if (busy == mapping_.end()) break;
        if (busy->second == nullptr) co_return Error{Errc::busy};  // being unmapped
        co_await busy->second->wait();
    }
    if (const auto entry = v.map->get(cluster); entry.is_mapped()) co_return entry;
    Event& event = *mapping_.emplace(key, std::make_unique<Event>()).first->second;

    const SchemeId scheme = v.info.scheme;
    auto group = co_await group_for_cluster(scheme);
    // Others may have run between the choice and this line, and taken the last place.
    while (group && (groups_->free_places(*group) == 0 || !may_take_from(*group))) {
        update_open(scheme, *group);
        group = co_await group_for_cluster(scheme);
    }
    Result<void> result = group ? Result<void>{} : Result<void>{group.error()};
    meta::MapEntry entry;
    if (result) {
        entry = meta::MapEntry::mapped(*group, groups_->take_place(*group));
        update_open(scheme, *group);
        meta::Record record;
        record.kind = meta::RecordKind::map_set;
        record.volume.id = volume;
        record.entries.push_back({cluster, entry});
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        result = co_await commit(std::move(records));
        if (!result) {
            groups_->give_place_back(*group, entry.place());
            update_open(scheme, *group);
        }
    }
    event.set();
    mapping_.erase(key);
    if (!result) co_return result.error();
    co_return entry;
}

Task<void> Pool::wait_for_unmapping() {
    auto on_control = [&]() { return wait_on_control(); };
    co_await call_on(control(), on_control);
}

Task<void> Pool::wait_on_control() {
    if (!unmapping_.empty()) co_await unmapped_.wait();
}

Task<Result<void>> Pool::unmap_clusters(meta::VolumeId volume,
                                        const std::vector<ClusterIndex>& clusters) {
    auto on_control = [&]() { return unmap_on_control(volume, clusters); };
    co_return co_await call_on(control(), on_control);
}

// Order: writers are kept out and drained, the cluster is zeroed through the engine (so that its place holds
// zeros on every strip, parity agreeing), that is durable, then the map says unmapped, then the place is free.
// A cut in between leaves a mapped cluster of zeros.
Task<Result<void>> Pool::unmap_on_control(meta::VolumeId volume,
                                          const std::vector<ClusterIndex>& clusters) {
    const meta::Volume& v = state().volumes().at(volume);
    std::vector<std::pair<ClusterIndex, meta::MapEntry>> taken;
    for (const ClusterIndex cluster : clusters) {
        const auto key = std::make_pair(volume.get(), cluster.get());
        for (;;) {
            const auto busy = mapping_.find(key);
            if (busy == mapping_.end()) break;
            if (busy->second == nullptr) {
                co_await wait_on_control();
            } else {
                co_await busy->second->wait();
            }
        }
        const auto entry = v.map->get(cluster);
        if (!entry.is_mapped()) continue;
        mapping_.emplace(key, nullptr);
        unmapping_[entry.group()]++;
        groups_->set_flag(entry.group(), GroupTable::kUnmapping, true);
        taken.emplace_back(cluster, entry);
    }
    if (taken.empty()) co_return Result<void>{};
    co_await engine_->quiescence().synchronize();
    auto result = co_await zero_and_unmap(volume, taken);
    co_await engine_->quiescence().synchronize();  // readers may still be at the old places
    for (const auto& [cluster, entry] : taken) {
        mapping_.erase(std::make_pair(volume.get(), cluster.get()));
        if (--unmapping_[entry.group()] == 0) {
            unmapping_.erase(entry.group());
            groups_->set_flag(entry.group(), GroupTable::kUnmapping, false);
        }
        if (result) {
            groups_->give_place_back(entry.group(), entry.place());
            update_open(v.info.scheme, entry.group());
        }
    }
    unmapped_.wake_all();
    if (result) tasks_.spawn(remove_empty_groups(v.info.scheme));
    co_return result;
}

Task<Result<void>> Pool::zero_and_unmap(
    meta::VolumeId volume, const std::vector<std::pair<ClusterIndex, meta::MapEntry>>& taken) {
    const std::uint64_t bytes = state().volumes().at(volume).info.cluster_bytes;
    meta::Record record;
    record.kind = meta::RecordKind::map_set;
    record.volume.id = volume;
    for (const auto& [cluster, entry] : taken) {
        // Before the mark is looked at: the cleaner waits for those who saw it.
        Quiescence::Scope scope(engine_->quiescence());
        if (needs_mark(entry.group())) XSAN_CO_TRY_VOID(mark_on_control(entry.group()));
        groups_->set_flag(entry.group(), GroupTable::kTouched, true);
        const raid::GroupRange range{entry.group(), entry.place() * bytes, bytes};
        XSAN_CO_TRY_VOID(engine_->write(range, nullptr, {}));
        record.entries.push_back({cluster, meta::MapEntry{}});
    }
    XSAN_CO_TRY_VOID(flush_all());  // holds a token: a member that is lost meanwhile stays open
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    co_return co_await commit(std::move(records));
}

}  // namespace xsan::pool
