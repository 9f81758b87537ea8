// What a mover does about blocks that nothing gives any more: it gives up those, durably, and saves
// the rest.
#include "base/byte_span.h"
#include "unit/raid/mover_run.h"

namespace xsan::test {
namespace {

using Kind = FaultEvent::Kind;

}  // namespace

TEST_CASE("a latent error in a rebuild without redundancy costs those blocks and no others") {
    for (const Shape& shape : kMoreShapes) {
        if (shape.text == std::string("4+0")) continue;
        const ec::Scheme scheme = scheme_of(shape.text, shape.members, 16384);
        for (unsigned damaged = 0; damaged < scheme.total_strips(); damaged++) {
            RigOptions o;
            o.strip_bytes = 16384;
            o.stripes = 8;
            o.spare_members = scheme.losses_promised();
            Rig rig(shape, o);
            CAPTURE(shape.text, damaged);
            auto content = rig.fill();
            std::vector<unsigned> slots;
            for (unsigned i = 0; i < scheme.losses_promised(); i++) {
                slots.push_back(i);
                rig.pool.set_live(i, false);
            }
            const unsigned member = rig.member_of_strip(3, damaged);
            if (member < slots.size()) continue;
            rig.devices[member]->add_latent_error(rig.place_on_member(3, kBlock), 2 * kBlock);
            raid::Mover mover = mover_to_spares(rig, slots);
            rig.pool.commit_time = kMillisecond;
            REQUIRE(move_all(rig, mover) == Errc::ok);
            // Every block that is not right is in a lost range, and reads as zeros behind it.
            std::vector<std::byte> found(kBlock);
            unsigned bad = 0;
            for (std::uint64_t at = 0; at < content.size(); at += kBlock) {
                REQUIRE(rig.read(at, found) == Errc::ok);
                if (rig.pool.is_bad(at)) {
                    bad++;
                    CHECK(all_zero(found));
                    CHECK(rig.stripe_of(at) == 3);
                    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), kBlock, std::byte{0});
                } else {
                    REQUIRE(std::memcmp(found.data(), content.data() + at, kBlock) == 0);
                }
            }
            unsigned lost_data = 0;
            const auto gone = ec::strips_in(scheme, StripeIndex{3}, (1ull << slots.size()) - 1) |
                              raid::strip_mask(damaged);
            for (unsigned s = 0; s < scheme.data_strips; s++) {
                if ((gone >> s & 1) != 0 && !rig.pool.codec().can_decode(gone, raid::strip_mask(s)))
                    lost_data++;
            }
            CHECK(bad == 2 * lost_data);
            // A pair that did not move was not looked at.
            const bool involved = scheme.kind != ec::CodeKind::mirror_pairs || lost_data > 0;
            if (involved) CHECK(rig.devices[member]->latent_blocks() == 0);
            for (std::uint32_t s = 0; s < o.stripes; s++) {
                const auto checked = rig.check(s);
                CHECK(checked.agrees);
                CHECK(checked.complete);
            }
            CHECK(rig.reads_as(content));
        }
    }
}

TEST_CASE("a relocation saves all but the blocks that cannot be read") {
    for (const Shape& shape : {Shape{"4+0", 4}, Shape{"4+1", 5}}) {
        RigOptions o;
        o.strip_bytes = 16384;
        o.stripes = 8;
        o.spare_members = 1;
        Rig rig(shape, o);
        CAPTURE(shape.text);
        auto content = rig.fill();
        const std::uint64_t at =
            2 * rig.scheme().stripe_data_bytes() + kBlock;  // strip 0 of stripe 2
        const unsigned slot = rig.member_of(at);
        rig.devices[slot]->add_latent_error(rig.place_on_member(at), kBlock);
        raid::Mover mover = mover_to_spares(rig, {slot});
        REQUIRE(move_all(rig, mover) == Errc::ok);
        const bool striped = rig.parity_strips() == 0;
        CHECK(rig.pool.count(Kind::range_lost) == (striped ? 1 : 0));
        CHECK(rig.pool.is_bad(at) == striped);
        if (striped)
            std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), kBlock, std::byte{0});
        CHECK(rig.reads_as(content));
    }
}

TEST_CASE("nothing is given up before its loss is durable, and not at all where that fails") {
    RigOptions o;
    o.strip_bytes = 16384;
    o.stripes = 4;
    o.spare_members = 1;
    Rig rig({"4+1", 5}, o);
    const auto content = rig.fill();
    rig.pool.set_live(0, false);
    const unsigned member = 1;
    rig.devices[member]->add_latent_error(rig.place_on_member(2, 0), kBlock);
    rig.pool.refuse_ranges = true;
    raid::Mover mover = mover_to_spares(rig, {0});
    rig.reset_counters();
    CHECK(move_all(rig, mover) == Errc::io_error);
    for (unsigned m = 1; m < 5; m++)
        CHECK(rig.devices[m]->counters().of(dev::IoKind::write).count == 0);
    CHECK(rig.devices[member]->latent_blocks() == 1);
    // The order, by what the devices see: the range first, then the writes.
    rig.pool.refuse_ranges = false;
    bool wrote_early = false;
    for (unsigned m = 1; m < 5; m++) {
        rig.devices[m]->on_io = [&](dev::IoKind kind, std::uint64_t, std::uint64_t) {
            if (kind == dev::IoKind::write && rig.pool.count(Kind::range_lost) == 0)
                wrote_early = true;
        };
    }
    raid::Mover again(rig.group, {rig.pool.target(0, 5)}, o.stripes);
    CHECK(move_all(rig, again) == Errc::ok);
    CHECK_FALSE(wrote_early);
    CHECK(rig.pool.count(Kind::range_lost) >= 1);
}

TEST_CASE("a mover of a torn stripe gives up what only its parity gives, and nothing else") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"4+2", 6}}) {
        RigOptions o;
        o.strip_bytes = 16384;
        o.stripes = 4;
        o.spare_members = 1;
        Rig rig(shape, o);
        CAPTURE(shape.text);
        auto content = rig.fill();
        rig.pool.torn.insert({rig.group.get(), 1});
        const unsigned slot = rig.member_of_strip(1, 2);
        rig.damage(1, 4, kBlock);
        rig.devices[slot]->add_latent_error(rig.place_on_member(1, kBlock), kBlock);
        const std::uint64_t at = rig.scheme().stripe_data_bytes() + 2 * 16384 + kBlock;
        raid::Mover mover = mover_to_spares(rig, {slot});
        REQUIRE(move_all(rig, mover) == Errc::ok);
        CHECK(rig.pool.count(Kind::range_lost) == 1);
        CHECK(rig.pool.is_bad(at));
        std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), kBlock, std::byte{0});
        CHECK(rig.reads_as(content));
        CHECK(rig.check(1).agrees);
    }
}

TEST_CASE("a drive that answers errors for a while stops a rebuild and costs nothing") {
    for (const Shape& shape : kMoreShapes) {
        if (shape.text == std::string("4+0")) continue;
        for (const std::uint32_t skip : {0u, 3u}) {
            RigOptions o;
            o.strip_bytes = 16384;
            o.stripes = 8;
            o.spare_members = scheme_of(shape.text, shape.members, 16384).losses_promised();
            Rig rig(shape, o);
            CAPTURE(shape.text, skip);
            const auto content = rig.fill();
            std::vector<unsigned> slots;
            for (unsigned i = 0; i < o.spare_members; i++) {
                slots.push_back(i);
                rig.pool.set_live(i, false);
            }
            // All others: for pairs the one that matters is among them.
            sim::FaultRule rule;
            rule.on = dev::IoKind::read;
            rule.code = Errc::io_error;
            rule.skip = skip;
            for (unsigned m = o.spare_members; m < rig.total_strips(); m++)
                rig.devices[m]->faults().add(rule);
            raid::Mover mover = mover_to_spares(rig, slots);
            rig.reset_counters();
            CHECK(move_all(rig, mover) == Errc::io_error);
            CHECK(rig.pool.count(Kind::range_lost) == 0);
            for (unsigned m = o.spare_members; m < rig.total_strips(); m++) {
                CHECK(rig.devices[m]->counters().of(dev::IoKind::write).count == 0);
                rig.devices[m]->faults().clear();
            }
            std::vector<raid::MoveTarget> targets = mover.targets();
            raid::Mover again(rig.group, std::move(targets), o.stripes);
            CHECK(move_all(rig, again) == Errc::ok);
            CHECK(rig.reads_as(content));
        }
    }
}

TEST_CASE("a lost range is good again before anybody else gets at the stripe that rewrote it") {
    RigOptions o;
    o.strip_bytes = 16384;
    o.stripes = 4;
    o.spare_members = 1;
    Rig rig({"4+1", 5}, o);
    rig.fill();
    rig.pool.set_live(0, false);
    rig.devices[1]->add_latent_error(rig.place_on_member(2, 0), kBlock);
    raid::Mover mover = mover_to_spares(rig, {0});
    REQUIRE(move_all(rig, mover) == Errc::ok);
    std::uint64_t bad = 0;
    while (!rig.pool.is_bad(bad)) bad += kBlock;
    rig.pool.clear_events();
    const auto lost = rig.world.run(rig.pool.range_lost(rig.group, bad, kBlock));
    REQUIRE(lost.has_value());
    rig.pool.commit_time = 10 * kMillisecond;
    const auto data = Rig::pattern(kBlock, 4);
    TimeNs written = 0;
    TimeNs checked = 0;
    const TimeNs begin = rig.world.now();
    const auto write = [&]() -> Task<void> {
        const auto done = co_await rig.scoped_write(bad, kBlock, data.data(), {});
        CHECK(done.has_value());
        written = rig.world.now();
    };
    const auto check = [&]() -> Task<void> {
        co_await sleep_for(kMillisecond);
        const auto done = co_await rig.engine.check_stripe(rig.group, StripeIndex{2});
        CHECK(done.has_value());
        checked = rig.world.now();
    };
    rig.world.spawn(write());
    rig.world.spawn(check());
    rig.world.run_until_idle();
    CHECK(written >= begin + 10 * kMillisecond);
    CHECK(checked >= written);
    CHECK(rig.pool.count(Kind::range_rewritten) == 1);
    CHECK_FALSE(rig.pool.is_bad(bad));
}

TEST_CASE("a group that has lost too much is not moved") {
    RigOptions o;
    o.spare_members = 1;
    Rig rig({"4+1", 5}, o);
    rig.fill();
    rig.pool.set_lost(0b11);
    raid::Mover mover = mover_to_spares(rig, {0});
    CHECK(move_all(rig, mover) == Errc::too_many_failures);
    CHECK(rig.pool.count(Kind::range_lost) == 0);
}

}  // namespace xsan::test
