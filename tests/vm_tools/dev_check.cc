// xsan-dev-check: exercises one device through the block interface, as the engine would.
// For guest scripts.
//
//   identify DEV             what the probe and the open device say, one fact a line
//   verify DEV SECONDS SEED  random requests of every kind against a model; destroys the contents
//   one DEV KIND OFFSET      one 4 KiB request; prints the name of its error
//   until-gone DEV SECONDS   keeps requests running until the drive is pulled: each must end with
//                            device_gone
//   flood DEV COUNT          submits COUNT writes of 256 KiB at once, says so, waits to be killed
//   claim DEV                opens and closes the device: status 0 or one line on stderr
//   release DEV              does I/O, closes the device and opens it again, in one process
//
// Exit status: 0 as expected, 1 not, 2 usage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "dev/aligned_buffer.h"
#include "dev/drive_health.h"
#include "dev/open.h"
#include "dev_model.h"
#include "reactor/reactor_pool.h"
#include "reactor/task_group.h"

namespace xsan {
namespace {

template <class T>
T must(Outcome<T> outcome) {
    if (!outcome.has_value()) give_up(outcome.error().message);
    return std::move(outcome).value();
}

Task<int> verify(BlockDevice& device, std::uint64_t seconds, std::uint64_t seed) {
    const TimeNs deadline = Reactor::current().now() + seconds * kSecond;
    std::vector<std::unique_ptr<Worker>> workers;
    TaskGroup group;
    for (unsigned i = 0; i < kWorkers; i++) {
        workers.push_back(std::make_unique<Worker>(device, i * kRegion, seed * 100 + i));
        group.spawn(workers.back()->run(deadline));
    }
    co_await group.join();
    std::uint64_t requests = 0;
    for (const auto& worker : workers)
        requests += worker->requests();
    fmt::print("verified {} requests\n", requests);
    co_return requests > 0 ? 0 : 1;
}

Task<void> one_until_gone(BlockDevice& device, IoKind kind, std::uint64_t offset, TimeNs deadline,
                          int& bad) {
    AlignedBuffer buffer(64 * kKiB);
    for (std::uint64_t requests = 0; Reactor::current().now() < deadline; requests++) {
        Request request(kind, kind == IoKind::flush ? 0 : offset,
                        kind == IoKind::flush ? 0 : buffer.size());
        if (kind == IoKind::read || kind == IoKind::write)
            request.io.set_buffer(buffer.data(), buffer.size());
        auto io = submit(device, request);
        const Error error = co_await io;
        if (error.is_ok()) continue;
        fmt::print("kind {}: {} after {} requests\n", static_cast<int>(kind), name_of(error),
                   requests);
        if (error.code != Errc::device_gone) bad++;
        co_return;
    }
    fmt::print("kind {}: the drive was not pulled\n", static_cast<int>(kind));
    bad++;
}

Task<int> until_gone(BlockDevice& device, std::uint64_t seconds) {
    const TimeNs deadline = Reactor::current().now() + seconds * kSecond;
    int bad = 0;
    fmt::print("running\n");
    std::fflush(stdout);
    TaskGroup group;
    std::uint64_t offset = 0;
    for (const IoKind kind : {IoKind::read, IoKind::write, IoKind::flush, IoKind::write_zeroes,
                              IoKind::read, IoKind::write}) {
        group.spawn(one_until_gone(device, kind, offset, deadline, bad));
        offset += kMiB;
    }
    co_await group.join();
    co_return bad == 0 ? 0 : 1;
}

Task<int> one(BlockDevice& device, std::string_view kind, std::uint64_t offset) {
    AlignedBuffer buffer(4096);
    Request request(kind == "read"    ? IoKind::read
                    : kind == "write" ? IoKind::write
                                      : IoKind::flush,
                    offset, 0);
    if (request.io.kind != IoKind::flush) request.io.set_buffer(buffer.data(), buffer.size());
    auto io = submit(device, request);
    const Error error = co_await io;
    fmt::print("{}\n", name_of(error));
    co_return 0;
}

Task<int> flood(BlockDevice& device, std::uint64_t count) {
    std::vector<std::unique_ptr<Request>> requests;
    AlignedBuffer buffer(256 * kKiB);
    dev::IoBatch batch;
    for (std::uint64_t i = 0; i < count; i++) {
        requests.push_back(std::make_unique<Request>(IoKind::write, i * buffer.size(), 0));
        requests.back()->io.set_buffer(buffer.data(), buffer.size());
        batch.submit(device, requests.back()->io);
    }
    co_await yield();
    fmt::print("flooding\n");
    std::fflush(stdout);
    co_await batch.wait();
    fmt::print("not killed in time\n");
    co_return 1;
}

Task<int> release(std::unique_ptr<BlockDevice> device, const dev::DeviceSpec& spec) {
    AlignedBuffer buffer(4096);
    const auto read = co_await device->read(0, buffer.span());
    if (!read.has_value()) give_up(name_of(read.error()));
    co_await device->close();
    device.reset();
    const TimeNs begin = Reactor::current().now();
    auto again = dev::open_device(spec);  // blocks, which a test may
    while (!again.has_value() && Reactor::current().now() < begin + 2 * kSecond) {
        co_await sleep_for(kMillisecond);
        again = dev::open_device(spec);
    }
    fmt::print("claimed again after {} us: {}\n", (Reactor::current().now() - begin) / kMicrosecond,
               again.has_value());
    co_return again.has_value() ? 0 : 1;
}

int identify_all(const dev::DeviceSpec& spec) {
    const auto identity = must(dev::identify(spec));
    fmt::print("kind {}\nunique_id {}\nmodel {}\nserial {}\nfirmware {}\ntransport {}\n",
               identity.kind, identity.unique_id, identity.model, identity.serial,
               identity.firmware, identity.transport);
    const auto signature = must(dev::find_signature(spec));
    fmt::print("signature {}\n", signature.value_or("none"));
    const auto unused = dev::check_unused(spec);
    fmt::print("in_use {}\n", unused.has_value() ? "no" : unused.error().message);
    if (const auto health = dev::read_health(spec.path); health.has_value()) {
        fmt::print("temperature {}\nwritten {}\nwarning {}\n", health->temperature_celsius,
                   health->written_bytes, health->critical_warning);
    }
    const auto device = must(dev::open_device(spec));
    const dev::DeviceLimits& l = device->limits();
    fmt::print(
        "size {}\nlogical {}\nphysical {}\natomic {}\ntransfer_max {}\nalignment {}\niov_max {}\n"
        "volatile_cache {}\ndiscard {}\ndiscard_zeroes {}\ndiscard_granularity {}\n",
        l.size_bytes, l.logical_block_bytes, l.physical_block_bytes, l.atomic_write_bytes,
        l.transfer_bytes_max, l.buffer_alignment, l.iov_count_max, l.volatile_cache, l.discard,
        l.discard_zeroes, l.discard_granularity_bytes);
    return 0;
}

struct Arguments {
    std::string command;
    std::string device;
    std::vector<std::string> more;
    std::uint64_t number(std::size_t i, std::uint64_t otherwise) const {
        return i < more.size() ? std::strtoull(more[i].c_str(), nullptr, 10) : otherwise;
    }
};

Task<void> run(const Arguments& arguments, const dev::DeviceSpec& spec, UringReactor& reactor,
               int& status) {
    auto device = must(dev::open_device(spec));
    Task<int> task;
    const bool is_release = arguments.command == "release";
    if (arguments.command == "verify")
        task = verify(*device, arguments.number(0, 5), arguments.number(1, 1));
    if (arguments.command == "until-gone") task = until_gone(*device, arguments.number(0, 30));
    if (arguments.command == "one") {
        task = one(*device, arguments.more.empty() ? "read" : arguments.more[0],
                   arguments.number(1, 0));
    }
    if (arguments.command == "flood") task = flood(*device, arguments.number(0, 128));
    if (is_release) task = release(std::move(device), spec);
    status = co_await task;
    if (!is_release) co_await device->close();
    reactor.stop();
}

struct Root {
    const Arguments& arguments;
    const dev::DeviceSpec& spec;
    UringReactor& reactor;
    int status = 1;
    TaskGroup group{};
    static void begin(void* self) {
        auto& root = *static_cast<Root*>(self);
        root.group.spawn(run(root.arguments, root.spec, root.reactor, root.status));
    }
};

}  // namespace
}  // namespace xsan

int main(int argc, char** argv) {
    using namespace xsan;
    const std::vector<std::string> commands = {"identify", "verify", "one",    "until-gone",
                                               "flood",    "claim",  "release"};
    if (argc < 3 || std::find(commands.begin(), commands.end(), argv[1]) == commands.end()) {
        fmt::print(stderr, "usage: xsan-dev-check {} DEV ...\n", fmt::join(commands, "|"));
        return 2;
    }
    const Arguments arguments{argv[1], argv[2], std::vector<std::string>(argv + 3, argv + argc)};
    const auto spec = must(dev::parse_device(arguments.device));
    if (arguments.command == "identify") return identify_all(spec);
    if (arguments.command == "claim") {
        (void)must(dev::open_device(spec));
        return 0;
    }
    auto reactor = must(UringReactor::create({}));
    Root root{arguments, spec, *reactor};
    reactor->make_ready(Work{Root::begin, &root});
    reactor->run();
    return root.status;
}
