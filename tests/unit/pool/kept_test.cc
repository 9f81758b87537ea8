// A write that can neither be finished nor undone nor recorded: its record is kept in the stripe log, and the next
// start finishes it.
#include "unit/pool/rig.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kStripe = 32 * kKiB;  // of data, 2+1 with strips of 16 KiB

RigOptions logged(unsigned members) {
    RigOptions o;
    o.scheme = "2+1";
    o.members = members;
    o.reactors = 1;
    o.consistency = meta::Consistency::log;
    return o;
}

// A full pool that has lost the drive of the first stripe's first data strip. Another one does what it is told to
// write to its data, and says that it failed; to its metadata it can write nothing.
struct Kept : Rig {
    unsigned lost = 0;
    unsigned failing = 0;

    explicit Kept(unsigned members) : Rig(logged(members)) {
        create();
        pool::Volume& v = create_volume("data", 4 * kMiB);
        REQUIRE(fill(v, 0, 4 * kMiB) == Errc::ok);
        REQUIRE(flush(v) == Errc::ok);
        lost = place_of(v, 0).drive;
        failing = place_of(v, kStripe / 2).drive;
        require(world.run(pool->set_rebuild(true, std::nullopt)));
        drives[lost]->vanish();
        REQUIRE(fill(v, 0, kStripe) == Errc::ok);
        REQUIRE(state_of(lost) == meta::MemberState::missing);
    }
    void fail_writes() {
        const meta::MemberLayout layout = pool->state().members()[failing]->layout;
        sim::FaultRule data;
        data.on = dev::IoKind::write;
        data.offset = layout.data_offset;
        data.length = layout.size_bytes - layout.data_offset;
        data.effect = sim::FailedEffect::everything;
        drives[failing]->faults().add(data);
        sim::FaultRule metadata;
        metadata.on = dev::IoKind::write;
        metadata.length = layout.stripe_log_offset;
        drives[failing]->faults().add(metadata);
    }
    // The write of the first stripe that is kept.
    void leave_one_unsettled() {
        fail_writes();
        REQUIRE(fill(volume(), 0, kStripe, 2) == Errc::io_error);
    }
    // Each block of the first stripe holds its old content or its new, or is an error because the range was given
    // up (a record of that which was in doubt); all else is as it was.
    void check_content() {
        pool::Volume& v = volume();
        for (std::uint64_t at = 0; at < kStripe; at += 4096) {
            INFO("block at " << at << log.text());
            std::vector<std::byte> out(4096);
            const bool is_given_up = read(v, at, out) == Errc::media_error;
            CHECK((is_given_up || holds(v, at, 4096, 1) || holds(v, at, 4096, 2)));
        }
        CHECK(holds(v, kStripe, 4 * kMiB - kStripe));
    }
    void rebuild_and_check() {
        require(world.run(pool->set_rebuild(false, std::nullopt)));
        REQUIRE(wait_for_rebuild());
        check_content();
        require_clean_scrub();
    }
    void start_again() {
        drives[failing]->faults().clear();
        abandon();
        require(assemble());
    }
};

}  // namespace

TEST_CASE("a stripe that a failed write left halfway gives nothing of what is lost, and takes no writes") {
    Kept rig(3);
    pool::Volume& v = rig.volume();
    rig.leave_one_unsettled();
    std::vector<std::byte> out(4096);
    CHECK(rig.read(v, 0, out) == Errc::io_error);
    CHECK((rig.holds(v, kStripe / 2, 4096, 1) || rig.holds(v, kStripe / 2, 4096, 2)));
    rig.drives[rig.failing]->faults().clear();
    CHECK(rig.fill(v, 0, kStripe, 3) == Errc::io_error);
    // The others are read. That the first one's range is given up is in doubt, so that the group takes no writes.
    CHECK(rig.holds(v, kStripe, kStripe));
    CHECK(rig.fill(v, kStripe, kStripe, 3) == Errc::io_error);
    CHECK(rig.holds(v, kStripe, kStripe));
    rig.start_again();
    rig.check_content();
    rig.stop();
}

TEST_CASE("the next start finishes a write that was kept, whatever came behind it") {
    Kept rig(3);
    rig.leave_one_unsettled();
    rig.drives[rig.failing]->faults().clear();
    // Enough to fill rings of the stripe log, if it were not for the one that is kept.
    pool::Volume& v = rig.volume();
    for (unsigned i = 0; i < 40; i++) {
        const Errc code = rig.fill(v, kMiB, 256 * kKiB);
        CHECK((code == Errc::ok || code == Errc::io_error));
        if (code != Errc::ok) break;
    }
    rig.start_again();
    rig.check_content();
    CHECK(rig.holds(rig.volume(), kStripe / 2, kStripe / 2, 2));
    // Now the pool takes everything again, and C4 holds.
    CHECK(rig.fill(rig.volume(), 0, kStripe, 3) == Errc::ok);
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.holds(rig.volume(), 0, kStripe, 3));
    rig.stop();
}

TEST_CASE("a rebuild waits for the start that finishes a kept write, and is right then") {
    Kept rig(4);
    rig.leave_one_unsettled();
    const auto resumed = rig.world.run(rig.pool->set_rebuild(false, std::nullopt));
    CHECK(!resumed);  // metadata cannot be committed
    rig.world.run_for(20 * kSecond);
    CHECK(rig.pool->rebuild_status().pending_groups > 0);
    rig.start_again();
    rig.check_content();
    rig.rebuild_and_check();
    rig.stop();
}

TEST_CASE("a member that still fails at the next start keeps the pool from starting, and loses nothing") {
    Kept rig(3);
    rig.leave_one_unsettled();
    rig.abandon();
    CHECK(!rig.assemble());
    rig.drives[rig.failing]->faults().clear();
    rig.require(rig.assemble());
    rig.check_content();
    rig.stop();
}

TEST_CASE("the drive that was lost comes back after a kept write, and holds what the others say") {
    Kept rig(3);
    rig.leave_one_unsettled();
    rig.drives[rig.lost]->come_back();
    rig.start_again();
    rig.rebuild_and_check();
    rig.stop();
}

}  // namespace xsan::test
