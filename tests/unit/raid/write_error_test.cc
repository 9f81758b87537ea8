// Failed writes: nothing is answered before the loss is durable, and what may not be recorded as
// lost costs an I/O error and nobody else's data.
#include "base/byte_span.h"
#include "support/rounds.h"
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

using Kind = FaultEvent::Kind;
// Of the places that a member may have in these loops, sanitizers see every fourth.
constexpr unsigned kStep = std::min(kFewerRounds, 4u);

sim::FaultRule failing_writes(sim::FailedEffect effect, std::uint32_t times = UINT32_MAX) {
    sim::FaultRule rule;
    rule.on = dev::IoKind::write;
    rule.effect = effect;
    rule.count = times;
    return rule;
}

void patch(std::vector<std::byte>& content, std::uint64_t at, std::span<const std::byte> data) {
    std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
}

// Every block but those in [at, at + bytes) reads as before, or (where `allow_bad`) is in a lost
// range.
void require_others_unchanged(Rig& rig, std::span<const std::byte> content, std::uint64_t at,
                              std::uint64_t bytes, bool allow_bad) {
    std::vector<std::byte> found(kBlock);
    for (std::uint64_t b = 0; b < content.size(); b += kBlock) {
        if (b >= at && b < at + bytes) continue;
        if (allow_bad && rig.pool.is_bad(b)) continue;
        const Errc code = rig.read(b, found);
        // An assertion for each block would cost more than all else here.
        if (code == Errc::ok && same_bytes(found, content.subspan(b, kBlock))) continue;
        CAPTURE(b, code);
        FAIL("a block that was not written is not as before");
    }
}

bool is_old_or_new(Rig& rig, std::uint64_t at, std::span<const std::byte> old_data,
                   std::span<const std::byte> new_data) {
    std::vector<std::byte> found(old_data.size());
    if (rig.read(at, found) != Errc::ok) return false;
    return std::memcmp(found.data(), old_data.data(), found.size()) == 0 ||
           std::memcmp(found.data(), new_data.data(), found.size()) == 0;
}

}  // namespace

TEST_CASE("a write is answered only after the loss of the member that failed it is durable") {
    for (const Shape& shape : kMoreShapes) {
        if (shape.text == std::string("4+0")) continue;
        for (unsigned member = 0; member < shape.members; member++) {
            for (const auto effect : {sim::FailedEffect::nothing, sim::FailedEffect::torn}) {
                Rig rig(shape, small_rig(16 * kKiB));
                CAPTURE(shape.text, member);
                auto content = rig.fill();
                rig.pool.commit_time = 10 * kMillisecond;
                rig.devices[member]->faults().add(failing_writes(effect));
                // A whole stripe, so that every member is written.
                const auto data = Rig::pattern(rig.scheme().stripe_data_bytes(), member);
                const TimeNs begin = rig.world.now();
                REQUIRE(rig.write(0, data) == Errc::ok);
                CHECK(rig.world.now() >= begin + 10 * kMillisecond);
                CHECK_FALSE(rig.pool.is_live(member));
                CHECK(rig.pool.count(Kind::member_failed) == 1);
                patch(content, 0, data);
                CHECK(rig.reads_as(content));
            }
        }
    }
}

TEST_CASE("P members that fail one write at the same time are all recorded") {
    for (const Shape& shape : kMoreShapes) {
        Rig rig(shape, small_rig(16 * kKiB));
        const unsigned p = rig.scheme().losses_promised();
        if (p < 2) continue;
        CAPTURE(shape.text);
        auto content = rig.fill();
        for (unsigned i = 0; i < p; i++)
            rig.devices[i]->faults().add(failing_writes(sim::FailedEffect::torn));
        const auto data = Rig::pattern(rig.scheme().stripe_data_bytes(), 3);
        REQUIRE(rig.write(0, data) == Errc::ok);
        patch(content, 0, data);
        CHECK(rig.reads_as(content));
        CHECK(rig.pool.count(Kind::member_failed) == p);
    }
}

TEST_CASE("a write that fails once on a member that must stay is tried again and succeeds") {
    for (const Shape& shape : kMoreShapes) {
        Rig rig(shape, small_rig(16 * kKiB));
        CAPTURE(shape.text);
        auto content = rig.fill();
        rig.pool.refuse_failures = true;
        const auto data = Rig::pattern(kBlock, 3);
        rig.devices[rig.member_of(0)]->faults().add(failing_writes(sim::FailedEffect::torn, 1));
        REQUIRE(rig.write(0, data) == Errc::ok);
        patch(content, 0, data);
        CHECK(rig.reads_as(content));
        CHECK(rig.check(0).agrees);
    }
}

TEST_CASE("a degraded write that fails for good is an I/O error and changes no other block") {
    for (const Shape& shape :
         {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"3+3", 6}, Shape{"8+3", 11}}) {
        for (const auto effect :
             {sim::FailedEffect::nothing, sim::FailedEffect::everything, sim::FailedEffect::torn}) {
            const ec::Scheme scheme = scheme_of(shape.text, shape.members, 16 * 1024);
            const unsigned p = scheme.parity_strips;
            for (unsigned first_lost = 0; first_lost < scheme.total_strips(); first_lost += p) {
                for (unsigned failing = 0; failing < scheme.total_strips(); failing += kStep) {
                    for (unsigned written = 0; written < scheme.data_strips; written += 2) {
                        Rig rig(shape, small_rig(16 * kKiB));
                        const auto content = rig.fill();
                        std::uint64_t lost = 0;
                        for (unsigned i = 0; i < p; i++) {
                            lost |= 1ull << rig.member_of_strip(
                                        1, (first_lost + i) % scheme.total_strips());
                        }
                        const unsigned member = rig.member_of_strip(1, failing);
                        if ((lost >> member & 1) != 0) continue;
                        CAPTURE(shape.text, static_cast<int>(effect), lost, failing, written);
                        rig.pool.set_lost(lost);
                        rig.devices[member]->faults().add(failing_writes(effect));
                        const std::uint64_t at =
                            rig.scheme().stripe_data_bytes() + written * rig.scheme().strip_bytes;
                        const auto data = Rig::pattern(kBlock, 99);
                        const Errc code = rig.write(at, data);
                        const bool hits = rig.devices[member]->counters().errors > 0;
                        REQUIRE((code == Errc::ok) == !hits);
                        rig.devices[member]->faults().clear();
                        const auto old_data = std::span(content).subspan(at, kBlock);
                        if (!rig.pool.is_bad(at)) {
                            const bool torn_itself =
                                effect == sim::FailedEffect::torn && failing == written;
                            CHECK((torn_itself || is_old_or_new(rig, at, old_data, data)));
                        }
                        require_others_unchanged(rig, content, at, kBlock,
                                                 effect != sim::FailedEffect::nothing);
                    }
                }
            }
        }
    }
}

TEST_CASE(
    "after a refused write of a healthy stripe, losing any one member changes no other block") {
    for (const Shape& shape :
         {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"8+3", 11}, Shape{"raid10", 4}, Shape{"1+1", 2},
          Shape{"1+2", 3}}) {
        for (unsigned failing = 0; failing < shape.members; failing++) {
            for (const auto effect : {sim::FailedEffect::nothing, sim::FailedEffect::everything,
                                      sim::FailedEffect::torn}) {
                Rig rig(shape, small_rig(16 * kKiB));
                const bool one_block = static_cast<int>(effect) % 2 == 0;
                CAPTURE(shape.text, failing, static_cast<int>(effect));
                const auto content = rig.fill();
                rig.pool.refuse_failures = true;
                const unsigned member = rig.member_of_strip(1, failing);
                rig.devices[member]->faults().add(failing_writes(effect));
                const std::uint64_t at = rig.scheme().stripe_data_bytes();
                // One block of the first strip, or all of the first two strips.
                const std::uint64_t bytes =
                    one_block ? kBlock : std::min(2u, rig.data_strips()) * rig.scheme().strip_bytes;
                const Errc code = rig.write(at, Rig::pattern(bytes, 99));
                const bool hits = rig.devices[member]->counters().errors > 0;
                REQUIRE(code == (hits ? Errc::io_error : Errc::ok));
                rig.devices[member]->faults().clear();
                for (unsigned lost = 0; lost < rig.total_strips(); lost++) {
                    rig.pool.set_lost(1ull << lost);
                    require_others_unchanged(rig, content, at, bytes, false);
                }
                rig.pool.set_lost(0);
                CHECK(rig.check(1).agrees);
                CHECK(rig.pool.torn.empty());
            }
        }
    }
}

TEST_CASE("a write that a device calls invalid is an error and never costs the member") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"4+2", 6}}) {
        for (unsigned failing = 0; failing < shape.members; failing++) {
            Rig rig(shape, small_rig(16 * kKiB));
            CAPTURE(shape.text, failing);
            const auto content = rig.fill();
            const unsigned member = rig.member_of_strip(1, failing);
            auto rule = failing_writes(sim::FailedEffect::nothing);
            rule.code = Errc::invalid_argument;
            rig.devices[member]->faults().add(rule);
            const std::uint64_t at = rig.scheme().stripe_data_bytes();
            const Errc code = rig.write(at, Rig::pattern(kBlock, 99));
            const bool hits = rig.devices[member]->counters().errors > 0;
            CHECK(code == (hits ? Errc::io_error : Errc::ok));
            CHECK(rig.pool.is_live(member));
            CHECK(rig.pool.count(Kind::member_failed) == 0);
            rig.devices[member]->faults().clear();
            require_others_unchanged(rig, content, at, kBlock, false);
            CHECK(rig.check(1).agrees);
        }
    }
}

TEST_CASE("after a refused write of a degraded stripe, what is lost but can still be decoded is kept") {
    for (const auto effect :
         {sim::FailedEffect::nothing, sim::FailedEffect::everything, sim::FailedEffect::torn}) {
        for (const Shape& shape : {Shape{"4+2", 6}, Shape{"8+3", 11}}) {
            for (unsigned lost = 0; lost < shape.members; lost += kStep) {
                for (unsigned failing = 0; failing < shape.members; failing++) {
                    if (failing == lost) continue;
                    Rig rig(shape, small_rig(16 * kKiB));
                    CAPTURE(shape.text, lost, failing, static_cast<int>(effect));
                    const auto content = rig.fill();
                    rig.pool.set_lost(1ull << rig.member_of_strip(1, lost));
                    rig.pool.refuse_failures = true;
                    const unsigned member = rig.member_of_strip(1, failing);
                    rig.devices[member]->faults().add(failing_writes(effect));
                    const std::uint64_t at = rig.scheme().stripe_data_bytes();
                    const Errc code = rig.write(at, Rig::pattern(kBlock, 99));
                    const bool hits = rig.devices[member]->counters().errors > 0;
                    REQUIRE(code == (hits ? Errc::io_error : Errc::ok));
                    rig.devices[member]->faults().clear();
                    require_others_unchanged(rig, content, at, kBlock, false);
                    CHECK(rig.check(1).agrees);
                    // And one loss more changes nothing.
                    for (unsigned other = 0; other < shape.members; other++) {
                        rig.pool.set_lost(1ull << rig.member_of_strip(1, lost) |
                                          1ull << rig.member_of_strip(1, other));
                        require_others_unchanged(rig, content, at, kBlock, false);
                    }
                }
            }
        }
    }
}

TEST_CASE("a stripe that cannot be made to agree after a refused write is told as torn") {
    for (const Shape& shape : {Shape{"4+1", 5}, Shape{"4+2", 6}, Shape{"raid10", 4}, Shape{"1+1", 2}}) {
        for (unsigned failing = 0; failing < shape.members; failing++) {
            Rig rig(shape, small_rig(16 * kKiB));
            CAPTURE(shape.text, failing);
            const auto content = rig.fill();
            rig.pool.refuse_failures = true;
            const unsigned member = rig.member_of_strip(1, failing);
            rig.devices[member]->faults().add(failing_writes(sim::FailedEffect::torn));
            sim::FaultRule reads;
            reads.on = dev::IoKind::read;
            reads.code = Errc::io_error;
            rig.devices[member]->faults().add(reads);
            const std::uint64_t at = rig.scheme().stripe_data_bytes();
            const std::uint64_t bytes = rig.scheme().stripe_data_bytes();
            CHECK(rig.write(at, Rig::pattern(bytes, 99)) == Errc::io_error);
            CHECK(rig.pool.torn.contains({rig.group.get(), 1}));
            rig.devices[member]->faults().clear();
            CHECK(rig.resync(1) == Errc::ok);
            CHECK(rig.check(1).agrees);
            require_others_unchanged(rig, content, at, bytes, false);
        }
    }
}

TEST_CASE("a striped write that fails is an I/O error") {
    Rig rig({"4+0", 4}, small_rig(16 * kKiB));
    const auto content = rig.fill();
    rig.devices[rig.member_of(0)]->faults().add(failing_writes(sim::FailedEffect::nothing));
    CHECK(rig.write(0, Rig::pattern(kBlock, 1)) == Errc::io_error);
    CHECK(rig.reads_as(content));
    CHECK(rig.write(rig.scheme().strip_bytes, Rig::pattern(kBlock, 1)) == Errc::ok);
}

}  // namespace xsan::test
