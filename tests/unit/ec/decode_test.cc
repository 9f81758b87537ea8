// Properties of reconstruction: every legal loss, exactly the promised sources, nothing else
// touched.
#include <algorithm>
#include <bit>
#include <vector>

#include "ec/codec.h"
#include "support/catch.h"
#include "support/rounds.h"
#include "unit/ec/buffers.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;
using test::kFewerRounds;
using reference::Buffers;
using reference::Strips;

namespace {

// Of schemes with more loss sets of P strips than that, some random ones are tried.
constexpr std::uint64_t kLossSetsMax = 20000 / kFewerRounds;

// One stripe of a scheme, and what a decode of it has to satisfy.
class DecodeCheck {
  public:
    DecodeCheck(const Scheme& scheme, std::size_t bytes, std::size_t offset, std::uint64_t seed)
        : codec_(scheme),
          bytes_(bytes),
          rng_(seed),
          expected_(reference::random_stripe(scheme, rng_, bytes)),
          buffers_(scheme.total_strips(), bytes, offset, rng_),
          garbage_(bytes, std::byte{0xEE}) {
        for (unsigned i = 0; i < scheme.total_strips(); ++i)
            buffers_.set(i, expected_[i]);
    }

    // Loses `lost`, asks for `wanted` back and offers only the sources. Leaves the stripe whole.
    bool survives(StripMask lost, StripMask wanted) {
        const StripMask sources = codec_.sources(lost, wanted);
        if ((sources & lost) != 0 || population(sources) != fewest_sources(lost, wanted))
            return false;
        std::vector<std::byte*> strips(codec_.scheme().total_strips());
        for (unsigned i = 0; i < strips.size(); ++i) {
            const StripMask bit = StripMask{1} << i;
            if (((sources | wanted) & bit) != 0) strips[i] = buffers_.at(i);
            if ((lost & bit) != 0) buffers_.set(i, garbage_);
        }
        bool good = codec_.decode(lost, strips, bytes_).has_value() && buffers_.frame_is_intact();
        for (unsigned i = 0; i < strips.size(); ++i) {
            const StripMask bit = StripMask{1} << i;
            const bool untouched = (lost & ~wanted & bit) != 0;
            if (!buffers_.equals(i, untouched ? garbage_ : expected_[i])) good = false;
            if ((lost & bit) != 0) buffers_.set(i, expected_[i]);
        }
        return good;
    }
    // All of it, and some of it.
    bool survives(StripMask lost) {
        return survives(lost, lost) && survives(lost, lost & rng_.next());
    }

    // A set of exactly `count` of the stripe's strips.
    StripMask random_loss(unsigned count) {
        StripMask lost = 0;
        while (population(lost) < count) {
            lost |= StripMask{1} << rng_.below(codec_.scheme().total_strips());
        }
        return lost;
    }
    Codec& codec() { return codec_; }
    Rng& rng() { return rng_; }

  private:
    static unsigned population(StripMask mask) {
        return static_cast<unsigned>(std::popcount(mask));
    }
    unsigned fewest_sources(StripMask, StripMask wanted) const {
        if (wanted == 0) return 0;
        if (codec_.scheme().kind == CodeKind::mirror) return 1;
        if (codec_.scheme().kind == CodeKind::mirror_pairs) return population(wanted);
        return codec_.scheme().data_strips;
    }

    Codec codec_;
    std::size_t bytes_;
    Rng rng_;
    Strips expected_;
    Buffers buffers_;
    reference::Bytes garbage_;
};

// How many ways to lose exactly P strips.
double loss_sets(const Scheme& s) {
    double ways = 1;
    for (unsigned j = 1; j <= s.parity_strips; ++j)
        ways *= double(s.data_strips + j) / j;
    return ways;
}

// The next larger number with as many bits set (Gosper's hack, HAKMEM item 175).
StripMask next_of_same_size(StripMask mask) {
    const StripMask low = mask & -mask, ripple = mask + low;
    return ripple | (((mask ^ ripple) >> 2) / low);
}

// Every loss of 1..P strips; -1 when all are survived, otherwise the first that is not.
std::int64_t first_failure(DecodeCheck& check, const Scheme& s, unsigned count_min) {
    for (unsigned count = count_min; count <= s.parity_strips; ++count) {
        const StripMask end = StripMask{1} << s.total_strips();
        for (StripMask lost = (StripMask{1} << count) - 1; lost < end;
             lost = next_of_same_size(lost)) {
            if (!check.survives(lost)) return static_cast<std::int64_t>(lost);
        }
    }
    return -1;
}

}  // namespace

TEST_CASE("every loss that the shapes of design.md promise to survive is survived", "[ec]") {
    for (const Scheme& s : reference::design_shapes()) {
        if (s.parity_strips == 0 || s.is_mirror() || loss_sets(s) > kLossSetsMax) continue;
        INFO(s.shape());
        DecodeCheck check(s, 128, 0, 1);
        CHECK(first_failure(check, s, 1) == -1);
    }
}

TEST_CASE("every loss of P strips is survived by all shapes with few enough of them", "[ec]") {
    for (const Scheme& s : reference::all_k_plus_p()) {
        if (s.parity_strips == 0 || s.is_mirror() || loss_sets(s) > kLossSetsMax) continue;
        INFO(s.shape());
        DecodeCheck check(s, 32, 0, 1);
        CHECK(first_failure(check, s, s.parity_strips) == -1);
    }
}

TEST_CASE("random losses are survived by all other shapes", "[ec]") {
    for (const Scheme& s : reference::all_k_plus_p()) {
        if (s.parity_strips == 0 || s.is_mirror() || loss_sets(s) <= kLossSetsMax) continue;
        DecodeCheck check(s, 64, 1, s.data_strips);
        for (unsigned round = 0; round < 100; ++round) {
            const auto count = 1 + static_cast<unsigned>(check.rng().below(s.parity_strips));
            const StripMask lost = check.random_loss(round % 2 == 0 ? s.parity_strips : count);
            if (!check.survives(lost)) FAIL(s.shape() << " losing " << lost);
        }
    }
}

TEST_CASE("a mirror survives every loss but that of all copies", "[ec]") {
    for (const unsigned members : {2u, 3u, 4u, 9u}) {
        const Scheme s = reference::scheme("raid1", members);
        DecodeCheck check(s, 100, 3, members);
        for (StripMask lost = 0; lost < s.all_mask(); ++lost) {
            if (!check.survives(lost)) FAIL(s.shape() << " losing " << lost);
        }
        CHECK_FALSE(check.codec().can_decode(s.all_mask()));
    }
}

TEST_CASE("pairs survive every loss that leaves one strip of each pair", "[ec]") {
    for (const unsigned members : {4u, 6u, 8u, 10u}) {
        const Scheme s = reference::scheme("raid10", members);
        DecodeCheck check(s, 100, 3, members);
        for (StripMask lost = 0; lost <= s.all_mask(); ++lost) {
            const StripMask both = lost & (lost >> s.data_strips) & s.data_mask();
            // Where a pair is gone whole, the others are still computed.
            const StripMask wanted = lost & ~(both | both << s.data_strips);
            if (!check.survives(lost, wanted)) FAIL(s.shape() << " losing " << lost);
            if (check.codec().can_decode(lost) != (both == 0))
                FAIL(s.shape() << " losing " << lost);
        }
    }
}

TEST_CASE("reconstruction is right for all lengths up to 100 at any alignment", "[ec]") {
    for (const Scheme& s : reference::design_shapes()) {
        if (s.parity_strips == 0) continue;
        for (std::size_t bytes = 0; bytes <= 100; ++bytes) {
            DecodeCheck check(s, bytes, bytes % 3 == 0 ? 0 : bytes % 37, bytes);
            for (unsigned count = 1; count <= s.losses_promised(); ++count) {
                const StripMask lost = check.random_loss(count);
                if (!check.survives(lost)) FAIL(s.shape() << ' ' << bytes << " losing " << lost);
            }
        }
    }
}

TEST_CASE("a loss beyond the code is an error and writes nothing", "[ec]") {
    Rng rng(7);
    for (const Scheme& s : reference::design_shapes()) {
        const Codec codec(s);
        Buffers buffers(s.total_strips(), 64, 0, rng);
        const auto before = buffers.copies();
        INFO(s.name() << " " << s.shape());
        // The losses of all strips, and the smallest that are too many.
        StripMask least = (StripMask{1} << s.parity_strips << 1) - 1;
        if (s.kind == CodeKind::mirror) least = s.all_mask();
        if (s.kind == CodeKind::mirror_pairs) least = 1 | StripMask{1} << s.data_strips;
        for (const StripMask lost : {least, s.all_mask()}) {
            const auto result = codec.decode(lost, buffers.pointers(), 64);
            REQUIRE_FALSE(result.has_value());
            CHECK(result.error() == Error(Errc::too_many_failures));
            CHECK(buffers.copies() == before);
            // Nothing wanted is never too much.
            CHECK(codec.decode(lost, std::vector<std::byte*>(s.total_strips()), 64).has_value());
        }
    }
}

TEST_CASE("one lost data strip is computed from the other data and the first parity", "[ec]") {
    for (const char* text : {"4+1", "4+2", "8+3", "32+8"}) {
        const Scheme s = reference::scheme(text);
        const Codec codec(s);
        for (unsigned i = 0; i < s.data_strips; ++i) {
            const StripMask lost = strip_bit(StripIndex(i));
            const StripMask others = s.data_mask() & ~lost;
            CHECK(codec.sources(lost, lost) == (others | strip_bit(StripIndex(s.data_strips))));
        }
        CHECK(codec.sources(s.parity_mask(), s.parity_mask()) == s.data_mask());
        CHECK(codec.sources(s.parity_mask(), 0) == 0);
    }
}
