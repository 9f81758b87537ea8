// Applying records to the state. Everything was checked by check_record() before it gets here.
#include "meta/state.h"

#include <algorithm>
#include <iterator>

namespace xsan::meta {

void VolumeMap::set(ClusterIndex cluster, MapEntry entry) {
    const MapEntry old = get(cluster);
    mapped_ += entry.is_mapped() ? 1u : 0u;
    mapped_ -= old.is_mapped() ? 1u : 0u;
    table_.set(cluster.get(), entry.bits);
}

State::RowTable::~RowTable() {
    for_each([](std::uint64_t, GroupRow* row) { GroupRow::Ptr owner(row); });
}

Outcome<void> State::apply(const Record& r) {
    XSAN_TRY_VOID(check_record(r, *this));
    switch (r.kind) {
        case RecordKind::pool_set:
            pool_ = r.pool;
            break;
        case RecordKind::member_set:
            set_member(r.member_index, r.member);
            break;
        case RecordKind::member_stale:
            make_member_stale(r.member_index);
            break;
        case RecordKind::scheme_set:
            if (schemes_.size() <= r.scheme_id.get()) schemes_.resize(r.scheme_id.get() + 1u);
            schemes_[r.scheme_id.get()] = r.scheme;
            break;
        case RecordKind::group_set:
            set_row(r.group, r.scheme_id, r.generation, r.strips);
            break;
        case RecordKind::group_remove:
            remove_group(r.group);
            break;
        case RecordKind::group_dirty:
            for (const auto group : r.groups)
                set_dirty(group, r.flag);
            break;
        case RecordKind::volume_set:
            set_volume(r.volume);
            break;
        case RecordKind::volume_remove:
            remove_volume(r.volume.id);
            break;
        case RecordKind::map_set: {
            Volume& volume = volumes_.find(r.volume.id)->second;
            for (const auto& change : r.entries)
                set_map(volume, change.cluster, change.entry);
            break;
        }
        case RecordKind::bad_set:
            add_bad(r.bad);
            break;
        case RecordKind::bad_clear:
            clear_bad(r.bad);
            break;
        case RecordKind::counters_set:
            members_[r.member_index.get()]->counters = r.member.counters;
            break;
    }
    return {};
}

void State::set_member(MemberIndex index, const Member& member) {
    if (members_.size() <= index.get()) {
        members_.resize(index.get() + 1u);
        extents_.resize(index.get() + 1u);
    }
    members_[index.get()] = member;
    extents_[index.get()].used.resize(member.layout.extent_count);
}

void State::count_row(const GroupRow& row, bool use) {
    for (const StripRef strip : row.strips()) {
        if (strip.state() == StripState::none) continue;
        auto& extents = extents_[strip.member().get()];
        XSAN_ASSERT(extents.used[strip.extent().get()] != use);
        extents.used[strip.extent().get()] = use;
        use ? extents.count++ : extents.count--;
    }
    const auto bytes = stored_row_bytes(row.strips().size());
    use ? row_bytes_ += bytes : row_bytes_ -= bytes;
}

void State::publish_row(GroupIndex group, GroupRow::Ptr row) {
    GroupRow::Ptr old(rows_->get(group.get()));
    if (old) count_row(*old, false);
    if (row) count_row(*row, true);
    rows_->set(group.get(), row.release());
    if (old) retired_.push_back(std::move(old));
}

void State::set_row(GroupIndex group, SchemeId scheme, std::uint32_t generation,
                    std::span<const StripRef> strips) {
    std::array<StripRef, ec::kStripsMax> canonical;
    for (std::size_t i = 0; i < strips.size(); i++) {
        canonical[i] = strips[i].state() == StripState::none ? StripRef() : strips[i];
    }
    if (group.get() >= rows_->limit()) {
        rows_->grow(group.get() + 1u);
        dirty_.resize(group.get() + 1u);
        group_mapped_.resize(group.get() + 1u);
    }
    publish_row(group,
                GroupRow::make(scheme, generation, std::span(canonical).first(strips.size())));
}

void State::make_member_stale(MemberIndex index) {
    std::vector<StripRef> strips;
    for (std::uint32_t g = 0; g < group_limit(); g++) {
        const GroupRow* old = row(GroupIndex{g});
        if (old == nullptr) continue;
        strips.assign(old->strips().begin(), old->strips().end());
        bool changed = false;
        for (auto& strip : strips) {
            if (strip.state() != StripState::ok || strip.member() != index) continue;
            strip = strip.with_state(StripState::stale);
            changed = true;
        }
        if (!changed) continue;
        publish_row(GroupIndex{g}, GroupRow::make(old->scheme(), old->generation() + 1, strips));
    }
}

void State::remove_group(GroupIndex group) {
    set_dirty(group, false);
    publish_row(group, nullptr);
    std::erase_if(bad_ranges_, [group](const BadRange& bad) { return bad.group == group; });
}

void State::set_dirty(GroupIndex group, bool dirty) {
    if (dirty_[group.get()] == dirty) return;
    dirty_[group.get()] = dirty;
    dirty ? dirty_count_++ : dirty_count_--;
}

bool State::is_dirty(GroupIndex group) const {
    return group.get() < dirty_.size() && dirty_[group.get()];
}

void State::set_volume(const VolumeInfo& info) {
    Volume& volume = volumes_[info.id];
    cluster_total_ += info.clusters() - volume.info.clusters();
    volume.info = info;
    if (!volume.map) volume.map = std::make_unique<VolumeMap>(info.clusters());
    volume.map->grow(info.clusters());
}

void State::remove_volume(VolumeId id) {
    const auto found = volumes_.find(id);
    const VolumeMap& map = *found->second.map;
    map.for_each_mapped(
        [this](ClusterIndex, MapEntry entry) { group_mapped_[entry.group().get()]--; });
    mapped_count_ -= map.mapped();
    cluster_total_ -= found->second.info.clusters();
    volumes_.erase(found);
}

void State::set_map(Volume& volume, ClusterIndex cluster, MapEntry entry) {
    const MapEntry old = volume.map->get(cluster);
    if (old.is_mapped()) {
        group_mapped_[old.group().get()]--;
        mapped_count_--;
    }
    if (entry.is_mapped()) {
        group_mapped_[entry.group().get()]++;
        mapped_count_++;
    }
    volume.map->set(cluster, entry);
}

namespace {
bool is_before(const BadRange& a, const BadRange& b) {
    return a.group != b.group ? a.group < b.group : a.offset < b.offset;
}
}  // namespace

void State::add_bad(BadRange bad) {
    // Everything that overlaps or touches the new range becomes one with it.
    auto first = std::lower_bound(bad_ranges_.begin(), bad_ranges_.end(), bad, is_before);
    if (first != bad_ranges_.begin() && std::prev(first)->group == bad.group &&
        std::prev(first)->end() >= bad.offset) {
        --first;
    }
    auto last = first;
    for (; last != bad_ranges_.end() && last->group == bad.group && last->offset <= bad.end();
         ++last) {
        const auto end = std::max(bad.end(), last->end());
        bad.offset = std::min(bad.offset, last->offset);
        bad.length = end - bad.offset;
    }
    bad_ranges_.insert(bad_ranges_.erase(first, last), bad);
}

void State::clear_bad(BadRange bad) {
    std::vector<BadRange> kept;
    kept.reserve(bad_ranges_.size() + 1);
    for (const BadRange& old : bad_ranges_) {
        if (old.group != bad.group || old.end() <= bad.offset || old.offset >= bad.end()) {
            kept.push_back(old);
            continue;
        }
        if (old.offset < bad.offset) {
            kept.push_back({old.group, old.offset, bad.offset - old.offset});
        }
        if (old.end() > bad.end()) kept.push_back({old.group, bad.end(), old.end() - bad.end()});
    }
    bad_ranges_ = std::move(kept);
}

}  // namespace xsan::meta
