// Read errors: healed where the content can be had, and no more than an error for what is lost
// otherwise.
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

using Kind = FaultEvent::Kind;

std::vector<Shape> redundant_shapes() {
    std::vector<Shape> shapes;
    for (const Shape& s : kMoreShapes) {
        if (s.text != std::string("4+0")) shapes.push_back(s);
    }
    return shapes;
}

void latent(Rig& rig, std::uint32_t stripe, unsigned strip, std::uint32_t row) {
    rig.devices[rig.member_of_strip(stripe, strip)]->add_latent_error(
        rig.place_on_member(stripe, row), kBlock);
}
std::size_t latent_blocks(const Rig& rig) {
    std::size_t n = 0;
    for (const auto& d : rig.devices)
        n += d->latent_blocks();
    return n;
}
// Reads every block by itself; the blocks that gave an error, and whether all others were right.
std::vector<std::uint64_t> unreadable_blocks(Rig& rig, std::span<const std::byte> content) {
    std::vector<std::uint64_t> bad;
    std::vector<std::byte> found(kBlock);
    for (std::uint64_t at = 0; at < content.size(); at += kBlock) {
        if (rig.read(at, found) != Errc::ok) {
            bad.push_back(at);
        } else {
            REQUIRE(std::memcmp(found.data(), content.data() + at, kBlock) == 0);
        }
    }
    return bad;
}

}  // namespace

TEST_CASE("a block that cannot be read is reconstructed, rewritten and reported as corrected") {
    for (const Shape& shape : redundant_shapes()) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        for (unsigned strip = 0; strip < rig.data_strips(); strip++) {
            rig.pool.clear_events();
            latent(rig, 2, strip, 2 * kBlock);
            REQUIRE(rig.reads_as(content));
            CHECK(latent_blocks(rig) == 0);
            const auto events = rig.pool.events();
            REQUIRE(events.size() == 1);
            CHECK(events[0].kind == Kind::read_failed);
            CHECK(events[0].corrected);
            CHECK(events[0].member == rig.member_of_strip(2, strip));
            CHECK(events[0].offset == rig.place_on_member(2, 2 * kBlock));
            rig.reset_counters();
            REQUIRE(rig.reads_as(content));
            CHECK(rig.writes() == 0);
        }
    }
}

TEST_CASE("as many errors in one row as the code corrects are all healed") {
    for (const Shape& shape : redundant_shapes()) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        for (unsigned first = 0; first < rig.total_strips(); first++) {
            for (unsigned i = 0; i < rig.scheme().losses_promised(); i++) {
                latent(rig, 1, (first + i) % rig.total_strips(), 0);
            }
            REQUIRE(rig.reads_as(content));
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                CHECK(rig.check(s).complete);
            CHECK(latent_blocks(rig) == 0);
        }
    }
}

TEST_CASE("errors of all strips in different rows are all healed") {
    for (const Shape& shape : redundant_shapes()) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        const std::uint32_t rows = rig.scheme().strip_bytes / kBlock;
        for (unsigned s = 0; s < rig.total_strips() && s < rows; s++)
            latent(rig, 3, s, s * kBlock);
        rig.check(3);
        CHECK(latent_blocks(rig) == 0);
        CHECK(rig.reads_as(content));
        CHECK(rig.pool.count(Kind::read_failed) == std::min(rig.total_strips(), rows));
    }
}

TEST_CASE("more errors in a row than the code corrects cost those blocks and no others") {
    Rig rig({"4+2", 6}, small_rig(32 * kKiB));
    const auto content = rig.fill();
    for (unsigned s : {0u, 2u, 4u})
        latent(rig, 1, s, kBlock);
    const auto bad = unreadable_blocks(rig, content);
    REQUIRE(bad.size() == 2);  // of data strips 0 and 2; 4 is parity
    CHECK(rig.strip_of(bad[0]) == 0);
    CHECK(rig.strip_of(bad[1]) == 2);
    CHECK(latent_blocks(rig) == 3);
    for (const FaultEvent& e : rig.pool.events())
        CHECK_FALSE(e.corrected);
    // A write of one of them is refused while the other one hangs on its old content, a full stripe
    // is not.
    const auto data = Rig::pattern(rig.scheme().stripe_data_bytes(), 9);
    REQUIRE(rig.write(rig.scheme().stripe_data_bytes(), data) == Errc::ok);
    CHECK(latent_blocks(rig) == 0);
    CHECK(rig.reads_as(data, rig.scheme().stripe_data_bytes()));
}

TEST_CASE("an error in a degraded group costs one block in a read of many") {
    for (const Shape& shape : redundant_shapes()) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        // As many members as the code survives, strips 0.. of stripe 1; then an error in another
        // strip of it.
        std::uint64_t lost = 0;
        for (unsigned i = 0; i < rig.scheme().losses_promised(); i++)
            lost |= 1ull << rig.member_of_strip(1, i);
        const bool pairs = rig.scheme().kind == ec::CodeKind::mirror_pairs;
        const unsigned damaged = pairs ? rig.data_strips() : rig.scheme().losses_promised();
        rig.pool.set_lost(lost);
        latent(rig, 1, damaged, 3 * kBlock);
        const auto bad = unreadable_blocks(rig, content);
        const unsigned lost_data = std::min(rig.scheme().losses_promised(), rig.data_strips());
        const bool damaged_data = damaged < rig.data_strips();
        CHECK(bad.size() == lost_data + (damaged_data ? 1 : 0));
        for (const std::uint64_t at : bad) {
            CHECK(rig.stripe_of(at) == 1);
            CHECK(at % rig.scheme().strip_bytes == 3 * kBlock);
        }
    }
}

TEST_CASE(
    "an error that rewriting does not cure ends, is reported twice, and the content is right") {
    for (const Shape& shape : redundant_shapes()) {
        for (const bool fails_member : {false, true}) {
            Rig rig(shape, small_rig(32 * kKiB));
            CAPTURE(shape.text, fails_member);
            auto content = rig.fill();
            const unsigned member = rig.member_of_strip(1, 0);
            sim::FaultRule rule;
            rule.on = dev::IoKind::read;
            rule.offset = rig.place_on_member(1, kBlock);
            rule.length = kBlock;
            rig.devices[member]->faults().add(rule);
            if (fails_member) {
                rig.pool.on_read_failed = [&](unsigned m, bool corrected) {
                    if (!corrected) rig.pool.set_live(m, false);
                };
            }
            REQUIRE(rig.reads_as(content));
            CHECK(rig.pool.count(Kind::read_failed) == 2);
            CHECK(rig.pool.events()[0].corrected);
            CHECK_FALSE(rig.pool.events()[1].corrected);
            // Writes to the block and beside it go on, too.
            for (unsigned i = 0; i < rig.data_strips(); i++) {
                const std::uint64_t at =
                    rig.scheme().stripe_data_bytes() + i * rig.scheme().strip_bytes + kBlock;
                const auto data = Rig::pattern(kBlock, 77 + i);
                REQUIRE(rig.write(at, data) == Errc::ok);
                std::copy(data.begin(), data.end(),
                          content.begin() + static_cast<std::ptrdiff_t>(at));
            }
            CHECK(rig.reads_as(content));
            rig.devices[member]->faults().clear();
            for (std::uint32_t s = 0; s < rig.options.stripes; s++)
                CHECK(rig.check(s).agrees);
        }
    }
}

TEST_CASE("an error that is not the media's is answered from other strips, and nothing is overwritten") {
    for (const Shape& shape : redundant_shapes()) {
        for (const Errc code : {Errc::io_error, Errc::timed_out, Errc::invalid_argument}) {
            Rig rig(shape, small_rig(32 * kKiB));
            CAPTURE(shape.text, errc_name(code));
            auto content = rig.fill();
            const unsigned member = rig.member_of_strip(1, 0);
            sim::FaultRule rule;
            rule.on = dev::IoKind::read;
            rule.code = code;
            rig.devices[member]->faults().add(rule);
            rig.reset_counters();
            REQUIRE(rig.reads_as(content));
            CHECK(rig.writes() == 0);
            for (const FaultEvent& e : rig.pool.events()) {
                CHECK(e.kind == Kind::read_failed);
                CHECK(code != Errc::invalid_argument);
                CHECK_FALSE(e.corrected);
            }
            // Writes go on, and what could not be read for a while is right afterwards.
            const auto data = Rig::pattern(kBlock, 5);
            REQUIRE(rig.write(rig.scheme().stripe_data_bytes(), data) == Errc::ok);
            std::copy(data.begin(), data.end(),
                      content.begin() +
                          static_cast<std::ptrdiff_t>(rig.scheme().stripe_data_bytes()));
            REQUIRE(rig.reads_as(content));
            rig.devices[member]->faults().clear();
            CHECK(rig.reads_as(content));
            CHECK(rig.check(1).agrees);
        }
    }
}

TEST_CASE("writes whose plan meets read errors still write the right parity") {
    for (const Shape& shape : redundant_shapes()) {
        for (unsigned damaged = 0;
             damaged < scheme_of(shape.text, shape.members, 4096).total_strips(); damaged++) {
            for (unsigned written = 0;
                 written < scheme_of(shape.text, shape.members, 4096).data_strips; written++) {
                Rig rig(shape, small_rig(32 * kKiB));
                CAPTURE(shape.text, damaged, written);
                auto content = rig.fill();
                latent(rig, 2, damaged, 0);
                const auto data = Rig::pattern(2 * kBlock, 5);
                const std::uint64_t at =
                    2 * rig.scheme().stripe_data_bytes() + written * rig.scheme().strip_bytes;
                REQUIRE(rig.write(at, data) == Errc::ok);
                std::copy(data.begin(), data.end(),
                          content.begin() + static_cast<std::ptrdiff_t>(at));
                REQUIRE(rig.reads_as(content));
                CHECK(rig.check(2).agrees);
                CHECK(latent_blocks(rig) == 0);
            }
        }
    }
}

TEST_CASE("a member that vanishes under reads is recorded before they are answered") {
    for (const Shape& shape : redundant_shapes()) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        rig.pool.commit_time = kMillisecond;
        const auto content = rig.fill();
        REQUIRE(rig.flush() == Errc::ok);
        rig.devices[0]->vanish();
        const TimeNs begin = rig.world.now();
        REQUIRE(rig.reads_as(content));
        CHECK(rig.world.now() >= begin + kMillisecond);
        CHECK_FALSE(rig.pool.is_live(0));
        CHECK(rig.pool.count(Kind::member_failed) >= 1);
        CHECK(rig.pool.count(Kind::read_failed) == 0);
        const std::size_t told = rig.pool.events().size();
        REQUIRE(rig.reads_as(content));
        CHECK(rig.pool.events().size() == told);
    }
}

TEST_CASE("beyond P, present strips still read and only what is lost gives an error") {
    for (const Shape& shape : kMoreShapes) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        rig.for_each_loss(rig.total_strips(), [&](std::uint64_t lost) {
            if (rig.total_strips() > 6 && std::popcount(lost) > 4) return;
            rig.pool.set_lost(lost);
            for (std::uint64_t at = 0; at < 3 * rig.scheme().stripe_data_bytes();
                 at += rig.scheme().strip_bytes) {
                const auto mask = ec::strips_in(rig.scheme(), StripeIndex{rig.stripe_of(at)}, lost);
                const auto strip = raid::strip_mask(rig.strip_of(at));
                const bool readable =
                    (mask & strip) == 0 || rig.pool.codec().can_decode(mask, strip);
                std::vector<std::byte> found(kBlock);
                const Errc code = rig.read(at, found);
                REQUIRE((code == Errc::ok) == readable);
                if (readable) REQUIRE(std::memcmp(found.data(), content.data() + at, kBlock) == 0);
                if (!readable) REQUIRE(code == Errc::too_many_failures);
            }
        });
    }
}

TEST_CASE("beyond P, a write that cannot be kept is refused and changes nothing") {
    for (const Shape& shape : kMoreShapes) {
        Rig rig(shape, small_rig(32 * kKiB));
        CAPTURE(shape.text);
        const auto content = rig.fill();
        rig.for_each_loss(rig.total_strips(), [&](std::uint64_t lost) {
            if (rig.total_strips() > 6 && std::popcount(lost) > 4) return;
            const auto mask = ec::strips_in(rig.scheme(), StripeIndex{0}, lost);
            rig.pool.set_lost(lost);
            rig.reset_counters();
            const Errc code = rig.write(0, std::span(content).subspan(0, kBlock));
            const bool survives = rig.scheme().kind == ec::CodeKind::parity
                                      ? rig.pool.codec().can_decode(mask)
                                      : (mask & 1) == 0 || rig.pool.codec().can_decode(mask, 1);
            const bool pair_has_place = rig.scheme().kind != ec::CodeKind::mirror_pairs || survives;
            REQUIRE((code == Errc::ok) == (survives && pair_has_place));
            if (code != Errc::ok) REQUIRE(rig.writes() == 0);
        });
    }
}

}  // namespace xsan::test
