// Accounting: what the pool says that it wrote to a member, by kind, is what the drive was asked to write.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

RigOptions logged(const char* scheme, unsigned members) {
    RigOptions o;
    o.scheme = scheme;
    o.members = members;
    o.consistency = meta::Consistency::log;
    return o;
}

std::uint64_t bytes_written(const sim::SimDevice& drive) {
    return drive.counters().of(dev::IoKind::write).bytes + drive.counters().of(dev::IoKind::write_zeroes).bytes;
}

struct Accounts : Rig {
    std::vector<std::uint64_t> before;

    Accounts(const char* scheme, unsigned members) : Rig(logged(scheme, members)) {
        create();
        create_volume("data", 8 * kMiB);
        for (unsigned i = 0; i < drive_count(); i++) before.push_back(unaccounted(i));
    }
    std::uint64_t accounted(unsigned member) {
        const pool::MemberStatus status = pool->member_status()[member];
        return status.traffic.writes().bytes + status.metadata_written.bytes;
    }
    // Formatting and assembly are not accounted for.
    std::uint64_t unaccounted(unsigned member) { return bytes_written(*drives[member]) - accounted(member); }
    void check() {
        for (unsigned i = 0; i < drive_count(); i++) {
            INFO("member " << i);
            CHECK(unaccounted(i) == before[i]);
        }
    }
    raid::IoSum sum(raid::WriteKind kind) {
        raid::IoSum all;
        for (const auto& status : pool->member_status()) {
            all.count += status.traffic.of(kind).count;
            all.bytes += status.traffic.of(kind).bytes;
        }
        return all;
    }
};

}  // namespace

TEST_CASE("accounting: each byte that a drive was asked to write has one kind") {
    const auto [scheme, members] = GENERATE(std::pair("4+2", 6u), std::pair("raid10", 4u), std::pair("2+1", 5u));
    Accounts rig(scheme, members);
    pool::Volume& v = rig.volume();
    REQUIRE(rig.fill(v, 0, 4 * kMiB) == Errc::ok);
    Rng rng(1);
    for (unsigned i = 0; i < 100; i++) REQUIRE(rig.fill(v, rng.next() % 1024 * 4096, 4096, i) == Errc::ok);
    REQUIRE(rig.flush(v) == Errc::ok);
    rig.world.run_for(20 * kSecond);
    rig.check();
    REQUIRE(rig.discard(v, 0, 4 * kMiB) == Errc::ok);
    rig.world.run_for(20 * kSecond);
    rig.check();
    CHECK(rig.sum(raid::WriteKind::rebuild).count == 0);
    rig.stop();
}

TEST_CASE("accounting: a small write is data once and parity on each parity strip") {
    Accounts rig("4+2", 6);
    pool::Volume& v = rig.volume();
    REQUIRE(rig.fill(v, 0, kMiB) == Errc::ok);
    const raid::IoSum data = rig.sum(raid::WriteKind::data);
    const raid::IoSum parity = rig.sum(raid::WriteKind::parity);
    for (unsigned i = 0; i < 10; i++) REQUIRE(rig.fill(v, i * 32768, 4096, 7) == Errc::ok);
    CHECK(rig.sum(raid::WriteKind::data).bytes - data.bytes == 10 * 4096);
    CHECK(rig.sum(raid::WriteKind::parity).bytes - parity.bytes == 20 * 4096);
    CHECK(rig.sum(raid::WriteKind::parity).count - parity.count == 20);
    rig.stop();
}

TEST_CASE("accounting: what a rebuild writes is its own kind, and reads of users are the groups'") {
    Accounts rig("2+1", 5);
    pool::Volume& v = rig.volume();
    REQUIRE(rig.fill(v, 0, 4 * kMiB) == Errc::ok);
    REQUIRE(rig.holds(v, 0, 2 * kMiB));
    raid::GroupSum heat;
    for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
        const raid::GroupSum one = rig.pool->group_traffic(GroupIndex{g});
        heat.read_bytes += one.read_bytes;
        heat.written_bytes += one.written_bytes;
    }
    CHECK(heat.written_bytes == 4 * kMiB);
    CHECK(heat.read_bytes == 2 * kMiB);
    rig.require(rig.fail_drive(0));
    REQUIRE(rig.wait_for_rebuild());
    CHECK(rig.sum(raid::WriteKind::rebuild).bytes > 0);
    for (unsigned i = 1; i < rig.drive_count(); i++) CHECK(rig.unaccounted(i) == rig.before[i]);
    rig.stop();
}

}  // namespace xsan::test
