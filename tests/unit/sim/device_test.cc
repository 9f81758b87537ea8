// A simulated drive keeps the contract of dev::BlockDevice, counts, and takes virtual time.
#include <algorithm>
#include <set>

#include "device_fixture.h"
#include "sim/choice_stream.h"

using namespace xsan;
using namespace xsan::sim;
using namespace xsan::sim::test;

namespace {

Task<void> mixed_work(World& world, SimDevice& device, std::uint16_t worker, int operations) {
    const ChoiceLabel label{Subsystem::workload, worker};
    for (int i = 0; i < operations; i++) {
        const std::size_t block = world.choices().below(64, label);
        const std::size_t count = 1 + world.choices().below(8, label);
        const std::uint32_t kind = world.choices().below(4, label);
        bool failed = false;
        if (kind == 0) {
            failed = !(co_await device.flush()).has_value();
        } else if (kind == 1) {
            std::vector<std::byte> data(count * kBlock);
            failed = !(co_await device.read(block * kBlock, data)).has_value();
        } else {
            const auto data = blocks(count, static_cast<char>('a' + i % 26));
            failed = !(co_await device.write(block * kBlock, data, kind == 3)).has_value();
        }
        // What a worker does next depends on it, as in an engine.
        if (failed) co_await sleep_for(kMillisecond);
    }
}

struct RunResult {
    std::uint64_t trace;
    std::uint64_t content;
    std::uint64_t after_cut;
    friend bool operator==(const RunResult&, const RunResult&) = default;
};

RunResult mixed_run(ChoiceStream& choices) {
    WorldOptions options;
    options.reactors = 3;
    options.order = Order::random;
    World world(choices, options);
    SimDeviceOptions o = small_blocks();
    o.latency.spread = 20 * kMicrosecond;
    o.latency.tail_percent = 2;
    o.latency.tail = kMillisecond;
    SimDevice device(world, o);
    FaultRule rule;
    rule.percent = 5;
    rule.effect = FailedEffect::torn;
    device.faults().add(rule);
    for (std::uint16_t w = 0; w < 6; w++)
        world.spawn(mixed_work(world, device, w, 50), w % 3u);
    world.run_until_idle();
    REQUIRE(world.spawned_running() == 0);
    return {world.trace_hash(), device.media().visible().hash(), device.cut_image(choices).hash()};
}

}  // namespace

TEST_CASE("what was written is read; what was not is zeros", "[sim][device]") {
    Drive d;
    REQUIRE(d.write(2, 3, 'a') == Errc::ok);
    REQUIRE(d.text(0, 7) == "..aaa..");
    REQUIRE(d.zero(3, 1) == Errc::ok);
    REQUIRE(d.text(0, 7) == "..a.a..");
    REQUIRE(d.discard(4, 2) == Errc::ok);
    REQUIRE(d.text(0, 7) == "..a....");
    std::vector<std::byte> seen(kBlock);
    d.device.peek(2 * kBlock, seen);
    REQUIRE(letters(seen) == "a");
}

TEST_CASE("requests of several pieces are gathered and scattered in order", "[sim][device]") {
    Drive d;
    auto a = blocks(1, 'a');
    auto b = blocks(2, 'b');
    iovec pieces[2] = {{a.data(), a.size()}, {b.data(), b.size()}};
    dev::IoRequest request;
    request.kind = dev::IoKind::write;
    request.length = 3 * kBlock;
    request.iov = pieces;
    request.iov_count = 2;
    bool done = false;
    request.owner = &done;
    request.done = [](dev::IoRequest& r) { *static_cast<bool*>(r.owner) = true; };
    d.world.reactor().enter([&] { d.device.submit(request); });
    REQUIRE_FALSE(done);  // never inside submit
    REQUIRE(d.world.run_until([&] { return done; }));
    REQUIRE(d.text(0, 3) == "abb");

    request.kind = dev::IoKind::read;
    std::swap(pieces[0], pieces[1]);
    done = false;
    d.world.reactor().enter([&] { d.device.submit(request); });
    REQUIRE(d.world.run_until([&] { return done; }));
    REQUIRE((letters(b) == "ab" && letters(a) == "b"));
}

TEST_CASE("a request completes on the reactor that submitted it", "[sim][device]") {
    WorldOptions options;
    options.reactors = 4;
    Drive d(small_blocks(), 1, options);
    const auto where = [](SimDevice& device) -> Task<unsigned> {
        const auto flushed = co_await device.flush();
        REQUIRE(flushed.has_value());
        co_return Reactor::current().index();
    };
    for (unsigned i = 0; i < 4; i++)
        REQUIRE(d.world.run(where(d.device), i) == i);
}

TEST_CASE("time passes as the latency model says", "[sim][device]") {
    SimDeviceOptions o = small_blocks();
    o.latency.base = 100;
    o.latency.per_kib = 50;
    SECTION("alone") {
        Drive d(o);
        const TimeNs begin = d.world.now();
        d.write(0, 32, 'a');  // 2 KiB
        REQUIRE(d.world.now() - begin == 200);
    }
    SECTION("queued behind others when channels are few") {
        o.latency.channels = 2;
        Drive d(o);
        const TimeNs begin = d.world.now();
        Errc results[5];
        for (std::size_t i = 0; i < 5; i++) {
            d.start(write_task(d.device, i, 16, 'a', false), results[i]);
        }
        d.world.run_until_idle();
        REQUIRE(d.world.now() - begin == 3 * 150);
        REQUIRE(d.device.counters().outstanding_max == 5);
    }
}

TEST_CASE("requests overtake each other only where the device reorders", "[sim][device]") {
    for (const bool reorder : {false, true}) {
        int overtaken = 0;
        for (std::uint64_t seed = 0; seed < 20; seed++) {
            SimDeviceOptions o = small_blocks();
            o.reorder = reorder;
            o.latency.spread = kMillisecond;
            WorldOptions options;
            options.order = Order::random;
            Drive d(o, seed, options);
            std::vector<int> order;
            const auto one = [](SimDevice& device, std::vector<int>& log, int who) -> Task<void> {
                const auto flushed = co_await device.flush();
                REQUIRE(flushed.has_value());
                log.push_back(who);
            };
            for (int i = 0; i < 8; i++)
                d.world.spawn(one(d.device, order, i));
            d.world.run_until_idle();
            REQUIRE(order.size() == 8);
            if (!std::is_sorted(order.begin(), order.end())) overtaken++;
        }
        if (reorder) REQUIRE(overtaken > 15);
        if (!reorder) REQUIRE(overtaken == 0);
    }
}

TEST_CASE("requests are counted by kind and told to the hook", "[sim][device]") {
    Drive d;
    std::vector<std::pair<dev::IoKind, std::uint64_t>> seen;
    d.device.on_io = [&](dev::IoKind kind, std::uint64_t offset, std::uint64_t) {
        seen.emplace_back(kind, offset);
    };
    d.write(1, 3, 'a');
    d.write(2, 1, 'a', true);
    d.text(0, 4);
    d.flush();
    const IoCounters& c = d.device.counters();
    REQUIRE((c.of(dev::IoKind::write).count == 2 && c.of(dev::IoKind::write).bytes == 4 * kBlock));
    REQUIRE((c.of(dev::IoKind::read).count == 1 && c.of(dev::IoKind::read).bytes == 4 * kBlock));
    REQUIRE((c.of(dev::IoKind::flush).count == 1 && c.fua_writes == 1 && c.errors == 0));
    REQUIRE(seen.size() == 4);
    REQUIRE(seen[1] == std::pair{dev::IoKind::write, std::uint64_t{2 * kBlock}});
    d.device.reset_counters();
    REQUIRE(d.device.counters().of(dev::IoKind::write).count == 0);
}

TEST_CASE("the same seed gives the same run, the same content and the same cut", "[sim][device]") {
    std::set<std::uint64_t> traces;
    for (std::uint64_t seed = 0; seed < 20; seed++) {
        ChoiceStream first(seed);
        ChoiceStream second(seed);
        first.record(true);
        const RunResult result = mixed_run(first);
        REQUIRE(result == mixed_run(second));
        ChoiceStream replayed(first.trace());
        REQUIRE(result == mixed_run(replayed));
        traces.insert(result.trace);
    }
    REQUIRE(traces.size() == 20);
}

TEST_CASE("a discard that promises nothing reads as zeros, unchanged or a mix, and stays so",
          "[sim][device]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 30; seed++) {
        SimDeviceOptions o = small_blocks();
        o.discard_zeroes = false;
        Drive d(o, seed);
        REQUIRE_FALSE(d.device.limits().discard_zeroes);
        d.write(0, 4, 'a');
        REQUIRE(d.discard(0, 4) == Errc::ok);
        seen.insert(d.text(0, 4));
        REQUIRE(d.text(0, 4) == d.text(0, 4));
    }
    REQUIRE(seen == std::set<std::string>{"....", "aaaa", ".a.a"});
    SimDeviceOptions none = small_blocks();
    none.discard = false;
    Drive d(none);
    REQUIRE(d.discard(0, 4) == Errc::unsupported);
}

TEST_CASE("a large drive is cheap", "[sim][device]") {
    SimDeviceOptions o;
    o.size_bytes = 64ull << 40;
    World world;
    SimDevice device(world, o);
    const auto touch = [](SimDevice& d) -> Task<void> {
        const std::vector<std::byte> data(4096, std::byte{1});
        for (std::uint64_t i = 0; i < 64; i++) {
            const auto written = co_await d.write(i << 40, data);
            REQUIRE(written.has_value());
        }
        const auto discarded = co_await d.discard(0, 64ull << 40);
        REQUIRE(discarded.has_value());
    };
    world.run(touch(device));
    REQUIRE(device.media().visible() == SparseImage());
}
