// Requests of a volume against a model: thin mapping, space, discard.
#include <set>

#include "unit/pool/model.h"

namespace xsan::test {
namespace {

std::uint64_t used_bytes(Rig& rig) {
    std::uint64_t used = 0;
    for (const auto& member : rig.pool->member_status()) used += member.used_bytes;
    return used;
}

}  // namespace

TEST_CASE("random requests of any size match the model") {
    struct Case {
        const char* scheme;
        unsigned members;
        std::uint32_t strip;
    };
    const auto c = GENERATE(Case{"4+2", 6, 4096}, Case{"3+2", 7, 16384}, Case{"raid10", 4, 65536},
                            Case{"1+1", 3, 16384}, Case{"5+0", 6, 16384}, Case{"linear", 2, 65536},
                            Case{"raid4", 4, 16384});
    RigOptions options;
    options.scheme = c.scheme;
    options.members = c.members;
    options.strip_bytes = c.strip;
    options.seed = c.members * 7 + c.strip;
    Rig rig(options);
    rig.create();
    constexpr std::uint64_t kBytes = 10 * kMiB + 4096 * 3;
    pool::Volume& v = rig.create_volume("data", kBytes);
    Model model(kBytes);
    WorkOptions w;
    w.operations = 120;
    w.blocks_max = 600;
    Work work{model, v, v.cluster_bytes(), w};
    start_workers(rig, work, 8, options.seed);
    finish_workers(rig, work);
    INFO(rig.log.text());
    REQUIRE(verify(rig, v, model, Model::After::acknowledgement) == "");
    if (rig.scheme().parity_strips > 0) rig.require_clean_scrub();
    rig.stop();
    rig.require(rig.assemble());
    model.all_durable();
    REQUIRE(verify(rig, rig.volume(), model, Model::After::cut) == "");
    rig.stop();
}

TEST_CASE("unmapped space reads as zeros and takes none; discard gives space back") {
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", kGiB);
    CHECK(used_bytes(rig) == 0);
    CHECK(rig.is_zero(v, 512 * kMiB, kMiB));
    CHECK(v.mapped_bytes() == 0);
    REQUIRE(rig.fill(v, 700 * kMiB, 3 * kMiB) == Errc::ok);
    CHECK(v.mapped_bytes() >= 3 * kMiB);
    CHECK(rig.holds(v, 700 * kMiB, 3 * kMiB));
    REQUIRE(rig.discard(v, 700 * kMiB, 3 * kMiB) == Errc::ok);
    CHECK(v.mapped_bytes() <= v.cluster_bytes());
    CHECK(rig.is_zero(v, 701 * kMiB, kMiB));
    rig.stop();
    rig.require(rig.assemble());
    CHECK(rig.is_zero(rig.volume(), 701 * kMiB, kMiB));
    rig.stop();
}

TEST_CASE("zeros that are to keep their space are written, and unmapped space stays unmapped") {
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", 64 * kMiB);
    const std::uint64_t cluster = v.cluster_bytes();
    REQUIRE(rig.fill(v, 0, 4 * cluster) == Errc::ok);
    const std::uint64_t mapped = v.mapped_bytes();
    auto zero = [&](std::uint64_t offset, std::uint64_t length, bool keep_space) -> Task<Errc> {
        dev::IoAwaiter awaiter(v, dev::IoKind::write_zeroes, offset);
        awaiter.request().length = length;
        awaiter.request().keep_space = keep_space;
        const Result<void> done = co_await awaiter;
        co_return done.error().code;
    };
    REQUIRE(rig.world.run(zero(4096, 8 * cluster, true)) == Errc::ok);
    CHECK(v.mapped_bytes() == mapped);
    CHECK(rig.holds(v, 0, 4096));
    CHECK(rig.is_zero(v, 4096, 8 * cluster));
    REQUIRE(rig.world.run(zero(0, 2 * cluster, false)) == Errc::ok);
    CHECK(v.mapped_bytes() == mapped - 2 * cluster);
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a full pool answers ENOSPC, changes nothing, and others go on") {
    RigOptions options;
    options.spread = 5 * kMicrosecond;
    Rig rig(options);
    rig.create();
    const std::uint64_t room = rig.pool->data_bytes_total(rig.scheme());
    pool::Volume& v = rig.create_volume("data", 2 * room);
    // Many at a time, so that writers wait for groups that others are having made.
    const unsigned clusters = static_cast<unsigned>(room / v.cluster_bytes());
    struct Shared {
        Rig& rig;
        pool::Volume& v;
        std::set<std::uint64_t> written;
        unsigned refused = 0;
        unsigned other = 0;
        unsigned running = 0;
        Task<void> write(std::uint64_t at) {
            running++;
            auto data = Rig::pattern(at, 8192, 1);
            const Errc code = co_await request(v, dev::IoKind::write, at, data, 0);
            if (code == Errc::ok) {
                written.insert(at);
            } else if (code == Errc::no_space) {
                refused++;
            } else {
                other++;
            }
            running--;
        }
    } shared{rig, v, {}, 0, 0, 0};
    for (unsigned i = 0; i < clusters + 20; i++) {
        rig.world.spawn(shared.write(std::uint64_t{i} * v.cluster_bytes()), i % 3);
    }
    REQUIRE(rig.wait_until([&] { return shared.running == 0; }));
    CHECK(shared.other == 0);
    CHECK(shared.refused == 20);
    CHECK(shared.written.size() == clusters);
    for (const std::uint64_t at : shared.written) REQUIRE(rig.holds(v, at, 8192));
    const std::uint64_t first = *shared.written.begin();
    REQUIRE(rig.fill(v, first, 8192) == Errc::ok);
    // What is given back can be used by another place.
    const std::uint64_t last = (clusters + 19ull) * v.cluster_bytes();
    const std::uint64_t refused = shared.written.contains(last) ? 0 : last;
    REQUIRE(rig.discard(v, first, v.cluster_bytes()) == Errc::ok);
    if (refused != 0) {
        CHECK(rig.is_zero(v, refused, 8192));
        REQUIRE(rig.fill(v, refused, 8192) == Errc::ok);
        CHECK(rig.holds(v, refused, 8192));
    }
    CHECK(rig.is_zero(v, first, 8192));
    rig.stop();
}

TEST_CASE("writes and discards that race end in a state that one of them made") {
    RigOptions options;
    options.seed = GENERATE(range(60, 70));
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 4 * kMiB);
    struct Racer {
        pool::Volume& v;
        unsigned running = 0;
        unsigned errors = 0;
        Task<void> run(std::uint64_t seed, bool discards) {
            running++;
            Rng rng(seed);
            for (unsigned i = 0; i < 30; i++) {
                const std::uint64_t at = rng.next() % 12 * (256 * kKiB);
                Errc code = Errc::ok;
                if (discards) {
                    const auto kind = i % 2 == 0 ? dev::IoKind::discard : dev::IoKind::write_zeroes;
                    code = co_await request(v, kind, at, {}, 1 * kMiB);
                } else {
                    auto data = Work::content(64, seed);
                    code = co_await request(v, dev::IoKind::write, at, data, 0);
                }
                if (code != Errc::ok) errors++;
            }
            running--;
        }
    } racer{v};
    for (unsigned i = 0; i < 6; i++) {
        rig.world.spawn(racer.run(options.seed * 100 + i * 2 + 1, i % 2 == 0), i % 3);
    }
    REQUIRE(rig.wait_until([&] { return racer.running == 0; }));
    CHECK(racer.errors == 0);
    std::vector<std::byte> data(4 * kMiB);
    REQUIRE(rig.read(v, 0, data) == Errc::ok);
    for (std::uint64_t at = 0; at < data.size(); at += 4096) {
        std::uint64_t word = 0;
        std::memcpy(&word, &data[at], 8);
        REQUIRE((word == 0 || (word / 100 == options.seed && word % 4 == 3)));
    }
    rig.require_clean_scrub();
    // What is not mapped is zero on every member: filling the volume anew shows no remains.
    rig.stop();
    rig.require(rig.assemble());
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a member that is lost while a discard flushes it stays open until the flush has ended") {
    Rig rig(RigOptions{.spread = 0});
    rig.create();
    pool::Volume& v = rig.create_volume("data", 8 * kMiB);
    REQUIRE(rig.fill(v, 0, 4 * kMiB) == Errc::ok);
    REQUIRE(rig.flush(v) == Errc::ok);
    sim::FaultRule rule;
    rule.kind = sim::FaultKind::hold;
    rule.on = dev::IoKind::flush;
    rule.count = 1;
    rig.drives[2]->faults().add(rule);
    Errc answer = Errc::busy;
    auto discard = [&]() -> Task<void> {
        answer = co_await request(v, dev::IoKind::discard, 0, {}, 2 * v.cluster_bytes());
    };
    rig.world.spawn(discard());
    REQUIRE(rig.wait_until([&] { return rig.drives[2]->held() == 1; }));
    rig.require(rig.fail_drive(2));
    rig.world.run_for(kSecond);  // the rig's drive asserts that nothing is in flight when it is closed
    CHECK(rig.drives[2]->held() == 1);
    rig.drives[2]->release_held();
    REQUIRE(rig.wait_until([&] { return answer != Errc::busy; }));
    CHECK(answer == Errc::ok);
    CHECK(rig.is_zero(v, 0, 2 * v.cluster_bytes()));
    rig.stop();
}

TEST_CASE("requests that are no whole blocks or pass the end are refused") {
    Rig rig;
    rig.create();
    pool::Volume& v = rig.create_volume("data", 4 * kMiB);
    std::vector<std::byte> data(8192);
    CHECK(rig.write(v, 512, data) == Errc::invalid_argument);
    CHECK(rig.write(v, 4 * kMiB - 4096, data) == Errc::invalid_argument);
    CHECK(rig.read(v, UINT64_MAX - 4095, data) == Errc::invalid_argument);
    CHECK(rig.discard(v, 0, 5 * kMiB) == Errc::invalid_argument);
    rig.stop();
}

}  // namespace xsan::test
