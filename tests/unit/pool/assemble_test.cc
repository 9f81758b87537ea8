// A pool is found again from its members' superblocks alone.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

// A pool with content in a volume of 24 MiB, stopped.
struct AssembledPool : Rig {
    AssembledPool() : AssembledPool(RigOptions{}) {}
    explicit AssembledPool(const RigOptions& o) : Rig(o) {
        create();
        pool::Volume& v = create_volume("data", 24 * kMiB);
        for (std::uint64_t at = 0; at < 24 * kMiB; at += kMiB) REQUIRE(fill(v, at, kMiB) == Errc::ok);
    }
    void check_content() {
        for (std::uint64_t at = 0; at < 24 * kMiB; at += kMiB) REQUIRE(holds(volume(), at, kMiB));
    }
};

}  // namespace

TEST_CASE("members are assembled in any order") {
    AssembledPool rig;
    rig.stop();
    rig.require(rig.assemble({4, 2, 5, 0, 3, 1}));
    CHECK(rig.pool->health() == pool::PoolHealth::online);
    CHECK_FALSE(rig.has_job(pool::JobKind::resync));
    rig.check_content();
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a pool starts without two of six members, serves, and takes them back") {
    AssembledPool rig;
    rig.stop();
    rig.require(rig.assemble({5, 1, 0, 3}));
    CHECK(rig.pool->health() == pool::PoolHealth::degraded);
    CHECK(rig.state_of(2) == meta::MemberState::missing);
    rig.check_content();
    // What they miss: rewritten blocks, and a cluster that is mapped while they are away.
    REQUIRE(rig.fill(rig.volume(), 3 * kMiB, 2 * kMiB, 77) == Errc::ok);
    rig.stop();
    rig.require(rig.assemble());
    REQUIRE(rig.wait_for_rebuild());
    CHECK(rig.pool->health() == pool::PoolHealth::online);
    CHECK(rig.holds(rig.volume(), 3 * kMiB, 2 * kMiB, 77));
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("too few members are refused, also those that know of a loss") {
    AssembledPool rig;
    rig.stop();
    SECTION("three of six may not be a majority") {
        const auto made = rig.assemble({0, 1, 2});
        REQUIRE_FALSE(made.has_value());
        CHECK(made.error().code == Errc::too_many_failures);
    }
    SECTION("accepted on request, and then what is lost is an I/O error") {
        rig.require(rig.assemble({0, 1, 2}, true));
        CHECK(rig.pool->health() == pool::PoolHealth::failed);
        std::vector<std::byte> data(24 * kMiB);
        CHECK(rig.read(rig.volume(), 0, data) != Errc::ok);
        rig.stop();
    }
    SECTION("one drive alone with accept_missing is no mirror's problem") {
        rig.require(rig.assemble({0, 1, 2, 3}, true));
        rig.check_content();
        rig.stop();
    }
}

TEST_CASE("a mirror's half alone needs the administrator's word") {
    RigOptions options;
    options.scheme = "raid1";
    options.members = 2;
    AssembledPool rig(options);
    rig.stop();
    REQUIRE_FALSE(rig.assemble({1}).has_value());
    rig.require(rig.assemble({1}, true));
    rig.check_content();
    REQUIRE(rig.fill(rig.volume(), 0, kMiB, 5) == Errc::ok);
    rig.stop();
    // The other half is stale now.
    rig.require(rig.assemble());
    CHECK(rig.holds(rig.volume(), 0, kMiB, 5));
    REQUIRE(rig.wait_for_rebuild());
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a member whose extents became noise while it was away is not read before its rebuild") {
    AssembledPool rig;
    rig.stop();
    rig.require(rig.assemble({0, 1, 2, 3, 5}));
    REQUIRE(rig.fill(rig.volume(), 0, 4 * kMiB, 9) == Errc::ok);
    rig.stop();
    // Its extents are noise when it comes back.
    const auto layout = [&] {
        Plug plug(*rig.drives[4]);
        return rig.world.run(meta::examine(plug))->superblock.layout;
    }();
    const auto noise = Rig::pattern(0, kMiB, 0xBAD);
    for (std::uint32_t e = 0; e < layout.extent_count; e++) {
        rig.drives[4]->poke(layout.data_offset + e * kMiB, noise);
    }
    std::uint64_t reads = 0;
    rig.drives[4]->on_io = [&](dev::IoKind kind, std::uint64_t offset, std::uint64_t) {
        if (kind == dev::IoKind::read && offset >= layout.data_offset &&
            offset < layout.data_offset + layout.extent_count * kMiB) {
            reads++;
        }
    };
    // Paused from the start, so that all of it is read while the member is stale.
    rig.require(rig.assemble({0, 1, 2, 3, 5}));
    rig.require(rig.world.run(rig.pool->set_rebuild(true, std::nullopt)));
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.state_of(4) == meta::MemberState::in_sync);
    CHECK(rig.pool->health() == pool::PoolHealth::degraded);
    for (std::uint64_t at = 4 * kMiB; at < 24 * kMiB; at += kMiB) {
        REQUIRE(rig.holds(rig.volume(), at, kMiB));
    }
    REQUIRE(rig.holds(rig.volume(), 0, 4 * kMiB, 9));
    CHECK(reads == 0);
    rig.require(rig.world.run(rig.pool->set_rebuild(false, std::nullopt)));
    REQUIRE(rig.wait_for_rebuild());
    rig.require_clean_scrub();
    CHECK(reads > 0);
    rig.drives[4]->on_io = nullptr;
    rig.require(rig.fail_drive(0));
    rig.require(rig.fail_drive(1));
    REQUIRE(rig.holds(rig.volume(), 0, 4 * kMiB, 9));
    for (std::uint64_t at = 4 * kMiB; at < 24 * kMiB; at += kMiB) {
        REQUIRE(rig.holds(rig.volume(), at, kMiB));
    }
    rig.stop();
}

TEST_CASE("a member that comes back is written where it missed something; one that failed a flush, everywhere") {
    AssembledPool rig;
    const bool failed_flush = GENERATE(false, true);
    CAPTURE(failed_flush);
    REQUIRE(rig.flush(rig.volume()) == Errc::ok);
    if (failed_flush) {
        sim::FaultRule rule;
        rule.on = dev::IoKind::flush;
        rig.drives[4]->faults().add(rule);
        REQUIRE(rig.fill(rig.volume(), 0, kMiB, 9) == Errc::ok);
        static_cast<void>(rig.flush(rig.volume()));
        REQUIRE(rig.wait_until([&] { return rig.state_of(4) == meta::MemberState::faulty; }));
        rig.drives[4]->faults().clear();
    } else {
        rig.drives[4]->vanish();
        REQUIRE(rig.fill(rig.volume(), 0, kMiB, 9) == Errc::ok);
        static_cast<void>(rig.flush(rig.volume()));
        REQUIRE(rig.wait_until([&] { return rig.state_of(4) == meta::MemberState::missing; }));
        rig.drives[4]->come_back();
    }
    REQUIRE(rig.wait_until([&] { return rig.open_plugs[4] == 0; }));
    rig.drives[4]->reset_counters();
    rig.require(rig.readmit(4));
    REQUIRE(rig.wait_for_rebuild());
    const std::uint64_t written = rig.drives[4]->counters().of(dev::IoKind::write).bytes;
    const std::uint64_t held = rig.pool->member_status()[4].used_bytes;
    CAPTURE(written, held);
    if (failed_flush) {
        CHECK(written >= held / 2);
    } else {
        CHECK(written < held / 4);  // metadata, and its part of what was missed
    }
    rig.require_clean_scrub();
    rig.require(rig.fail_drive(0));
    rig.require(rig.fail_drive(1));
    REQUIRE(rig.holds(rig.volume(), 0, kMiB, 9));
    REQUIRE(rig.holds(rig.volume(), kMiB, kMiB));
    rig.stop();
}

TEST_CASE("a device of another pool is not taken") {
    AssembledPool rig;
    rig.stop();
    Rig other(RigOptions{.seed = 2});
    other.create();
    other.stop();
    rig.drives[3]->restore(other.drives[3]->media().durable());
    REQUIRE_FALSE(rig.assemble().has_value());
    rig.require(rig.assemble({0, 1, 2, 4, 5}));
    rig.check_content();
    rig.stop();
}

TEST_CASE("a pool that is refused changes nothing") {
    Rig rig(RigOptions{.scheme = "4+2", .members = 5});
    rig.options.scheme = "8+2";
    for (auto& d : rig.drives) d->reset_counters();
    std::vector<pool::NewDevice> devices;
    for (unsigned i = 0; i < 5; i++) devices.push_back(rig.plug(i));
    pool::CreateOptions o;
    o.name = "tank";
    o.scheme = scheme_of("4+2", 6, 65536);
    const auto made = rig.world.run(pool::Pool::create(rig.environment(), o, devices));
    REQUIRE_FALSE(made.has_value());
    for (auto& d : rig.drives) CHECK(d->counters().of(dev::IoKind::write).count == 0);
}

TEST_CASE("a pool has the growth limit and the log sizes that are asked for, also after drives joined") {
    Rig rig(RigOptions{.scheme = "4+2", .members = 6});
    const auto create = [&rig](std::uint32_t extents_max, std::uint64_t metadata, std::uint64_t stripe) {
        std::vector<pool::NewDevice> devices;
        for (unsigned i = 0; i < 6; i++) devices.push_back(rig.plug(i));
        pool::CreateOptions o;
        o.name = "tank";
        o.scheme = rig.scheme();
        o.extent_bytes = kMiB;
        o.extents_max = extents_max;
        o.metadata_log_bytes = metadata;
        o.stripe_log_bytes = stripe;
        return rig.world.run(pool::Pool::create(rig.environment(), std::move(o), devices));
    };
    struct Refused {
        std::uint32_t extents_max;
        std::uint64_t metadata, stripe;
    };
    for (const Refused& r : {Refused{100, 0, 0}, Refused{0, 4096, 0}, Refused{0, 0, 64 * 1024},
                             Refused{0, 0, 8 * kMiB}}) {
        const auto made = create(r.extents_max, r.metadata, r.stripe);
        REQUIRE_FALSE(made.has_value());
        CHECK(made.error().code == Errc::invalid_argument);
    }
    auto made = create(1024, 64 * 1024, kMiB);
    REQUIRE(made.has_value());
    rig.pool = std::move(*made);
    rig.create_volume("data", 8 * kMiB);
    // Many commits: the log is full again and again.
    for (unsigned i = 1; i <= 60; i++) rig.require(rig.world.run(rig.pool->resize_volume("data", (8 + i) * kMiB)));
    rig.add_drive(128 * kMiB);
    std::vector<pool::NewDevice> joining;
    joining.push_back(rig.plug(6));
    rig.require(rig.world.run(rig.pool->add(joining)));
    REQUIRE(rig.fill(rig.volume(), 0, kMiB) == Errc::ok);
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.holds(rig.volume(), 0, kMiB));
    CHECK(rig.pool->state().pool().extents_max == 1024);
    for (unsigned i = 0; i < 7; i++) {
        const auto& layout = rig.pool->state().members()[i]->layout;
        CHECK(layout.metadata_log_bytes == 64 * 1024);
        CHECK(layout.stripe_log_bytes == (i < 6 ? kMiB : 8 * kMiB));
    }
    rig.stop();
}

TEST_CASE("an interrupted creation leaves no pool that starts") {
    Rig rig;
    rig.world.run_for(kMillisecond);
    // Devices that fail while superblocks are written.
    sim::FaultRule rule;
    rule.on = dev::IoKind::write;
    rule.skip = 3;
    rig.drives[2]->faults().add(rule);
    REQUIRE_FALSE(rig.try_create().has_value());
    rig.drives[2]->faults().clear();
    REQUIRE_FALSE(rig.assemble().has_value());
    rig.create();
    rig.stop();
}

TEST_CASE("volumes with clusters of another size than ours are refused by name, and nothing is written") {
    Rig rig(RigOptions{.scheme = "raid1", .members = 2});
    rig.create();
    rig.stop();
    std::vector<std::unique_ptr<Plug>> plugs;
    std::vector<meta::Examined> found;
    for (auto& drive : rig.drives) {
        plugs.push_back(std::make_unique<Plug>(*drive));
        found.push_back(*rig.world.run(meta::examine(*plugs.back())));
    }
    auto store = rig.world.run(meta::Store::assemble(found, {}));
    REQUIRE(store.has_value());
    meta::Record volume;
    volume.kind = meta::RecordKind::volume_set;
    volume.volume.uuid = Uuid{{1, 2, 3}};
    volume.volume.name = "odd";
    volume.volume.size_bytes = kMiB;
    volume.volume.cluster_bytes = 128 * kKiB;
    std::vector<meta::Record> records{volume};
    REQUIRE(rig.world.run((*store)->commit(records)));
    REQUIRE(rig.world.run((*store)->close_clean()));
    for (auto& drive : rig.drives) drive->reset_counters();
    const auto refused = rig.assemble();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unsupported);
    CHECK(refused.error().message.find("'odd'") != std::string::npos);
    for (auto& drive : rig.drives) CHECK(drive->counters().of(dev::IoKind::write).count == 0);
}

}  // namespace xsan::test
