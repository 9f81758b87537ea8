// Properties of the layouts, over every admitted scheme.
#include "ec/geometry.h"

#include <bit>
#include <vector>

#include "support/catch.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;

namespace {

std::vector<Scheme> all_geometries() {
    std::vector<Scheme> all = reference::all_k_plus_p();
    for (unsigned members = 2; members <= 64; ++members) {
        for (const char* level :
             {"linear", "raid0", "raid1", "raid4", "raid5", "raid6", "raid10"}) {
            if (auto scheme = parse_scheme(level, members, 4096)) all.push_back(*scheme);
        }
    }
    return all;
}

// Ordinary stripes, and the largest indices, where arithmetic might overflow.
std::vector<StripeIndex> some_stripes() {
    std::vector<StripeIndex> stripes;
    for (std::uint32_t r = 0; r < 100; ++r) {
        stripes.emplace_back(r);
        stripes.emplace_back(UINT32_MAX - r);
    }
    return stripes;
}

}  // namespace

TEST_CASE("strips and slots of a stripe map onto each other one to one", "[ec]") {
    unsigned wrong = 0;
    for (const Scheme& s : all_geometries()) {
        for (const StripeIndex stripe : some_stripes()) {
            SlotMask used = 0;
            for (unsigned i = 0; i < s.total_strips(); ++i) {
                const SlotIndex slot = slot_of(s, stripe, StripIndex(i));
                const SlotMask bit = SlotMask{1} << slot.get();
                used |= bit;
                if (strip_in(s, stripe, slot) != StripIndex(i)) ++wrong;
                if (strips_in(s, stripe, bit) != strip_bit(StripIndex(i))) ++wrong;
            }
            if (used != s.all_mask() || strips_in(s, stripe, used) != s.all_mask()) ++wrong;
            if (strips_in(s, stripe, 0) != 0) ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("the pattern repeats after its period and not before", "[ec]") {
    for (const Scheme& s : all_geometries()) {
        const unsigned period = layout_period(s);
        INFO(s.name() << " " << s.shape());
        REQUIRE((period >= 1 && period <= s.total_strips()));
        const SlotIndex first = slot_of(s, StripeIndex(0), StripIndex(0));
        for (std::uint32_t r = 1; r < period; ++r) {
            if (slot_of(s, StripeIndex(r), StripIndex(0)) == first) FAIL("repeats after " << r);
        }
        CHECK(slot_of(s, StripeIndex(period), StripIndex(0)) == first);
    }
}

TEST_CASE("rotation spreads parity and data evenly over the slots", "[ec]") {
    for (const Scheme& s : all_geometries()) {
        if (s.layout != Layout::rotating) continue;
        std::vector<unsigned> parities(s.total_strips());
        const unsigned period = layout_period(s);
        for (std::uint32_t r = 0; r < period; ++r) {
            for (unsigned j = s.data_strips; j < s.total_strips(); ++j) {
                ++parities[slot_of(s, StripeIndex(r), StripIndex(j)).get()];
            }
        }
        INFO(s.name() << " " << s.shape());
        CHECK(parities ==
              std::vector<unsigned>(s.total_strips(), s.parity_strips * period / s.total_strips()));
    }
}

TEST_CASE("a sequential stream visits the slots one after another", "[ec]") {
    for (const Scheme& s : all_geometries()) {
        if (s.layout != Layout::rotating) continue;
        unsigned expected = 0;
        for (std::uint32_t r = 0; r < 50; ++r) {
            for (unsigned i = 0; i < s.data_strips; ++i) {
                if (slot_of(s, StripeIndex(r), StripIndex(i)).get() != expected) {
                    FAIL(s.shape() << " stripe " << r << " strip " << i);
                }
                expected = (expected + 1) % s.total_strips();
            }
        }
    }
}

TEST_CASE("striping, linear and raid4 keep strip i in slot i", "[ec]") {
    for (const char* text : {"linear", "raid0", "raid4", "8+0"}) {
        const Scheme s = reference::scheme(text, 9);
        for (const StripeIndex stripe : some_stripes()) {
            for (unsigned i = 0; i < s.total_strips(); ++i) {
                if (slot_of(s, stripe, StripIndex(i)).get() != i) FAIL(text);
            }
        }
    }
}

TEST_CASE("a pair of raid10 lies on the same two slots in all stripes, first copies in turn",
          "[ec]") {
    for (unsigned members = 4; members <= 64; members += 2) {
        const Scheme s = reference::scheme("raid10", members);
        const unsigned k = s.data_strips;
        for (std::uint32_t r = 0; r < 6; ++r) {
            for (unsigned i = 0; i < k; ++i) {
                const unsigned first = slot_of(s, StripeIndex(r), StripIndex(i)).get();
                const unsigned second = slot_of(s, StripeIndex(r), StripIndex(k + i)).get();
                if (first != (r % 2 == 0 ? i : k + i)) FAIL("first copy of " << i);
                if (second != (r % 2 == 0 ? k + i : i)) FAIL("second copy of " << i);
            }
        }
    }
}

TEST_CASE("the layouts on disk are these", "[ec]") {
    const auto slots = [](const Scheme& s, std::uint32_t stripe) {
        std::vector<unsigned> out;
        for (unsigned i = 0; i < s.total_strips(); ++i) {
            out.push_back(slot_of(s, StripeIndex(stripe), StripIndex(i)).get());
        }
        return out;
    };
    using Slots = std::vector<unsigned>;
    const Scheme raid5 = reference::scheme("raid5", 4);
    CHECK(slots(raid5, 0) == Slots{0, 1, 2, 3});
    CHECK(slots(raid5, 1) == Slots{3, 0, 1, 2});
    CHECK(slots(raid5, 2) == Slots{2, 3, 0, 1});
    CHECK(slots(reference::scheme("4+2"), 1) == Slots{4, 5, 0, 1, 2, 3});
    CHECK(slots(reference::scheme("raid1", 3), 4) == Slots{1, 2, 0});
    CHECK(slots(reference::scheme("raid10", 4), 1) == Slots{2, 3, 0, 1});
}
