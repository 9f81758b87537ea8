// What the golden images of format version 1 (tests/format/v1) hold. Frozen: a change here would be
// a change of what is on people's drives.
#pragma once

#include <vector>

#include "base/units.h"
#include "meta/checkpoint.h"
#include "meta/log.h"
#include "meta/record_codec.h"
#include "meta/superblock.h"

namespace xsan::test {

inline constexpr std::uint64_t kGoldenSequence = 41;
inline constexpr std::uint32_t kGoldenCheckpointCrc = 0xa4820809;

inline Uuid golden_uuid(std::uint8_t first) {
    Uuid u;
    for (std::size_t i = 0; i < u.bytes.size(); i++)
        u.bytes[i] = static_cast<std::uint8_t>(first + i);
    return u;
}

inline meta::MemberLayout golden_layout() {
    meta::MemberLayout l;
    l.size_bytes = 64 * kMiB;
    l.metadata_offset = 128 * kKiB;
    l.checkpoint_slot_bytes = 256 * kKiB;
    l.metadata_log_bytes = 64 * kKiB;
    l.stripe_log_offset = kMiB;
    l.stripe_log_bytes = 4 * kMiB;
    l.data_offset = 5 * kMiB;
    l.extent_count = 58;
    return l;
}

inline meta::Record golden_member(unsigned index) {
    meta::Record r;
    r.kind = meta::RecordKind::member_set;
    r.member_index = MemberIndex{static_cast<std::uint16_t>(index)};
    r.member.uuid = golden_uuid(static_cast<std::uint8_t>(0x40 + 0x10 * index));
    r.member.state = index == 3 ? meta::MemberState::faulty : meta::MemberState::in_sync;
    r.member.spare = index == 2;
    r.member.removing = index == 1;
    r.member.layout = golden_layout();
    r.member.counters = {1000u + index, 2000u + index, index};
    r.member.path = "/dev/nvme" + std::to_string(index) + "n1";
    r.member.model = "model";
    r.member.serial = "serial" + std::to_string(index);
    r.member.domain = index == 0 ? "rack1" : "";
    return r;
}

inline meta::Record golden_row(std::uint32_t group, std::uint32_t generation) {
    meta::Record r;
    r.kind = meta::RecordKind::group_set;
    r.group = GroupIndex{group};
    r.generation = generation;
    r.scheme_id = SchemeId{1};
    r.strips = {StripRef(MemberIndex{0}, ExtentIndex{group}, StripState::ok),
                StripRef(MemberIndex{1}, ExtentIndex{group + 1}, StripState::stale), StripRef()};
    return r;
}

inline meta::Record golden_scheme(std::uint16_t id, const ec::Scheme& scheme) {
    meta::Record r;
    r.kind = meta::RecordKind::scheme_set;
    r.scheme_id = SchemeId{id};
    r.scheme = scheme;
    return r;
}

inline ec::Scheme golden_raid5() {
    ec::Scheme s;
    s.kind = ec::CodeKind::parity;
    s.level = ec::Level::raid5;
    s.data_strips = 2;
    s.parity_strips = 1;
    s.matrix = ec::MatrixId::ones;
    s.layout = ec::Layout::rotating;
    s.strip_bytes = 65536;
    return s;
}

inline meta::Record golden_volume(std::uint32_t id) {
    meta::Record r;
    r.kind = meta::RecordKind::volume_set;
    r.volume.id = meta::VolumeId{id};
    r.volume.uuid = golden_uuid(static_cast<std::uint8_t>(0xA0 + id));
    r.volume.name = "data" + std::to_string(id);
    r.volume.scheme = SchemeId{1};
    r.volume.size_bytes = 100 * kMiB;
    r.volume.cluster_bytes = 1 * kMiB;
    r.volume.device_number = id == 0 ? 7 : -1;
    r.volume.attached = id == 0;
    return r;
}

inline meta::Record golden_map(std::uint64_t cluster, meta::MapEntry entry) {
    meta::Record r;
    r.kind = meta::RecordKind::map_set;
    r.entries = {{ClusterIndex{cluster}, entry}};
    return r;
}

inline meta::Record golden_plain(meta::RecordKind kind) {
    meta::Record r;
    r.kind = kind;
    return r;
}

inline std::vector<meta::Record> golden_initial() {
    meta::Record pool = golden_plain(meta::RecordKind::pool_set);
    pool.pool.uuid = golden_uuid(0x10);
    pool.pool.name = "golden";
    pool.pool.consistency = meta::Consistency::log;
    pool.pool.extent_bytes = kMiB;
    pool.pool.extents_max = 4096;
    pool.pool.rebuild_paused = true;
    pool.pool.rebuild_rate_max = 123456789;
    std::vector<meta::Record> records{pool};
    for (unsigned i = 0; i < 4; i++)
        records.push_back(golden_member(i));
    records.push_back(golden_scheme(1, golden_raid5()));
    for (const std::uint32_t g : {0u, 5u, 9u})
        records.push_back(golden_row(g, g + 1));
    meta::Record dirty = golden_plain(meta::RecordKind::group_dirty);
    dirty.flag = true;
    dirty.groups = {GroupIndex{5}, GroupIndex{9}};
    records.push_back(dirty);
    records.push_back(golden_volume(0));
    records.push_back(golden_volume(1));
    const std::uint64_t clusters[] = {0, 1, 3, 50};
    for (std::uint32_t i = 0; i < 4; i++) {
        const GroupIndex group{i < 2 ? 0u : 5u};
        records.push_back(golden_map(clusters[i], meta::MapEntry::mapped(group, i % 2)));
    }
    meta::Record bad = golden_plain(meta::RecordKind::bad_set);
    bad.bad = {GroupIndex{5}, 8192, 4096};
    records.push_back(bad);
    return records;
}

inline meta::State golden_state() {
    meta::State state;
    for (const auto& r : golden_initial())
        XSAN_ASSERT(state.apply(r).has_value());
    return state;
}

// One of every kind, in an order in which they fit.
inline std::vector<meta::Record> golden_records() {
    std::vector<meta::Record> records;
    meta::Record pool = golden_initial()[0];
    pool.pool.rebuild_paused = false;
    records.push_back(pool);
    meta::Record member = golden_member(0);
    member.member.path = "/dev/ng0n1";
    records.push_back(member);
    meta::Record stale = golden_plain(meta::RecordKind::member_stale);
    stale.member_index = MemberIndex{0};
    records.push_back(stale);
    ec::Scheme mirror;
    mirror.kind = ec::CodeKind::mirror;
    mirror.level = ec::Level::raid1;
    mirror.data_strips = 1;
    mirror.parity_strips = 1;
    mirror.matrix = ec::MatrixId::none;
    mirror.layout = ec::Layout::rotating;
    mirror.strip_bytes = 65536;
    records.push_back(golden_scheme(0, mirror));
    records.push_back(golden_row(20, 3));
    meta::Record remove = golden_plain(meta::RecordKind::group_remove);
    remove.group = GroupIndex{9};
    records.push_back(remove);
    meta::Record clean = golden_plain(meta::RecordKind::group_dirty);
    clean.groups = {GroupIndex{5}};
    records.push_back(clean);
    meta::Record volume = golden_volume(0);
    volume.volume.size_bytes = 200 * kMiB;
    records.push_back(volume);
    meta::Record gone = golden_plain(meta::RecordKind::volume_remove);
    gone.volume.id = meta::VolumeId{1};
    records.push_back(gone);
    records.push_back(golden_map(150, meta::MapEntry::mapped(GroupIndex{20}, 1)));
    meta::Record bad = golden_plain(meta::RecordKind::bad_set);
    bad.bad = {GroupIndex{0}, 0, 65536};
    records.push_back(bad);
    meta::Record cleared = golden_plain(meta::RecordKind::bad_clear);
    cleared.bad = {GroupIndex{0}, 4096, 4096};
    records.push_back(cleared);
    meta::Record counters = golden_plain(meta::RecordKind::counters_set);
    counters.member_index = MemberIndex{1};
    counters.member.counters = {11, 22, 33};
    records.push_back(counters);
    return records;
}

inline meta::Superblock golden_superblock() {
    meta::Superblock s;
    s.compat = 0x8000000000000001;
    s.pool_uuid = golden_uuid(0x10);
    s.pool_name = "golden";
    s.member_uuid = golden_uuid(0x50);
    s.member_index = MemberIndex{1};
    s.lineage = golden_uuid(0x90);
    s.epoch = 6;
    s.sequence = 17;
    s.previous_crc = 0x01020304;
    s.layout = golden_layout();
    s.extent_bytes = kMiB;
    s.extents_max = 4096;
    s.checkpoint.slot = 1;
    s.checkpoint.sequence = kGoldenSequence;
    s.checkpoint.epoch = 5;
    s.checkpoint.lineage = golden_uuid(0x90);
    s.checkpoint.bytes = 32768;
    s.checkpoint.crc = kGoldenCheckpointCrc;
    s.checkpoint.chain_crc = 0x0a0b0c0d;
    s.checkpoint.log_offset = 12288;
    s.ancestors = {{golden_uuid(0x70), 3, 30}, {golden_uuid(0x71), 2, 20}};
    s.attributes = {{1, "rack1"}, {2, "nvme"}, {999, "from the future"}};
    return s;
}

inline dev::AlignedBuffer golden_entry() {
    const meta::Superblock s = golden_superblock();
    std::vector<std::byte> bytes;
    const auto records = golden_records();
    for (const auto& r : records)
        meta::encode_record(r, bytes);
    meta::LogEntryInput input;
    input.after.sequence = s.checkpoint.sequence;
    input.after.epoch = s.checkpoint.epoch;
    input.after.lineage = s.checkpoint.lineage;
    input.after.crc = s.checkpoint.chain_crc;
    input.after.offset = s.checkpoint.log_offset;
    input.epoch = 6;
    input.lineage = s.lineage;
    input.pool_uuid = s.pool_uuid;
    input.flags = meta::kLogClean;
    input.record_count = static_cast<std::uint32_t>(records.size());
    input.records = bytes;
    input.region_bytes = s.layout.metadata_log_bytes;
    return meta::encode_log_entry(input);
}

}  // namespace xsan::test
