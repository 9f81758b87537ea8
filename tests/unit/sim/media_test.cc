// Media: which versions of a block a power cut may leave, and which it may not.
#include "sim/media.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/sim/device_fixture.h"

using namespace xsan::sim;
using namespace xsan::sim::test;

namespace {

constexpr ChoiceLabel kCrash{Subsystem::crash, 0};

// One letter per block; '.' for zeros, '?' for a block that is not uniform (a tear inside a block).
std::string text(const SparseImage& image, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; i++) {
        std::vector<std::byte> block(kBlock);
        image.read(i * kBlock, block);
        const std::set<std::byte> values(block.begin(), block.end());
        const char c = static_cast<char>(*values.begin());
        out += values.size() > 1 ? '?' : c == 0 ? '.' : c;
    }
    return out;
}

// Every content that a cut can leave.
std::set<std::string> cuts(const Media& media, std::size_t count) {
    std::set<std::string> all;
    ChoiceTrace trace;
    do {
        ChoiceStream choices(trace);
        choices.record(true);
        all.insert(text(media.cut_image(choices, kCrash, {50}), count));
        trace = choices.trace();
    } while (next_trace(trace));
    return all;
}

using Cuts = std::set<std::string>;

struct Fixture {
    Media media;
    explicit Fixture(bool volatile_cache = true, std::uint32_t atomic = kBlock)
        : media(kBlock, atomic, volatile_cache) {}
    Media::Write* begin(std::size_t block, std::size_t count, char fill) {
        return media.begin(block * kBlock, count * kBlock, blocks(count, fill));
    }
    void write(std::size_t block, std::size_t count, char fill, bool fua = false) {
        media.complete(begin(block, count, fill), fua);
    }
};

}  // namespace

TEST_CASE("without a flush a block keeps any of its versions", "[sim][media]") {
    Fixture f;
    f.write(0, 1, 'a');
    f.write(0, 1, 'b');
    REQUIRE(text(f.media.visible(), 1) == "b");
    REQUIRE(cuts(f.media, 1) == Cuts{".", "a", "b"});
}

TEST_CASE("a flush covers what completed before it was submitted", "[sim][media]") {
    Fixture f;
    f.write(0, 1, 'a');
    f.write(0, 1, 'b');
    const auto mark = f.media.mark();
    f.media.flush(mark);
    REQUIRE(cuts(f.media, 1) == Cuts{"b"});
    REQUIRE(f.media.volatile_writes() == 0);
}

TEST_CASE("a write that completed after the flush was submitted is not covered", "[sim][media]") {
    Fixture f;
    f.write(0, 1, 'a');
    Media::Write* late = f.begin(1, 1, 'b');
    const auto mark = f.media.mark();
    f.media.complete(late, false);  // after submission, before completion of the flush
    f.media.flush(mark);
    REQUIRE(cuts(f.media, 2) == Cuts{"a.", "ab"});

    SECTION("also over an older version of the same block") {
        Fixture g;
        g.write(0, 1, 'a');
        const auto before = g.media.mark();
        g.write(0, 1, 'b');
        g.media.flush(before);
        REQUIRE(cuts(g.media, 1) == Cuts{"a", "b"});
        g.media.flush(g.media.mark());
        REQUIRE(cuts(g.media, 1) == Cuts{"b"});
    }
}

TEST_CASE("a FUA write is durable at completion and older versions stay under it", "[sim][media]") {
    Fixture f;
    f.write(0, 2, 'a');
    f.write(0, 1, 'f', true);
    REQUIRE(text(f.media.visible(), 2) == "fa");
    REQUIRE(cuts(f.media, 2) == Cuts{"f.", "fa"});
    f.write(0, 1, 'c');
    REQUIRE(cuts(f.media, 1) == Cuts{"c", "f"});
    f.media.flush(f.media.mark());
    REQUIRE(cuts(f.media, 2) == Cuts{"ca"});
}

TEST_CASE("a FUA write inside an atomic unit makes no neighbour durable", "[sim][media]") {
    Fixture f(true, 4 * kBlock);
    f.write(0, 4, 'a');
    f.write(1, 1, 'f', true);
    REQUIRE(cuts(f.media, 4) == Cuts{".f..", "afaa"});
}

TEST_CASE("without a volatile cache completed is durable", "[sim][media]") {
    Fixture f(false);
    f.write(0, 2, 'a');
    REQUIRE(cuts(f.media, 2) == Cuts{"aa"});
    f.begin(0, 2, 'b');
    REQUIRE(text(f.media.visible(), 2) == "aa");
    REQUIRE(cuts(f.media, 2) == Cuts{"aa", "ab", "ba", "bb"});
    f.media.restore({});
}

TEST_CASE("a write is torn at the atomic unit and nowhere else", "[sim][media]") {
    Fixture f(true, 2 * kBlock);
    f.write(1, 4, 'a');  // straddles three units: a block, two blocks, a block
    REQUIRE(cuts(f.media, 6) ==
            Cuts{"......", ".a....", "..aa..", "....a.", ".aaa..", ".a..a.", "..aaa.", ".aaaa."});
}

TEST_CASE("writes in flight together may land in either order", "[sim][media]") {
    Fixture f(true, 4 * kBlock);
    f.begin(0, 2, 'a');
    f.begin(1, 2, 'b');
    REQUIRE(cuts(f.media, 3) == Cuts{"...", "aa.", ".bb", "abb", "aab"});
    f.media.restore({});
}

TEST_CASE("zeros are versions like others", "[sim][media]") {
    Fixture f;
    f.write(0, 1, 'a', true);
    f.media.complete(f.media.begin(0, kBlock, {}), false);
    REQUIRE(text(f.media.visible(), 1) == ".");
    REQUIRE(cuts(f.media, 1) == Cuts{".", "a"});
}

TEST_CASE("a failed write leaves nothing, or any of its units", "[sim][media]") {
    Fixture f;
    f.media.abandon(f.begin(0, 3, 'a'));
    REQUIRE(text(f.media.visible(), 3) == "...");
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 100; seed++) {
        Fixture g;
        ChoiceStream choices(seed);
        g.media.complete_torn(g.begin(0, 3, 'a'), choices, kCrash);
        seen.insert(text(g.media.visible(), 3));
        g.media.flush(g.media.mark());
        REQUIRE(text(g.media.durable(), 3) == text(g.media.visible(), 3));
    }
    REQUIRE(seen.size() == 8);
}

TEST_CASE("the drawn bias reaches everything, nothing and between", "[sim][media]") {
    std::map<std::string, int> seen;
    for (std::uint64_t seed = 0; seed < 300; seed++) {
        Fixture f;
        f.write(0, 2, 'a');
        f.write(2, 2, 'b');
        ChoiceStream choices(seed);
        seen[text(f.media.cut_image(choices, kCrash, {}), 4)]++;
    }
    REQUIRE(seen["...."] > 20);
    REQUIRE(seen["aabb"] > 20);
    REQUIRE(seen.size() > 8);
}

TEST_CASE("a flipped bit is at rest", "[sim][media]") {
    Fixture f;
    f.write(0, 1, 'a', true);
    f.media.flip_bit(5, 1);
    REQUIRE(text(f.media.durable(), 1) == "?");
    REQUIRE(text(f.media.visible(), 1) == "?");
    f.media.flip_bit(5, 1);
    REQUIRE(text(f.media.durable(), 1) == "a");
}
