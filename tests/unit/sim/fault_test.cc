// Faults of a simulated drive, each by its rule.
#include <set>
#include <string>

#include "device_fixture.h"

using namespace xsan;
using namespace xsan::sim;
using namespace xsan::sim::test;
using dev::IoKind;

namespace {

FaultRule rule_of(FaultKind kind, std::optional<IoKind> on, std::uint32_t count) {
    FaultRule r;
    r.kind = kind;
    r.on = on;
    r.count = count;
    return r;
}

}  // namespace

TEST_CASE("a transient read error happens as often as its rule says", "[sim][fault]") {
    Drive d;
    d.write(0, 4, 'a');
    FaultRule rule = rule_of(FaultKind::error, IoKind::read, 1);
    rule.offset = kBlock;
    rule.length = kBlock;
    const auto id = d.device.faults().add(rule);
    std::string out;
    REQUIRE(d.read(0, 1, out) == Errc::ok);  // does not touch the range
    REQUIRE(d.read(2, 2, out) == Errc::ok);
    REQUIRE(d.read(0, 4, out) == Errc::media_error);
    REQUIRE(out.find('a') == std::string::npos);  // garbage, not the data
    REQUIRE(d.text(0, 4) == "aaaa");
    REQUIRE(d.device.faults().fired(id) == 1);
    REQUIRE(d.device.counters().errors == 1);
}

TEST_CASE("I/O number n fails for every n, once or for good", "[sim][fault]") {
    for (const bool for_good : {false, true}) {
        for (std::uint32_t n = 0; n < 6; n++) {
            Drive d;
            FaultRule rule = rule_of(FaultKind::error, std::nullopt, for_good ? UINT32_MAX : 1);
            rule.skip = n;
            d.device.faults().add(rule);
            for (std::uint32_t i = 0; i < 6; i++) {
                const bool fails = for_good ? i >= n : i == n;
                const Errc got = i % 2 == 0 ? d.write(i, 1, 'a') : d.flush();
                REQUIRE(got == (fails ? Errc::io_error : Errc::ok));
            }
        }
    }
}

TEST_CASE("a latent error stays until the block is rewritten", "[sim][fault]") {
    Drive d;
    d.write(0, 4, 'a');
    d.device.add_latent_error(kBlock, 2 * kBlock);
    std::string out;
    for (int i = 0; i < 3; i++)
        REQUIRE(d.read(0, 4, out) == Errc::media_error);
    REQUIRE(d.text(0, 1) == "a");
    d.write(1, 1, 'b');
    REQUIRE(d.text(0, 2) == "ab");
    REQUIRE(d.read(2, 1, out) == Errc::media_error);
    d.zero(2, 1);
    REQUIRE(d.text(0, 4) == "ab.a");
    REQUIRE(d.device.latent_blocks() == 0);
}

TEST_CASE("a failed write leaves nothing, everything or some", "[sim][fault]") {
    FaultRule rule = rule_of(FaultKind::error, IoKind::write, 1);
    rule.code = Errc::no_space;
    SECTION("nothing") {
        Drive d;
        d.device.faults().add(rule);
        REQUIRE(d.write(0, 2, 'a') == Errc::no_space);
        REQUIRE(d.text(0, 2) == "..");
    }
    SECTION("everything") {
        Drive d;
        rule.effect = FailedEffect::everything;
        d.device.faults().add(rule);
        REQUIRE(d.write(0, 2, 'a') == Errc::no_space);
        REQUIRE(d.text(0, 2) == "aa");
    }
    SECTION("some") {
        rule.effect = FailedEffect::torn;
        std::set<std::string> seen;
        for (std::uint64_t seed = 0; seed < 40; seed++) {
            Drive d(small_blocks(), seed);
            d.device.faults().add(rule);
            REQUIRE(d.write(0, 2, 'a') == Errc::no_space);
            seen.insert(d.text(0, 2));
        }
        REQUIRE(seen == std::set<std::string>{"..", "a.", ".a", "aa"});
    }
}

TEST_CASE("a failed flush covers nothing", "[sim][fault]") {
    Drive d;
    d.write(0, 1, 'a');
    d.device.faults().add(rule_of(FaultKind::error, IoKind::flush, 1));
    REQUIRE(d.flush() == Errc::io_error);
    REQUIRE(letters(d.device.media().durable(), 1) == ".");
    REQUIRE(d.flush() == Errc::ok);
    REQUIRE(letters(d.device.media().durable(), 1) == "a");
}

TEST_CASE("a slow request takes longer, a held one until it is released", "[sim][fault]") {
    Drive d;
    FaultRule slow = rule_of(FaultKind::slow, IoKind::flush, 1);
    slow.delay = 30 * kSecond;
    d.device.faults().add(slow);
    const TimeNs begin = d.world.now();
    REQUIRE(d.flush() == Errc::ok);
    REQUIRE(d.world.now() - begin >= 30 * kSecond);

    d.device.faults().add(rule_of(FaultKind::hold, IoKind::write, 1));
    Errc held = Errc::busy;
    d.start(write_task(d.device, 0, 1, 'h', false), held);
    d.world.run_until_idle();
    REQUIRE((held == Errc::busy && d.device.held() == 1));
    REQUIRE(d.text(0, 1) == ".");
    d.device.release_held();
    d.world.run_until_idle();
    REQUIRE(held == Errc::ok);
    REQUIRE(d.text(0, 1) == "h");
}

TEST_CASE("a lost write reports success, a misdirected one hits another place", "[sim][fault]") {
    Drive d;
    d.device.faults().add(rule_of(FaultKind::lost, IoKind::write, 1));
    REQUIRE(d.write(0, 1, 'a') == Errc::ok);
    REQUIRE(d.text(0, 1) == ".");
    FaultRule astray = rule_of(FaultKind::misdirected, IoKind::write, 1);
    astray.target_offset = 3 * kBlock;
    d.device.faults().add(astray);
    REQUIRE(d.write(0, 1, 'b') == Errc::ok);
    REQUIRE(d.text(0, 4) == "...b");
    astray.on = IoKind::read;
    d.device.faults().add(astray);
    REQUIRE(d.text(0, 1) == "b");
    REQUIRE(d.text(0, 1) == ".");
}

TEST_CASE("a flipped bit reads as such", "[sim][fault]") {
    Drive d;
    d.write(0, 1, 'a');
    d.device.flip_bit(0, 1);
    REQUIRE(d.text(0, 1) == "c");
}

TEST_CASE("a drive that vanished answers device_gone to everything, outstanding requests too",
          "[sim][fault]") {
    Drive d;
    d.write(0, 1, 'a', true);
    Errc outstanding = Errc::ok;
    d.start(write_task(d.device, 1, 1, 'b', false), outstanding);
    d.device.vanish();
    REQUIRE(d.device.is_gone());
    std::string out;
    REQUIRE(d.read(0, 1, out) == Errc::device_gone);
    REQUIRE(d.flush() == Errc::device_gone);
    REQUIRE(d.write(0, 1, 'z') == Errc::device_gone);
    REQUIRE(d.discard(0, 1) == Errc::device_gone);
    REQUIRE(outstanding == Errc::device_gone);
    d.device.come_back();
    REQUIRE(d.text(0, 1) == "a");  // what was durable, none of what came while it was away
    REQUIRE(d.write(2, 1, 'c') == Errc::ok);
}

TEST_CASE("a drive vanishes at the n-th request", "[sim][fault]") {
    for (std::uint32_t n = 0; n < 4; n++) {
        Drive d;
        FaultRule rule = rule_of(FaultKind::vanish, std::nullopt, 1);
        rule.skip = n;
        d.device.faults().add(rule);
        for (std::uint32_t i = 0; i < 5; i++) {
            REQUIRE(d.write(i, 1, 'a') == (i < n ? Errc::ok : Errc::device_gone));
        }
    }
}
