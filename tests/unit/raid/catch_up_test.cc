// A member that was away is brought up to date by what it missed: its strips are compared, and written only where
// they differ, whatever happened to them meanwhile.
#include "unit/raid/mover_run.h"

namespace xsan::test {
namespace {

raid::Mover mover_in_place(Rig& rig, const std::vector<unsigned>& slots) {
    std::vector<raid::MoveTarget> targets;
    for (const unsigned slot : slots) targets.push_back(rig.pool.older_target(rig.group, slot));
    return raid::Mover(rig.group, std::move(targets), rig.options.stripes);
}

std::uint64_t written_to(const Rig& rig, unsigned member) {
    const auto& counters = rig.devices[member]->counters();
    return counters.of(dev::IoKind::write).bytes + counters.of(dev::IoKind::write_zeroes).bytes;
}

}  // namespace

TEST_CASE("a member that missed nothing is read, compared, flushed, and not written") {
    for (const Shape& shape : kMoreShapes) {
        if (scheme_of(shape.text, shape.members, 4096).losses_promised() == 0) continue;
        CAPTURE(shape.text);
        RigOptions o;
        o.volatile_cache = true;
        Rig rig(shape, o);
        const auto content = rig.fill();
        rig.pool.set_live(1, false);
        raid::Mover mover = mover_in_place(rig, {1});
        rig.reset_counters();
        REQUIRE(move_all(rig, mover) == Errc::ok);
        CHECK(rig.devices[1]->counters().of(dev::IoKind::read).count == o.stripes);
        CHECK(rig.devices[1]->counters().of(dev::IoKind::flush).count == 1);
        CHECK(written_to(rig, 1) == 0);
        CHECK(rig.reads_as(content));
        rig.require_parity_agrees();
    }
}

TEST_CASE("a member that missed some blocks is given these blocks") {
    Rig rig({"4+2", 6}, {});
    auto content = rig.fill();
    rig.pool.set_live(1, false);
    // One block of each data strip of two stripes: the slot's strip or its parity is among what changed.
    unsigned stripes = 0;
    for (const std::uint32_t stripe : {2u, 7u}) {
        for (unsigned s = 0; s < rig.data_strips(); s++) {
            const std::uint64_t at = stripe * rig.scheme().stripe_data_bytes() + s * rig.scheme().strip_bytes + kBlock;
            const auto data = Rig::pattern(kBlock, at);
            REQUIRE(rig.write(at, data) == Errc::ok);
            std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
        }
        stripes++;
    }
    raid::Mover mover = mover_in_place(rig, {1});
    rig.reset_counters();
    REQUIRE(move_all(rig, mover) == Errc::ok);
    CHECK(written_to(rig, 1) == stripes * kBlock);
    CHECK(rig.reads_as(content));
    rig.require_parity_agrees();
}

TEST_CASE("noise on a member that was away is never taken for data") {
    RigOptions o;
    o.stripes = 40;
    for (const std::uint64_t every : {1, 2, 5}) {  // blocks that were overwritten: each, or some
        Rig rig({"4+1", 5}, o);
        const auto content = rig.fill();
        for (std::uint32_t s = 20; s < 24; s++) rig.pool.unmapped.insert({rig.group.get(), s});
        rig.pool.set_live(3, false);
        const std::uint64_t begin = rig.place_on_member(0, 0);
        for (std::uint64_t at = 0; at < std::uint64_t{o.stripes} * rig.scheme().strip_bytes; at += every * kBlock) {
            rig.devices[3]->poke(begin + at, Rig::pattern(kBlock, at + 99));
        }
        raid::Mover mover = mover_in_place(rig, {3});
        rig.reset_counters();
        REQUIRE(move_all(rig, mover) == Errc::ok);
        // A drive that differs everywhere is not read to the end.
        if (every == 1) CHECK(rig.devices[3]->counters().of(dev::IoKind::read).count == 16);
        rig.pool.set_live(0, false);
        for (std::uint32_t s = 0; s < o.stripes; s++) {
            const std::uint64_t bytes = rig.scheme().stripe_data_bytes();
            if (s >= 20 && s < 24) continue;
            CHECK(rig.reads_as(std::span(content).subspan(s * bytes, bytes), s * bytes));
        }
        // Free space is zero.
        std::vector<std::byte> strip(rig.scheme().strip_bytes);
        for (std::uint32_t s = 20; s < 24; s++) {
            rig.devices[3]->peek(rig.place_on_member(s, 0), strip);
            CHECK(std::ranges::all_of(strip, [](std::byte b) { return b == std::byte{}; }));
        }
    }
}

TEST_CASE("what cannot be read of a member that was away is written") {
    Rig rig({"3+3", 6}, {});
    const auto content = rig.fill();
    rig.pool.set_live(2, false);
    rig.devices[2]->add_latent_error(rig.place_on_member(4, 0), kBlock);
    raid::Mover mover = mover_in_place(rig, {2});
    rig.reset_counters();
    REQUIRE(move_all(rig, mover) == Errc::ok);
    CHECK(written_to(rig, 2) == rig.scheme().strip_bytes);
    CHECK(rig.devices[2]->latent_blocks() == 0);
    CHECK(rig.reads_as(content));
    rig.require_parity_agrees();
    CHECK(rig.pool.events().empty());
}

TEST_CASE("members catch up under load and then serve whatever else is lost") {
    for (const Shape& shape : kMoreShapes) {
        const unsigned most = scheme_of(shape.text, shape.members, 4096).losses_promised();
        for (std::uint64_t seed = 1; seed <= 6 && most > 0; seed++) {
            Rig rig(shape, with_spares(seed, 0, seed > 4 ? 3 : 1));
            CAPTURE(shape.text, shape.members, seed);
            Model model(rig.pool.data_bytes(), rig.options.block_bytes);
            Workload load(rig, model, seed);
            load.run(4, 60);
            std::vector<unsigned> slots;
            for (unsigned s = 0; s < most; s++) slots.push_back((static_cast<unsigned>(seed) + s) % rig.total_strips());
            for (const unsigned s : slots) rig.pool.set_live(s, false);
            load.run(4, 8 * static_cast<unsigned>(seed));
            raid::Mover mover = mover_in_place(rig, slots);
            move_while(load, rig, mover, seed);
            for (std::uint32_t s = 0; s < rig.options.stripes; s++) CHECK(rig.check(s).agrees);
            rig.for_each_loss(most, [&](std::uint64_t lost) {
                rig.pool.set_lost(lost);
                load.require_content();
            });
        }
    }
}

}  // namespace xsan::test
