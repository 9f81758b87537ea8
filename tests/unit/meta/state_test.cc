// The state's invariants, and that a draft foresees exactly what the state will accept.
#include "meta/state.h"

#include <thread>

#include "meta/draft.h"
#include "support/catch.h"
#include "unit/meta/random_records.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

Record row_record(std::uint32_t group, std::uint32_t generation, std::vector<StripRef> strips) {
    Record r;
    r.kind = RecordKind::group_set;
    r.group = GroupIndex{group};
    r.generation = generation;
    r.strips = std::move(strips);
    return r;
}

StripRef strip(unsigned member, std::uint32_t extent, StripState state = StripState::ok) {
    return StripRef(MemberIndex{static_cast<std::uint16_t>(member)}, ExtentIndex{extent}, state);
}

Record volume_record(std::uint64_t size) {
    Record r;
    r.kind = RecordKind::volume_set;
    r.volume.uuid = uuid_of(9);
    r.volume.name = "data";
    r.volume.size_bytes = size;
    r.volume.cluster_bytes = 128 * kKiB;
    return r;
}

Record map_record(std::uint64_t cluster, MapEntry entry) {
    Record r;
    r.kind = RecordKind::map_set;
    r.entries = {{ClusterIndex{cluster}, entry}};
    return r;
}

Record bad_record(RecordKind kind, std::uint64_t offset, std::uint64_t length) {
    Record r;
    r.kind = kind;
    r.bad = {GroupIndex{0}, offset, length};
    return r;
}

}  // namespace

TEST_CASE("rows keep extents apart") {
    State s = random_state(1, 0);
    REQUIRE(s.apply(row_record(0, 1, {strip(0, 5), strip(1, 5)})));
    CHECK(s.used_extents(MemberIndex{0}) == 1);
    CHECK(s.is_extent_used(MemberIndex{0}, ExtentIndex{5}));
    CHECK(!s.apply(row_record(1, 1, {strip(0, 5), strip(2, 5)})));   // in two groups
    CHECK(!s.apply(row_record(1, 1, {strip(2, 1), strip(2, 2)})));   // two strips on a member
    CHECK(!s.apply(row_record(1, 1, {strip(2, 99), strip(3, 2)})));  // beyond the member
    CHECK(!s.apply(row_record(1, 1, {strip(9, 1), strip(3, 2)})));   // no such member
    CHECK(!s.apply(row_record(1, 1, {strip(2, 1)})));                // too few
    CHECK(!s.apply(row_record(0, 1, {strip(0, 5), strip(2, 5)})));   // the generation stands still
    CHECK(!s.apply(row_record(5000, 1, {strip(2, 1), strip(3, 1)})));
    REQUIRE(s.apply(row_record(0, 2, {strip(0, 5), strip(2, 7)})));
    CHECK(s.used_extents(MemberIndex{1}) == 0);
    CHECK(s.take_retired().size() == 1);
    REQUIRE(s.apply(row_record(1, 1, {strip(1, 5), StripRef()})));
    CHECK(s.row(GroupIndex{1})->strips()[1].state() == StripState::none);
    CHECK(s.row(GroupIndex{7}) == nullptr);
}

TEST_CASE("a stale member's strips are stale in new rows") {
    State s = random_state(1, 0);
    REQUIRE(s.apply(row_record(0, 1, {strip(0, 0), strip(1, 0)})));
    REQUIRE(s.apply(row_record(3, 1, {strip(2, 0), strip(3, 0)})));
    Record r;
    r.kind = RecordKind::member_stale;
    r.member_index = MemberIndex{1};
    REQUIRE(s.apply(r));
    CHECK(s.row(GroupIndex{0})->generation() == 2);
    CHECK(s.row(GroupIndex{0})->strips()[1].state() == StripState::stale);
    CHECK(s.row(GroupIndex{0})->strips()[0].state() == StripState::ok);
    CHECK(s.row(GroupIndex{3})->generation() == 1);
    CHECK(s.used_extents(MemberIndex{1}) == 1);
}

TEST_CASE("a group goes only when no cluster is mapped to it") {
    State s = random_state(1, 0);
    REQUIRE(s.apply(row_record(0, 1, {strip(0, 0), strip(1, 0)})));
    REQUIRE(s.apply(volume_record(kMiB)));
    CHECK(!s.apply(map_record(0, MapEntry::mapped(GroupIndex{0}, 8))));  // 8 places of 128 KiB
    CHECK(!s.apply(map_record(8, MapEntry::mapped(GroupIndex{0}, 0))));
    CHECK(!s.apply(map_record(0, MapEntry::mapped(GroupIndex{1}, 0))));
    CHECK(!s.apply(map_record(0, MapEntry{5})));
    REQUIRE(s.apply(map_record(0, MapEntry::mapped(GroupIndex{0}, 7))));
    CHECK(s.mapped_in_group(GroupIndex{0}) == 1);
    Record remove;
    remove.kind = RecordKind::group_remove;
    CHECK(!s.apply(remove));
    CHECK(!s.apply(volume_record(0)));  // it would lose a mapped cluster
    REQUIRE(s.apply(map_record(0, MapEntry{})));
    REQUIRE(s.apply(volume_record(0)));
    REQUIRE(s.apply(bad_record(RecordKind::bad_set, 0, 4096)));
    REQUIRE(s.apply(remove));
    CHECK(s.bad_ranges().empty());
    CHECK(s.used_extents(MemberIndex{0}) == 0);
}

TEST_CASE("bad ranges merge and are cut") {
    State s = random_state(1, 0);
    REQUIRE(s.apply(row_record(0, 1, {strip(0, 0), strip(1, 0)})));
    const auto set = [&](std::uint64_t o, std::uint64_t l) {
        REQUIRE(s.apply(bad_record(RecordKind::bad_set, o * 4096, l * 4096)));
    };
    const auto clear = [&](std::uint64_t o, std::uint64_t l) {
        REQUIRE(s.apply(bad_record(RecordKind::bad_clear, o * 4096, l * 4096)));
    };
    const auto is = [&](std::vector<std::pair<std::uint64_t, std::uint64_t>> wanted) {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
        for (const auto& b : s.bad_ranges())
            found.push_back({b.offset / 4096, b.length / 4096});
        CHECK(found == wanted);
    };
    set(10, 2), set(20, 2), is({{10, 2}, {20, 2}});
    set(12, 1), is({{10, 3}, {20, 2}});
    set(5, 30), is({{5, 30}});
    clear(10, 5), is({{5, 5}, {15, 20}});
    clear(0, 6), is({{6, 4}, {15, 20}});
    set(8, 9), is({{6, 29}});
    clear(0, 64), is({});
    CHECK(!s.apply(bad_record(RecordKind::bad_set, 1 << 20, 4096)));
    CHECK(!s.apply(bad_record(RecordKind::bad_set, UINT64_MAX - 511, 1024)));
}

TEST_CASE("a draft accepts what the state accepts, record by record") {
    for (std::uint64_t seed = 1; seed <= 60; seed++) {
        CAPTURE(seed);
        State state = random_state(seed, 60);
        RandomRecords random(seed + 1000);
        RandomRecords other(seed + 2000);
        const State elsewhere = random_state(seed + 1, 90);
        for (int round = 0; round < 30; round++) {
            std::vector<Record> accepted;
            Draft draft(state);
            for (int i = 0; i < 8; i++) {
                Record r = i % 2 == 0 ? random.next(state) : other.next(elsewhere);
                if (draft.add(r)) accepted.push_back(std::move(r));
            }
            const auto promised = draft.tally();
            for (const auto& r : accepted)
                REQUIRE(state.apply(r));
            const auto real = state.tally();
            CHECK(real.row_bytes <= promised.row_bytes);
            CHECK(real.mapped_count <= promised.mapped_count);
            CHECK(real.member_bytes <= promised.member_bytes);
            CHECK(real.volume_count == promised.volume_count);
            CHECK(real.bad_count <= promised.bad_count);
        }
    }
}

TEST_CASE("rows and map entries are read while they change and the tables grow") {
    State s = random_state(1, 0);
    for (std::uint32_t g = 0; g < 16; g++) {
        REQUIRE(s.apply(row_record(g, 1, {strip(g % 2, g), strip(2 + g % 2, g)})));
    }
    REQUIRE(s.apply(volume_record(kMiB)));
    const VolumeMap& map = *s.volumes().begin()->second.map;
    std::atomic<bool> stop{false};
    std::uint64_t wrong = 0;
    std::thread reader([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            for (std::uint64_t c = 0; c < map.clusters(); c += 97) {
                const MapEntry e = map.get(ClusterIndex{c});
                if (e.is_mapped() && e.group().get() >= 16) wrong++;
            }
            for (std::uint32_t g = 0; g < s.group_limit(); g++) {
                const GroupRow* row = s.row(GroupIndex{g});
                if (row != nullptr && row->strips().size() != 2) wrong++;
            }
        }
    });
    for (std::uint32_t i = 1; i <= 60; i++) {
        REQUIRE(s.apply(volume_record(std::uint64_t{i} * i * 16 * kMiB)));
        REQUIRE(
            s.apply(map_record(std::uint64_t{i} * i, MapEntry::mapped(GroupIndex{i % 16}, i % 8))));
        REQUIRE(
            s.apply(row_record(i % 16, i + 1, {strip(i % 2, i % 16), strip(2 + i % 2, i % 16)})));
    }
    stop = true;
    reader.join();
    CHECK(wrong == 0);
    CHECK(map.mapped() == 60);
}
