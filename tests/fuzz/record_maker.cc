// See record_maker.h.
#include "fuzz/record_maker.h"

#include <string>

#include "base/units.h"
#include "meta/layout.h"

namespace xsan::fuzz {
namespace {

using meta::Record;
using meta::RecordKind;

constexpr unsigned kStripsOfScheme[] = {2, 2, 3};

Record scheme_record(std::uint16_t id, const char* name, unsigned members) {
    Record r;
    r.kind = RecordKind::scheme_set;
    r.scheme_id = SchemeId{id};
    r.scheme = *ec::parse_scheme(name, members, 65536);
    return r;
}

}  // namespace

Uuid uuid_of(std::uint8_t n) {
    Uuid uuid;
    uuid.bytes.fill(n);
    return uuid;
}

meta::MemberLayout small_layout() {
    meta::MemberLayout l;
    l.size_bytes = 64 * kMiB;
    l.metadata_offset = meta::kHeadBytes;
    l.checkpoint_slot_bytes = 256 * kKiB;
    l.metadata_log_bytes = 64 * kKiB;
    l.stripe_log_offset = l.log_offset() + l.metadata_log_bytes;
    l.stripe_log_bytes = 64 * kKiB;
    l.data_offset = round_up(l.stripe_log_offset + l.stripe_log_bytes, kMiB);
    l.extent_count = 32;
    return l;
}

std::vector<Record> initial_records() {
    std::vector<Record> records(1 + kPoolMembers);
    records[0].pool.uuid = uuid_of(1);
    records[0].pool.name = "tank";
    records[0].pool.extent_bytes = kMiB;
    records[0].pool.extents_max = 1024;
    for (std::uint16_t i = 0; i < kPoolMembers; i++) {
        Record& r = records[1u + i];
        r.kind = RecordKind::member_set;
        r.member_index = MemberIndex{i};
        r.member.uuid = uuid_of(static_cast<std::uint8_t>(100 + i));
        r.member.layout = small_layout();
        r.member.path = "/dev/test";
    }
    records.push_back(scheme_record(0, "1+1", 2));
    records.push_back(scheme_record(1, "raid0", 2));
    records.push_back(scheme_record(2, "2+1", 3));
    return records;
}

void RecordMaker::fill_pool(Record& r) {
    r.pool = initial_records()[0].pool;
    r.pool.consistency = static_cast<meta::Consistency>(odd<std::uint8_t>(in_.u8() % 3));
    r.pool.rebuild_paused = in_.one_in(2);
    r.pool.rebuild_rate_max = in_.number();
    r.pool.extents_max = odd(r.pool.extents_max);
    r.pool.extent_bytes = odd(r.pool.extent_bytes);
    if (in_.one_in(32)) r.pool.name += static_cast<char>(in_.u8());
}

void RecordMaker::fill_member(Record& r) {
    r.member_index = MemberIndex{odd<std::uint16_t>(in_.u8() % (kPoolMembers + 2))};
    const unsigned which = r.member_index.get() + (in_.one_in(8) ? 1u : 0u);
    r.member.uuid = uuid_of(static_cast<std::uint8_t>(100 + which));
    r.member.state = static_cast<meta::MemberState>(odd<std::uint8_t>(1 + in_.u8() % 4));
    r.member.spare = in_.one_in(4);
    r.member.removing = in_.one_in(4);
    auto& l = r.member.layout;
    l = small_layout();
    l.extent_count = odd(l.extent_count);
    l.size_bytes = odd(l.size_bytes);
    l.metadata_log_bytes = odd(l.metadata_log_bytes);
    l.data_offset = odd(l.data_offset);
    r.member.path = std::string(odd<std::uint8_t>(in_.u8() % 16), 'p');
    r.member.model = std::string(odd<std::uint16_t>(0) % 300, 'm');
}

void RecordMaker::fill_scheme(Record& r) {
    static constexpr const char* kNames[] = {"linear", "raid1", "raid4", "raid6", "3+3", "2+1"};
    r = scheme_record(odd<std::uint16_t>(3 + in_.u8() % 4), kNames[in_.u8() % 6], 6 + in_.u8() % 4);
    r.scheme.strip_bytes = odd(r.scheme.strip_bytes);
    r.scheme.data_strips = odd(r.scheme.data_strips);
    r.scheme.parity_strips = odd(r.scheme.parity_strips);
    r.scheme.level = odd(r.scheme.level);
    r.scheme.kind = odd(r.scheme.kind);
    r.scheme.matrix = odd(r.scheme.matrix);
    r.scheme.layout = odd(r.scheme.layout);
}

void RecordMaker::fill_row(Record& r) {
    r.group = group();
    r.scheme_id = SchemeId{odd(static_cast<std::uint16_t>(r.group.get() % 3))};
    r.generation = odd(++generation_);
    const unsigned strips = kStripsOfScheme[r.group.get() % 3] + (in_.one_in(32) ? 1u : 0u);
    for (unsigned i = 0; i < strips; i++) {
        const MemberIndex m{static_cast<std::uint16_t>(
            odd<std::uint16_t>(static_cast<std::uint16_t>((r.group.get() + i) % kPoolMembers)) %
            StripRef::kMembersMax)};
        const ExtentIndex e{odd<std::uint32_t>(r.group.get() * 2 + in_.u8() % 2)};
        const std::uint8_t state = in_.u8() % 16;
        r.strips.emplace_back(m, e, static_cast<StripState>(state < 3 ? state : 0));
    }
}

void RecordMaker::fill_volume(Record& r) {
    auto& v = r.volume;
    v.id = volume();
    v.uuid = uuid_of(static_cast<std::uint8_t>(50 + v.id.get() % 3));
    v.name = in_.one_in(8) ? std::string() : "v" + std::to_string(v.id.get() % 3);
    if (in_.one_in(16)) v.name += static_cast<char>(in_.u8());
    v.scheme = SchemeId{odd(static_cast<std::uint16_t>(v.id.get() % 3))};
    v.cluster_bytes = odd<std::uint32_t>(128 * kKiB);
    v.size_bytes = odd<std::uint64_t>((1 + in_.u8() % 64) * 128 * kKiB);
    v.block_bytes = odd<std::uint32_t>(4096);
    v.device_number = static_cast<std::int32_t>(in_.u8()) - 1;
    v.attached = in_.one_in(2);
}

void RecordMaker::fill_map(Record& r) {
    r.volume.id = volume();
    for (unsigned n = in_.u8() % 6; n > 0; n--) {
        const ClusterIndex cluster{odd<std::uint64_t>(in_.u8() % 64)};
        meta::MapEntry entry;
        if (!in_.one_in(4)) {
            const std::uint32_t g = r.volume.id.get() % 3 + in_.u8() % 4 * 3;
            entry = meta::MapEntry::mapped(GroupIndex{g}, in_.u8() % 17);
        }
        entry.bits = odd(entry.bits);
        r.entries.push_back({cluster, entry});
    }
}

Record RecordMaker::next() {
    // Rows, volumes and maps first: without them little else fits.
    static constexpr RecordKind kKinds[] = {
        RecordKind::group_set,  RecordKind::volume_set,    RecordKind::map_set,
        RecordKind::pool_set,   RecordKind::member_set,    RecordKind::member_stale,
        RecordKind::scheme_set, RecordKind::group_remove,  RecordKind::group_dirty,
        RecordKind::volume_set, RecordKind::volume_remove, RecordKind::map_set,
        RecordKind::bad_set,    RecordKind::bad_clear,     RecordKind::counters_set,
        RecordKind::group_set,
    };
    Record r;
    r.kind = kKinds[in_.u8() % std::size(kKinds)];
    switch (r.kind) {
        case RecordKind::pool_set:
            fill_pool(r);
            break;
        case RecordKind::member_set:
            fill_member(r);
            break;
        case RecordKind::scheme_set:
            fill_scheme(r);
            break;
        case RecordKind::group_set:
            fill_row(r);
            break;
        case RecordKind::volume_set:
            fill_volume(r);
            break;
        case RecordKind::map_set:
            fill_map(r);
            break;
        case RecordKind::member_stale:
            r.member_index = member();
            break;
        case RecordKind::group_remove:
            r.group = group();
            break;
        case RecordKind::volume_remove:
            r.volume.id = volume();
            break;
        case RecordKind::counters_set:
            r.member_index = member();
            r.member.counters = {in_.number(), in_.number(), in_.number()};
            break;
        case RecordKind::group_dirty:
            r.flag = !in_.one_in(4);
            for (unsigned n = in_.u8() % 5; n > 0; n--)
                r.groups.push_back(group());
            break;
        case RecordKind::bad_set:
        case RecordKind::bad_clear:
            r.bad = {group(), odd<std::uint64_t>(in_.u8() * 4096u),
                     odd<std::uint64_t>((1 + in_.u8() % 16) * 4096u)};
            break;
    }
    return r;
}

}  // namespace xsan::fuzz
