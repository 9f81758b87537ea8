// What a State answers about itself, and the comparison of two.
#include <algorithm>

#include "meta/state.h"

namespace xsan::meta {
namespace {

bool same_map(const VolumeMap& a, const VolumeMap& b) {
    if (a.mapped() != b.mapped()) return false;
    bool same = true;
    a.for_each_mapped([&](ClusterIndex c, MapEntry entry) { same = same && b.get(c) == entry; });
    return same;
}

bool same_row(const GroupRow* a, const GroupRow* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return a->scheme() == b->scheme() && a->generation() == b->generation() &&
           std::ranges::equal(a->strips(), b->strips());
}

// Equal but for empty places at the end.
template <class T>
bool same_slots(const std::vector<std::optional<T>>& a, const std::vector<std::optional<T>>& b) {
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); i++) {
        const std::optional<T> empty;
        if ((i < a.size() ? a[i] : empty) != (i < b.size() ? b[i] : empty)) return false;
    }
    return true;
}

}  // namespace

std::uint64_t stored_row_bytes(std::size_t strips) {
    return 12 + 6 * strips;
}

std::uint64_t stored_member_bytes(const Member& m) {
    return 160 + m.path.size() + m.model.size() + m.serial.size() + m.domain.size();
}

bool State::equals(const State& other) const {
    if (pool_ != other.pool_ || !same_slots(members_, other.members_) ||
        !same_slots(schemes_, other.schemes_) || bad_ranges_ != other.bad_ranges_ ||
        dirty_count_ != other.dirty_count_ || volumes_.size() != other.volumes_.size()) {
        return false;
    }
    for (std::uint32_t g = 0; g < std::max(group_limit(), other.group_limit()); g++) {
        const GroupIndex group{g};
        if (!same_row(row(group), other.row(group))) return false;
        if (is_dirty(group) != other.is_dirty(group)) return false;
    }
    return std::ranges::equal(volumes_, other.volumes_, [](const auto& a, const auto& b) {
        return a.second.info == b.second.info && same_map(*a.second.map, *b.second.map);
    });
}

StateTally State::tally() const {
    StateTally tally;
    for (const auto& member : members_) {
        if (member) tally.member_bytes += stored_member_bytes(*member);
    }
    tally.scheme_count = schemes_.size();
    tally.group_limit = group_limit();
    tally.row_bytes = row_bytes_;
    tally.volume_count = volumes_.size();
    tally.mapped_count = mapped_count_;
    tally.bad_count = bad_ranges_.size();
    return tally;
}

const Member* State::find_member(MemberIndex index) const {
    if (index.get() >= members_.size() || !members_[index.get()]) return nullptr;
    return &*members_[index.get()];
}

bool State::is_member_uuid_used(const Uuid& uuid, MemberIndex except) const {
    for (std::size_t i = 0; i < members_.size(); i++) {
        if (i != except.get() && members_[i] && members_[i]->uuid == uuid &&
            members_[i]->state != MemberState::removed) {
            return true;
        }
    }
    return false;
}

std::uint32_t State::used_extents(MemberIndex index) const {
    return index.get() < extents_.size() ? extents_[index.get()].count : 0;
}

bool State::is_extent_used(MemberIndex index, ExtentIndex extent) const {
    if (index.get() >= extents_.size()) return false;
    const auto& used = extents_[index.get()].used;
    return extent.get() < used.size() && used[extent.get()];
}

const ec::Scheme* State::find_scheme(SchemeId id) const {
    if (id.get() >= schemes_.size() || !schemes_[id.get()]) return nullptr;
    return &*schemes_[id.get()];
}

std::optional<RowFacts> State::find_row(GroupIndex group) const {
    const GroupRow* found = row(group);
    if (found == nullptr) return std::nullopt;
    return RowFacts{found->scheme(), found->generation(), found->strips()};
}

std::uint64_t State::mapped_in_group(GroupIndex group) const {
    return group.get() < group_mapped_.size() ? group_mapped_[group.get()] : 0;
}

const VolumeInfo* State::find_volume(VolumeId id) const {
    const auto found = volumes_.find(id);
    return found == volumes_.end() ? nullptr : &found->second.info;
}

bool State::is_volume_name_used(std::string_view name, VolumeId except) const {
    return std::ranges::any_of(volumes_, [&](const auto& item) {
        return item.first != except && item.second.info.name == name;
    });
}

bool State::is_mapped_from(VolumeId id, ClusterIndex first) const {
    const auto found = volumes_.find(id);
    if (found == volumes_.end() || found->second.map->mapped() == 0) return false;
    bool any = false;
    found->second.map->for_each_mapped(
        [&](ClusterIndex cluster, MapEntry) { any = any || cluster >= first; });
    return any;
}

}  // namespace xsan::meta
