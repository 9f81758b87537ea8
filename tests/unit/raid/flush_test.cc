// Flush and FUA: what is durable when, and which devices are asked.
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

using Kind = FaultEvent::Kind;

std::uint64_t flushes(const Rig& rig) {
    return rig.total(dev::IoKind::flush).count;
}

}  // namespace

TEST_CASE("a flush asks the members that were written since their last flush, and no others") {
    Rig rig({"4+2", 6});
    rig.fill();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(flushes(rig) == 6);
    rig.reset_counters();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(flushes(rig) == 0);
    REQUIRE(rig.write(0, Rig::pattern(kBlock, 1)) == Errc::ok);
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(flushes(rig) == 3);
    for (const auto& d : rig.devices) {
        CHECK(d->counters().of(dev::IoKind::flush).count ==
              d->counters().of(dev::IoKind::write).count);
    }
    std::vector<std::byte> out(kBlock);
    REQUIRE(rig.read(0, out) == Errc::ok);
    rig.reset_counters();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(flushes(rig) == 0);
}

TEST_CASE("members without a volatile cache are not flushed") {
    RigOptions o;
    o.volatile_cache = false;
    Rig rig({"4+1", 5}, o);
    rig.fill();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(flushes(rig) == 0);
}

TEST_CASE("a write that completes while a flush is under way is left to the next flush") {
    Rig rig({"4+0", 4});
    const unsigned member = rig.member_of(0);
    REQUIRE(rig.write(0, Rig::pattern(kBlock, 1)) == Errc::ok);
    sim::FaultRule slow;
    slow.kind = sim::FaultKind::slow;
    slow.on = dev::IoKind::flush;
    slow.delay = 50 * kMillisecond;
    slow.count = 1;
    rig.devices[member]->faults().add(slow);
    const auto both = [](Rig& r) -> Task<void> {
        const auto data = Rig::pattern(kBlock, 2);
        std::vector<Task<Result<void>>> tasks;
        tasks.push_back(r.engine.flush());
        tasks.push_back(r.scoped_write(0, kBlock, data.data(), {}));
        co_await when_all(std::span(tasks));
        for (auto& t : tasks) {
            const auto result = t.take();
            CHECK(result.has_value());
        }
    };
    rig.world.run(both(rig));
    rig.reset_counters();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(rig.devices[member]->counters().of(dev::IoKind::flush).count == 1);
}

TEST_CASE("what a flush covered survives a power cut, also with P members lost afterwards") {
    for (const Shape& shape : kShapes) {
        Rig rig(shape);
        CAPTURE(shape.text);
        const auto content = rig.fill();
        REQUIRE(rig.flush() == Errc::ok);
        sim::CutOptions nothing;
        nothing.keep_percent = 0;
        for (auto& d : rig.devices)
            d->power_cut(nothing);
        CHECK(rig.reads_as(content));
        rig.for_each_loss(rig.scheme().losses_promised(), [&](std::uint64_t lost) {
            if (rig.total_strips() > 6 && std::popcount(lost) > 1) return;
            rig.pool.set_lost(lost);
            CHECK(rig.reads_as(content));
        });
    }
}

TEST_CASE("a FUA write is FUA on every strip that it writes and survives a power cut") {
    for (const Shape& shape : kShapes) {
        Rig rig(shape);
        CAPTURE(shape.text);
        auto content = rig.fill();
        REQUIRE(rig.flush() == Errc::ok);
        rig.reset_counters();
        const auto data = Rig::pattern(3 * kBlock, 8);
        raid::WriteFlags fua;
        fua.fua = true;
        REQUIRE(rig.write(kBlock, data, fua) == Errc::ok);
        std::copy(data.begin(), data.end(), content.begin() + kBlock);
        std::uint64_t fua_writes = 0;
        for (const auto& d : rig.devices)
            fua_writes += d->counters().fua_writes;
        CHECK(fua_writes == rig.writes());
        sim::CutOptions nothing;
        nothing.keep_percent = 0;
        for (auto& d : rig.devices)
            d->power_cut(nothing);
        CHECK(rig.reads_as(content));
        rig.require_parity_agrees();
    }
}

TEST_CASE("a failing flush fails the member, durably before the flush is answered") {
    Rig rig({"4+1", 5});
    const auto content = rig.fill();
    rig.pool.commit_time = kMillisecond;
    sim::FaultRule rule;
    rule.on = dev::IoKind::flush;
    rig.devices[2]->faults().add(rule);
    const TimeNs begin = rig.world.now();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK(rig.world.now() >= begin + kMillisecond);
    CHECK_FALSE(rig.pool.is_live(2));
    CHECK(rig.reads_as(content));
    // Where losing one more would lose data, the flush is answered with the error and nobody is
    // lost.
    REQUIRE(rig.write(0, std::span(content).subspan(0, rig.scheme().stripe_data_bytes())) ==
            Errc::ok);
    rig.devices[3]->faults().add(rule);
    CHECK(rig.flush() == Errc::io_error);
    CHECK(rig.pool.is_live(3));
    CHECK(rig.pool.count(Kind::member_refused) == 1);
    CHECK(rig.reads_as(content));
    // A later flush that succeeds would say nothing about what the failed one has lost: no flush
    // succeeds before the member is recorded as lost, or is back anew.
    rig.devices[3]->faults().clear();
    CHECK(rig.flush() == Errc::io_error);
    rig.devices[2]->faults().clear();
    rig.pool.set_live(2, true);
    rig.engine.traffic().forget_failed_flush(MemberIndex{2});
    CHECK(rig.flush() == Errc::ok);
    CHECK_FALSE(rig.pool.is_live(3));
}

TEST_CASE("a flush does not succeed while another's failure on the same member is being recorded") {
    Rig rig({"4+1", 5});
    rig.fill();
    rig.pool.commit_time = 10 * kMillisecond;
    sim::FaultRule rule;
    rule.on = dev::IoKind::flush;
    rule.count = 1;
    rig.devices[2]->faults().add(rule);
    std::vector<TimeNs> answered;
    const auto flush = [&](TimeNs after) -> Task<void> {
        co_await sleep_for(after);
        const auto flushed = co_await rig.engine.flush();
        CHECK(flushed.has_value());
        CHECK_FALSE(rig.pool.is_live(2));  // the loss is durable when anybody is told
        answered.push_back(rig.world.now());
    };
    rig.world.spawn(flush(0));
    rig.world.spawn(flush(kMillisecond));
    rig.world.run_until_idle();
    CHECK(answered.size() == 2);
}

TEST_CASE("a member that vanishes before a flush is lost and the flush succeeds") {
    Rig rig({"4+2", 6});
    const auto content = rig.fill();
    rig.devices[1]->vanish();
    REQUIRE(rig.flush() == Errc::ok);
    CHECK_FALSE(rig.pool.is_live(1));
    CHECK(rig.reads_as(content));
}

}  // namespace xsan::test
