// How far a scrub is, in the superblocks: what was written last is found again, and nothing else
// breaks on it.
#include "meta/scrub_progress.h"

#include "unit/meta/store_helpers.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

ScrubProgress progress_at(std::uint32_t group) {
    ScrubProgress p;
    p.number = 7;
    p.phase = ScrubProgress::Phase::paused;
    p.repairs = true;
    p.rate_max = 12345678901;
    p.next_group = GroupIndex{group};
    p.next_stripe = StripeIndex{17};
    p.stripes_total = 900;
    p.stripes_checked = 800;
    p.mismatches = 3;
    p.incomplete = 4;
    p.errors = 5;
    p.repaired = 2;
    p.untold = 1;
    p.wrong = {{MemberIndex{3}, 4096}, {MemberIndex{1}, 512}};
    return p;
}

void write(StoreFixture& f, std::uint32_t group) {
    ScrubProgress p = progress_at(group);
    const auto written = f.reactor.run(f.store->write_scrub_progress(std::move(p)));
    REQUIRE(written);
}

}  // namespace

TEST_CASE(
    "progress of a scrub reads back, and its bytes cut or changed give none or one that is sane") {
    const ScrubProgress p = progress_at(5);
    const std::string value = encode_scrub_progress(p);
    CHECK(value.size() == 2 + 8 + 1 + 1 + 8 + 4 + 4 + 7 * 8 + 2 + 2 * 10);
    CHECK(decode_scrub_progress(value) == p);
    for (std::size_t n = 0; n < value.size(); n++)
        CHECK_FALSE(decode_scrub_progress(value.substr(0, n)));
    CHECK_FALSE(decode_scrub_progress(value + "x"));
    for (std::size_t bit = 0; bit < value.size() * 8; bit++) {
        std::string other = value;
        other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
        const auto found = decode_scrub_progress(other);
        if (!found) continue;
        CHECK(found->stripes_checked <= found->stripes_total);
        CHECK(found->wrong.size() == 2);
        CHECK(encode_scrub_progress(*found) == other);
    }
}

TEST_CASE(
    "progress fits the superblock beside the longest attributes, for as many members as it may "
    "name") {
    ScrubProgress p = progress_at(1);
    p.wrong.clear();
    for (std::uint16_t i = 0; i < kScrubWrongMax; i++)
        p.wrong.push_back({MemberIndex{i}, UINT64_MAX});
    std::vector<Attribute> attributes;
    attributes.push_back({8, encode_scrub_progress(p)});
    for (std::uint16_t type = 1; type < 8; type++)
        attributes.push_back({type, std::string(kTextBytesMax, 'x')});
    CHECK(attributes_fit(attributes));
}

TEST_CASE(
    "the progress that was written last is found at the next assembly, through checkpoints and "
    "losses") {
    StoreFixture f(3);
    REQUIRE(f.create());
    CHECK_FALSE(f.store->scrub_progress());
    write(f, 1);
    fill(f, 5);
    write(f, 2);
    const auto checkpointed = f.reactor.run(f.store->write_checkpoint_now());
    REQUIRE(checkpointed);
    restart(f);
    REQUIRE(f.assemble());
    REQUIRE(f.store->scrub_progress());
    CHECK(f.store->scrub_progress()->next_group == GroupIndex{2});
    CHECK(f.store->scrub_progress()->number == 2);
    write(f, 3);
    f.store->keep_scrub_progress(progress_at(4));
    SECTION("kept only: not there without a superblock update") {
        restart(f);
    }
    SECTION("kept, then stopped cleanly") {
        const auto closed = f.reactor.run(f.store->close_clean());
        REQUIRE(closed);
        restart(f);
        REQUIRE(f.assemble());
        CHECK(f.store->scrub_progress()->next_group == GroupIndex{4});
        return;
    }
    REQUIRE(f.assemble());
    CHECK(f.store->scrub_progress()->next_group == GroupIndex{3});
    CHECK(f.store->scrub_progress()->stripes_checked == 800);
    restart(f);
    REQUIRE(f.assemble(0b011));
    write(f, 9);
    restart(f);
    REQUIRE(f.assemble());
    CHECK(state_of(*f.store, 2) == MemberState::missing);
    CHECK(f.store->scrub_progress()->next_group == GroupIndex{9});
}
