// Properties of devices over regular files: what is written is read, in every shape the interface
// allows.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "dev/aligned_buffer.h"
#include "dev/open.h"
#include "reactor/cross.h"
#include "reactor/thread_offload.h"
#include "support/catch.h"
#include "unit/dev/open_path.h"
#include "unit/dev/temp_dir.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using namespace xsan::dev;
using test::make_pool;
using test::make_reactor;
using test::open_path;
using test::run_task;
using test::TempDir;

namespace {

AlignedBuffer pattern(std::size_t bytes, std::uint64_t seed) {
    AlignedBuffer buffer(bytes);
    Rng rng(seed);
    for (std::size_t i = 0; i < bytes; i += 8) {
        const std::uint64_t word = rng.next();
        std::memcpy(buffer.data() + i, &word, 8);
    }
    return buffer;
}

bool is_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// One request with several buffers.
class Vectored {
  public:
    Vectored(BlockDevice& device, IoKind kind, std::uint64_t offset, std::vector<iovec>& pieces)
        : device_(device) {
        request_.kind = kind;
        request_.offset = offset;
        request_.iov = pieces.data();
        request_.iov_count = static_cast<std::uint32_t>(pieces.size());
        for (const auto& piece : pieces)
            request_.length += piece.iov_len;
    }
    Task<Error> run() {
        IoBatch batch;
        batch.submit(device_, request_);
        co_await batch.wait();
        co_return request_.error;
    }

  private:
    BlockDevice& device_;
    IoRequest request_;
};

Task<void> check_everything(BlockDevice& device) {
    const std::uint32_t block = device.limits().logical_block_bytes;
    AlignedBuffer written = pattern(64 * kKiB, 1);
    AlignedBuffer read(64 * kKiB);

    // Whole, and a single block that is not aligned to a page.
    auto result = co_await device.write(kMiB, written.span());
    CHECK(result.has_value());
    result = co_await device.read(kMiB, read.span());
    CHECK(result.has_value());
    CHECK(same(read.span(), written.span()));
    result = co_await device.write(kMiB + 3 * block, written.span().first(block), true);
    CHECK(result.has_value());
    result = co_await device.read(kMiB, read.span());
    CHECK(same(read.span().first(3 * block), written.span().first(3 * block)));
    CHECK(same(read.span().subspan(3 * block, block), written.span().first(block)));
    CHECK(same(read.span().subspan(4 * block), written.span().subspan(4 * block)));
    result = co_await device.flush();
    CHECK(result.has_value());

    // Zeroes and discards, in blocks; the neighbours stay.
    result = co_await device.write(0, written.span());
    CHECK(result.has_value());
    result = co_await device.write_zeroes(block, 5 * block, true);
    CHECK(result.has_value());
    result = co_await device.read(0, read.span());
    CHECK(same(read.span().first(block), written.span().first(block)));
    CHECK(is_zero(read.span().subspan(block, 5 * block)));
    CHECK(same(read.span().subspan(6 * block), written.span().subspan(6 * block)));
    REQUIRE(device.limits().discard_zeroes);
    result = co_await device.discard(8 * kKiB, 32 * kKiB);
    CHECK(result.has_value());
    result = co_await device.read(0, read.span());
    CHECK(is_zero(read.span().subspan(8 * kKiB, 32 * kKiB)));
    CHECK(same(read.span().subspan(40 * kKiB), written.span().subspan(40 * kKiB)));

    // The last block, the end, and past it.
    const std::uint64_t size = device.limits().size_bytes;
    result = co_await device.write(size - block, written.span().first(block));
    CHECK(result.has_value());
    for (const std::uint64_t bad :
         {size, size - block + 1, size + block, ~std::uint64_t{0} - 511}) {
        result = co_await device.read(bad, read.span().first(block));
        CHECK(result.error().code == Errc::invalid_argument);
    }
    result = co_await device.read(size - block, read.span().first(2 * block));
    CHECK(result.error().code == Errc::invalid_argument);
    result = co_await device.write(1, written.span().first(block));
    CHECK(result.error().code == Errc::invalid_argument);
    result = co_await device.discard(size, 0);
    CHECK(result.has_value());
}

Task<void> check_vectored(BlockDevice& device) {
    // 1500 pieces of one and two pages: more pieces and more bytes than one operation takes.
    const std::size_t pieces = 1500;
    AlignedBuffer written = pattern(pieces * 8192, 2);
    AlignedBuffer read(pieces * 8192);
    for (AlignedBuffer* buffer : {&written, &read}) {
        std::vector<iovec> iov;
        for (std::size_t i = 0; i < pieces; i++) {
            // Backwards, so that neighbours in the list are not neighbours in memory.
            iov.push_back({buffer->data() + (pieces - 1 - i) * 8192, i % 2 == 0 ? 4096u : 8192u});
        }
        Vectored io(device, buffer == &written ? IoKind::write : IoKind::read, 4096, iov);
        const Error error = co_await io.run();
        CHECK(error.is_ok());
    }
    bool equal = true;
    for (std::size_t i = 0; i < pieces; i++) {
        const std::size_t at = (pieces - 1 - i) * 8192;
        const std::size_t bytes = i % 2 == 0 ? 4096 : 8192;
        equal = equal && same(read.span().subspan(at, bytes), written.span().subspan(at, bytes));
    }
    CHECK(equal);
    // What lies where on the device.
    AlignedBuffer page(4096);
    const auto result = co_await device.read(4096 + 4096, page.span());
    CHECK(result.has_value());
    CHECK(same(page.span(), written.span().subspan((pieces - 2) * 8192, 4096)));
}

}  // namespace

TEST_CASE("a file keeps what the block interface promises", "[file]") {
    // /tmp has direct I/O; /dev/shm may not, and has no range of zeros.
    const std::string under = GENERATE(std::string("/tmp"), std::string("/dev/shm"));
    TempDir dir(under);
    auto device = open_path(dir.make_file("member", 32 * kMiB));
    CHECK(device->identity().kind == "file");
    CHECK(device->limits().size_bytes == 32 * kMiB);
    CHECK(device->limits().volatile_cache);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        auto first = check_everything(*device);
        co_await first;
        auto second = check_vectored(*device);
        co_await second;
        co_await device->close();
    });
}

TEST_CASE("a large file transfer is split and put together again", "[file]") {
    TempDir dir;
    auto device = open_path(dir.make_file("member", 32 * kMiB));
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer written = pattern(9 * kMiB + 4096, 3);
        AlignedBuffer read(written.size());
        auto result = co_await device->write(kMiB, written.span(), true);
        CHECK(result.has_value());
        result = co_await device->read(kMiB, read.span());
        CHECK(result.has_value());
        CHECK(same(read.span(), written.span()));
        result = co_await device->write_zeroes(0, 32 * kMiB);
        CHECK(result.has_value());
        result = co_await device->read(kMiB, read.span());
        CHECK(result.has_value());
        CHECK(is_zero(read.span()));
        co_await device->close();
    });
}

TEST_CASE("a request never completes inside submit", "[file]") {
    TempDir dir;
    auto file = open_path(dir.make_file("member", kMiB));
    auto mem = open_path("mem:1M");
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(4096);
        for (BlockDevice* device : {file.get(), mem.get()}) {
            for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, kMiB}) {
                IoRequest request;
                request.offset = offset;
                request.set_buffer(buffer.data(), buffer.size());
                int done = 0;
                request.owner = &done;
                request.done = [](IoRequest& r) { ++*static_cast<int*>(r.owner); };
                device->submit(request);
                CHECK(done == 0);
                while (done == 0)
                    co_await yield();
                CHECK(request.error.is_ok() == (offset == 0));
            }
        }
        co_await file->close();
    });
}

TEST_CASE("a file that shrank under the device gives an error, not old data", "[file]") {
    TempDir dir;
    const std::string path = dir.make_file("member", kMiB);
    auto device = open_path(path);
    REQUIRE(::truncate(path.c_str(), 64 * 1024) == 0);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(8192);
        auto result = co_await device->read(512 * kKiB, buffer.span());
        CHECK(result.error().code == Errc::io_error);
        result = co_await device->read(60 * kKiB, buffer.span());  // half of it is there
        CHECK(result.error().code == Errc::io_error);
        result = co_await device->read(0, buffer.span());
        CHECK(result.has_value());
        co_await device->close();
    });
}

TEST_CASE("a file that is claimed is busy for everyone else until it is closed", "[file]") {
    TempDir dir;
    const std::string path = dir.make_file("member", kMiB);
    auto spec = parse_device(path);
    REQUIRE(spec.has_value());
    CHECK(check_unused(*spec).has_value());
    auto device = open_path(path);
    auto second = open_device(*spec);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::busy);
    CHECK(second.error().message.find(path) != std::string::npos);
    CHECK(check_unused(*spec).error().code == Errc::busy);
    OpenOptions look;
    look.read_only = true;
    auto reader = open_device(*spec, look);
    CHECK(reader.has_value());

    // The ring keeps its own reference: close() must give that back too.
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        AlignedBuffer buffer(4096);
        const auto result = co_await device->read(0, buffer.span());
        CHECK(result.has_value());
        co_await device->close();
        device.reset();
        // The kernel drops the file when its last user has ended, which may take a moment.
        auto again = open_device(*spec);
        for (int i = 0; i < 100 && !again.has_value(); i++) {
            co_await sleep_for(10 * kMillisecond);
            again = open_device(*spec);
        }
        CHECK(again.has_value());
    });
}

TEST_CASE("a device serves several reactors at once and closes on all of them", "[file]") {
    constexpr unsigned kReactors = 3;
    TempDir dir;
    const std::string path = dir.make_file("member", 16 * kMiB);
    auto pool = make_pool(kReactors);
    ThreadOffload offload(1);
    run_task(*pool, [&]() -> Task<void> {
        std::unique_ptr<BlockDevice> device;
        std::function<void()> open = [&] { device = open_path(path); };
        co_await offload.run(open);
        auto user = [&](unsigned reactor) -> Task<void> {
            AlignedBuffer written = pattern(16 * kKiB, reactor);
            AlignedBuffer read(16 * kKiB);
            for (std::uint64_t i = 0; i < 50; i++) {
                const std::uint64_t offset = (i * kReactors + reactor) * 16 * kKiB;
                auto result = co_await device->write(offset, written.span());
                XSAN_ASSERT(result.has_value());
                result = co_await device->read(offset, read.span());
                XSAN_ASSERT(result.has_value() && same(read.span(), written.span()));
            }
        };
        auto one = [&](unsigned i) -> Task<void> {
            auto there = [&user, i] { return user(i); };
            co_await call_on(static_cast<Reactor&>(pool->at(i)), there);
        };
        std::vector<Task<void>> tasks;
        for (unsigned i = 0; i < kReactors; i++)
            tasks.push_back(one(i));
        co_await when_all(std::span(tasks));
        co_await device->close();
    });
}
