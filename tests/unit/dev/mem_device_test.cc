// Properties of memory and null devices and of the decorators for tests.
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "dev/aligned_buffer.h"
#include "dev/counting_device.h"
#include "dev/fault_device.h"
#include "dev/iov_cursor.h"
#include "dev/mem_device.h"
#include "support/catch.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using namespace xsan::dev;
using test::make_reactor;
using test::run_task;

namespace {
constexpr std::byte kMark{0xA5};

void fill(AlignedBuffer& buffer, std::byte value) {
    std::memset(buffer.data(), std::to_integer<int>(value), buffer.size());
}
bool all(std::span<const std::byte> bytes, std::byte value) {
    for (const std::byte b : bytes) {
        if (b != value) return false;
    }
    return true;
}
}  // namespace

TEST_CASE("memory keeps what is written and zeroes exactly what is asked", "[mem]") {
    MemDevice device(4 * kMiB);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(kMiB);
        fill(buffer, kMark);
        for (const std::uint64_t length :
             {std::uint64_t{512}, std::uint64_t{65536 + 1024}, kMiB / 2}) {
            auto result = co_await device.write(0, buffer.span());
            CHECK(result.has_value());
            result = co_await device.discard(1536, length);
            CHECK(result.has_value());
            AlignedBuffer read(kMiB);
            result = co_await device.read(0, read.span());
            CHECK(result.has_value());
            CHECK(all(read.span().first(1536), kMark));
            CHECK(all(read.span().subspan(1536, length), std::byte{0}));
            CHECK(all(read.span().subspan(1536 + length), kMark));
        }
        const auto past = co_await device.read(4 * kMiB, buffer.span().first(512));
        CHECK(past.error().code == Errc::invalid_argument);
        const auto flushed = co_await device.flush();
        CHECK(flushed.has_value());
    });
}

TEST_CASE("null leaves the reader's buffer alone and takes every write", "[mem]") {
    NullDevice device(kGiB, 4096);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(8192);
        fill(buffer, kMark);
        auto result = co_await device.write(0, buffer.span());
        CHECK(result.has_value());
        result = co_await device.read(4096, buffer.span());
        CHECK(result.has_value());
        CHECK(all(buffer.span(), kMark));
        result = co_await device.read(512, buffer.span());
        CHECK(result.error().code == Errc::invalid_argument);
        result = co_await device.read(kGiB - 4096, buffer.span());
        CHECK(result.error().code == Errc::invalid_argument);
    });
}

TEST_CASE("a counting device counts requests and bytes by kind", "[counting]") {
    CountingDevice device(std::make_unique<MemDevice>(kMiB));
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(4096);
        for (int i = 0; i < 3; i++)
            (void)co_await device.write(0, buffer.span(), i == 0);
        (void)co_await device.read(0, buffer.span().first(512));
        (void)co_await device.flush();
        (void)co_await device.discard(0, 8192);
        IoCounts expected;
        expected.write = {3, 3 * 4096};
        expected.read = {1, 512};
        expected.flush = {1, 0};
        expected.discard = {1, 8192};
        expected.fua_writes = 1;
        CHECK(device.counts() == expected);
        CHECK(device.counts().requests() == 6);
        device.reset();
        CHECK(device.counts() == IoCounts{});
    });
}

TEST_CASE("a fault strikes the range, kind and number it was told, and no other", "[fault]") {
    MemDevice memory(kMiB);
    FaultDevice device(memory);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(8192);
        fill(buffer, kMark);
        FaultRule rule;
        rule.kinds = FaultRule::bit(IoKind::read);
        rule.offset = 4096;
        rule.length = 512;
        rule.skip = 1;
        rule.times = 2;
        rule.error = Error{Errc::media_error};
        device.add_rule(rule);
        // Awaited before CHECK: its macro would await twice.
        Result<void> result;
        const auto code = [&] { return result.has_value() ? Errc::ok : result.error().code; };
        result = co_await device.write(4096, buffer.span().first(512));
        CHECK(code() == Errc::ok);
        result = co_await device.read(0, buffer.span().first(4096));
        CHECK(code() == Errc::ok);
        result = co_await device.read(4608, buffer.span().first(512));
        CHECK(code() == Errc::ok);
        result = co_await device.read(0, buffer.span());
        CHECK(code() == Errc::ok);  // skipped
        result = co_await device.read(0, buffer.span());
        CHECK(code() == Errc::media_error);
        result = co_await device.read(4096, buffer.span());
        CHECK(code() == Errc::media_error);
        result = co_await device.read(4096, buffer.span());
        CHECK(code() == Errc::ok);
        CHECK(device.struck() == 2);

        device.clear_rules();
        rule = {};
        rule.kinds = FaultRule::bit(IoKind::write);
        rule.times = 1;
        rule.applied = true;
        device.add_rule(rule);
        fill(buffer, std::byte{0x11});
        result = co_await device.write(8192, buffer.span());
        CHECK(code() == Errc::io_error);
        CHECK(memory.data()[8192] == std::byte{0x11});

        device.set_gone(true);
        result = co_await device.flush();
        CHECK(code() == Errc::device_gone);
        device.set_gone(false);
        result = co_await device.flush();
        CHECK(code() == Errc::ok);
    });
}

TEST_CASE("held requests wait and go on in order", "[fault]") {
    FaultDevice device(std::make_unique<MemDevice>(kMiB));
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        device.hold();
        AlignedBuffer buffer(4096);
        int done = 0;
        auto reader = [&]() -> Task<void> {
            const auto result = co_await device.read(0, buffer.span());
            CHECK(result.has_value());
            done++;
        };
        TaskGroup group;
        for (int i = 0; i < 3; i++)
            group.spawn(reader());
        co_await sleep_for(kMillisecond);
        CHECK(device.held() == 3);
        CHECK(done == 0);
        device.release();
        co_await group.join();
        CHECK(done == 3);
    });
}

TEST_CASE("the pool hands out aligned buffers and counts what it must allocate", "[buffer]") {
    BufferPool::Options options;
    options.counts = {2, 1};
    options.prefault = true;
    BufferPool pool(options);
    {
        PoolBuffer a = pool.acquire(512);
        PoolBuffer b = pool.acquire(4096);
        CHECK(pool.fallback_allocations() == 0);
        PoolBuffer c = pool.acquire(4096);
        CHECK(pool.fallback_allocations() == 1);
        PoolBuffer d = pool.acquire(4097);
        CHECK(pool.fallback_allocations() == 1);
        PoolBuffer e = pool.acquire(3 * kMiB);
        CHECK(pool.fallback_allocations() == 2);
        CHECK(pool.in_use() == 5);
        for (const PoolBuffer* buffer : {&a, &b, &c, &d, &e}) {
            CHECK(reinterpret_cast<std::uintptr_t>(buffer->data()) % 4096 == 0);
        }
        CHECK(a.size() == 512);
        std::memset(e.data(), 1, e.size());
        c = std::move(a);  // gives c's first buffer back
        CHECK(pool.in_use() == 4);
    }
    CHECK(pool.in_use() == 0);
    PoolBuffer again = pool.acquire(4096);
    CHECK(pool.fallback_allocations() == 2);
}

TEST_CASE("a cursor cuts a list of buffers within every limit and loses nothing", "[iov]") {
    Rng rng(5);
    alignas(4096) static std::byte memory[1 << 18];
    for (int round = 0; round < 300; round++) {
        std::vector<iovec> iov;
        std::uint64_t total = 0;
        for (std::uint64_t i = rng.below(8) + 1; i > 0; i--) {
            const std::size_t bytes = rng.below(64) * 512;
            iov.push_back({memory + rng.below(100) * 512, bytes});
            total += bytes;
        }
        IovCursor::Limits limits;
        limits.bytes = (rng.below(40) + 1) * 512;
        limits.pieces = static_cast<std::uint32_t>(rng.below(4) + 1);
        limits.pages = static_cast<std::uint32_t>(rng.below(5) + 1);
        limits.multiple = 512;
        IovCursor cursor(iov.data(), static_cast<std::uint32_t>(iov.size()));
        const std::uint64_t skipped = std::min<std::uint64_t>(total, rng.below(10) * 512);
        cursor.skip(skipped);
        std::vector<std::byte*> expected;
        for (const auto& piece : iov) {
            for (std::size_t at = 0; at < piece.iov_len; at += 512) {
                expected.push_back(static_cast<std::byte*>(piece.iov_base) + at);
            }
        }
        expected.erase(expected.begin(),
                       expected.begin() + static_cast<std::ptrdiff_t>(skipped / 512));
        std::vector<std::byte*> seen;
        for (;;) {
            std::vector<iovec> out;
            const std::uint64_t taken = cursor.take(limits, out);
            if (taken == 0) break;
            CHECK(taken <= limits.bytes);
            CHECK(taken % 512 == 0);
            CHECK(out.size() <= limits.pieces);
            std::uint64_t pages = 0;
            for (const auto& piece : out) {
                const auto address = reinterpret_cast<std::uintptr_t>(piece.iov_base);
                pages += (address + piece.iov_len - 1) / 4096 - address / 4096 + 1;
                for (std::size_t at = 0; at < piece.iov_len; at += 512) {
                    seen.push_back(static_cast<std::byte*>(piece.iov_base) + at);
                }
            }
            CHECK(pages <= limits.pages);
        }
        CHECK(seen == expected);
    }
}

TEST_CASE("memory that the system does not have is refused, not fatal", "[mem]") {
    const auto device = MemDevice::create(200 * 1024 * kGiB);
    REQUIRE(!device);
    CHECK(device.error().code == Errc::no_space);
    CHECK(device.error().message == "mem:200T: no memory");
}
