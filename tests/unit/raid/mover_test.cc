// Rebuild and relocation while requests go on; what ends a mover.
#include <sys/mman.h>

#include "unit/raid/mover_run.h"

namespace xsan::test {
namespace {

// Random requests while `slots` move to spares; then everything reads right whatever else is lost.
void move_under_load(const Shape& shape, unsigned count, bool lost, std::uint64_t seed,
                     unsigned reactors) {
    Rig rig(shape, with_spares(seed, count, reactors));
    CAPTURE(shape.text, shape.members, count, lost, seed, reactors);
    Model model(rig.pool.data_bytes(), rig.options.block_bytes);
    Workload load(rig, model, seed);
    load.run(4, 40);
    std::vector<unsigned> slots;
    Rng rng(seed);
    while (slots.size() < count) {
        const auto slot = static_cast<unsigned>(rng.below(rig.total_strips()));
        if (std::find(slots.begin(), slots.end(), slot) == slots.end()) slots.push_back(slot);
    }
    if (lost) {
        for (const unsigned s : slots)
            rig.pool.set_live(s, false);
    }
    load.run(4, 20);
    raid::Mover mover = mover_to_spares(rig, slots);
    move_while(load, rig, mover, seed);
    CHECK(rig.pool.events().empty());
    for (std::uint32_t s = 0; s < rig.options.stripes; s++) {
        const auto checked = rig.check(s);
        CHECK(checked.agrees);
        CHECK(checked.complete);
    }
    // By member: the old places of what moved do not count any more.
    std::vector<unsigned> members;
    for (const StripRef& strip : rig.pool.strips(rig.group))
        members.push_back(strip.member().get());
    rig.for_each_loss(rig.scheme().losses_promised(), [&](std::uint64_t more) {
        if (rig.total_strips() > 6 && std::popcount(more) > 1) return;
        for (unsigned i = 0; i < members.size(); i++)
            rig.pool.set_live(members[i], (more >> i & 1) == 0);
        load.require_content();
    });
}

}  // namespace

TEST_CASE("lost slots are rebuilt under load and then replace what was lost") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        for (unsigned count = 1; count <= most; count++) {
            for (std::uint64_t seed = 1; seed <= 3; seed++)
                move_under_load(shape, count, true, seed, 1);
        }
    }
}

TEST_CASE("healthy slots are relocated under load") {
    for (const Shape& shape : kMoreShapes) {
        for (std::uint64_t seed = 1; seed <= 3; seed++)
            move_under_load(shape, 1, false, seed, 1);
        move_under_load(shape, 2, false, 9, 1);
    }
}

TEST_CASE("movers under load from several reactors") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        for (unsigned reactors = 2; reactors <= 4; reactors++) {
            move_under_load(shape, 1, false, 20 + reactors, reactors);
            if (most > 0) move_under_load(shape, most, true, 30 + reactors, reactors);
        }
    }
}

TEST_CASE("a rebuild reads K strips and writes one for each stripe that holds data, nothing else") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"8+3", 11}}) {
        RigOptions o;
        o.spare_members = 1;
        Rig rig(shape, o);
        rig.fill();
        for (std::uint32_t s = 4; s < o.stripes; s++)
            rig.pool.unmapped.insert({rig.group.get(), s});
        rig.pool.set_live(0, false);
        raid::Mover mover = mover_to_spares(rig, {0});
        rig.reset_counters();
        REQUIRE(move_all(rig, mover) == Errc::ok);
        CHECK(rig.reads() == 4 * rig.data_strips());
        CHECK(rig.writes() == 4);
    }
}

TEST_CASE("stripes that are mapped while their group moves are written to both places") {
    for (const bool lost : {true, false}) {
        RigOptions o;
        o.spare_members = 1;
        Rig rig({"4+1", 5}, o);
        const std::uint64_t stripe_bytes = rig.scheme().stripe_data_bytes();
        for (std::uint32_t s = 2; s < o.stripes; s++)
            rig.pool.unmapped.insert({rig.group.get(), s});
        std::vector<std::byte> content(rig.pool.data_bytes());
        const auto put = [&](std::uint32_t stripe) {
            rig.pool.unmapped.erase({rig.group.get(), stripe});
            const auto data = Rig::pattern(kBlock, stripe);
            // A block of each strip, so that the moved one is among them.
            for (unsigned s = 0; s < rig.data_strips(); s++) {
                const std::uint64_t at = stripe * stripe_bytes + s * rig.scheme().strip_bytes;
                REQUIRE(rig.write(at, data) == Errc::ok);
                std::copy(data.begin(), data.end(),
                          content.begin() + static_cast<std::ptrdiff_t>(at));
            }
        };
        put(0);
        rig.pool.set_live(2, !lost);
        raid::Mover mover = mover_to_spares(rig, {2});
        REQUIRE(rig.world.run(rig.engine.start_mover(mover)).has_value());
        const auto move = [&](std::uint32_t s) {
            REQUIRE(rig.world.run(rig.engine.move_stripe(mover, StripeIndex{s})).has_value());
        };
        for (std::uint32_t s = 0; s < 6; s++)
            move(s);
        put(1);  // mapped and done
        put(3);  // was unmapped when it was done
        put(8);  // not done yet
        for (std::uint32_t s = 6; s < o.stripes; s++)
            move(s);
        put(9);
        Commit commit{rig.pool, mover};
        REQUIRE(rig.world.run(rig.engine.finish_mover(mover, Commit::run, &commit)).has_value());
        rig.pool.set_live(2, false);
        CHECK(rig.reads_as(content));
        for (const unsigned other : {0u, 1u, 3u, 4u, 5u}) {
            rig.pool.set_live(other, false);
            CHECK(rig.reads_as(content));
            rig.pool.set_live(other, true);
        }
    }
}

TEST_CASE("a target that fails a write ends the mover and costs no data, under load too") {
    for (const bool lost : {true, false}) {
        for (std::uint64_t seed = 1; seed <= 8; seed++) {
            Rig rig({"4+2", 6}, with_spares(seed, 2));
            CAPTURE(lost, seed);
            Model model(rig.pool.data_bytes(), rig.options.block_bytes);
            Workload load(rig, model, seed);
            load.run(4, 40);
            rig.pool.set_live(1, !lost);
            raid::Mover mover = mover_to_spares(rig, {1, 3});
            sim::FaultRule rule;
            rule.on = dev::IoKind::write;
            rule.skip = static_cast<std::uint32_t>(seed * 3);
            rule.effect = sim::FailedEffect::torn;
            rig.devices[7]->faults().add(rule);
            MoverRun run{rig, mover, Rng(seed), {}};
            load.start(4, 80);
            rig.world.spawn(run.run(), 0);
            load.finish();
            CHECK(run.result.error().code == Errc::aborted);
            CHECK(mover.has_failed());
            CHECK_FALSE(rig.pool.is_live(7));
            CHECK(load.errors() == 0);
            load.require_content();
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                CHECK(rig.check(s).agrees);
            rig.pool.set_live(0, false);
            load.require_content();
        }
    }
}

TEST_CASE("a target that cannot be read any more ends the mover, and reads go on from the others") {
    Rig rig({"4+1", 5}, with_spares(2, 1));
    const auto content = rig.fill();
    rig.pool.set_live(2, false);
    raid::Mover mover = mover_to_spares(rig, {2});
    REQUIRE(rig.world.run(rig.engine.start_mover(mover)).has_value());
    for (std::uint32_t s = 0; s < 5; s++) {
        REQUIRE(rig.world.run(rig.engine.move_stripe(mover, StripeIndex{s})).has_value());
    }
    rig.devices[5]->vanish();
    CHECK(rig.reads_as(content));
    CHECK(mover.has_failed());
    CHECK(rig.world.run(rig.engine.move_stripe(mover, StripeIndex{6})).error().code ==
          Errc::aborted);
    Commit commit{rig.pool, mover};
    CHECK(rig.world.run(rig.engine.finish_mover(mover, Commit::run, &commit)).error().code ==
          Errc::aborted);
    CHECK(rig.pool.strips(rig.group)[2].member().get() == 2);
    CHECK(rig.reads_as(content));
}

TEST_CASE("a target that fails its flush is not adopted") {
    Rig rig({"4+1", 5}, with_spares(1, 1));
    const auto content = rig.fill();
    raid::Mover mover = mover_to_spares(rig, {2});
    sim::FaultRule rule;
    rule.on = dev::IoKind::flush;
    rig.devices[5]->faults().add(rule);
    CHECK(move_all(rig, mover) == Errc::aborted);
    CHECK(rig.pool.strips(rig.group)[2].member().get() == 2);
    CHECK_FALSE(rig.pool.is_live(5));
    CHECK(rig.reads_as(content));
    rig.pool.set_live(0, false);
    CHECK(rig.reads_as(content));
}

TEST_CASE("a target whose member is lost for another reason is not adopted") {
    Rig rig({"4+1", 5}, with_spares(1, 1));
    const auto content = rig.fill();
    raid::Mover mover = mover_to_spares(rig, {2});
    REQUIRE(rig.world.run(rig.engine.start_mover(mover)).has_value());
    for (std::uint32_t s = 0; s < mover.stripes(); s++) {
        REQUIRE(rig.world.run(rig.engine.move_stripe(mover, StripeIndex{s})).has_value());
    }
    rig.pool.set_live(5, false);
    Commit commit{rig.pool, mover};
    const auto finished = rig.world.run(rig.engine.finish_mover(mover, Commit::run, &commit));
    CHECK(finished.error().code == Errc::aborted);
    CHECK(rig.pool.strips(rig.group)[2].member().get() == 2);
    CHECK(rig.reads_as(content));
}

TEST_CASE("what was moved survives a power cut right after the commit") {
    Rig rig({"4+2", 6}, with_spares(1, 2));
    const auto content = rig.fill();
    REQUIRE(rig.flush() == Errc::ok);
    rig.pool.set_live(0, false);
    rig.pool.set_live(4, false);
    raid::Mover mover = mover_to_spares(rig, {0, 4});
    REQUIRE(move_all(rig, mover) == Errc::ok);
    sim::CutOptions nothing;
    nothing.keep_percent = 0;
    for (auto& d : rig.devices)
        d->power_cut(nothing);
    CHECK(rig.reads_as(content));
    rig.require_parity_agrees();
}

TEST_CASE("a source that vanishes or fails reads while its slot moves is replaced by the others") {
    for (const bool vanishes : {true, false}) {
        for (const bool lost : {true, false}) {
            Rig rig({"4+2", 6}, with_spares(1, 1));
            CAPTURE(vanishes, lost);
            const auto content = rig.fill();
            rig.pool.set_live(0, !lost);
            raid::Mover mover = mover_to_spares(rig, {0});
            for (const unsigned m : {0u, 1u}) {
                sim::FaultRule rule;
                rule.kind = vanishes ? sim::FaultKind::vanish : sim::FaultKind::error;
                rule.on = dev::IoKind::read;
                rule.skip = 2;
                rule.count = vanishes ? 1 : 3;
                if (m == 0 && lost) continue;
                rig.devices[m]->faults().add(rule);
            }
            REQUIRE(move_all(rig, mover) == Errc::ok);
            rig.pool.set_live(0, false);
            CHECK(rig.reads_as(content));
        }
    }
}

TEST_CASE("a look for one group never touches the mover of another in the same slot") {
    // The mover lies where nothing can be read: looking into it ends the process.
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    auto* mover = new (page) raid::Mover(GroupIndex{3}, {}, 1);
    const auto table = std::make_unique<raid::MoverTable>();
    REQUIRE(table->try_add(*mover));
    raid::Mover same_slot(GroupIndex{3 + raid::MoverTable::kSlots}, {}, 1);
    CHECK_FALSE(table->try_add(same_slot));
    REQUIRE(::mprotect(page, 4096, PROT_NONE) == 0);
    CHECK(table->find(GroupIndex{3 + raid::MoverTable::kSlots}) == nullptr);
    CHECK(table->find(GroupIndex{3}) == mover);
    REQUIRE(::mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
    table->remove(*mover);
    CHECK(table->find(GroupIndex{3}) == nullptr);
    mover->~Mover();
    ::munmap(page, 4096);
}

TEST_CASE("a second mover of a group has to wait") {
    RigOptions o = with_spares(1, 2);
    Rig rig({"4+2", 6}, o);
    rig.fill();
    raid::Mover first = mover_to_spares(rig, {0});
    raid::Mover second(rig.group, {rig.pool.target(1, 7)}, o.stripes);
    REQUIRE(rig.world.run(rig.engine.start_mover(first)).has_value());
    CHECK(rig.world.run(rig.engine.start_mover(second)).error().code == Errc::busy);
    REQUIRE(rig.world.run(rig.engine.finish_mover(first, nullptr, nullptr)).has_value());
    REQUIRE(rig.world.run(rig.engine.start_mover(second)).has_value());
    REQUIRE(rig.world.run(rig.engine.finish_mover(second, nullptr, nullptr)).has_value());
}

}  // namespace xsan::test
