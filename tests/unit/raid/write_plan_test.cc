// The write plan, over all masks of small shapes: legal, minimal, and right when carried out on
// real bytes. And how requests fall into rows.
#include <bit>

#include "base/rng.h"
#include "raid/rows.h"
#include "raid/stripe_write.h"
#include "raid/write_plan.h"
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

using raid::PlanKind;

unsigned count(ec::StripMask mask) {
    return static_cast<unsigned>(std::popcount(mask));
}

// Calls fn(PlanInput) for every mask of present, readable and touched strips, delta allowed and
// not.
template <class Fn>
void for_each_input(const ec::Scheme& scheme, Fn&& fn) {
    const ec::StripMask all = scheme.all_mask();
    for (ec::StripMask present = 0; present <= all; present++) {
        for (ec::StripMask unreadable = present;; unreadable = (unreadable - 1) & present) {
            for (ec::StripMask touched = 1; touched <= scheme.data_mask(); touched++) {
                for (const bool delta : {true, false}) {
                    fn(raid::PlanInput{present, present & ~unreadable, touched, delta});
                }
            }
            if (unreadable == 0) break;
        }
    }
}

// Fewest strips that any legal plan reads; nullopt where there is none.
std::optional<unsigned> fewest_reads(const ec::Codec& codec, const raid::PlanInput& in) {
    const ec::Scheme& scheme = codec.scheme();
    const ec::StripMask unreadable = scheme.all_mask() & ~in.readable;
    const ec::StripMask parity = scheme.parity_mask() & in.present;
    const ec::StripMask untouched = scheme.data_mask() & ~in.touched;
    if (parity == 0 || untouched == 0) return 0;
    std::optional<unsigned> best;
    if (in.delta_allowed && ((in.touched | parity) & unreadable) == 0)
        best = count(in.touched | parity);
    if ((untouched & unreadable) == 0) {
        best = std::min(best.value_or(64), count(untouched));
    } else if (count(unreadable) <= scheme.parity_strips) {
        best = std::min(best.value_or(64), unsigned{scheme.data_strips});
    }
    return best;
}

void require_legal(const ec::Codec& codec, const raid::PlanInput& in, const raid::WritePlan& plan) {
    const ec::Scheme& scheme = codec.scheme();
    const ec::StripMask parity = scheme.parity_mask() & in.present;
    REQUIRE((plan.reads & ~in.readable) == 0);
    REQUIRE((plan.writes & ~in.present) == 0);
    REQUIRE((plan.decoded & in.readable) == 0);
    REQUIRE((plan.decoded & in.touched) == 0);
    if (scheme.kind != ec::CodeKind::parity) {
        REQUIRE(plan.kind == PlanKind::copy);
        REQUIRE(plan.reads == 0);
        // Each touched strip has a place.
        for (unsigned s = 0; s < scheme.data_strips; s++) {
            if ((in.touched >> s & 1) == 0) continue;
            ec::StripMask homes = raid::strip_mask(s);
            if (scheme.kind == ec::CodeKind::mirror) homes = scheme.all_mask();
            if (scheme.kind == ec::CodeKind::mirror_pairs)
                homes |= raid::strip_mask(s + scheme.data_strips);
            REQUIRE((plan.writes & homes) == (homes & in.present));
            REQUIRE((homes & in.present) != 0);
        }
        return;
    }
    REQUIRE(plan.writes == ((in.touched & in.present) | parity));
    REQUIRE(count(scheme.all_mask() & ~in.present) <= scheme.parity_strips);
    if (plan.kind == PlanKind::delta) {
        REQUIRE(in.delta_allowed);
        REQUIRE(plan.reads == (in.touched | parity));
    }
    if (plan.kind == PlanKind::reconstruct)
        REQUIRE(plan.reads == (scheme.data_mask() & ~in.touched));
    if (plan.kind == PlanKind::full_stripe) REQUIRE(in.touched == scheme.data_mask());
}

}  // namespace

TEST_CASE("every plan is legal and reads as little as any legal plan") {
    for (const Shape& shape :
         {Shape{"3+0", 3}, Shape{"1+1", 2}, Shape{"1+2", 3}, Shape{"raid10", 6}, Shape{"2+1", 3},
          Shape{"4+1", 5}, Shape{"2+2", 4}, Shape{"4+2", 6}, Shape{"3+3", 6}}) {
        const ec::Codec codec(scheme_of(shape.text, shape.members, 4096));
        CAPTURE(shape.text);
        for_each_input(codec.scheme(), [&](const raid::PlanInput& in) {
            const auto plan = raid::choose_plan(codec, in);
            INFO("present " << in.present << " readable " << in.readable << " touched "
                            << in.touched);
            if (plan) require_legal(codec, in, *plan);
            if (codec.scheme().kind != ec::CodeKind::parity) return;
            const bool writable =
                count(codec.scheme().all_mask() & ~in.present) <= codec.scheme().parity_strips;
            const auto best = fewest_reads(codec, in);
            REQUIRE(plan.has_value() == (writable && best.has_value()));
            if (!plan) {
                REQUIRE(plan.error().code ==
                        (writable ? Errc::media_error : Errc::too_many_failures));
                return;
            }
            REQUIRE(count(plan->reads) == *best);
        });
    }
}

TEST_CASE("a healthy parity write costs min(2(d+P), K+P)") {
    for (const Shape& shape :
         {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"8+3", 11}, Shape{"16+4", 20}}) {
        const ec::Codec codec(scheme_of(shape.text, shape.members, 4096));
        const ec::Scheme& s = codec.scheme();
        for (unsigned d = 1; d <= s.data_strips; d++) {
            const auto plan = raid::choose_plan(
                codec, {s.all_mask(), s.all_mask(), (ec::StripMask{1} << d) - 1, true});
            REQUIRE(plan.has_value());
            CHECK(count(plan->reads) + count(plan->writes) ==
                  std::min(2 * (d + s.parity_strips), s.total_strips()));
        }
    }
}

TEST_CASE("what reads less and what trusts old parity less is preferred, in this order") {
    const ec::Codec codec(scheme_of("4+2", 6, 4096));
    // d = 1: delta reads 3, reconstruct 3: reconstruct does not trust old parity.
    CHECK(raid::choose_plan(codec, {0x3F, 0x3F, 0x01, true})->kind == PlanKind::reconstruct);
    const ec::Codec wide(scheme_of("8+2", 10, 4096));
    CHECK(raid::choose_plan(wide, {0x3FF, 0x3FF, 0x01, true})->kind == PlanKind::delta);
    CHECK(raid::choose_plan(wide, {0x3FF, 0x3FF, 0x01, false})->kind == PlanKind::reconstruct);
}

TEST_CASE(
    "a part of a stripe falls into at most three ranges of rows that hold exactly its pieces") {
    const ec::Scheme scheme = scheme_of("4+2", 6, 8192);
    const std::uint64_t stripe = scheme.stripe_data_bytes();
    for (std::uint64_t begin = 0; begin < stripe; begin += 512) {
        for (std::uint64_t length = 512; begin + length <= stripe; length += 512) {
            const raid::StripePart part{StripeIndex{0}, begin, length, 0};
            const raid::PartRows rows(scheme, part);
            std::vector<bool> found(stripe / 512), expected(stripe / 512);
            std::uint32_t last = 0;
            for (const raid::RowMask& range : rows.ranges()) {
                REQUIRE(range.rows.begin >= last);
                REQUIRE(range.rows.length() > 0);
                last = range.rows.end;
                for (unsigned s = 0; s < 4; s++) {
                    if ((range.strips >> s & 1) == 0) continue;
                    for (std::uint32_t r = range.rows.begin; r < range.rows.end; r += 512) {
                        found[(s * 8192 + r) / 512] = true;
                    }
                }
            }
            for (std::uint64_t at = begin; at < begin + length; at += 512)
                expected[at / 512] = true;
            REQUIRE(rows.ranges().size() <= 3);
            REQUIRE(found == expected);
        }
    }
}

TEST_CASE(
    "fragments in any order give segments that are ascending, disjoint and complete, the later "
    "data") {
    const ec::Scheme scheme = scheme_of("4+1", 5, 8192);
    const std::uint64_t stripe = scheme.stripe_data_bytes();
    dev::BufferPool pool{{}};
    Rng rng(11);
    for (unsigned round = 0; round < 500; round++) {
        const std::size_t n = 1 + rng.below(rng.chance_percent(20) ? 40 : 6);
        std::vector<raid::WriteFragment> fragments(n);
        std::vector<std::vector<std::byte>> data(n);
        std::vector<int> expected(stripe / 512, -1);
        for (std::size_t i = 0; i < n; i++) {
            const std::uint64_t at = rng.below(stripe / 512) * 512;
            const std::uint64_t length = (1 + rng.below((stripe - at) / 512)) * 512;
            fragments[i].part = {StripeIndex{0}, at, length, 0};
            data[i].assign(length, static_cast<std::byte>(i + 1));
            const bool zeros = rng.chance_percent(10);
            if (!zeros) fragments[i].data = data[i].data();
            if (i > 0) fragments[i - 1].next = &fragments[i];
            for (std::uint64_t b = at; b < at + length; b += 512) {
                expected[b / 512] = zeros ? 0 : static_cast<int>(i + 1);
            }
        }
        raid::StripeWrite write(scheme, fragments[0]);
        raid::Scratch scratch(pool);
        write.gather(scratch);
        std::uint32_t last = 0;
        std::vector<int> found(stripe / 512, -1);
        for (const raid::Segment& segment : write.segments()) {
            REQUIRE(segment.rows.begin >= last);
            last = segment.rows.end;
            for (unsigned s = 0; s < 4; s++) {
                if ((segment.touched >> s & 1) == 0) continue;
                for (std::uint32_t r = segment.rows.begin; r < segment.rows.end; r += 512) {
                    found[(s * 8192 + r) / 512] = static_cast<int>(*write.strip_data(s, r));
                }
            }
        }
        REQUIRE(found == expected);
    }
}

}  // namespace xsan::test
