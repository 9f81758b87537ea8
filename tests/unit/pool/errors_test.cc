// Read errors, the rules for calling a member faulty, and bad ranges.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

struct Errors : Rig {
    explicit Errors(const RigOptions& o = {}) : Rig(o) {
        create();
        pool::Volume& v = create_volume("data", 8 * kMiB);
        REQUIRE(fill(v, 0, 8 * kMiB) == Errc::ok);
    }
    // The reads of this block fail, once it is rewritten as well.
    void break_for_good(const Place& place) {
        sim::FaultRule rule;
        rule.on = dev::IoKind::read;
        rule.offset = place.offset;
        rule.length = 4096;
        drives[place.drive]->faults().add(rule);
    }
};

}  // namespace

TEST_CASE("a latent error is healed, and the member stays") {
    Errors rig;
    pool::Volume& v = rig.volume();
    const Rig::Place place = rig.place_of(v, 5 * kMiB);
    rig.drives[place.drive]->add_latent_error(place.offset, 4096);
    CHECK(rig.holds(v, 5 * kMiB, 64 * kKiB));
    CHECK(rig.drives[place.drive]->latent_blocks() == 0);
    CHECK(rig.state_of(place.drive) == meta::MemberState::in_sync);
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a second error at the same place makes the member faulty, others in between or not") {
    Errors rig;
    pool::Volume& v = rig.volume();
    const Rig::Place place = rig.place_of(v, 5 * kMiB);
    const bool others = GENERATE(false, true);
    rig.drives[place.drive]->add_latent_error(place.offset, 4096);
    CHECK(rig.holds(v, 5 * kMiB, 4096));
    if (others) {
        for (std::uint64_t at = 0; at < 8 * kMiB; at += 4096) {
            const Rig::Place other = rig.place_of(v, at);
            if (other.drive != place.drive || other.offset == place.offset) continue;
            rig.drives[other.drive]->add_latent_error(other.offset, 4096);
            CHECK(rig.holds(v, at, 4096));
            break;
        }
        CHECK(rig.state_of(place.drive) == meta::MemberState::in_sync);
    }
    rig.drives[place.drive]->add_latent_error(place.offset, 4096);
    CHECK(rig.holds(v, 5 * kMiB, 4096));
    CHECK(rig.state_of(place.drive) == meta::MemberState::faulty);
    rig.stop();
}

TEST_CASE("more than twenty corrected errors within an hour make a member faulty") {
    Errors rig;
    pool::Volume& v = rig.volume();
    const unsigned drive = rig.place_of(v, 0).drive;
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t at = 0; at < 8 * kMiB; at += 16 * kKiB) {
        if (rig.place_of(v, at).drive == drive) offsets.push_back(at);
    }
    REQUIRE(offsets.size() >= 24);
    const bool slowly = GENERATE(false, true);
    for (unsigned i = 0; i < 21; i++) {
        CHECK(rig.state_of(drive) == meta::MemberState::in_sync);
        const Rig::Place place = rig.place_of(v, offsets[i]);
        rig.drives[drive]->add_latent_error(place.offset, 4096);
        CHECK(rig.holds(v, offsets[i], 4096));
        if (slowly) rig.world.run_for(200 * kSecond);
    }
    CHECK(rig.state_of(drive) == (slowly ? meta::MemberState::in_sync : meta::MemberState::faulty));
    rig.stop();
}

TEST_CASE("a member without which data would be lost stays, and only its bad block is an error") {
    Errors rig;
    pool::Volume& v = rig.volume();
    const Rig::Place place = rig.place_of(v, 5 * kMiB);
    unsigned failed = 0;
    for (unsigned i = 0; i < 6 && failed < 2; i++) {
        if (i == place.drive) continue;
        rig.require(rig.fail_drive(i));
        failed++;
    }
    rig.break_for_good(place);
    for (int round = 0; round < 4; round++) {
        std::vector<std::byte> block(4096);
        CHECK(rig.read(v, 5 * kMiB, block) != Errc::ok);
        CHECK(rig.state_of(place.drive) == meta::MemberState::in_sync);
    }
    CHECK(rig.holds(v, 5 * kMiB + 4096, 4096));
    CHECK(rig.holds(v, 0, 4 * kMiB));
    rig.drives[place.drive]->faults().clear();
    rig.stop();
}

TEST_CASE("what a rebuild cannot read is a bad range until it is rewritten, also after a restart") {
    Errors rig(RigOptions{.scheme = "4+1", .members = 5, .spares = 1});
    pool::Volume& v = rig.volume();
    const Rig::Place place = rig.place_of(v, 5 * kMiB);
    const unsigned lost = (place.drive + 1) % 5;
    rig.drives[place.drive]->add_latent_error(place.offset, 4096);
    rig.require(rig.fail_drive(lost));
    REQUIRE(rig.wait_for_rebuild());
    INFO(rig.log.text());
    REQUIRE(!rig.pool->state().bad_ranges().empty());
    std::vector<std::byte> block(4096);
    CHECK(rig.read(v, 5 * kMiB, block) == Errc::media_error);
    rig.stop();
    rig.require(rig.assemble());
    pool::Volume& again = rig.volume();
    CHECK(rig.read(again, 5 * kMiB, block) == Errc::media_error);
    std::uint64_t errors = 0;
    for (std::uint64_t at = 0; at < 8 * kMiB; at += 4096) {
        if (rig.read(again, at, block) != Errc::ok) {
            errors++;
            REQUIRE(rig.fill(again, at, 4096, 8) == Errc::ok);
            REQUIRE(rig.holds(again, at, 4096, 8));
        } else {
            REQUIRE(block == Rig::pattern(at, 4096, 1));
        }
    }
    CHECK(errors <= 2);
    CHECK(rig.pool->state().bad_ranges().empty());
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a group that a refused write left torn stays marked and is resynced") {
    Errors rig(RigOptions{.scheme = "4+1", .members = 5});
    pool::Volume& v = rig.volume();
    const Rig::Place place = rig.place_of(v, 5 * kMiB);
    rig.require(rig.fail_drive((place.drive + 1) % 5));
    sim::FaultRule rule;
    rule.on = dev::IoKind::write;
    rule.offset = place.offset;
    rule.length = 4096;
    rig.drives[place.drive]->faults().add(rule);
    rule.on = dev::IoKind::read;
    rule.code = Errc::io_error;
    rig.drives[place.drive]->faults().add(rule);
    REQUIRE(rig.fill(v, 5 * kMiB, 64 * kKiB, 9) == Errc::io_error);
    const auto suspects = [&] {
        unsigned count = 0;
        for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
            const GroupIndex group{g};
            if (!rig.pool->groups().flag(group, pool::GroupTable::kSuspect)) continue;
            CHECK(rig.pool->state().is_dirty(group));
            count++;
        }
        return count;
    };
    REQUIRE(suspects() == 1);
    rig.drives[place.drive]->faults().clear();
    rig.world.run_for(100 * kSecond);
    CHECK(suspects() == 1);  // nothing can be resynced while data strips are lost
    rig.add_drive(64 * kMiB);
    std::vector<pool::NewDevice> devices;
    devices.push_back(rig.plug(5));
    rig.require(rig.world.run(rig.pool->add(devices)));
    REQUIRE(rig.wait_for_rebuild());
    REQUIRE(rig.wait_until([&] { return suspects() == 0; }));
    INFO(rig.log.text());
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("counters of bytes written go on after a restart") {
    Errors rig;
    rig.world.run_for(20 * kSecond);
    std::uint64_t before = rig.pool->member_status()[2].member.counters.written_bytes;
    CHECK(before >= 8 * kMiB / 4);
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.pool->member_status()[2].member.counters.written_bytes >= before);
    rig.stop();
}

}  // namespace xsan::test
