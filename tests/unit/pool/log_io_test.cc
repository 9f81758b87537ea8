// What the stripe log costs, counted exactly: appends, bytes and flushes on each member.
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kLoggedBlock = 4096;

struct Case {
    const char* scheme;
    unsigned members;
    unsigned parity;
};
constexpr Case kCases[] = {{"4+1", 5, 1}, {"4+2", 6, 2}, {"8+3", 11, 3}};

struct LogRig {
    Rig rig;
    pool::Volume* volume = nullptr;

    explicit LogRig(const char* scheme, unsigned members) : rig(options(scheme, members)) {
        rig.create();
        volume = &rig.create_volume("data", 8 * kMiB);
        // Mapped, and nothing of it in the log any more.
        REQUIRE(rig.fill(*volume, 0, 4 * kMiB) == Errc::ok);
        rig.world.run_for(20 * kSecond);
        for (auto& drive : rig.drives) drive->reset_counters();
    }
    static RigOptions options(const char* scheme, unsigned members) {
        RigOptions o;
        o.scheme = scheme;
        o.members = members;
        o.strip_bytes = 64 * 1024;
        o.reactors = 1;
        o.consistency = meta::Consistency::log;
        return o;
    }
    pool::StripeLog::Counters counters() const { return rig.pool->stripe_log()->counters(); }
    std::uint64_t flushes() const {
        std::uint64_t sum = 0;
        for (auto& drive : rig.drives) sum += drive->counters().of(dev::IoKind::flush).count;
        return sum;
    }
};

Task<void> write_one(LogRig& rig, std::uint64_t block, unsigned& left) {
    auto data = Rig::pattern(block * kLoggedBlock, kLoggedBlock, 77);
    const Errc code =
        co_await Rig::request(*rig.volume, dev::IoKind::write, block * kLoggedBlock, data, 0);
    CHECK(code == Errc::ok);
    left--;
}

Task<void> write_some(LogRig& rig, unsigned count, std::uint64_t seed, unsigned& left) {
    Rng rng(seed);
    for (unsigned i = 0; i < count; i++) co_await write_one(rig, rng.next() % 1024, left);
}

}  // namespace

TEST_CASE("log: a 4 KiB write alone costs one append with FUA on each parity member") {
    for (const Case& c : kCases) {
        DYNAMIC_SECTION(c.scheme) {
            LogRig rig(c.scheme, c.members);
            const auto before = rig.counters();
            const TimeNs began = rig.rig.world.now();
            Rng rng(3);
            for (unsigned i = 1; i <= 50; i++) {
                auto data = Rig::pattern(i, kLoggedBlock, i);
                REQUIRE(rig.rig.write(*rig.volume, rng.next() % 1024 * kLoggedBlock, data) ==
                        Errc::ok);
                const auto now = rig.counters();
                REQUIRE(now.batches - before.batches == std::uint64_t{i} * c.parity);
                // The new data, the member's parity, and a block of descriptors.
                REQUIRE(now.bytes - before.bytes == std::uint64_t{i} * c.parity * 3 * kLoggedBlock);
            }
            // Those of the cleaner, which comes by every five seconds.
            const std::uint64_t looks = 2 + (rig.rig.world.now() - began) / (5 * kSecond);
            CHECK(rig.flushes() <= looks * 2 * c.members);
        }
    }
}

TEST_CASE("log: writes that arrive together share a batch") {
    LogRig rig("4+2", 6);
    const auto before = rig.counters();
    unsigned left = 16;
    // One in each stripe, else they would be one write.
    rig.rig.world.run([](LogRig& r, unsigned& n) -> Task<void> {
        std::vector<Task<void>> writes;
        for (unsigned i = 0; i < 16; i++) writes.push_back(write_one(r, i * 64 + i, n));
        co_await when_all(std::span(writes));
    }(rig, left));
    CHECK(left == 0);
    const auto now = rig.counters();
    const std::uint64_t batches = now.batches - before.batches;
    CHECK(now.records - before.records == 32);
    CHECK(batches < 16);
    // At most P (d x 4 KiB + 4 KiB) a write, and a block for each batch.
    CHECK(now.bytes - before.bytes <= 16 * 2 * 2 * kLoggedBlock + batches * kLoggedBlock);
}

TEST_CASE("log: random writes of 4 KiB at depth 32 cost at most P (4 KiB + 4 KiB) each, and a block a batch") {
    for (const Case& c : kCases) {
        DYNAMIC_SECTION(c.scheme) {
            constexpr unsigned kDepth = 32, kRounds = 50;
            LogRig rig(c.scheme, c.members);
            const auto before = rig.counters();
            unsigned left = kDepth * kRounds;
            rig.rig.world.run([](LogRig& r, unsigned& n) -> Task<void> {
                std::vector<Task<void>> workers;
                for (unsigned i = 0; i < kDepth; i++) workers.push_back(write_some(r, kRounds, i, n));
                co_await when_all(std::span(workers));
            }(rig, left));
            REQUIRE(left == 0);
            const auto now = rig.counters();
            const std::uint64_t batches = now.batches - before.batches;
            CHECK(now.bytes - before.bytes <=
                  kDepth * kRounds * c.parity * 2 * kLoggedBlock + batches * kLoggedBlock);
            // Each batch carries several: a write alone would make one on each parity member.
            CHECK(batches < kDepth * kRounds * c.parity / 2);
        }
    }
}

TEST_CASE("log: a ring that fills up makes writers wait, and nothing is lost") {
    LogRig rig("4+1", 5);
    Rng rng(9);
    // Many times the ring's size.
    for (unsigned i = 0; i < 1500; i++) {
        const std::uint64_t block = rng.next() % 960;
        auto data = Rig::pattern(block * kLoggedBlock, 12 * kLoggedBlock, 5);
        REQUIRE(rig.rig.write(*rig.volume, block * kLoggedBlock, data) == Errc::ok);
    }
    CHECK(rig.counters().tails > 5);
    rig.rig.require_clean_scrub();
    rig.rig.stop();
    rig.rig.require(rig.rig.assemble());
    // A clean stop leaves nothing to replay.
    CHECK(rig.rig.log.text().find("replayed") == std::string::npos);
}

}  // namespace xsan::test
