// See draft.h. Counts in the tally may be too high (a bad range that merges, a row that is replaced
// by a shorter one), never too low.
#include "meta/draft.h"

#include <algorithm>

namespace xsan::meta {

Outcome<void> Draft::add(const Record& record) {
    XSAN_TRY_VOID(check_record(record, *this));
    note(record);
    return {};
}

void Draft::note(const Record& r) {
    switch (r.kind) {
        case RecordKind::pool_set:
            pool_ = r.pool;
            break;
        case RecordKind::member_set:
            if (const Member* old = find_member(r.member_index)) {
                tally_.member_bytes -= stored_member_bytes(*old);
            }
            members_[r.member_index] = r.member;
            tally_.member_bytes += stored_member_bytes(r.member);
            break;
        case RecordKind::counters_set: {
            Member member = *find_member(r.member_index);
            member.counters = r.member.counters;
            members_[r.member_index] = std::move(member);
            break;
        }
        case RecordKind::member_stale:
            note_stale(r.member_index);
            break;
        case RecordKind::scheme_set:
            schemes_[r.scheme_id] = r.scheme;
            tally_.scheme_count =
                std::max<std::uint64_t>(tally_.scheme_count, r.scheme_id.get() + 1u);
            break;
        case RecordKind::group_set:
            note_row(r.group, Row{r.scheme_id, r.generation, r.strips});
            break;
        case RecordKind::group_remove:
            note_row(r.group, std::nullopt);
            break;
        case RecordKind::group_dirty:
            break;
        case RecordKind::volume_set:
            note_volume(r.volume);
            break;
        case RecordKind::volume_remove:
            note_volume_removed(r.volume.id);
            break;
        case RecordKind::map_set:
            note_map(r);
            break;
        case RecordKind::bad_set:
        case RecordKind::bad_clear:
            tally_.bad_count++;
            break;
    }
}

void Draft::note_row(GroupIndex group, std::optional<Row> next) {
    const auto use = [this](std::span<const StripRef> strips, bool used) {
        for (const StripRef strip : strips) {
            if (strip.state() == StripState::none) continue;
            extents_[{strip.member(), strip.extent()}] = used;
            extents_used_[strip.member()] += used ? 1 : -1;
        }
    };
    if (const auto old = find_row(group)) {
        use(old->strips, false);
        tally_.row_bytes -= stored_row_bytes(old->strips.size());
    }
    if (next) {
        use(next->strips, true);
        tally_.row_bytes += stored_row_bytes(next->strips.size());
        tally_.group_limit = std::max<std::uint64_t>(tally_.group_limit, group.get() + 1u);
    }
    rows_[group] = std::move(next);
}

void Draft::note_stale(MemberIndex index) {
    // Only generations matter to later checks; the states do not.
    for (std::uint32_t g = 0; g < tally_.group_limit; g++) {
        const auto row = find_row(GroupIndex{g});
        if (!row) continue;
        const bool has = std::ranges::any_of(row->strips, [index](StripRef s) {
            return s.state() == StripState::ok && s.member() == index;
        });
        if (!has) continue;
        Row next{row->scheme, row->generation + 1, {row->strips.begin(), row->strips.end()}};
        for (auto& s : next.strips) {
            if (s.state() == StripState::ok && s.member() == index)
                s = s.with_state(StripState::stale);
        }
        rows_[GroupIndex{g}] = std::move(next);
    }
}

void Draft::note_volume(const VolumeInfo& info) {
    const VolumeInfo* old = find_volume(info.id);
    cluster_total_ += info.clusters() - (old == nullptr ? 0 : old->clusters());
    if (find_volume(info.id) == nullptr) {
        tally_.volume_count++;
        auto& volume = volumes_[info.id];
        volume.fresh = volume.fresh || base_.find_volume(info.id) == nullptr;
    }
    volumes_[info.id].info = info;
}

void Draft::note_volume_removed(VolumeId id) {
    cluster_total_ -= find_volume(id)->clusters();
    if (is_base_volume_visible(id)) {
        base_.volumes().at(id).map->for_each_mapped([&](ClusterIndex cluster, MapEntry entry) {
            if (!entries_.contains({id, cluster})) mapped_[entry.group()]--;
        });
    }
    const auto first = entries_.lower_bound({id, ClusterIndex{0}});
    auto last = first;
    for (; last != entries_.end() && last->first.first == id; ++last) {
        if (last->second.is_mapped()) mapped_[last->second.group()]--;
    }
    entries_.erase(first, last);
    volumes_[id] = {std::nullopt, true};
    tally_.volume_count--;
}

void Draft::note_map(const Record& r) {
    for (const auto& change : r.entries) {
        const MapEntry old = map_entry(r.volume.id, change.cluster);
        if (old.is_mapped()) mapped_[old.group()]--;
        if (change.entry.is_mapped()) mapped_[change.entry.group()]++;
        if (!old.is_mapped() && change.entry.is_mapped()) tally_.mapped_count++;
        entries_[{r.volume.id, change.cluster}] = change.entry;
    }
}

bool Draft::is_base_volume_visible(VolumeId id) const {
    const auto changed = volumes_.find(id);
    return base_.find_volume(id) != nullptr &&
           (changed == volumes_.end() || !changed->second.fresh);
}

MapEntry Draft::map_entry(VolumeId id, ClusterIndex cluster) const {
    if (const auto found = entries_.find({id, cluster}); found != entries_.end())
        return found->second;
    return is_base_volume_visible(id) ? base_.volumes().at(id).map->get(cluster) : MapEntry{};
}

std::uint32_t Draft::member_limit() const {
    const auto base = static_cast<std::uint32_t>(base_.members().size());
    return members_.empty() ? base
                            : std::max<std::uint32_t>(base, members_.rbegin()->first.get() + 1u);
}

std::uint64_t Draft::extent_total() const {
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < member_limit(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const Member* member = find_member(index);
        if (member == nullptr) continue;
        const bool is_dead = member->state != MemberState::in_sync && used_extents(index) == 0;
        if (!is_dead) total += member->layout.extent_count;
    }
    return total;
}

const Member* Draft::find_member(MemberIndex index) const {
    const auto found = members_.find(index);
    return found != members_.end() ? &found->second : base_.find_member(index);
}

bool Draft::is_member_uuid_used(const Uuid& uuid, MemberIndex except) const {
    for (std::uint32_t i = 0; i < member_limit(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const Member* member = find_member(index);
        if (index != except && member != nullptr && member->uuid == uuid &&
            member->state != MemberState::removed) {
            return true;
        }
    }
    return false;
}

std::uint32_t Draft::used_extents(MemberIndex index) const {
    const auto change = extents_used_.find(index);
    const std::int64_t base = base_.used_extents(index);
    return static_cast<std::uint32_t>(base + (change == extents_used_.end() ? 0 : change->second));
}

bool Draft::is_extent_used(MemberIndex index, ExtentIndex extent) const {
    const auto found = extents_.find({index, extent});
    return found != extents_.end() ? found->second : base_.is_extent_used(index, extent);
}

const ec::Scheme* Draft::find_scheme(SchemeId id) const {
    const auto found = schemes_.find(id);
    return found != schemes_.end() ? &found->second : base_.find_scheme(id);
}

std::optional<RowFacts> Draft::find_row(GroupIndex group) const {
    const auto found = rows_.find(group);
    if (found == rows_.end()) return base_.find_row(group);
    if (!found->second) return std::nullopt;
    return RowFacts{found->second->scheme, found->second->generation, found->second->strips};
}

std::uint64_t Draft::mapped_in_group(GroupIndex group) const {
    const auto change = mapped_.find(group);
    const auto base = static_cast<std::int64_t>(base_.mapped_in_group(group));
    return static_cast<std::uint64_t>(base + (change == mapped_.end() ? 0 : change->second));
}

const VolumeInfo* Draft::find_volume(VolumeId id) const {
    const auto found = volumes_.find(id);
    if (found == volumes_.end()) return base_.find_volume(id);
    return found->second.info ? &*found->second.info : nullptr;
}

bool Draft::is_volume_name_used(std::string_view name, VolumeId except) const {
    for (const auto& [id, volume] : base_.volumes()) {
        if (id != except && !volumes_.contains(id) && volume.info.name == name) return true;
    }
    return std::ranges::any_of(volumes_, [&](const auto& item) {
        return item.first != except && item.second.info && item.second.info->name == name;
    });
}

bool Draft::is_mapped_from(VolumeId id, ClusterIndex first) const {
    for (auto it = entries_.lower_bound({id, first}); it != entries_.end() && it->first.first == id;
         ++it) {
        if (it->second.is_mapped()) return true;
    }
    if (!is_base_volume_visible(id)) return false;
    bool any = false;
    base_.volumes().at(id).map->for_each_mapped([&](ClusterIndex cluster, MapEntry) {
        any = any || (cluster >= first && !entries_.contains({id, cluster}));
    });
    return any;
}

}  // namespace xsan::meta
