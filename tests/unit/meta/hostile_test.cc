// Metadata whose checksums are valid and whose contents are not: it is refused with a sentence, before anything is
// written and before anything relies on it.
#include "meta/member_io.h"
#include "meta/store.h"
#include "support/catch.h"
#include "unit/meta/store_helpers.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

// Puts a changed superblock on the device, all copies of it.
template <class F>
void rewrite_superblock(StoreFixture& f, unsigned device, F change) {
    Superblock s = f.examine(device)->superblock;
    change(s);
    std::vector<std::byte> copy(kSuperblockBytes);
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        encode_superblock(s, i, copy);
        f.images[device].write(superblock_offset(i, s.layout.size_bytes), copy);
    }
}

std::string misfit(const State& state, const Record& record) {
    const auto checked = check_record(record, state);
    return checked ? "" : checked.error().message;
}

}  // namespace

TEST_CASE("epochs and sequences that could overflow are refused by name") {
    for (int which = 0; which < 4; which++) {
        StoreFixture f(2);
        REQUIRE(f.create());
        restart(f);
        rewrite_superblock(f, 1, [which](Superblock& s) {
            std::uint64_t* numbers[] = {&s.epoch, &s.sequence, &s.checkpoint.epoch,
                                        &s.checkpoint.sequence};
            *numbers[which] = UINT64_MAX - 1;
        });
        f.power_up();
        const auto found = f.examine(1);
        REQUIRE(!found);
        CHECK(found.error().message.find("dev1") != std::string::npos);
        CHECK(found.error().message.find("out of range") != std::string::npos);
    }
    LogEntryInput input;
    input.epoch = UINT64_MAX;
    input.region_bytes = 64 * kKiB;
    const auto entry = encode_log_entry(input);
    std::vector<std::byte> region(64 * kKiB);
    std::copy(entry.span().begin(), entry.span().end(), region.begin());
    CHECK(!decode_log_entry(region, 0, Uuid{}));
}

TEST_CASE("superblocks with another name than the pool's are refused") {
    StoreFixture f(2);
    REQUIRE(f.create());
    restart(f);
    const auto images = f.images;
    rewrite_superblock(f, 1, [](Superblock& s) { s.pool_name = "other"; });
    f.power_up();
    auto started = f.assemble();
    REQUIRE(!started);
    CHECK(refusal(started).find("two names") != std::string::npos);
    rewrite_superblock(f, 0, [](Superblock& s) { s.pool_name = "other"; });
    f.power_up();
    started = f.assemble();
    REQUIRE(!started);
    CHECK(f.log_lines.text().find("different names") != std::string::npos);
    CHECK(f.devices[0]->writes() + f.devices[1]->writes() == 0);
}

TEST_CASE("superblocks with another growth limit than the pool's are refused") {
    StoreFixture f(2);
    REQUIRE(f.create());
    restart(f);
    for (const unsigned device : {0u, 1u}) {
        rewrite_superblock(f, device, [](Superblock& s) { s.extents_max = 4096; });
    }
    f.power_up();
    CHECK(!f.assemble());
    CHECK(f.log_lines.text().find("different sizes") != std::string::npos);
}

TEST_CASE("a log that puts two clusters into one place is refused") {
    StoreFixture f(2);
    REQUIRE(f.create());
    Record row;
    row.kind = RecordKind::group_set;
    row.generation = 1;
    row.strips = {StripRef(MemberIndex{0}, ExtentIndex{0}, StripState::ok),
                  StripRef(MemberIndex{1}, ExtentIndex{0}, StripState::ok)};
    Record volume;
    volume.kind = RecordKind::volume_set;
    volume.volume.uuid = uuid_of(9);
    volume.volume.name = "v";
    volume.volume.size_bytes = kMiB;
    volume.volume.cluster_bytes = 128 * kKiB;
    Record map;
    map.kind = RecordKind::map_set;
    map.entries = {{ClusterIndex{0}, MapEntry::mapped(GroupIndex{0}, 3)},
                   {ClusterIndex{5}, MapEntry::mapped(GroupIndex{0}, 3)}};
    REQUIRE(f.commit({row, volume, map}));
    restart(f);
    CHECK(!f.assemble());
    CHECK(f.log_lines.text().find("share a place") != std::string::npos);
}

TEST_CASE("numbers beyond the limits of the format do not fit any state") {
    const State state = random_state(1, 0);
    Record member = member_record(kMembersMax);
    CHECK(misfit(state, member).find("out of range") != std::string::npos);
    member = member_record(9);
    member.member.layout.metadata_log_bytes -= 4096;
    CHECK(misfit(state, member).find("different sizes") != std::string::npos);
    CHECK(misfit(state, scheme_record(kSchemesMax, "2+1", 3)).find("out of range") != std::string::npos);

    // Bits for all extents of all members, and room for all clusters of all volumes, stay small.
    State large;
    Record pool = pool_record();
    pool.pool.extents_max = kExtentsMax;
    REQUIRE(large.apply(pool));
    MemberLayout layout = small_layout();
    layout.size_bytes = kTiB * 16 + kGiB;
    layout.extent_count = kExtentsMax;
    for (unsigned i = 0; i < 16; i++) REQUIRE(large.apply(member_record(i, layout)));
    CHECK(misfit(large, member_record(16, layout)).find("too many extents") != std::string::npos);
    layout.extent_count++;
    CHECK(misfit(large, member_record(17, layout)).find("growth limit") != std::string::npos);

    REQUIRE(large.apply(scheme_record(0, "1+1", 2)));
    Record volume;
    volume.kind = RecordKind::volume_set;
    volume.volume.cluster_bytes = kMiB;
    volume.volume.size_bytes = kClustersMax * kMiB;
    for (unsigned i = 0; i < 5; i++) {
        volume.volume.id = VolumeId{i};
        volume.volume.uuid = uuid_of(300 + i);
        volume.volume.name = "v" + std::to_string(i);
        if (i < 4) {
            REQUIRE(large.apply(volume));
        } else {
            CHECK(misfit(large, volume).find("too large") != std::string::npos);
        }
    }
    Record remove;
    remove.kind = RecordKind::volume_remove;
    REQUIRE(large.apply(remove));
    REQUIRE(large.apply(volume));
    CHECK(large.cluster_total() == kClustersTotalMax);
}

TEST_CASE("a log full of headers that promise long entries is scanned in time") {
    std::vector<std::byte> region(8 * kMiB);
    LogEntryHeader h{};
    h.magic = kLogMagic;
    h.version = kLogVersion;
    for (std::uint64_t at = 0; at < region.size(); at += kLogBlockBytes) {
        h.length = static_cast<std::uint32_t>(region.size() - at);
        h.own_offset = at;
        std::memcpy(region.data() + at, &h, sizeof h);
    }
    const auto scan = scan_log(region, {}, {});
    CHECK(scan.entries.empty());
    CHECK(scan.unreachable_sequence == 0);
}
