// Volumes: create, grow, delete, several schemes in one pool.
#include "unit/pool/model.h"

namespace xsan::test {

TEST_CASE("names are checked and unique") {
    Rig rig;
    rig.create();
    rig.create_volume("data", 4 * kMiB);
    pool::VolumeOptions again{"data", rig.scheme(), 4 * kMiB, 4096};
    const auto twice = rig.world.run(rig.pool->create_volume(again));
    REQUIRE_FALSE(twice.has_value());
    CHECK(twice.error().code == Errc::exists);
    pool::VolumeOptions odd{"no/slash", rig.scheme(), 4 * kMiB, 4096};
    CHECK_FALSE(rig.world.run(rig.pool->create_volume(odd)).has_value());
    CHECK(rig.pool->volumes().size() == 1);
    rig.stop();
}

TEST_CASE("a volume grows and keeps its content; it does not shrink") {
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", 4 * kMiB);
    REQUIRE(rig.fill(v, 0, 4 * kMiB) == Errc::ok);
    rig.require(rig.world.run(rig.pool->resize_volume("data", 16 * kMiB)));
    CHECK(v.limits().size_bytes == 16 * kMiB);
    CHECK(rig.is_zero(v, 4 * kMiB, 12 * kMiB));
    REQUIRE(rig.fill(v, 15 * kMiB, kMiB) == Errc::ok);
    CHECK_FALSE(rig.world.run(rig.pool->resize_volume("data", 8 * kMiB)).has_value());
    CHECK_FALSE(rig.world.run(rig.pool->resize_volume("none", 8 * kMiB)).has_value());
    const auto huge = rig.world.run(rig.pool->resize_volume("data", UINT64_MAX));
    REQUIRE_FALSE(huge.has_value());
    CHECK(huge.error().code == Errc::invalid_argument);
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.holds(rig.volume(), 0, 4 * kMiB));
    CHECK(rig.holds(rig.volume(), 15 * kMiB, kMiB));
    rig.stop();
}

TEST_CASE("a deleted volume's space comes back, also to another scheme and after a restart") {
    const bool cut_off = GENERATE(false, true);
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", 0);
    const std::uint64_t bytes = v.limits().size_bytes;
    for (std::uint64_t at = 0; at < bytes; at += kMiB) REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    REQUIRE(rig.group_count() > 4);
    rig.require(rig.world.run(rig.pool->delete_volume("data")));
    CHECK(rig.pool->find_volume("data") == nullptr);
    if (cut_off) {
        rig.abandon();
        rig.require(rig.assemble());
        CHECK(rig.pool->find_volume("data") == nullptr);
    }
    // The name is free at once, and then everything else.
    REQUIRE(rig.wait_until([&] { return rig.group_count() == 0; }));
    CHECK(rig.pool->state().volumes().empty());
    const ec::Scheme mirror = scheme_of("1+2", 3, 16 * 1024);
    pool::Volume& m = rig.create_volume("data", 0, mirror);
    const std::uint64_t mirror_bytes = m.limits().size_bytes;
    for (std::uint64_t at = 0; at < mirror_bytes; at += kMiB) {
        REQUIRE(rig.is_zero(m, at, kMiB));
        REQUIRE(rig.fill(m, at, kMiB, 3) == Errc::ok);
    }
    rig.require_clean_scrub();
    rig.stop();
    rig.require(rig.assemble());
    for (std::uint64_t at = 0; at < mirror_bytes; at += kMiB) {
        REQUIRE(rig.holds(rig.volume(), at, kMiB, 3));
    }
    rig.stop();
}

TEST_CASE("volumes of several schemes live and are rebuilt in one pool") {
    RigOptions options;
    options.members = 7;
    Rig rig(options);
    rig.create();
    struct One {
        const char* name;
        ec::Scheme scheme;
    };
    const std::vector<One> all = {{"wide", rig.scheme()},
                                  {"mirror", scheme_of("1+2", 3, 65536)},
                                  {"five", scheme_of("3+1", 4, 4096)}};
    for (const One& one : all) rig.create_volume(one.name, 8 * kMiB, one.scheme);
    std::uint64_t seed = 1;
    for (const One& one : all) REQUIRE(rig.fill(rig.volume(one.name), 0, 6 * kMiB, seed++) == Errc::ok);
    rig.require(rig.fail_drive(2));
    REQUIRE(rig.wait_for_rebuild());
    CHECK(rig.pool->health() == pool::PoolHealth::online);
    rig.require_clean_scrub();
    rig.stop();
    rig.require(rig.assemble());
    seed = 1;
    for (const One& one : all) CHECK(rig.holds(rig.volume(one.name), 0, 6 * kMiB, seed++));
    rig.stop();
}

TEST_CASE("a pool is stopped while volumes are being deleted and drives rebuilt") {
    RigOptions options;
    options.members = 8;
    options.seed = GENERATE(range(80, 90));
    Rig rig(options);
    rig.create();
    for (const char* name : {"a", "b"}) {
        pool::Volume& v = rig.create_volume(name, 12 * kMiB);
        REQUIRE(rig.fill(v, 0, 12 * kMiB) == Errc::ok);
    }
    rig.require(rig.world.run(rig.pool->delete_volume("a")));
    rig.require(rig.fail_drive(1));
    Rng rng(options.seed);
    rig.world.run_for(rng.next() % 3000 * kMicrosecond);
    if (options.seed % 2 == 0) {
        rig.stop();
    } else {
        rig.abandon();
    }
    std::vector<unsigned> others{0, 2, 3, 4, 5, 6, 7};
    rig.require(rig.assemble(others));
    REQUIRE(rig.wait_for_rebuild());
    REQUIRE(rig.wait_until([&] { return rig.pool->state().volumes().size() == 1; }));
    REQUIRE(rig.wait_for_resync());
    CHECK(rig.holds(rig.volume("b"), 0, 12 * kMiB));
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a write that is under way as its volume is deleted leaves nothing mapped") {
    for (std::uint64_t n = 0; n < 60; n += 2) {
        CAPTURE(n);
        RigOptions options;
        options.seed = n + 1;
        Rig rig(options);
        rig.create();
        pool::Volume& v = rig.create_volume("data", 8 * kMiB);
        REQUIRE(rig.fill(v, 4 * kMiB, kMiB) == Errc::ok);
        auto data = Rig::pattern(0, 4096, 1);
        const auto write = [](pool::Volume& volume, std::span<std::byte> from, bool& is_done) -> Task<void> {
            const Errc code = co_await Rig::request(volume, dev::IoKind::write, 0, from, 0);
            static_cast<void>(code);
            is_done = true;
        };
        bool done = false;
        rig.world.spawn(write(v, data, done), 1);
        for (std::uint64_t s = 0; s < n; s++) rig.world.step();
        rig.require(rig.world.run(rig.pool->delete_volume("data")));
        REQUIRE(rig.wait_until([&] { return done && rig.pool->state().volumes().empty(); }, 60 * kSecond));
        REQUIRE(rig.wait_until([&] { return rig.group_count() == 0; }, 60 * kSecond));
        rig.stop();
    }
}

TEST_CASE("sizes that no volume can have are refused, before a pool is made too") {
    Rig rig;
    for (const std::uint64_t bytes : {std::uint64_t{4096}, std::uint64_t{INT64_MAX} / 4096 * 4096}) {
        std::vector<pool::NewDevice> devices;
        for (unsigned i = 0; i < rig.drive_count(); i++) devices.push_back(rig.plug(i));
        pool::CreateOptions o;
        o.name = "tank";
        o.scheme = rig.scheme();
        o.volume = pool::VolumeOptions{"data", rig.scheme(), bytes, 4096};
        const auto made = rig.world.run(pool::Pool::create(rig.environment(), std::move(o), devices));
        REQUIRE_FALSE(made.has_value());
        CHECK(made.error().code == Errc::invalid_argument);
        CHECK(made.error().message.find(bytes == 4096 ? "too small" : "too large") != std::string::npos);
        for (const auto& device : devices) {
            REQUIRE(device.device != nullptr);
            CHECK(rig.world.run(meta::examine(*device.device)).error().code == Errc::not_found);
        }
    }
    rig.create();
    rig.create_volume("data", 4 * kMiB);
    const auto large = rig.world.run(rig.pool->resize_volume("data", std::uint64_t{INT64_MAX}));
    REQUIRE_FALSE(large.has_value());
    CHECK(large.error().code == Errc::invalid_argument);
    CHECK(large.error().message.find("too large") != std::string::npos);
    rig.stop();
}

TEST_CASE("volumes of schemes that lost nothing are not degraded") {
    Rig rig;
    rig.create();
    pool::Volume& wide = rig.create_volume("wide", 4 * kMiB);
    pool::Volume& narrow = rig.create_volume("narrow", 4 * kMiB, scheme_of("raid1", 2, 16 * 1024));
    REQUIRE(rig.fill(wide, 0, kMiB) == Errc::ok);
    rig.require(rig.fail_drive(0));
    CHECK(rig.pool->health() == pool::PoolHealth::degraded);
    CHECK(rig.pool->volume_health(wide) == pool::PoolHealth::degraded);
    CHECK(rig.pool->volume_health(narrow) == pool::PoolHealth::online);
    rig.stop();
}

}  // namespace xsan::test
