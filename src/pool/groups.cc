// Run-time view of the placement table.
#include "pool/groups.h"

#include <algorithm>
#include <bit>

#include "base/units.h"
#include "pool/survival.h"

namespace xsan::pool {

std::uint32_t cluster_bytes_of(const ec::Scheme& scheme, std::uint64_t extent_bytes) {
    const std::uint64_t stripe = scheme.stripe_data_bytes();
    const std::uint64_t stripes_in_group = extent_bytes / scheme.strip_bytes;
    const std::uint64_t wanted = std::bit_floor(std::max<std::uint64_t>(kMiB / stripe, 1));
    return static_cast<std::uint32_t>(std::min(wanted, stripes_in_group) * stripe);
}

std::vector<MemberIndex> holders(std::span<const StripRef> strips, std::optional<MemberIndex> except) {
    std::vector<MemberIndex> members;
    for (const StripRef& strip : strips) {
        if (strip.state() != StripState::none && strip.member() != except) members.push_back(strip.member());
    }
    return members;
}

GroupTable::GroupTable(const meta::State& state, MemberTable& members)
    : state_(state),
      members_(members),
      codecs_(kSchemesMax),
      cluster_bytes_(kSchemesMax),
      flags_(std::make_unique<std::atomic<std::uint8_t>[]>(state.pool().extents_max)) {}

void GroupTable::refresh_schemes() {
    const auto& schemes = state_.schemes();
    XSAN_ASSERT(schemes.size() <= kSchemesMax);
    for (std::size_t i = 0; i < schemes.size(); i++) {
        if (!schemes[i] || codecs_[i]) continue;
        codecs_[i] = std::make_unique<ec::Codec>(*schemes[i]);
        cluster_bytes_[i] = cluster_bytes_of(*schemes[i], extent_bytes_);
    }
}

void GroupTable::load() {
    extent_bytes_ = state_.pool().extent_bytes;
    refresh_schemes();
    for (std::uint32_t g = 0; g < state_.group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* r = state_.row(group);
        if (r == nullptr) continue;
        group_created(group);
        for (const StripRef& strip : r->strips()) {
            if (strip.state() == StripState::none) continue;
            members_.slot(strip.member()).extents.take(strip.extent());
        }
        set_flag(group, kMarked, state_.is_dirty(group));
    }
    for (const auto& [id, volume] : state_.volumes()) {
        volume.map->for_each_mapped([this](ClusterIndex, meta::MapEntry entry) {
            Places& p = used_places_.at(entry.group());
            XSAN_ASSERT(!p.used[entry.place()]);
            p.used[entry.place()] = true;
            p.used_count++;
        });
    }
}

bool GroupTable::is_mapped(GroupIndex group, std::uint64_t data_offset) const {
    const auto at = used_places_.find(group);
    if (at == used_places_.end()) return false;
    const GroupRow* r = row(group);
    const std::uint64_t place = data_offset / cluster_bytes_[r->scheme().get()];
    return place < at->second.used.size() && at->second.used[place];
}

std::uint32_t GroupTable::places(SchemeId scheme) const {
    const ec::Scheme& s = codec(scheme).scheme();
    return static_cast<std::uint32_t>(raid::group_data_bytes(s, extent_bytes_) /
                                      cluster_bytes_[scheme.get()]);
}

std::uint32_t GroupTable::free_places(GroupIndex group) const {
    const auto at = used_places_.find(group);
    if (at == used_places_.end()) return 0;
    return static_cast<std::uint32_t>(at->second.used.size()) - at->second.used_count;
}

std::uint32_t GroupTable::mapped_places(GroupIndex group) const {
    const auto at = used_places_.find(group);
    return at == used_places_.end() ? 0 : at->second.used_count;
}

void GroupTable::group_created(GroupIndex group) {
    const GroupRow& created = *row(group);
    used_places_[group].used.assign(places(created.scheme()), false);
    strips_in_use_ += created.strips().size();
}

void GroupTable::group_removed(GroupIndex group) {
    XSAN_ASSERT(used_places_.at(group).used_count == 0);
    used_places_.erase(group);
    strips_in_use_ -= row(group)->strips().size();
    flags_[group.get()].store(0, std::memory_order_release);
}

std::uint32_t GroupTable::take_place(GroupIndex group) {
    Places& p = used_places_.at(group);
    const auto at = std::find(p.used.begin(), p.used.end(), false);
    XSAN_ASSERT(at != p.used.end());
    *at = true;
    p.used_count++;
    return static_cast<std::uint32_t>(at - p.used.begin());
}

void GroupTable::give_place_back(GroupIndex group, std::uint32_t place) {
    Places& p = used_places_.at(group);
    XSAN_ASSERT(p.used[place]);
    p.used[place] = false;
    p.used_count--;
}

ec::SlotMask GroupTable::lost_slots(const GroupRow& r) const {
    ec::SlotMask lost = 0;
    const auto strips = r.strips();
    for (std::size_t i = 0; i < strips.size(); i++) {
        const bool ok = strips[i].state() == StripState::ok && members_.live(strips[i].member()) != nullptr;
        if (!ok) lost |= ec::SlotMask{1} << i;
    }
    return lost;
}

bool GroupTable::survives(const GroupRow& r, ec::SlotMask lost) const {
    return can_decode_all(codec(r.scheme()), lost);
}

}  // namespace xsan::pool
