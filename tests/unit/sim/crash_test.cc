// Power cuts of a simulated drive, through its requests.
#include <set>

#include "device_fixture.h"

using namespace xsan;
using namespace xsan::sim;
using namespace xsan::sim::test;

namespace {

// Every content of the first `count` blocks that a cut now can leave.
std::set<std::string> cuts(const SimDevice& device, std::size_t count) {
    std::set<std::string> all;
    ChoiceTrace trace;
    do {
        ChoiceStream choices(trace);
        choices.record(true);
        all.insert(letters(device.cut_image(choices, {50}), count));
        trace = choices.trace();
    } while (next_trace(trace));
    return all;
}

using Cuts = std::set<std::string>;

}  // namespace

TEST_CASE("a flush covers completed writes and not those completed after it was submitted",
          "[sim][crash]") {
    Drive d;
    REQUIRE(d.write(0, 1, 'a') == Errc::ok);
    REQUIRE(cuts(d.device, 2) == Cuts{"..", "a."});
    FaultRule hold;
    hold.kind = FaultKind::hold;
    hold.on = dev::IoKind::flush;
    d.device.faults().add(hold);
    Errc flushed = Errc::busy;
    d.start(flush_task(d.device), flushed);
    REQUIRE(d.write(1, 1, 'b') ==
            Errc::ok);  // submitted and completed while the flush is under way
    REQUIRE(cuts(d.device, 2) == Cuts{"..", "a.", ".b", "ab"});
    d.device.release_held();
    d.world.run_until_idle();
    REQUIRE(flushed == Errc::ok);
    REQUIRE(cuts(d.device, 2) == Cuts{"a.", "ab"});
}

TEST_CASE("a write in flight when the flush was submitted is not covered by it", "[sim][crash]") {
    Drive d;
    FaultRule hold;
    hold.kind = FaultKind::hold;
    const auto rule = d.device.faults().add(hold);
    Errc written = Errc::busy;
    Errc flushed = Errc::busy;
    d.start(write_task(d.device, 0, 1, 'a', false), written);
    d.start(flush_task(d.device), flushed);
    d.device.faults().remove(rule);
    d.device.release_held();
    d.world.run_until_idle();
    REQUIRE((written == Errc::ok && flushed == Errc::ok));
    REQUIRE(cuts(d.device, 1) == Cuts{".", "a"});
}

TEST_CASE("a FUA write survives every cut", "[sim][crash]") {
    Drive d;
    d.write(0, 2, 'a');
    d.write(1, 1, 'f', true);
    REQUIRE(cuts(d.device, 2) == Cuts{".f", "af"});
}

TEST_CASE("writes in flight are torn at the atomic unit, with and without a cache",
          "[sim][crash]") {
    for (const bool volatile_cache : {false, true}) {
        SimDeviceOptions o = small_blocks(volatile_cache);
        o.atomic_bytes = 2 * kBlock;
        Drive d(o);
        Errc written = Errc::busy;
        d.start(write_task(d.device, 0, 4, 'a', false), written);
        REQUIRE(cuts(d.device, 4) == Cuts{"....", "aa..", "..aa", "aaaa"});
        d.world.run_until_idle();
        REQUIRE(cuts(d.device, 4).size() == (volatile_cache ? 4 : 1));
    }
}

TEST_CASE("after a power cut the content is durable and stays", "[sim][crash]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 100; seed++) {
        Drive d(small_blocks(), seed);
        d.write(0, 2, 'a', true);
        d.write(0, 2, 'b');
        Errc outstanding = Errc::ok;
        d.start(write_task(d.device, 2, 1, 'c', false), outstanding);
        d.device.power_cut({}, SimDevice::Outstanding::fail);
        d.world.run_until_idle();
        REQUIRE(outstanding == Errc::device_gone);
        const std::string after = d.text(0, 3);
        seen.insert(after);
        REQUIRE(cuts(d.device, 3) == Cuts{after});
        d.device.power_cut();
        REQUIRE(d.text(0, 3) == after);
    }
    REQUIRE(seen.size() == 8);
}

TEST_CASE("requests that a cut dropped are never completed", "[sim][crash]") {
    Drive d;
    dev::IoRequest request;
    auto data = blocks(1, 'a');
    request.kind = dev::IoKind::write;
    request.set_buffer(data.data(), data.size());
    request.done = [](dev::IoRequest&) { FAIL("completed"); };
    d.world.reactor().enter([&] { d.device.submit(request); });
    REQUIRE(d.device.outstanding() == 1);
    d.device.power_cut({0});
    REQUIRE(d.device.outstanding() == 0);
    REQUIRE(d.world.events_pending() == 0);
    d.world.run_until_idle();
    REQUIRE(d.text(0, 1) == ".");
}

TEST_CASE("a cut image restores on another drive while the first runs on", "[sim][crash]") {
    Drive d;
    d.write(0, 2, 'a', true);
    d.write(1, 2, 'b');
    ChoiceStream choices(3);
    SparseImage image = d.device.cut_image(choices, {100});
    d.write(0, 3, 'z', true);

    Drive other;
    other.device.restore(image);
    REQUIRE(other.text(0, 3) == "abb");
    other.write(0, 1, 'o', true);
    REQUIRE(letters(image, 3) == "abb");
    REQUIRE(d.text(0, 3) == "zzz");
}
