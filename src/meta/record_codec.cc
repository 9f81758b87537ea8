// One list of fields per kind serves both directions; A is ByteWriter or ByteReader.
#include "meta/record_codec.h"

#include <fmt/format.h>

#include <cstring>

#include "meta/bytes.h"

namespace xsan::meta {
namespace {

template <class A>
void fields(A& a, auto& p) requires std::is_same_v<std::remove_cvref_t<decltype(p)>, PoolInfo> {
    a(p.uuid), a(p.name), a(p.consistency), a(p.extent_bytes), a(p.extents_max);
    a(p.rebuild_paused), a(p.rebuild_rate_max);
}

template <class A>
void fields(A& a,
            auto& c) requires std::is_same_v<std::remove_cvref_t<decltype(c)>, MemberCounters> {
    a(c.written_bytes), a(c.read_bytes), a(c.corrected_errors);
}

template <class A>
void fields(A& a, auto& m) requires std::is_same_v<std::remove_cvref_t<decltype(m)>, Member> {
    auto& l = m.layout;
    a(m.uuid), a(m.state), a(m.spare), a(m.removing);
    a(l.size_bytes), a(l.metadata_offset), a(l.checkpoint_slot_bytes), a(l.metadata_log_bytes);
    a(l.stripe_log_offset), a(l.stripe_log_bytes), a(l.data_offset), a(l.extent_count);
    fields(a, m.counters);
    a(m.path), a(m.model), a(m.serial), a(m.domain);
}

template <class A>
void fields(A& a, auto& s) requires std::is_same_v<std::remove_cvref_t<decltype(s)>, ec::Scheme> {
    a(s.kind), a(s.level), a(s.data_strips), a(s.parity_strips), a(s.matrix), a(s.layout);
    a(s.strip_bytes);
}

template <class A>
void fields(A& a, auto& v) requires std::is_same_v<std::remove_cvref_t<decltype(v)>, VolumeInfo> {
    a(v.id), a(v.uuid), a(v.name), a(v.scheme), a(v.size_bytes), a(v.block_bytes);
    a(v.cluster_bytes), a(v.device_number), a(v.attached);
}

// A strip is 16 bits of member and state, then 32 of extent.
void strip_field(ByteWriter& a, const StripRef& s) {
    a(static_cast<std::uint16_t>(s.member().get() | (static_cast<unsigned>(s.state()) << 14)));
    a(s.extent());
}
void strip_field(ByteReader& a, StripRef& s) {
    std::uint16_t member_and_state = 0;
    ExtentIndex extent;
    a(member_and_state), a(extent);
    const MemberIndex member{
        static_cast<std::uint16_t>(member_and_state & (StripRef::kMembersMax - 1))};
    s = StripRef(member, extent, static_cast<StripState>(member_and_state >> 14));
}

// A count, then the items; `item_bytes` bounds the count before memory is taken.
template <class A, class List, class F>
void list(A& a, List& items, std::size_t item_bytes, F each) {
    auto count = static_cast<std::uint32_t>(items.size());
    a(count);
    if constexpr (A::kReads) {
        if (count > a.left() / item_bytes) return a.fail();
        items.resize(count);
    }
    for (auto& item : items)
        each(item);
}

template <class A, class R>
void record_fields(A& a, R& r) {
    switch (r.kind) {
        case RecordKind::pool_set:
            return fields(a, r.pool);
        case RecordKind::member_set:
            return a(r.member_index), fields(a, r.member);
        case RecordKind::member_stale:
            return a(r.member_index);
        case RecordKind::scheme_set:
            return a(r.scheme_id), fields(a, r.scheme);
        case RecordKind::group_set:
            a(r.group), a(r.generation), a(r.scheme_id);
            return list(a, r.strips, 6, [&a](auto& strip) { strip_field(a, strip); });
        case RecordKind::group_remove:
            return a(r.group);
        case RecordKind::group_dirty:
            a(r.flag);
            return list(a, r.groups, 4, [&a](auto& group) { a(group); });
        case RecordKind::volume_set:
            return fields(a, r.volume);
        case RecordKind::volume_remove:
            return a(r.volume.id);
        case RecordKind::map_set:
            a(r.volume.id);
            return list(a, r.entries, 16, [&a](auto& c) { a(c.cluster), a(c.entry.bits); });
        case RecordKind::bad_set:
        case RecordKind::bad_clear:
            return a(r.bad.group), a(r.bad.offset), a(r.bad.length);
        case RecordKind::counters_set:
            return a(r.member_index), fields(a, r.member.counters);
    }
    if constexpr (A::kReads) a.fail();
}

}  // namespace

void encode_record(const Record& record, std::vector<std::byte>& out) {
    const std::size_t start = out.size();
    out.resize(start + sizeof(RecordHeader));
    ByteWriter writer(out);
    record_fields(writer, record);
    RecordHeader header;
    header.kind = static_cast<std::uint16_t>(record.kind);
    header.version = kRecordVersion;
    header.length = static_cast<std::uint32_t>(out.size() - start - sizeof header);
    std::memcpy(out.data() + start, &header, sizeof header);
}

Outcome<Record> decode_record(std::span<const std::byte>& in) {
    RecordHeader header;
    if (in.size() < sizeof header) return broken("a record is cut off");
    std::memcpy(&header, in.data(), sizeof header);
    const unsigned kind = header.kind.get();
    if (header.length > in.size() - sizeof header) {
        return broken(fmt::format("a record of kind {} is cut off", kind));
    }
    if (kind < static_cast<unsigned>(RecordKind::pool_set) ||
        kind > static_cast<unsigned>(RecordKind::counters_set) ||
        header.version != kRecordVersion) {
        return Failure(
            Errc::version_mismatch,
            fmt::format("a record of kind {}, version {}, is not known to this version of xsan",
                        kind, header.version.get()));
    }
    Record record;
    record.kind = static_cast<RecordKind>(kind);
    ByteReader reader(in.subspan(sizeof header, header.length));
    record_fields(reader, record);
    if (!reader.at_end()) return broken(fmt::format("a record of kind {} has bad fields", kind));
    in = in.subspan(sizeof header + header.length);
    return record;
}

Outcome<std::vector<Record>> decode_records(std::span<const std::byte> in, std::uint32_t count) {
    std::vector<Record> records;
    for (std::uint32_t i = 0; i < count; i++) {
        XSAN_TRY(Record record, decode_record(in));
        records.push_back(std::move(record));
    }
    if (!in.empty()) return broken("there are bytes behind the last record");
    return records;
}

}  // namespace xsan::meta
