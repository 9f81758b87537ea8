// What a block device counts of its requests.
#include "ublk/io_counters.h"

#include <thread>

#include "support/catch.h"

using namespace xsan;
using namespace xsan::ublk;

TEST_CASE("each kind of request has figures of its own, and others are errors of none", "[ublk]") {
    IoCounters counters;
    for (unsigned kind = 0; kind < kIoKinds; kind++) {
        for (unsigned i = 0; i <= kind; i++) counters.count({static_cast<dev::IoKind>(kind), 512, 10, false});
    }
    counters.count({std::nullopt, 4096, 1, true});
    const TargetIo io = counters.sum();
    for (unsigned kind = 0; kind < kIoKinds; kind++) {
        const std::uint64_t n = kind + 1;
        CHECK(io.of(static_cast<dev::IoKind>(kind)) == OpSum{n, n * 512, 0, n * 10});
    }
    CHECK(io.other == OpSum{1, 0, 1, 1});
    CHECK(io.transfers() == OpSum{3, 3 * 512, 0, 30});
}

TEST_CASE("a request that failed counts as request and as error, without its bytes", "[ublk]") {
    IoCounters counters;
    counters.count({dev::IoKind::write, 4096, 7, false});
    counters.count({dev::IoKind::write, 8192, 5, true});
    CHECK(counters.sum().of(dev::IoKind::write) == OpSum{2, 4096, 1, 12});
}

TEST_CASE("the sums of queues are the device's", "[ublk]") {
    IoCounters first;
    IoCounters second;
    first.count({dev::IoKind::read, 4096, 3, false});
    second.count({dev::IoKind::read, 512, 4, false});
    second.count({dev::IoKind::flush, 0, 9, false});
    TargetIo io = first.sum();
    io += second.sum();
    CHECK(io.of(dev::IoKind::read) == OpSum{2, 4608, 0, 7});
    CHECK(io.of(dev::IoKind::flush) == OpSum{1, 0, 0, 9});
}

TEST_CASE("whoever sums while a queue counts sees figures that only grow, and all of them at the end", "[ublk]") {
    constexpr std::uint64_t kRequests = 20'000;
    IoCounters counters;
    std::thread queue([&] {
        for (std::uint64_t i = 0; i < kRequests; i++) counters.count({dev::IoKind::write, 512, 2, false});
    });
    OpSum last;
    bool grows = true;
    while (last.count < kRequests) {
        const OpSum now = counters.sum().of(dev::IoKind::write);
        grows = grows && now.count >= last.count && now.bytes >= last.bytes && now.time_ns >= last.time_ns;
        last = now;
    }
    queue.join();
    CHECK(grows);
    CHECK(counters.sum().of(dev::IoKind::write) == OpSum{kRequests, kRequests * 512, 0, kRequests * 2});
}
