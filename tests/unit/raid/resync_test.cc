// Resync, scrub checks, and stripes that may be torn.
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

bool redundant(const Shape& shape) {
    return shape.text != std::string("4+0");
}

}  // namespace

TEST_CASE("a torn stripe is found by a check and repaired by a resync, which trusts data") {
    for (const Shape& shape : kMoreShapes) {
        if (!redundant(shape)) continue;
        Rig rig(shape, small_rig(16 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        for (unsigned parity = rig.data_strips(); parity < rig.total_strips(); parity++) {
            const std::uint32_t stripe = parity % rig.options.stripes;
            rig.damage(stripe, parity, kBlock);
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                CHECK(rig.check(s).agrees == (s != stripe));
            REQUIRE(rig.resync(stripe) == Errc::ok);
            CHECK(rig.check(stripe).agrees);
            CHECK(rig.check(stripe).complete);
        }
        rig.for_each_loss(rig.scheme().losses_promised(), [&](std::uint64_t lost) {
            if (rig.total_strips() > 6 && std::popcount(lost) > 1) return;
            rig.pool.set_lost(lost);
            CHECK(rig.reads_as(content));
        });
    }
}

TEST_CASE("a resync of stripes that agree writes nothing") {
    for (const Shape& shape : kMoreShapes) {
        Rig rig(shape, small_rig(16 * kKiB));
        rig.fill();
        rig.reset_counters();
        for (std::uint32_t s = 0; s < rig.options.stripes; s++)
            REQUIRE(rig.resync(s) == Errc::ok);
        CHECK(rig.writes() == 0);
    }
}

TEST_CASE("a resync with data lost changes nothing; with parity lost it repairs the others") {
    Rig rig({"4+2", 6}, small_rig(16 * kKiB));
    rig.fill();
    rig.damage(1, 4);
    rig.damage(1, 5);
    rig.pool.set_lost(1ull << rig.member_of_strip(1, 2));
    rig.reset_counters();
    REQUIRE(rig.resync(1) == Errc::ok);
    CHECK(rig.writes() == 0);
    rig.pool.set_lost(1ull << rig.member_of_strip(1, 4));
    REQUIRE(rig.resync(1) == Errc::ok);
    CHECK(rig.writes() == 1);
    CHECK(rig.check(1).agrees);
    CHECK_FALSE(rig.check(1).complete);
}

TEST_CASE("a resync of mirrored pairs goes on beside a pair that is lost") {
    Rig rig({"raid10", 8}, small_rig(16 * kKiB));
    rig.fill();
    rig.damage(0, 6);  // the copy of strip 2
    rig.pool.set_lost(1ull << rig.member_of_strip(0, 1) | 1ull << rig.member_of_strip(0, 5));
    CHECK_FALSE(rig.check(0).agrees);
    REQUIRE(rig.resync(0) == Errc::ok);
    CHECK(rig.check(0).agrees);
}

TEST_CASE("a check reports a degraded stripe as incomplete and compares what is left") {
    for (const Shape& shape : kMoreShapes) {
        if (!redundant(shape)) continue;
        Rig rig(shape, small_rig(16 * kKiB));
        rig.fill();
        for (unsigned lost = 0; lost < rig.total_strips(); lost++) {
            rig.pool.set_lost(1ull << lost);
            const auto checked = rig.check(0);
            CHECK(checked.agrees);
            CHECK_FALSE(checked.complete);
        }
    }
}

TEST_CASE("a stripe that may be torn is never written by delta, so its rows agree afterwards") {
    for (const Shape& shape :
         {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"8+3", 11}, Shape{"8+1", 9}}) {
        for (const bool by_flag : {false, true}) {
            Rig rig(shape, small_rig(16 * kKiB));
            CAPTURE(shape.text, by_flag);
            auto content = rig.fill();
            raid::WriteFlags flags;
            flags.may_be_torn = by_flag;
            for (unsigned strip = 0; strip < rig.data_strips(); strip++) {
                const std::uint32_t stripe = strip % rig.options.stripes;
                if (!by_flag) rig.pool.torn.insert({rig.group.get(), stripe});
                for (unsigned p = rig.data_strips(); p < rig.total_strips(); p++)
                    rig.damage(stripe, p, 0);
                const auto data = Rig::pattern(kBlock, strip);
                const std::uint64_t at =
                    stripe * rig.scheme().stripe_data_bytes() + strip * rig.scheme().strip_bytes;
                REQUIRE(rig.write(at, data, flags) == Errc::ok);
                std::copy(data.begin(), data.end(),
                          content.begin() + static_cast<std::ptrdiff_t>(at));
                CHECK(rig.check(stripe).agrees);
            }
            CHECK(rig.engine.counters().delta_writes == 0);
            rig.for_each_loss(1, [&](std::uint64_t lost) {
                rig.pool.set_lost(lost);
                CHECK(rig.reads_as(content));
            });
        }
    }
}

TEST_CASE(
    "a delta on a stripe that is not torn keeps parity right without reading the other strips") {
    Rig rig({"8+2", 10}, small_rig(16 * kKiB));
    rig.fill();
    REQUIRE(rig.write(0, Rig::pattern(kBlock, 1)) == Errc::ok);
    CHECK(rig.engine.counters().delta_writes == 1);
    CHECK(rig.check(0).agrees);
}

TEST_CASE("in a torn stripe a block that cannot be read is not taken from one parity") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"8+3", 11}}) {
        for (const bool damaged : {false, true}) {
            for (unsigned parity = 0; parity < scheme_of(shape.text, shape.members, 4096).parity_strips;
                 parity++) {
                Rig rig(shape, small_rig(16 * kKiB));
                CAPTURE(shape.text, damaged, parity);
                const auto content = rig.fill();
                rig.pool.torn.insert({rig.group.get(), 1});
                if (damaged) rig.damage(1, rig.data_strips() + parity, 0);
                rig.devices[rig.member_of_strip(1, 2)]->add_latent_error(rig.place_on_member(1, 0),
                                                                         kBlock);
                const std::uint64_t at =
                    rig.scheme().stripe_data_bytes() + 2 * rig.scheme().strip_bytes;
                std::vector<std::byte> found(kBlock);
                const Errc code = rig.read(at, found);
                // The first two parities decide: where the third is the wrong one, they are right.
                const bool agree = rig.parity_strips() > 1 && (!damaged || parity == 2);
                CHECK(code == (agree ? Errc::ok : Errc::media_error));
                if (agree) CHECK(std::memcmp(found.data(), content.data() + at, kBlock) == 0);
                CHECK((rig.devices[rig.member_of_strip(1, 2)]->latent_blocks() == 0) == agree);
                if (agree) continue;
                CHECK(rig.resync(1) == Errc::media_error);
                // A write beside it cannot make parity right without it; a write of it can.
                CHECK(rig.write(rig.scheme().stripe_data_bytes(), Rig::pattern(kBlock, 1)) ==
                      Errc::media_error);
                CHECK(rig.write(at, std::span(content).subspan(at, kBlock)) == Errc::ok);
                CHECK(rig.check(1).agrees);
                CHECK(rig.reads_as(content));
            }
        }
    }
}

TEST_CASE("a check heals blocks that cannot be read") {
    for (const Shape& shape : kMoreShapes) {
        if (!redundant(shape)) continue;
        Rig rig(shape, small_rig(16 * kKiB));
        const auto content = rig.fill();
        const unsigned parity = rig.data_strips();
        rig.devices[rig.member_of_strip(2, parity)]->add_latent_error(
            rig.place_on_member(2, kBlock), kBlock);
        const auto checked = rig.check(2);
        CHECK(checked.agrees);
        CHECK(checked.complete);
        CHECK(rig.pool.count(FaultEvent::read_failed) == 1);
        CHECK(rig.reads_as(content));
    }
}

}  // namespace xsan::test
