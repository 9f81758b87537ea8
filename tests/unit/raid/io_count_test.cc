// Exact numbers of device I/Os: the first four rows of design.md section 10, in all shapes.
#include "unit/raid/fixture.h"

namespace xsan::test {
namespace {

std::string title(const Shape& shape) {
    return std::string(shape.text) + " on " + std::to_string(shape.members);
}

// Device I/Os of a write that touches d data strips at the same rows.
std::uint64_t write_cost(const ec::Scheme& scheme, unsigned d) {
    const unsigned k = scheme.data_strips, p = scheme.parity_strips;
    switch (scheme.kind) {
        case ec::CodeKind::striping:
        case ec::CodeKind::linear:
            return d;
        case ec::CodeKind::mirror:
            return d * (1 + p);
        case ec::CodeKind::mirror_pairs:
            return d * 2;
        case ec::CodeKind::parity:
            return std::min(2 * (d + p), k + p);
    }
    return 0;
}

// Writes that are started in one batch, as one reap of a queue gives them.
Task<void> write_batch(Rig& rig, std::uint64_t offset, std::uint64_t length, std::uint64_t request,
                       const std::byte* data) {
    std::vector<Task<Result<void>>> writes;
    for (std::uint64_t at = 0; at < length; at += request) {
        writes.push_back(rig.scoped_write(offset + at, request, data + at, {}));
    }
    co_await when_all(std::span(writes));
    for (auto& w : writes) {
        const auto result = w.take();
        CHECK(result.has_value());
    }
}

// A stream: each of `depth` writers takes the next request of a sequential job when its last was
// answered.
struct Stream {
    Rig& rig;
    std::uint64_t request;
    std::uint64_t end;
    const std::byte* data;
    std::uint64_t next = 0;
};
Task<Result<void>> stream_writer(Stream& s) {
    while (s.next < s.end) {
        const std::uint64_t at = s.next;
        s.next += s.request;
        const auto written = co_await s.rig.scoped_write(at, s.request, s.data + at, {});
        if (!written) co_return written;
    }
    co_return Result<void>{};
}
Task<void> stream(Stream& s, unsigned depth) {
    std::vector<Task<Result<void>>> writers;
    for (unsigned i = 0; i < depth; i++)
        writers.push_back(stream_writer(s));
    co_await when_all(std::span(writers));
    for (auto& w : writers) {
        const auto result = w.take();
        CHECK(result.has_value());
    }
}

}  // namespace

TEST_CASE("an aligned 4 KiB read of a healthy group is one device read") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            const auto content = rig.fill();
            rig.reset_counters();
            std::uint64_t reads = 0;
            for (std::uint64_t at = 0; at < content.size(); at += 5 * kBlock, reads++) {
                REQUIRE(rig.reads_as(std::span(content).subspan(at, kBlock), at));
            }
            CHECK(rig.reads() == reads);
            CHECK(rig.total(dev::IoKind::read).bytes == reads * kBlock);
            CHECK(rig.writes() == 0);
        }
    }
}

TEST_CASE("a large read of a healthy group reads each strip once and nothing else") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            const auto content = rig.fill();
            rig.reset_counters();
            const std::uint64_t bytes = 4 * rig.scheme().stripe_data_bytes();
            REQUIRE(rig.reads_as(std::span(content).subspan(0, bytes)));
            CHECK(rig.reads() == bytes / rig.scheme().strip_bytes);
            CHECK(rig.total(dev::IoKind::read).bytes == bytes);
        }
    }
}

TEST_CASE("a write of d blocks of a stripe row costs min(2(d+P), K+P), d, or d per copy") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            auto content = rig.fill();
            const std::uint32_t strip = rig.scheme().strip_bytes;
            // A contiguous write touches d strips at the same rows where it begins and ends at
            // strip bounds; the block-sized case is d = 1.
            for (unsigned d = 1; d <= rig.data_strips(); d++) {
                const std::uint64_t length = d == 1 ? kBlock : std::uint64_t{d} * strip;
                for (unsigned first = 0; first + d <= rig.data_strips(); first++) {
                    const std::uint64_t at = rig.scheme().stripe_data_bytes() * 3 + first * strip;
                    const auto data = Rig::pattern(length, d * 100 + first);
                    rig.reset_counters();
                    REQUIRE(rig.write(at, data) == Errc::ok);
                    CAPTURE(d, first);
                    CHECK(rig.reads() + rig.writes() == write_cost(rig.scheme(), d));
                    std::copy(data.begin(), data.end(),
                              content.begin() + static_cast<std::ptrdiff_t>(at));
                }
            }
            CHECK(rig.reads_as(content));
            rig.require_parity_agrees();
        }
    }
}

TEST_CASE("4 KiB random writes at depth 1 cost exactly what their plan says") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            rig.fill();
            rig.reset_counters();
            Rng rng(7);
            constexpr unsigned kWrites = 200;
            for (unsigned i = 0; i < kWrites; i++) {
                const auto data = Rig::pattern(kBlock, i);
                REQUIRE(rig.write(rng.below(rig.pool.data_bytes() / kBlock) * kBlock, data) ==
                        Errc::ok);
            }
            CHECK(rig.reads() + rig.writes() == kWrites * write_cost(rig.scheme(), 1));
            CHECK(rig.total(dev::IoKind::write).bytes + rig.total(dev::IoKind::read).bytes ==
                  kWrites * write_cost(rig.scheme(), 1) * kBlock);
            rig.require_parity_agrees();
        }
    }
}

TEST_CASE("blocks of one stripe row that are written together share one plan") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            rig.fill();
            const std::uint32_t strip = rig.scheme().strip_bytes;
            const auto data = Rig::pattern(rig.data_strips() * kBlock, 5);
            for (unsigned d = 1; d <= rig.data_strips(); d++) {
                const auto together = [](Rig& r, const std::byte* from, unsigned n,
                                         std::uint32_t step) -> Task<void> {
                    std::vector<Task<Result<void>>> writes;
                    for (unsigned i = 0; i < n; i++) {
                        writes.push_back(
                            r.scoped_write(std::uint64_t{i} * step, kBlock, from + i * kBlock, {}));
                    }
                    co_await when_all(std::span(writes));
                    for (auto& w : writes) {
                        const auto result = w.take();
                        CHECK(result.has_value());
                    }
                };
                rig.reset_counters();
                rig.world.run(together(rig, data.data(), d, strip));
                CAPTURE(d);
                CHECK(rig.reads() + rig.writes() == write_cost(rig.scheme(), d));
            }
            rig.require_parity_agrees();
        }
    }
}

TEST_CASE("sequential writes of whole stripes write (K+P)/K bytes per byte and read nothing") {
    for (const Shape& shape : kShapes) {
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            const auto content = Rig::pattern(rig.pool.data_bytes(), 3);
            Stream s{rig, rig.scheme().stripe_data_bytes(), content.size(), content.data()};
            rig.world.run(stream(s, 2));
            const double ratio = static_cast<double>(rig.total(dev::IoKind::write).bytes) /
                                 static_cast<double>(content.size());
            CHECK(ratio <= 1.02 * rig.total_strips() / rig.data_strips());
            CHECK(rig.reads() == 0);
            CHECK(rig.reads_as(content));
            rig.require_parity_agrees();
        }
    }
}

TEST_CASE("small sequential writes that arrive together merge into full stripes") {
    for (const Shape& shape : kShapes) {
        for (const std::uint64_t request : {4 * kKiB, 8 * kKiB, 16 * kKiB, 64 * kKiB}) {
            DYNAMIC_SECTION(title(shape) << " in requests of " << request) {
                Rig rig(shape);
                const auto content = Rig::pattern(rig.pool.data_bytes(), 3);
                const std::uint64_t batch = 2 * rig.scheme().stripe_data_bytes();
                for (std::uint64_t at = 0; at + batch <= content.size(); at += batch) {
                    rig.world.run(write_batch(rig, at, batch, request, content.data() + at));
                }
                CHECK(rig.total(dev::IoKind::write).bytes ==
                      content.size() * rig.total_strips() / rig.data_strips());
                CHECK(rig.reads() == 0);
                CHECK(rig.reads_as(content));
                rig.require_parity_agrees();
            }
        }
    }
}

TEST_CASE("a sequential stream of small writes, two stripes outstanding, keeps filling stripes") {
    for (const Shape& shape : kShapes) {
        for (const std::uint64_t request : {4 * kKiB, 16 * kKiB, 64 * kKiB}) {
            DYNAMIC_SECTION(title(shape) << " in requests of " << request) {
                Rig rig(shape);
                const auto content = Rig::pattern(rig.pool.data_bytes(), 4);
                const auto depth =
                    static_cast<unsigned>(2 * rig.scheme().stripe_data_bytes() / request);
                Stream s{rig, request, content.size(), content.data()};
                rig.world.run(stream(s, depth));
                const double writes =
                    static_cast<double>(content.size()) / static_cast<double>(request);
                CHECK(static_cast<double>(rig.reads()) < 0.01 * writes);
                CHECK(static_cast<double>(rig.total(dev::IoKind::write).bytes) <=
                      1.02 * static_cast<double>(content.size()) * rig.total_strips() /
                          rig.data_strips());
                CHECK(rig.reads_as(content));
            }
        }
    }
}

TEST_CASE("a degraded 4 KiB read of a lost block is K device reads, of another block one") {
    for (const Shape& shape : kShapes) {
        if (shape.text == std::string("4+0")) continue;
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            const auto content = rig.fill();
            std::uint64_t all_reads = 0, all_requests = 0;
            for (unsigned lost = 0; lost < rig.total_strips(); lost++) {
                rig.pool.set_lost(std::uint64_t{1} << lost);
                // A block of each strip over as many stripes as the layout's period.
                const std::uint32_t period = ec::layout_period(rig.scheme());
                for (std::uint64_t at = 0; at < period * rig.scheme().stripe_data_bytes();
                     at += rig.scheme().strip_bytes) {
                    rig.reset_counters();
                    const bool is_lost = rig.member_of(at) == lost;
                    REQUIRE(rig.reads_as(std::span(content).subspan(at, kBlock), at));
                    const std::uint64_t expected =
                        !is_lost || rig.scheme().is_mirror() ? 1 : rig.data_strips();
                    CHECK(rig.reads() == expected);
                    CHECK(rig.total(dev::IoKind::read).bytes == expected * kBlock);
                    for (const auto& d : rig.devices)
                        CHECK(d->counters().of(dev::IoKind::read).count <= 1);
                    all_reads += rig.reads();
                    all_requests++;
                }
            }
            const unsigned k = rig.data_strips(), n = rig.total_strips();
            if (!rig.scheme().is_mirror()) {  // uniform over one loss: 1 + (K-1)/(K+P), exactly
                CHECK(all_reads * n == all_requests * (n + k - 1));
            } else {
                CHECK(all_reads == all_requests);
            }
        }
    }
}

TEST_CASE("a degraded read of a whole stripe reads K strips, nothing twice") {
    for (const Shape& shape : kShapes) {
        if (shape.text == std::string("4+0")) continue;
        DYNAMIC_SECTION(title(shape)) {
            Rig rig(shape);
            const auto content = rig.fill();
            for (unsigned lost = 0; lost < rig.total_strips(); lost++) {
                rig.pool.set_lost(std::uint64_t{1} << lost);
                rig.reset_counters();
                REQUIRE(
                    rig.reads_as(std::span(content).subspan(0, rig.scheme().stripe_data_bytes())));
                CHECK(rig.reads() == rig.data_strips());
                CHECK(rig.total(dev::IoKind::read).bytes == rig.scheme().stripe_data_bytes());
            }
        }
    }
}

TEST_CASE("a degraded read across two strips reads only the rows that it needs") {
    Rig rig({"4+2", 6});
    const auto content = rig.fill();
    const std::uint64_t at =
        rig.scheme().strip_bytes - kBlock;  // a block of strip 0 and one of strip 1
    rig.pool.set_lost(std::uint64_t{1} << rig.member_of(at));
    rig.reset_counters();
    REQUIRE(rig.reads_as(std::span(content).subspan(at, 2 * kBlock), at));
    CHECK(rig.total(dev::IoKind::read).bytes == (4 + 1) * kBlock);
}

}  // namespace xsan::test
