// Scrub of one stripe: who is wrong is found where anybody can tell, and put right.
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

raid::StripeScrub scrub(Rig& rig, bool repair) {
    const auto found = rig.world.run(rig.engine.scrub_stripe(rig.group, StripeIndex{1}, repair));
    REQUIRE(found.has_value());
    return *found;
}

}  // namespace

TEST_CASE("scrub finds the one wrong strip of a stripe with two parities, and repair restores it") {
    for (const Shape& shape : {Shape{"4+2", 6}, Shape{"8+3", 11}, Shape{"3+3", 6}, Shape{"1+2", 3},
                               Shape{"raid6", 5}}) {
        DYNAMIC_SECTION(shape.text) {
            Rig rig(shape, {.strip_bytes = 16 * 1024, .stripes = 2});
            const auto content = rig.fill();
            for (unsigned strip = 0; strip < rig.total_strips(); strip++) {
                CAPTURE(strip);
                rig.damage(1, strip, 8192);
                REQUIRE(!rig.check(1).agrees);
                const auto told = scrub(rig, false);
                REQUIRE(told.wrong.size() == 1);
                CHECK(told.wrong[0].member.get() == rig.member_of_strip(1, strip));
                CHECK(told.untold_bytes == 0);
                REQUIRE(!rig.check(1).agrees);
                REQUIRE(scrub(rig, true).wrong.size() == 1);
                REQUIRE(rig.check(1).agrees);
                REQUIRE(rig.reads_as(content));
            }
        }
    }
}

TEST_CASE("different strips wrong in different rows of a stripe are all found") {
    Rig rig({"4+2", 6}, {.strip_bytes = 16 * 1024, .stripes = 2});
    const auto content = rig.fill();
    rig.damage(1, 0, 0);
    rig.damage(1, 3, 4096);
    rig.damage(1, 5, 12288);
    CHECK(scrub(rig, true).wrong.size() == 3);
    CHECK(rig.check(1).agrees);
    CHECK(rig.reads_as(content));
}

TEST_CASE("with one parity nobody can tell: scrub says so, and repair trusts the data") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"1+1", 2}, Shape{"raid10", 4}}) {
        DYNAMIC_SECTION(shape.text) {
            Rig rig(shape, {.strip_bytes = 16 * 1024, .stripes = 2});
            const auto content = rig.fill();
            rig.damage(1, rig.data_strips());
            const auto found = scrub(rig, true);
            CHECK(found.wrong.empty());
            CHECK(found.untold_bytes == 4096);
            CHECK(rig.check(1).agrees);
            CHECK(rig.reads_as(content));
        }
    }
}

TEST_CASE("two wrong strips under two parities cannot be told apart, and that is said") {
    Rig rig({"4+2", 6}, {.strip_bytes = 16 * 1024, .stripes = 2});
    rig.fill();
    rig.damage(1, 0);
    rig.damage(1, 2);
    const auto found = scrub(rig, false);
    CHECK(found.wrong.empty());
    CHECK(found.untold_bytes == 4096);
}

TEST_CASE("scrub leaves a stripe that has lost something, or may be torn, as it is") {
    Rig rig({"4+2", 6}, {.strip_bytes = 16 * 1024, .stripes = 2});
    rig.fill();
    rig.damage(1, 0);
    rig.pool.torn.insert({0, 1});
    CHECK(scrub(rig, true).wrong.empty());
    rig.pool.torn.clear();
    rig.pool.set_lost(1ull << rig.member_of_strip(1, 1));
    CHECK(scrub(rig, true).wrong.empty());
    rig.pool.set_lost(0);
    CHECK(!rig.check(1).agrees);
}

}  // namespace xsan::test
