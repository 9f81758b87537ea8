// Records, log entries and checkpoints: round trips, damage, hostile bytes.
#include <cstring>

#include "base/crc32c.h"
#include "meta/checkpoint.h"
#include "meta/draft.h"
#include "meta/layout.h"
#include "meta/log.h"
#include "meta/record_codec.h"
#include "meta/superblock.h"
#include "support/catch.h"
#include "unit/meta/random_records.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

using Bytes = std::vector<std::byte>;

Bytes encoded(const std::vector<Record>& records) {
    Bytes bytes;
    for (const auto& r : records)
        encode_record(r, bytes);
    return bytes;
}

std::vector<Record> random_history(std::uint64_t seed, unsigned steps) {
    State state;
    auto records = initial_records(4);
    for (const auto& r : records)
        REQUIRE(state.apply(r));
    RandomRecords random(seed);
    for (unsigned i = 0; i < steps; i++) {
        records.push_back(random.next(state));
        REQUIRE(state.apply(records.back()));
    }
    return records;
}

LogEntryInput entry_input(const LogPosition& after, const Bytes& records, std::uint32_t count,
                          std::uint64_t region) {
    LogEntryInput input;
    input.after = after;
    input.epoch = std::max<std::uint64_t>(after.epoch, 1);
    input.lineage = uuid_of(2);
    input.pool_uuid = uuid_of(1);
    input.record_count = count;
    input.records = records;
    input.region_bytes = region;
    return input;
}

// Appends an entry to a region in memory.
LogPosition append_to(Bytes& region, const LogPosition& at, const Bytes& records,
                      std::uint32_t count) {
    const auto entry = encode_log_entry(entry_input(at, records, count, region.size()));
    const auto place = log_place(at.offset, entry.size(), region.size());
    std::memcpy(region.data() + place, entry.data(), entry.size());
    LogPosition next = log_advance(at, entry.size(), region.size());
    next.sequence = at.sequence + 1;
    next.epoch = std::max<std::uint64_t>(at.epoch, 1);
    next.lineage = uuid_of(2);
    next.crc = decode_log_crc(entry.span());
    return next;
}

}  // namespace

TEST_CASE("records are read back as they were written") {
    for (std::uint64_t seed = 1; seed <= 30; seed++) {
        CAPTURE(seed);
        const auto records = random_history(seed, 150);
        const Bytes bytes = encoded(records);
        const auto back = decode_records(bytes, static_cast<std::uint32_t>(records.size()));
        REQUIRE(back);
        CHECK(encoded(*back) == bytes);
        State a;
        State b;
        for (std::size_t i = 0; i < records.size(); i++) {
            REQUIRE(a.apply(records[i]));
            REQUIRE(b.apply((*back)[i]));
        }
        CHECK(a.equals(b));
    }
}

TEST_CASE("cut off records are refused at every length") {
    const auto records = random_history(3, 30);
    const Bytes bytes = encoded(records);
    for (std::size_t n = 0; n < bytes.size(); n++) {
        REQUIRE(
            !decode_records(std::span(bytes).first(n), static_cast<std::uint32_t>(records.size())));
    }
}

TEST_CASE("records of damaged bytes are refused or applied within bounds") {
    Rng rng(11);
    for (std::uint64_t seed = 1; seed <= 300; seed++) {
        const auto records = random_history(seed % 10, 40);
        Bytes bytes = encoded(records);
        for (auto n = 1 + rng.below(4); n > 0; n--)
            bytes[rng.below(bytes.size())] = std::byte(rng.next());
        State state;
        std::span<const std::byte> in(bytes);
        for (std::size_t i = 0; i < records.size(); i++) {
            const auto record = decode_record(in);
            if (!record || !state.apply(*record)) break;
        }
    }
}

TEST_CASE("an unknown kind or version of a record names itself") {
    Bytes bytes = encoded({pool_record()});
    bytes[2] = std::byte{9};
    std::span<const std::byte> in(bytes);
    CHECK(decode_record(in).error().code == Errc::version_mismatch);
    bytes[0] = std::byte{200};
    in = bytes;
    CHECK(decode_record(in).error().code == Errc::version_mismatch);
}

TEST_CASE("a log is read back to its end, over many laps") {
    for (std::uint64_t seed = 1; seed <= 20; seed++) {
        CAPTURE(seed);
        Rng rng(seed);
        Bytes region(64 * kKiB);
        std::vector<LogPosition> marks{LogPosition{}};
        for (int i = 0; i < 200; i++) {
            const Bytes records(8 * rng.below(1500));
            marks.push_back(append_to(region, marks.back(), records, 0));
            // From the oldest mark whose entries are all still there.
            std::size_t first = marks.size() - 1;
            while (first > 0 &&
                   marks.back().total_bytes - marks[first - 1].total_bytes <= region.size()) {
                first--;
            }
            const auto scan = scan_log(region, marks[first], {uuid_of(1), uuid_of(2)});
            REQUIRE(scan.end.same_point(marks.back()));
            REQUIRE(scan.end.offset == marks.back().offset);
            REQUIRE(scan.end.total_bytes == marks.back().total_bytes);
            REQUIRE(scan.entries.size() == marks.size() - 1 - first);
            REQUIRE(scan.unreachable_sequence == 0);
        }
    }
}

TEST_CASE("a torn tail of the log is absent, a hole before its end is damage") {
    Rng rng(4);
    for (int i = 0; i < 2000; i++) {
        Bytes region(64 * kKiB);
        std::vector<LogPosition> marks{LogPosition{}};
        for (int n = 0; n < 5; n++) {
            marks.push_back(append_to(region, marks.back(), Bytes(8 * rng.below(1000)), 0));
        }
        const std::size_t victim = rng.below(5);
        const auto from = log_place(marks[victim].offset, 1, region.size());
        const auto length = marks[victim + 1].offset - from;
        // Any bit of the entry, its padding too: all of it is under the CRC.
        const auto bit = rng.below(length * 8);
        region[from + bit / 8] ^= std::byte(1u << (bit % 8));
        const auto scan = scan_log(region, marks[0], {uuid_of(1), uuid_of(2)});
        REQUIRE(scan.end.same_point(marks[victim]));
        REQUIRE(scan.unreachable_sequence == (victim == 4 ? 0 : 5));
    }
}

TEST_CASE(
    "entries of another pool, another place or another predecessor do not belong to the log") {
    Bytes region(64 * kKiB);
    const LogPosition one = append_to(region, LogPosition{}, Bytes(8), 0);
    (void)append_to(region, one, Bytes(8), 0);
    CHECK(scan_log(region, LogPosition{}, {uuid_of(1), uuid_of(2)}).entries.size() == 2);
    CHECK(scan_log(region, LogPosition{}, {uuid_of(9), uuid_of(2)}).entries.empty());
    LogPosition other = one;
    other.crc++;
    CHECK(scan_log(region, other, {uuid_of(1), uuid_of(2)}).entries.empty());
    std::memcpy(region.data() + 32768, region.data(), 4096);
    CHECK(!decode_log_entry(region, 32768, uuid_of(1)));
    CHECK(!decode_log_entry(region, 100, uuid_of(1)));
    CHECK(!decode_log_entry(region, region.size(), uuid_of(1)));
}

TEST_CASE("a checkpoint gives back the state") {
    for (std::uint64_t seed = 1; seed <= 60; seed++) {
        CAPTURE(seed);
        const State state = random_state(seed, 400);
        const CheckpointIdentity identity{state.pool().uuid, seed};
        const auto image = encode_checkpoint(state, identity);
        REQUIRE(image.bytes % 4096 == 0);
        REQUIRE(image.bytes <= checkpoint_bytes_max(state.tally()));
        const auto back =
            decode_checkpoint(image.buffer.span().first(image.bytes), image.crc, identity);
        REQUIRE(back);
        CHECK(back->equals(state));
    }
}

TEST_CASE("damage of a checkpoint is detected") {
    const State state = random_state(5, 400);
    const CheckpointIdentity identity{state.pool().uuid, 5};
    const auto image = encode_checkpoint(state, identity);
    const Bytes good(image.buffer.data(), image.buffer.data() + image.bytes);
    Bytes bytes = good;
    Rng rng(6);
    for (int i = 0; i < 20000; i++) {
        const auto bit = rng.below(bytes.size() * 8);
        bytes[bit / 8] ^= std::byte(1u << (bit % 8));
        const bool accepted = decode_checkpoint(bytes, image.crc, identity).has_value();
        bytes[bit / 8] = good[bit / 8];
        if (accepted) FAIL("bit " << bit);
    }
    for (std::size_t n = 0; n < good.size(); n += 512) {
        REQUIRE(!decode_checkpoint(std::span(good).first(n), image.crc, identity));
    }
    CHECK(!decode_checkpoint(good, image.crc + 1, identity));
    CHECK(!decode_checkpoint(good, image.crc, CheckpointIdentity{uuid_of(9), 5}));
    CHECK(!decode_checkpoint(good, image.crc, CheckpointIdentity{state.pool().uuid, 6}));
}

TEST_CASE("hostile checkpoint pages with valid checksums are refused or within bounds") {
    const State state = random_state(5, 400);
    const CheckpointIdentity identity{state.pool().uuid, 5};
    const auto image = encode_checkpoint(state, identity);
    const Bytes good(image.buffer.data(), image.buffer.data() + image.bytes);
    Rng rng(8);
    for (int i = 0; i < 5000; i++) {
        Bytes bytes = good;
        for (auto n = 1 + rng.below(3); n > 0; n--) {
            bytes[rng.below(bytes.size())] = std::byte(rng.next());
        }
        std::uint32_t crc = 0;
        for (std::size_t at = 0; at + 4096 <= bytes.size();) {
            PageHeader h;
            std::memcpy(&h, bytes.data() + at, sizeof h);
            if (h.length < 4096 || h.length > bytes.size() - at) break;
            h.crc = crc32c(std::span<const std::byte>(bytes).subspan(at + 8, h.length - 8));
            std::memcpy(bytes.data() + at, &h, sizeof h);
            crc = crc32c(std::as_bytes(std::span(&h.crc, 1)), crc);
            at += h.length;
        }
        (void)decode_checkpoint(bytes, crc, identity).has_value();
    }
}

TEST_CASE("two clusters in one place of a group are refused") {
    State state = random_state(5, 0);
    const auto apply = [&state](Record r) { REQUIRE(state.apply(r)); };
    Record row;
    row.kind = RecordKind::group_set;
    row.generation = 1;
    row.strips = {StripRef(MemberIndex{0}, ExtentIndex{0}, StripState::ok),
                  StripRef(MemberIndex{1}, ExtentIndex{0}, StripState::ok)};
    apply(row);
    Record volume;
    volume.kind = RecordKind::volume_set;
    volume.volume.uuid = uuid_of(9);
    volume.volume.name = "v";
    volume.volume.size_bytes = kMiB;
    volume.volume.cluster_bytes = 128 * kKiB;
    apply(volume);
    Record map;
    map.kind = RecordKind::map_set;
    map.entries = {{ClusterIndex{0}, MapEntry::mapped(GroupIndex{0}, 3)},
                   {ClusterIndex{5}, MapEntry::mapped(GroupIndex{0}, 3)}};
    apply(map);
    const CheckpointIdentity identity{state.pool().uuid, 1};
    const auto image = encode_checkpoint(state, identity);
    const auto back =
        decode_checkpoint(image.buffer.span().first(image.bytes), image.crc, identity);
    REQUIRE(back);
    const auto checked = check_places(*back);
    REQUIRE(!checked);
    CHECK(checked.error().code == Errc::corrupt);
}

TEST_CASE("layouts fit their devices, for every size and growth limit") {
    for (std::uint64_t size = 64 * kMiB; size < 40 * kTiB; size = size * 7 / 4 + 512) {
        for (const std::uint64_t extent : {kMiB, 16 * kMiB, kGiB}) {
            for (const std::uint32_t extents_max : {4096u, kExtentsDefault, 1u << 20}) {
                const auto l = member_layout({size, extent, extents_max});
                if (!l) continue;
                CAPTURE(size, extent, extents_max);
                REQUIRE(check_layout(*l, extent));
                REQUIRE(l->extent_count > 0);
                REQUIRE(l->data_offset + l->extent_count * extent <= superblock_offset(2, size));
                REQUIRE(l->data_offset % kMiB == 0);
                REQUIRE(l->stripe_log_bytes >= std::min<std::uint64_t>(8 * kMiB, size / 32));
            }
        }
    }
    const auto smallest = member_layout({64 * kMiB, kMiB, kExtentsDefault});
    REQUIRE(smallest);
    CHECK(smallest->extent_count >= 40);
    CHECK(!member_layout({64 * kMiB - 1, kMiB, kExtentsDefault}));
}

TEST_CASE("a member has the metadata log that is asked for, within its limits") {
    const auto chosen = member_layout({64 * kMiB, kMiB, 1024});
    REQUIRE(chosen);
    CHECK(chosen->metadata_log_bytes == 2 * kMiB);
    for (const std::uint64_t bytes : {kMetadataLogBytesMin, 2 * kMiB, 8 * kMiB + 4096}) {
        const auto l = member_layout({64 * kMiB, kMiB, 1024, bytes});
        REQUIRE(l);
        CHECK(l->metadata_log_bytes == bytes);
        CHECK(check_layout(*l, kMiB));
    }
    for (const std::uint64_t bytes :
         {kMetadataLogBytesMin - 4096, kMetadataLogBytesMin + 512, kMetadataLogBytesMax + 4096}) {
        const auto refused = member_layout({kGiB, kMiB, 1024, bytes});
        REQUIRE(!refused);
        CHECK(refused.error().code == Errc::invalid_argument);
    }
}

TEST_CASE("a full pool's checkpoint fits its slot") {
    // One strip per group, every cluster mapped in a run of its own: the formula's worst case.
    for (const std::uint32_t extents : {1024u, kExtentsDefault, 1u << 20}) {
        for (const std::uint64_t extent_bytes : {kMiB, 64 * kMiB}) {
            StateTally tally;
            tally.member_bytes = 32 * 300;
            tally.scheme_count = 8;
            tally.group_limit = extents;
            tally.row_bytes = extents * stored_row_bytes(1);
            tally.volume_count = 4;
            tally.mapped_count = extents * (extent_bytes / kClusterBytesMin);
            CAPTURE(extents, extent_bytes);
            CHECK(checkpoint_bytes_max(tally) + kPageBytesMax <=
                  checkpoint_slot_bytes(extent_bytes, extents));
        }
    }
}
