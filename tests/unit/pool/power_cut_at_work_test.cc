// Power cuts while the pool is being made, while it is degraded and while it rebuilds, policy `resync`: the
// metadata is whole, and what is at rest reads as it was. (Stripes that are being written while members are
// missing are the hole that `resync` leaves.)
#include "unit/pool/after_cut.h"
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kVolume = 4 * kMiB;

// A pool with a volume at rest and one that is written.
struct Busy {
    Rig rig;
    Model model{kVolume};
    std::unique_ptr<Work> work;

    explicit Busy(const RigOptions& options) : rig(options) {
        rig.create();
        pool::Volume& rest = rig.create_volume("rest", kVolume);
        for (std::uint64_t at = 0; at < kVolume; at += kMiB) REQUIRE(rig.fill(rest, at, kMiB) == Errc::ok);
        REQUIRE(rig.flush(rest) == Errc::ok);
        pool::Volume& load = rig.create_volume("load", kVolume);
        work = std::make_unique<Work>(Work{model, load, load.cluster_bytes(), {.operations = 1'000'000}});
    }
    void finish() {
        work->quit = true;
        finish_workers(rig, *work);
    }
};

void check_rest(Rig& rig) {
    INFO(rig.log.text());
    pool::Volume& rest = rig.volume("rest");
    for (std::uint64_t at = 0; at < kVolume; at += kMiB) REQUIRE(rig.holds(rest, at, kMiB));
}

// Assembles from what a cut leaves now; everything at rest is there, before and after the rebuild.
void check_cut(Busy& busy, std::uint64_t seed, bool load_at_rest) {
    AfterCut after(busy.rig, seed);
    Rig& rig = after.rig;
    INFO("cut seed " << seed);
    rig.require(rig.assemble());
    check_rest(rig);
    if (load_at_rest) {
        INFO(rig.log.text());
        REQUIRE(verify(rig, rig.volume("load"), busy.model, Model::After::cut) == "");
    }
    REQUIRE(rig.wait_for_resync());
    REQUIRE(rig.wait_for_rebuild());
    check_rest(rig);
    if (load_at_rest) REQUIRE(verify(rig, rig.volume("load"), busy.model, Model::After::cut) == "");
    rig.abandon();
}

}  // namespace

TEST_CASE("a power cut at any step of a creation leaves a pool or none, and the drives can be used again") {
    unsigned none = 0;
    unsigned made = 0;
    for (std::uint64_t n = 0; n < 400; n += 4) {
        CAPTURE(n);
        Rig rig(RigOptions{.seed = n + 1});
        std::vector<pool::NewDevice> devices;
        for (unsigned i = 0; i < rig.drive_count(); i++) devices.push_back(rig.plug(i));
        pool::CreateOptions o;
        o.name = "tank";
        o.scheme = rig.scheme();
        o.extent_bytes = kMiB;
        o.consistency = rig.options.consistency;
        bool done = false;
        const auto create = [](Rig& r, pool::CreateOptions& how, std::vector<pool::NewDevice>& from,
                               bool& is_done) -> Task<void> {
            auto created = co_await pool::Pool::create(r.environment(), how, from);
            XSAN_ASSERT(created.has_value());
            r.pool = std::move(*created);
            is_done = true;
        };
        rig.world.spawn(create(rig, o, devices, done), 0);
        for (std::uint64_t s = 0; s < n; s++) rig.world.step();
        const bool was_done = done;
        {
            AfterCut after(rig, n + 1000);
            const auto started = after.rig.assemble();
            if (was_done) after.rig.require(started);
            if (started) {
                made++;
                CHECK(after.rig.pool->state().members().size() == 6);
                CHECK(after.rig.pool->health() == pool::PoolHealth::online);
                after.rig.stop();
            } else {
                none++;
                after.rig.create();
                after.rig.create_volume("data", kVolume);
                REQUIRE(after.rig.fill(after.rig.volume(), 0, kMiB) == Errc::ok);
                after.rig.stop();
            }
        }
        REQUIRE(rig.wait_until([&] { return done; }));
        rig.stop();
    }
    CHECK(none > 10);
    CHECK(made > 10);
}

TEST_CASE("a power cut while the pool is degraded: what is at rest stays, under load too") {
    RigOptions options;
    options.seed = GENERATE(range(1, 4));
    Busy busy(options);
    Rig& rig = busy.rig;
    start_workers(rig, *busy.work, 4, options.seed);
    rig.world.run_for(10 * kMillisecond);
    Rng rng(options.seed * 7);
    for (unsigned lost = 0; lost < 2; lost++) {
        rig.require(rig.fail_drive(lost * 3));
        for (unsigned i = 0; i < rounds(12); i++) {
            for (std::uint64_t s = rng.next() % 400; s > 0; s--) rig.world.step();
            check_cut(busy, options.seed * 100 + lost * 50 + i, false);
        }
    }
    busy.finish();
    REQUIRE(rig.flush(rig.volume("load")) == Errc::ok);
    busy.model.all_durable();
    check_cut(busy, options.seed * 100 + 99, true);
    rig.stop();
}

TEST_CASE("a power cut while the pool rebuilds: what was flushed stays, and the rebuild begins again") {
    RigOptions options;
    options.members = GENERATE(7u, 9u);
    options.seed = options.members;
    Busy busy(options);
    Rig& rig = busy.rig;
    start_workers(rig, *busy.work, 4, options.seed);
    rig.world.run_for(20 * kMillisecond);
    busy.finish();
    REQUIRE(rig.flush(rig.volume("load")) == Errc::ok);
    busy.model.all_durable();
    Rng rng(options.seed);
    for (unsigned lost = 0; lost < 2; lost++) {
        rig.require(rig.fail_drive(1 + lost * 3));
        for (unsigned i = 0; i < rounds(25); i++) {
            for (std::uint64_t s = rng.next() % 300; s > 0; s--) rig.world.step();
            check_cut(busy, options.seed * 100 + lost * 50 + i, true);
        }
    }
    REQUIRE(rig.wait_for_rebuild());
    check_rest(rig);
    rig.stop();
}

}  // namespace xsan::test
