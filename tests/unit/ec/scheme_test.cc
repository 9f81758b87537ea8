// Properties of schemes: what a user types, what the disk may hold, one refusal for each rule.
#include "ec/scheme.h"

#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;

namespace {

constexpr std::uint32_t kStrip = 65536;

std::string refusal(std::string_view text, unsigned members, std::uint32_t strip = kStrip) {
    const auto result = parse_scheme(text, members, strip);
    if (result) return "accepted";
    CHECK(result.error().code == Errc::invalid_argument);
    CHECK(result.error().message.find('\n') == std::string::npos);
    return result.error().message;
}

Errc damage(Scheme scheme, void (*change)(Scheme&)) {
    change(scheme);
    const auto result = validate(scheme);
    return result ? Errc::ok : result.error().code;
}

}  // namespace

TEST_CASE("each level gives the shape of design.md's table", "[ec]") {
    struct Row {
        const char* text;
        unsigned members;
        const char* shape;
        CodeKind kind;
        Layout layout;
        unsigned losses;
    };
    const std::vector<Row> rows = {
        {"raid0", 2, "2+0", CodeKind::striping, Layout::fixed, 0},
        {"raid0", 32, "32+0", CodeKind::striping, Layout::fixed, 0},
        {"raid1", 2, "1+1", CodeKind::mirror, Layout::rotating, 1},
        {"raid1", 4, "1+3", CodeKind::mirror, Layout::rotating, 3},
        {"raid10", 4, "2+2", CodeKind::mirror_pairs, Layout::swapped_pairs, 1},
        {"raid10", 64, "32+32", CodeKind::mirror_pairs, Layout::swapped_pairs, 1},
        {"raid4", 3, "2+1", CodeKind::parity, Layout::fixed, 1},
        {"raid5", 3, "2+1", CodeKind::parity, Layout::rotating, 1},
        {"raid5", 33, "32+1", CodeKind::parity, Layout::rotating, 1},
        {"raid6", 4, "2+2", CodeKind::parity, Layout::rotating, 2},
        {"linear", 1, "1+0", CodeKind::linear, Layout::fixed, 0},
        {"linear", 9, "1+0", CodeKind::linear, Layout::fixed, 0},
        {"1+0", 1, "1+0", CodeKind::striping, Layout::fixed, 0},
        {"4+0", 6, "4+0", CodeKind::striping, Layout::fixed, 0},
        {"1+1", 6, "1+1", CodeKind::mirror, Layout::rotating, 1},
        {"4+2", 6, "4+2", CodeKind::parity, Layout::rotating, 2},
        {"8+3", 100, "8+3", CodeKind::parity, Layout::rotating, 3},
        {"32+8", 40, "32+8", CodeKind::parity, Layout::rotating, 8},
    };
    for (const Row& row : rows) {
        INFO(row.text << " on " << row.members);
        const auto scheme = parse_scheme(row.text, row.members, kStrip);
        REQUIRE(scheme);
        CHECK(scheme->name() == row.text);
        CHECK(scheme->shape() == row.shape);
        CHECK(scheme->kind == row.kind);
        CHECK(scheme->layout == row.layout);
        CHECK(scheme->losses_promised() == row.losses);
        CHECK(scheme->members_min() == scheme->total_strips());
        CHECK(scheme->members_exact() == (scheme->level == Level::raid4));
        CHECK(validate(*scheme));
    }
}

TEST_CASE("sizes and masks of a stripe follow from K, P and the strip size", "[ec]") {
    const Scheme s = *parse_scheme("4+2", 6, 131072);
    CHECK(s.total_strips() == 6);
    CHECK(s.stripe_data_bytes() == 524288);
    CHECK(s.data_mask() == 0x0f);
    CHECK(s.parity_mask() == 0x30);
    CHECK(s.all_mask() == 0x3f);
    CHECK(reference::scheme("raid10", 64).all_mask() == ~StripMask{0});
    CHECK(reference::scheme("raid5", 5) != reference::scheme("4+1"));
    CHECK(reference::scheme("4+1") == reference::scheme("4+1", 5));
}

TEST_CASE("text that is no scheme is refused with the list of schemes", "[ec]") {
    for (const char* text :
         {"", "raid", "raid2", "RAID5", "raid50", "4", "+", "4+", "+2", "4+2+1", "4 + 2", "-4+2",
          "4+-2", "04+2", "4+02", "4+2x", "0x4+2", "mirror", "4294967298+1"}) {
        INFO(text);
        CHECK(refusal(text, 64).starts_with("unknown scheme \"" + std::string(text) + "\""));
    }
}

TEST_CASE("a scheme that the members cannot hold is refused", "[ec]") {
    CHECK(refusal("raid0", 1) == "raid0 needs at least 2 members, there is 1");
    CHECK(refusal("raid1", 1) == "raid1 needs at least 2 members, there is 1");
    CHECK(refusal("raid4", 2) == "raid4 needs at least 3 members, there are 2");
    CHECK(refusal("raid5", 2) == "raid5 needs at least 3 members, there are 2");
    CHECK(refusal("raid6", 3) == "raid6 needs at least 4 members, there are 3");
    CHECK(refusal("raid10", 2) == "raid10 needs at least 4 members, there are 2");
    CHECK(refusal("raid10", 5) == "raid10 needs an even number of members, there are 5");
    CHECK(refusal("linear", 0) == "linear needs at least 1 member, there are 0");
    CHECK(refusal("4+2", 5) == "4+2 needs at least 6 members, there are 5");
}

TEST_CASE("a scheme beyond the limits of the codes is refused", "[ec]") {
    CHECK(refusal("0+2", 64) == "0+2 has no data strip; K is at least 1");
    CHECK(
        refusal("33+2", 64).starts_with("33+2 would have 33 data strips in a stripe, at most 32"));
    CHECK(refusal("4+9", 64) ==
          "4+9 would have 9 parity strips in a stripe, at most 8 are possible");
    CHECK(refusal("1+9", 64) ==
          "1+9 would have 9 parity strips in a stripe, at most 8 are possible");
    CHECK(refusal("999999999+999999999", 64).find("999999999 data strips") != std::string::npos);
    CHECK(refusal("raid0", 33).starts_with("raid0 on 33 members would have 33 data strips"));
    CHECK(refusal("raid4", 34).starts_with("raid4 on 34 members would have 33 data strips"));
    CHECK(refusal("raid5", 34).starts_with("raid5 on 34 members would have 33 data strips"));
    CHECK(refusal("raid6", 35).starts_with("raid6 on 35 members would have 33 data strips"));
    CHECK(refusal("raid10", 66).starts_with("raid10 on 66 members would have 33 data strips"));
    CHECK(refusal("raid1", 34).starts_with("raid1 on 34 members would have 33 copy strips"));
}

TEST_CASE("strip sizes are powers of two from 4K to 1M", "[ec]") {
    for (std::uint32_t bytes = 4096; bytes <= 1048576; bytes *= 2)
        CHECK(parse_scheme("4+2", 6, bytes));
    CHECK(refusal("4+2", 6, 0).find("is not a power of two") != std::string::npos);
    CHECK(refusal("4+2", 6, 12288) == "strip size 12K is not a power of two");
    CHECK(refusal("4+2", 6, 2048) == "strip size 2K is out of range: 4K to 1M");
    CHECK(refusal("4+2", 6, 2097152) == "strip size 2M is out of range: 4K to 1M");
}

TEST_CASE("a scheme is read back from its own name", "[ec]") {
    for (const Scheme& s : reference::all_k_plus_p()) {
        CHECK(parse_scheme(s.name(), s.total_strips(), s.strip_bytes).value() == s);
        CHECK(validate(s));
    }
}

TEST_CASE("a recorded scheme that contradicts itself is refused", "[ec]") {
    const Scheme s = reference::scheme("4+2");
    CHECK(damage(s, [](Scheme&) {}) == Errc::ok);
    CHECK(damage(s, [](Scheme& x) { x = Scheme{}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.kind = CodeKind{0}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.kind = CodeKind{6}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.level = Level{0}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.level = Level{9}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.matrix = MatrixId{4}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.layout = Layout{0}; }) == Errc::unsupported);
    CHECK(damage(s, [](Scheme& x) { x.layout = Layout{4}; }) == Errc::unsupported);

    CHECK(damage(s, [](Scheme& x) { x.kind = CodeKind::mirror; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.level = Level::raid5; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.matrix = MatrixId::scaled_cauchy; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.matrix = MatrixId::none; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.layout = Layout::fixed; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.data_strips = 0; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.data_strips = 33; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.data_strips = 1; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.parity_strips = 9; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.parity_strips = 0; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.strip_bytes = 0; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.strip_bytes = 65537; }) == Errc::corrupt);
    CHECK(damage(s, [](Scheme& x) { x.strip_bytes = 2097152; }) == Errc::corrupt);

    const Scheme pairs = reference::scheme("raid10", 4), copies = reference::scheme("raid1", 3);
    CHECK(damage(pairs, [](Scheme& x) { x.data_strips = 3; }) == Errc::corrupt);
    CHECK(damage(pairs, [](Scheme& x) { x.data_strips = x.parity_strips = 1; }) == Errc::corrupt);
    CHECK(damage(copies, [](Scheme& x) { x.parity_strips = 33; }) == Errc::corrupt);
    CHECK(damage(copies, [](Scheme& x) { x.parity_strips = 0; }) == Errc::corrupt);
    for (const char* level : {"raid0", "raid4", "raid5", "raid6", "linear"}) {
        INFO(level);
        const Scheme other = reference::scheme(level, 6);
        CHECK(damage(other, [](Scheme& x) { x.parity_strips = 3; }) == Errc::corrupt);
        CHECK(damage(other, [](Scheme& x) { x.data_strips = 0; }) == Errc::corrupt);
    }
}
