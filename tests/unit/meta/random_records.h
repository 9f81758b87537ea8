// Random but fitting changes of a pool's metadata, drawn from a seed.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "meta/layout.h"
#include "meta/state.h"

namespace xsan::test {

inline Uuid uuid_of(std::uint64_t n) {
    Rng rng(n * 7919 + 17);
    return Uuid::random(rng);
}

// A layout small enough that checkpoints and logs of thousands of crash states are cheap.
inline meta::MemberLayout small_layout(std::uint64_t log_bytes = 64 * kKiB) {
    meta::MemberLayout l;
    l.size_bytes = 64 * kMiB;
    l.metadata_offset = meta::kHeadBytes;
    l.checkpoint_slot_bytes = 256 * kKiB;
    l.metadata_log_bytes = log_bytes;
    l.stripe_log_offset = l.log_offset() + l.metadata_log_bytes;
    l.stripe_log_bytes = 64 * kKiB;
    l.data_offset = round_up(l.stripe_log_offset + l.stripe_log_bytes, kMiB);
    l.extent_count = 32;
    return l;
}

inline meta::Record pool_record() {
    meta::Record r;
    r.kind = meta::RecordKind::pool_set;
    r.pool.uuid = uuid_of(1);
    r.pool.name = "tank";
    r.pool.extent_bytes = kMiB;
    r.pool.extents_max = 1024;
    return r;
}

inline meta::Record member_record(unsigned index, meta::MemberLayout layout = small_layout()) {
    meta::Record r;
    r.kind = meta::RecordKind::member_set;
    r.member_index = MemberIndex{static_cast<std::uint16_t>(index)};
    r.member.uuid = uuid_of(100 + index);
    r.member.layout = layout;
    r.member.path = "/dev/test" + std::to_string(index);
    r.member.serial = "xsan" + std::to_string(index);
    return r;
}

inline meta::Record scheme_record(unsigned id, const char* name, unsigned members) {
    meta::Record r;
    r.kind = meta::RecordKind::scheme_set;
    r.scheme_id = SchemeId{static_cast<std::uint16_t>(id)};
    r.scheme = *ec::parse_scheme(name, members, 65536);
    return r;
}

// Pool, members and two schemes: what create() begins with.
inline std::vector<meta::Record> initial_records(unsigned members,
                                                 meta::MemberLayout layout = small_layout()) {
    std::vector<meta::Record> records{pool_record()};
    for (unsigned i = 0; i < members; i++)
        records.push_back(member_record(i, layout));
    records.push_back(scheme_record(0, "1+1", members));
    records.push_back(scheme_record(1, "raid0", 2));
    return records;
}

class RandomRecords {
  public:
    explicit RandomRecords(std::uint64_t seed) : rng_(seed) {}
    Rng& rng() { return rng_; }
    bool touches_members = true;   // draw member_set too
    bool touches_counters = true;  // and counters_set

    // A record that fits the state; never changes which members are in sync.
    meta::Record next(const meta::State& state) {
        for (;;) {
            meta::Record r = draw(state);
            if (r.kind == meta::RecordKind::member_set && !touches_members) continue;
            if (r.kind == meta::RecordKind::counters_set && !touches_counters) continue;
            if (meta::check_record(r, state)) return r;
        }
    }
    // One to four records that fit one after the other.
    std::vector<meta::Record> commit(const meta::State& state);

  private:
    meta::Record draw(const meta::State& state) {
        meta::Record r;
        r.kind = static_cast<meta::RecordKind>(1 + rng_.below(13));
        switch (r.kind) {
            case meta::RecordKind::pool_set:
                r.pool = state.pool();
                r.pool.rebuild_rate_max = rng_.next();
                r.pool.rebuild_paused = rng_.chance_percent(50);
                break;
            case meta::RecordKind::member_set:
                r.member_index = member(state);
                r.member = *state.find_member(r.member_index);
                r.member.path = "/dev/other" + std::to_string(rng_.below(100));
                r.member.removing = rng_.chance_percent(50);
                break;
            case meta::RecordKind::scheme_set:
                r = scheme_record(static_cast<unsigned>(rng_.below(6)), "2+1", 3);
                break;
            case meta::RecordKind::member_stale:
                r.member_index = member(state);
                break;
            case meta::RecordKind::counters_set:
                r.member_index = member(state);
                r.member.counters = {rng_.next(), rng_.next(), rng_.below(10)};
                break;
            case meta::RecordKind::group_set:
                draw_row(state, r);
                break;
            case meta::RecordKind::group_remove:
                r.group = group();
                break;
            case meta::RecordKind::group_dirty:
                r.flag = rng_.chance_percent(60);
                for (std::uint64_t n = rng_.below(4); n > 0; n--)
                    r.groups.push_back(group());
                break;
            case meta::RecordKind::volume_set:
                draw_volume(r);
                break;
            case meta::RecordKind::volume_remove:
                r.volume.id = volume();
                if (!rng_.chance_percent(10)) r.volume.id = meta::VolumeId{999};  // rarely fits
                break;
            case meta::RecordKind::map_set:
                r.volume.id = volume();
                for (std::uint64_t n = 1 + rng_.below(6); n > 0; n--)
                    draw_entry(state, r);
                break;
            case meta::RecordKind::bad_set:
            case meta::RecordKind::bad_clear:
                r.bad = {group(), rng_.below(256) * 4096, (1 + rng_.below(16)) * 4096};
                break;
        }
        return r;
    }

    MemberIndex member(const meta::State& state) {
        return MemberIndex{static_cast<std::uint16_t>(rng_.below(state.members().size()))};
    }
    GroupIndex group() { return GroupIndex{static_cast<std::uint32_t>(rng_.below(12))}; }
    meta::VolumeId volume() { return meta::VolumeId{static_cast<std::uint32_t>(rng_.below(3))}; }

    void draw_row(const meta::State& state, meta::Record& r) {
        r.group = group();
        const GroupRow* old = state.row(r.group);
        r.scheme_id =
            old != nullptr ? old->scheme() : SchemeId{static_cast<std::uint16_t>(rng_.below(3))};
        r.generation = old != nullptr ? old->generation() + 1 : 1;
        const auto* scheme = state.find_scheme(r.scheme_id);
        if (scheme == nullptr) return;
        for (unsigned i = 0; i < scheme->total_strips(); i++) {
            const auto s = static_cast<StripState>(rng_.below(10) < 8 ? 0 : rng_.below(3));
            const ExtentIndex e{static_cast<std::uint32_t>(rng_.below(32))};
            r.strips.push_back(s == StripState::none ? StripRef() : StripRef(member(state), e, s));
        }
    }
    void draw_volume(meta::Record& r) {
        auto& v = r.volume;
        v.id = volume();
        v.uuid = uuid_of(500 + v.id.get());
        v.name = "vol" + std::to_string(v.id.get());
        v.scheme = SchemeId{static_cast<std::uint16_t>(v.id.get() % 2)};
        v.cluster_bytes = 128 * kKiB;
        v.size_bytes = (1 + rng_.below(64)) * v.cluster_bytes - 4096 * rng_.below(3);
        v.device_number = static_cast<std::int32_t>(rng_.below(4)) - 1;
        v.attached = rng_.chance_percent(50);
    }
    // A place that no cluster has yet, or none.
    void draw_entry(const meta::State& state, meta::Record& r) {
        const auto* info = state.find_volume(r.volume.id);
        if (info == nullptr) return;
        const ClusterIndex cluster{rng_.below(info->clusters())};
        for (const auto& other : r.entries) {
            if (other.cluster == cluster) return;
        }
        if (rng_.chance_percent(30)) return r.entries.push_back({cluster, meta::MapEntry{}});
        const GroupIndex g = group();
        const auto* scheme = state.find_scheme(info->scheme);
        const auto places = meta::places_in_group(state.pool(), *scheme, info->cluster_bytes);
        const auto place = static_cast<std::uint32_t>(rng_.below(places));
        const auto entry = meta::MapEntry::mapped(g, place);
        bool taken = false;
        for (const auto& [id, v] : state.volumes()) {
            v.map->for_each_mapped(
                [&](ClusterIndex, meta::MapEntry e) { taken = taken || e == entry; });
        }
        for (const auto& other : r.entries)
            taken = taken || other.entry == entry;
        if (!taken) r.entries.push_back({cluster, entry});
    }

    Rng rng_;
};

// A state of `steps` random records.
inline meta::State random_state(std::uint64_t seed, unsigned steps, unsigned members = 4) {
    meta::State state;
    for (const auto& r : initial_records(members))
        XSAN_ASSERT(state.apply(r).has_value());
    RandomRecords random(seed);
    for (unsigned i = 0; i < steps; i++) {
        const auto applied = state.apply(random.next(state));
        XSAN_ASSERT(applied.has_value());
    }
    (void)state.take_retired();
    return state;
}

inline std::vector<meta::Record> RandomRecords::commit(const meta::State& state) {
    // Each record fits the state as it is; those that would depend on each other are left out.
    std::vector<meta::Record> records{next(state)};
    for (auto n = rng_.below(4); n > 0; n--) {
        meta::Record r = next(state);
        const bool alone =
            r.kind == meta::RecordKind::counters_set || r.kind == meta::RecordKind::pool_set;
        if (alone) records.push_back(std::move(r));
    }
    return records;
}

}  // namespace xsan::test
