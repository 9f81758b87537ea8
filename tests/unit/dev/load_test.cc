// What devices say of their load: requests that were submitted and are not completed.
#include <fcntl.h>

#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "dev/aligned_buffer.h"
#include "dev/counting_device.h"
#include "dev/fault_device.h"
#include "dev/mem_device.h"
#include "dev/nvme_device.h"
#include "dev/open.h"
#include "reactor/cross.h"
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

// Submits `count` reads of 4 KiB together and says what was in flight between submit and completion.
Task<unsigned> in_flight_of(BlockDevice& device, unsigned count) {
    AlignedBuffer buffer(count * 4 * kKiB);
    std::vector<IoRequest> requests(count);
    IoBatch batch;
    for (unsigned i = 0; i < count; i++) {
        requests[i].offset = i * 4 * kKiB;
        requests[i].set_buffer(buffer.data() + i * 4 * kKiB, 4 * kKiB);
        batch.submit(device, requests[i]);
    }
    const unsigned seen = device.in_flight();
    co_await batch.wait();
    for (const IoRequest& request : requests)
        XSAN_ASSERT(
            request.error.is_ok());  // Catch2's own are for one thread, and this runs on several
    co_return seen;
}

}  // namespace

TEST_CASE("a device counts its requests from submit to completion, and decorators pass that on", "[load]") {
    TempDir dir;
    auto file = open_path(dir.make_file("member", kMiB));
    MemDevice memory(kMiB);
    CountingDevice counting(memory);
    FaultDevice fault(counting);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        for (BlockDevice* device : {file.get(), static_cast<BlockDevice*>(&memory),
                                    static_cast<BlockDevice*>(&counting), static_cast<BlockDevice*>(&fault)}) {
            CHECK(device->in_flight() == 0);
            for (const unsigned count : {1u, 7u, 100u}) {
                const unsigned seen = co_await in_flight_of(*device, count);
                CHECK(seen == count);
                CHECK(device->in_flight() == 0);
            }
            // What is refused is in flight no longer than its answer takes.
            AlignedBuffer buffer(4096);
            const auto refused = co_await device->read(kMiB, buffer.span());
            CHECK(refused.error().code == Errc::invalid_argument);
            CHECK(device->in_flight() == 0);
        }
        co_await file->close();
    });
}

TEST_CASE("requests that are held are in flight", "[load]") {
    FaultDevice device(std::make_unique<MemDevice>(kMiB));
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        device.hold();
        AlignedBuffer buffer(4096);
        std::vector<IoRequest> requests(3);
        IoBatch batch;
        for (IoRequest& request : requests) {
            request.set_buffer(buffer.data(), buffer.size());
            batch.submit(device, request);
        }
        co_await sleep_for(kMillisecond);
        CHECK(device.in_flight() == 3);
        device.release();
        co_await batch.wait();
        CHECK(device.in_flight() == 0);
    });
}

TEST_CASE("passthrough counts commands, those of a range too", "[load]") {
    DeviceLimits limits;
    limits.size_bytes = kGiB;
    limits.discard = true;
    NvmeRules rules;
    rules.nsid = 1;
    rules.discard_bytes_max = 128 * kKiB;
    const auto open_null = [] { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); };
    NvmeDevice device(open_null(), open_null(), DeviceIdentity{}, limits, rules);
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        IoRequest request;
        request.kind = IoKind::discard;
        request.length = 3 * 128 * kKiB;
        IoBatch batch;
        batch.submit(device, request);
        CHECK(device.in_flight() == 3);
        co_await batch.wait();
        CHECK(request.error.is_ok());
        CHECK(device.in_flight() == 0);
        co_await device.close();
    });
}

TEST_CASE("another reactor may ask while requests come and go, and in the end nothing is in flight", "[load]") {
    constexpr unsigned kReactors = 3;
    TempDir dir;
    auto file = open_path(dir.make_file("member", 4 * kMiB));
    auto pool = make_pool(kReactors);
    run_task(*pool, [&]() -> Task<void> {
        unsigned running = kReactors - 1;  // changed on this reactor only
        auto user = [&]() -> Task<void> {
            for (int i = 0; i < 50; i++) {
                const unsigned seen = co_await in_flight_of(*file, 8);
                XSAN_ASSERT(seen >= 8 && seen <= 8 * kReactors);
            }
        };
        auto one = [&](unsigned i) -> Task<void> {
            co_await call_on(static_cast<Reactor&>(pool->at(i)), user);
            running--;
        };
        auto watch = [&]() -> Task<void> {
            while (running > 0) {
                CHECK(file->in_flight() <= 8 * (kReactors - 1));
                co_await sleep_for(kMillisecond / 10);
            }
        };
        std::vector<Task<void>> tasks;
        for (unsigned i = 1; i < kReactors; i++)
            tasks.push_back(one(i));
        tasks.push_back(watch());
        co_await when_all(std::span(tasks));
        CHECK(file->in_flight() == 0);
        co_await file->close();
    });
}
