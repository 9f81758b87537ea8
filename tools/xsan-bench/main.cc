// xsan-bench: requests of a volume over null members, on one reactor without a kernel. What it costs is the engine
// alone. Counted by callgrind (scripts/bench-instructions.sh), which looks at nothing but the requests themselves: the
// pool is made and its space mapped before.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

#include "base/log.h"
#include "base/rng.h"
#include "base/units.h"
#include "dev/mem_device.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "support/test_reactor.h"
#include "support/volume_io.h"

namespace xsan {
namespace {

struct Options {
    std::string scheme = "4+2";
    unsigned members = 6;
    std::string consistency = "none";
    std::string operation = "read";
    std::uint64_t count = 20000;  // requests
    unsigned depth = 1;           // of them at once
    std::uint32_t block = 4096;   // bytes of each
};

constexpr std::uint64_t kVolumeBytes = 64 * kMiB;

// One request after the other, at places that the seed draws.
Task<void> work(pool::Volume& volume, const Options& options, std::uint64_t count, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<std::byte> data(options.block, std::byte{0x5A});
    const auto kind = options.operation == "read" ? dev::IoKind::read : dev::IoKind::write;
    for (std::uint64_t i = 0; i < count; i++) {
        const std::uint64_t at = rng.next() % (kVolumeBytes / options.block) * options.block;
        const Errc code = co_await test::request(volume, kind, at, data, 0);
        if (code != Errc::ok) {
            fmt::print(stderr, "xsan-bench: a {} failed: {}\n", options.operation, errc_name(code));
            std::exit(1);
        }
    }
}

Task<Outcome<std::unique_ptr<pool::Pool>>> make_pool(Reactor& reactor, const Options& options, ec::Scheme scheme) {
    pool::Environment environment;
    environment.reactors = {&reactor};
    environment.seed = 1;
    environment.wear.enabled = raid::kCountsAll;  // the build `bare` keeps no accounts
    std::vector<pool::NewDevice> devices;
    for (unsigned i = 0; i < options.members; i++) {
        devices.push_back({std::make_unique<dev::NullDevice>(kGiB), "", false});
    }
    pool::CreateOptions create;
    create.name = "bench";
    create.scheme = scheme;
    create.consistency = options.consistency == "log" ? meta::Consistency::log : meta::Consistency::none;
    co_return co_await pool::Pool::create(std::move(environment), std::move(create), devices);
}

Task<int> run(Reactor& reactor, const Options& options) {
    const auto scheme = ec::parse_scheme(options.scheme, options.members, 64 * 1024);
    if (!scheme) {
        fmt::print(stderr, "xsan-bench: {}\n", scheme.error().message);
        co_return 2;
    }
    auto made = co_await make_pool(reactor, options, *scheme);
    if (!made) {
        fmt::print(stderr, "xsan-bench: {}\n", made.error().message);
        co_return 1;
    }
    const std::unique_ptr<pool::Pool> pool = std::move(*made);
    pool::VolumeOptions wanted{"data", *scheme, kVolumeBytes, 4096};
    auto volume = co_await pool->create_volume(std::move(wanted));
    if (!volume) {
        fmt::print(stderr, "xsan-bench: {}\n", volume.error().message);
        co_return 1;
    }
    // Maps all of it, and warms up.
    std::vector<std::byte> piece(kMiB);
    for (std::uint64_t at = 0; at < kVolumeBytes; at += kMiB) {
        const Errc mapped = co_await test::request(**volume, dev::IoKind::write, at, piece, 0);
        if (mapped != Errc::ok) co_return 1;
    }
    co_await work(**volume, options, 1000, 7);

    std::vector<Task<void>> workers;
    for (unsigned i = 0; i < options.depth; i++) {
        workers.push_back(work(**volume, options, options.count / options.depth, 100 + i));
    }
    CALLGRIND_START_INSTRUMENTATION;
    co_await when_all(std::span(workers));
    CALLGRIND_STOP_INSTRUMENTATION;
    fmt::print("{} requests\n", options.count / options.depth * options.depth);
    const auto stopped = co_await pool->stop();
    co_return stopped.has_value() ? 0 : 1;
}

}  // namespace
}  // namespace xsan

int main(int argc, char** argv) {
    xsan::Options options;
    CLI::App app("4 KiB requests of a volume over null members: the engine alone");
    app.add_option("--scheme", options.scheme, "scheme of the pool");
    app.add_option("--members", options.members, "null members")->check(CLI::Range(1, 64));
    app.add_option("--consistency", options.consistency, "of the pool")->check(CLI::IsMember({"none", "log"}));
    app.add_option("--op", options.operation, "what is done")->check(CLI::IsMember({"read", "write"}));
    app.add_option("--count", options.count, "requests")->check(CLI::Range(1, 100000000));
    app.add_option("--depth", options.depth, "requests at once")->check(CLI::Range(1, 1024));
    CLI11_PARSE(app, argc, argv);
    xsan::test::TestReactor reactor;
    return reactor.run(xsan::run(reactor, options));
}
