// Which records fit which facts. Every refusal is a sentence; nothing here changes anything.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/units.h"
#include "meta/facts.h"

namespace xsan::meta {
namespace {

template <class... Args>
Failure misfit(fmt::format_string<Args...> format, Args&&... args) {
    return Failure(Errc::corrupt, fmt::format(format, std::forward<Args>(args)...));
}

Outcome<void> check_pool(const PoolInfo& next, const Facts& facts) {
    if (next.uuid.is_nil()) return misfit("the pool has no UUID");
    if (!is_name(next.name)) return misfit("'{}' is no name for a pool", next.name);
    if (next.consistency > Consistency::log) return misfit("unknown consistency policy");
    if (next.extent_bytes < kMiB || !std::has_single_bit(next.extent_bytes) ||
        next.extent_bytes > kExtentBytesMax) {
        return misfit("an extent size of {} bytes is not possible", next.extent_bytes);
    }
    if (next.extents_max == 0 || next.extents_max > kExtentsMax) {
        return misfit("a growth limit of {} extents is not possible", next.extents_max);
    }
    const PoolInfo& now = facts.pool();
    if (now.uuid.is_nil()) return {};
    if (now.uuid != next.uuid || now.extent_bytes != next.extent_bytes ||
        now.extents_max != next.extents_max) {
        return misfit("UUID, extent size and growth limit of a pool never change");
    }
    return {};
}

// Together with the other members there are or were: entries and checkpoints have one place on all of them.
Outcome<void> check_among_members(MemberIndex index, const MemberLayout& next, const Facts& facts) {
    if (next.extent_count > facts.pool().extents_max) {
        return misfit("member {} has more extents than the growth limit allows", index.get());
    }
    std::uint64_t extents = next.extent_count;
    for (std::uint16_t i = 0; i < kMembersMax; i++) {
        const Member* other = facts.find_member(MemberIndex{i});
        if (other == nullptr || i == index.get()) continue;
        extents += other->layout.extent_count;
        if (other->layout.checkpoint_slot_bytes != next.checkpoint_slot_bytes ||
            other->layout.metadata_log_bytes != next.metadata_log_bytes) {
            return misfit("members {} and {} have metadata of different sizes", i, index.get());
        }
    }
    if (extents > kExtentsTotalMax) return misfit("the members have too many extents");
    return {};
}

Outcome<void> check_member(MemberIndex index, const Member& next, const Facts& facts) {
    const unsigned i = index.get();
    if (facts.pool().uuid.is_nil()) return misfit("member {} comes before its pool", i);
    if (i >= kMembersMax) return misfit("member index {} is out of range", i);
    if (next.uuid.is_nil()) return misfit("member {} has no UUID", i);
    if (next.state < MemberState::in_sync || next.state > MemberState::removed) {
        return misfit("member {} has an unknown state", i);
    }
    for (const auto* text : {&next.path, &next.model, &next.serial, &next.domain}) {
        if (text->size() > kTextBytesMax) return misfit("member {} has a text too long", i);
    }
    XSAN_TRY_VOID(check_layout(next.layout, facts.pool().extent_bytes));
    XSAN_TRY_VOID(check_among_members(index, next.layout, facts));
    // What was removed may have come back at another index since.
    if (next.state != MemberState::removed && facts.is_member_uuid_used(next.uuid, index)) {
        return misfit("member {} has the UUID of another member", i);
    }
    const Member* now = facts.find_member(index);
    if (now == nullptr) return {};
    if (now->uuid == next.uuid) {
        if (now->layout == next.layout) return {};
        return misfit("the layout of member {} changes", i);
    }
    if (now->state != MemberState::removed) return misfit("member index {} is in use", i);
    if (facts.used_extents(index) > 0) return misfit("groups still name the old member {}", i);
    return {};
}

Outcome<void> check_scheme(SchemeId id, const ec::Scheme& next, const Facts& facts) {
    if (id.get() >= kSchemesMax) return misfit("scheme {} is out of range", id.get());
    const auto valid = ec::validate(next);
    if (!valid && valid.error().code == Errc::unsupported) {
        return Failure(Errc::version_mismatch, valid.error().message);
    }
    if (!valid) return valid.error();
    const ec::Scheme* now = facts.find_scheme(id);
    if (now != nullptr && *now != next) return misfit("scheme {} changes", id.get());
    return {};
}

Outcome<void> check_row(const Record& r, const Facts& facts) {
    const auto g = r.group.get();
    if (g >= facts.pool().extents_max) return misfit("group {} is beyond the growth limit", g);
    const ec::Scheme* scheme = facts.find_scheme(r.scheme_id);
    if (scheme == nullptr) return misfit("group {} has unknown scheme {}", g, r.scheme_id.get());
    if (r.strips.size() != scheme->total_strips()) {
        return misfit("group {} has {} strips, its scheme {}", g, r.strips.size(),
                      scheme->total_strips());
    }
    const auto old = facts.find_row(r.group);
    if (old && old->scheme != r.scheme_id) return misfit("the scheme of group {} changes", g);
    if (old && old->generation >= r.generation) {
        return misfit("group {} goes from generation {} to {}", g, old->generation, r.generation);
    }
    for (std::size_t i = 0; i < r.strips.size(); i++) {
        const StripRef strip = r.strips[i];
        if (strip.state() == StripState::none) continue;
        if (strip.state() > StripState::none) return misfit("group {} has a strip of no state", g);
        const Member* member = facts.find_member(strip.member());
        const unsigned m = strip.member().get();
        const auto e = strip.extent().get();
        if (member == nullptr) return misfit("group {} names unknown member {}", g, m);
        if (e >= member->layout.extent_count) {
            return misfit("group {} names extent {} of member {}, which has {}", g, e, m,
                          member->layout.extent_count);
        }
        for (std::size_t j = 0; j < i; j++) {
            if (r.strips[j].state() != StripState::none && r.strips[j].member() == strip.member()) {
                return misfit("group {} has two strips on member {}", g, m);
            }
        }
        if (!facts.is_extent_used(strip.member(), strip.extent())) continue;
        const bool is_own = old && std::any_of(old->strips.begin(), old->strips.end(), [&](auto s) {
                                return s.state() != StripState::none &&
                                       s.member() == strip.member() && s.extent() == strip.extent();
                            });
        if (!is_own) return misfit("extent {} of member {} is in two groups", e, m);
    }
    return {};
}

Outcome<void> check_volume(const VolumeInfo& next, const Facts& facts) {
    const auto id = next.id.get();
    if (next.uuid.is_nil()) return misfit("volume {} has no UUID", id);
    // No name: deleted, and its clusters are on their way back.
    if (!next.name.empty() && !is_name(next.name)) {
        return misfit("'{}' is no name for a volume", next.name);
    }
    if (!next.name.empty() && facts.is_volume_name_used(next.name, next.id)) {
        return misfit("two volumes are named '{}'", next.name);
    }
    const ec::Scheme* scheme = facts.find_scheme(next.scheme);
    if (scheme == nullptr) return misfit("volume '{}' has an unknown scheme", next.name);
    if (next.block_bytes < 512 || next.block_bytes > 65536 ||
        !std::has_single_bit(next.block_bytes)) {
        return misfit("volume '{}' has blocks of {} bytes", next.name, next.block_bytes);
    }
    if (next.cluster_bytes == 0 || next.cluster_bytes % scheme->stripe_data_bytes() != 0 ||
        places_in_group(facts.pool(), *scheme, next.cluster_bytes) == 0 ||
        places_in_group(facts.pool(), *scheme, next.cluster_bytes) > (1u << 24)) {
        return misfit("volume '{}' has clusters of {} bytes", next.name, next.cluster_bytes);
    }
    if (next.clusters() > kClustersMax || next.size_bytes % next.block_bytes != 0) {
        return misfit("volume '{}' has a size of {} bytes", next.name, next.size_bytes);
    }
    const VolumeInfo* now = facts.find_volume(next.id);
    const std::uint64_t others = facts.cluster_total() - (now == nullptr ? 0 : now->clusters());
    if (others + next.clusters() > kClustersTotalMax) return misfit("the volumes are too large");
    if (now == nullptr) {
        if (facts.volume_count() >= kVolumesMax) return misfit("there are too many volumes");
        return {};
    }
    if (now->uuid != next.uuid || now->scheme != next.scheme ||
        now->cluster_bytes != next.cluster_bytes) {
        return misfit("UUID, scheme and cluster size of volume '{}' never change", next.name);
    }
    if (next.clusters() < now->clusters() &&
        facts.is_mapped_from(next.id, ClusterIndex{next.clusters()})) {
        return misfit("volume '{}' would lose mapped clusters", next.name);
    }
    return {};
}

Outcome<void> check_map(const Record& r, const Facts& facts) {
    const VolumeInfo* volume = facts.find_volume(r.volume.id);
    if (volume == nullptr) return misfit("a map entry is for unknown volume {}", r.volume.id.get());
    const ec::Scheme* scheme = facts.find_scheme(volume->scheme);
    const auto places = places_in_group(facts.pool(), *scheme, volume->cluster_bytes);
    const auto clusters = volume->clusters();
    for (const auto& change : r.entries) {
        const auto c = change.cluster.get();
        if (c >= clusters) return misfit("cluster {} is beyond volume '{}'", c, volume->name);
        if (!change.entry.is_valid()) return misfit("cluster {} of '{}' is odd", c, volume->name);
        if (!change.entry.is_mapped()) continue;
        const auto row = facts.find_row(change.entry.group());
        if (!row || row->scheme != volume->scheme) {
            return misfit("cluster {} of volume '{}' names group {}, which is not of its scheme", c,
                          volume->name, change.entry.group().get());
        }
        if (change.entry.place() >= places) {
            return misfit("cluster {} of volume '{}' names place {} of {}", c, volume->name,
                          change.entry.place(), places);
        }
    }
    return {};
}

Outcome<void> check_bad(const BadRange& bad, const Facts& facts) {
    const auto row = facts.find_row(bad.group);
    if (!row) return misfit("a bad range names unknown group {}", bad.group.get());
    const ec::Scheme* scheme = facts.find_scheme(row->scheme);
    const std::uint64_t data_bytes = facts.pool().extent_bytes * scheme->data_strips;
    if (bad.length == 0 || bad.length > data_bytes || bad.offset > data_bytes - bad.length ||
        bad.offset % 512 != 0 || bad.length % 512 != 0) {
        return misfit("a bad range is not inside group {}", bad.group.get());
    }
    return {};
}

Outcome<void> need_member(MemberIndex index, const Facts& facts) {
    if (facts.find_member(index) != nullptr) return {};
    return misfit("member {} is unknown", index.get());
}

}  // namespace

bool is_name(std::string_view name) {
    const auto is_alnum = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    if (name.empty() || name.size() > kNameBytesMax || !is_alnum(name[0])) return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::uint64_t places_in_group(const PoolInfo& pool, const ec::Scheme& scheme,
                              std::uint32_t cluster_bytes) {
    return pool.extent_bytes * scheme.data_strips / cluster_bytes;
}

Outcome<void> check_layout(const MemberLayout& l, std::uint64_t extent_bytes) {
    const auto bad = [](std::string_view what) {
        return misfit("the layout of a member is not possible: {}", what);
    };
    constexpr std::uint64_t kSizeMax = 1ull << 60;  // no sum below overflows
    for (const auto value :
         {l.size_bytes, l.metadata_offset, l.checkpoint_slot_bytes, l.metadata_log_bytes,
          l.stripe_log_offset, l.stripe_log_bytes, l.data_offset}) {
        if (value > kSizeMax || value % 4096 != 0) return bad("a number out of range");
    }
    if (l.metadata_offset < 128 * kKiB) return bad("metadata over the superblock");
    if (l.checkpoint_slot_bytes == 0) return bad("no checkpoint slot");
    if (l.metadata_log_bytes < 32 * kKiB || l.metadata_log_bytes > 64 * kMiB) return bad("log size");
    if (l.log_offset() + l.metadata_log_bytes > l.stripe_log_offset) return bad("metadata size");
    if (l.stripe_log_offset + l.stripe_log_bytes > l.data_offset) return bad("stripe log");
    if (l.size_bytes < 256 * kKiB || l.data_offset > l.size_bytes - 128 * kKiB) {
        return bad("data offset");
    }
    if ((l.size_bytes - 128 * kKiB - l.data_offset) / extent_bytes < l.extent_count) {
        return bad("extents behind the end");
    }
    return {};
}

Outcome<void> check_record(const Record& r, const Facts& facts) {
    switch (r.kind) {
        case RecordKind::pool_set:
            return check_pool(r.pool, facts);
        case RecordKind::member_set:
            return check_member(r.member_index, r.member, facts);
        case RecordKind::member_stale:
            return need_member(r.member_index, facts);
        case RecordKind::scheme_set:
            return check_scheme(r.scheme_id, r.scheme, facts);
        case RecordKind::group_set:
            return check_row(r, facts);
        case RecordKind::group_remove:
            if (!facts.find_row(r.group)) return misfit("group {} is unknown", r.group.get());
            if (facts.mapped_in_group(r.group) > 0) {
                return misfit("group {} still holds clusters", r.group.get());
            }
            return {};
        case RecordKind::group_dirty:
            for (const auto group : r.groups) {
                if (!facts.find_row(group)) return misfit("group {} is unknown", group.get());
            }
            return {};
        case RecordKind::volume_set:
            return check_volume(r.volume, facts);
        case RecordKind::volume_remove:
            if (facts.find_volume(r.volume.id) == nullptr) {
                return misfit("volume {} is unknown", r.volume.id.get());
            }
            if (facts.is_mapped_from(r.volume.id, ClusterIndex{0})) {
                return misfit("volume {} still has clusters", r.volume.id.get());
            }
            return {};
        case RecordKind::map_set:
            return check_map(r, facts);
        case RecordKind::bad_set:
        case RecordKind::bad_clear:
            return check_bad(r.bad, facts);
        case RecordKind::counters_set:
            return need_member(r.member_index, facts);
    }
    return misfit("a record of unknown kind {}", static_cast<unsigned>(r.kind));
}

}  // namespace xsan::meta
