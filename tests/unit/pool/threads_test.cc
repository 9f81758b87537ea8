// The pool on real reactors: three threads write a volume while a member is failed and rebuilt.
#include <atomic>

#include "dev/mem_device.h"
#include "reactor/reactor_pool.h"
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kShare = 6 * kMiB;  // of the volume, for each reactor
constexpr std::uint64_t kPiece = 64 * kKiB;

struct Shared {
    ReactorPool& reactors;
    unsigned wrong = 0;

    // Writes and reads its own part of the volume, which no other reactor touches.
    static Task<unsigned> hammer(dev::BlockDevice& volume, std::uint64_t base, std::uint64_t seed) {
        Rng rng(seed);
        std::vector<std::uint64_t> versions(kShare / kPiece, 0);
        unsigned bad = 0;
        for (unsigned i = 0; i < 150; i++) {
            const std::uint64_t piece = rng.next() % versions.size();
            const std::uint64_t at = base + piece * kPiece;
            std::vector<std::byte> data(kPiece);
            if (rng.next() % 3 != 0) {
                versions[piece] = rng.next() | 1;
                data = Rig::pattern(at, kPiece, versions[piece]);
                const Errc code = co_await Rig::request(volume, dev::IoKind::write, at, data, 0);
                if (code != Errc::ok) bad++;
            } else {
                const Errc code = co_await Rig::request(volume, dev::IoKind::read, at, data, 0);
                const auto wanted = versions[piece] == 0 ? std::vector<std::byte>(kPiece)
                                                         : Rig::pattern(at, kPiece, versions[piece]);
                if (code != Errc::ok || data != wanted) bad++;
            }
            if (i % 20 == 0) {
                const Errc code = co_await Rig::request(volume, dev::IoKind::flush, 0, {}, 0);
                if (code != Errc::ok) bad++;
            }
        }
        co_return bad;
    }

    Task<unsigned> hammer_on(unsigned reactor, dev::BlockDevice& volume) {
        auto there = [reactor, &volume]() { return hammer(volume, reactor * kShare, reactor + 1); };
        co_return co_await call_on(reactors.at(reactor), there);
    }

    Task<void> run() {
        pool::Environment environment;
        for (unsigned i = 0; i < reactors.size(); i++) environment.reactors.push_back(&reactors.at(i));
        environment.seed = 5;
        std::vector<pool::NewDevice> devices;
        for (unsigned i = 0; i < 7; i++) {
            devices.push_back({std::make_unique<dev::MemDevice>(64 * kMiB), "", false});
        }
        pool::CreateOptions create;
        create.name = "tank";
        create.scheme = scheme_of("3+2", 7, 16 * 1024);
        create.extent_bytes = kMiB;
        const ec::Scheme scheme = create.scheme;
        auto made = co_await pool::Pool::create(std::move(environment), std::move(create), devices);
        XSAN_ASSERT(made.has_value());
        const std::unique_ptr<pool::Pool> pool = std::move(*made);
        pool::VolumeOptions options{"data", scheme, 3 * kShare, 4096};
        auto volume = co_await pool->create_volume(std::move(options));
        XSAN_ASSERT(volume.has_value());
        std::vector<Task<unsigned>> hammers;
        for (unsigned i = 0; i < reactors.size(); i++) hammers.push_back(hammer_on(i, **volume));
        std::vector<Task<void>> losses;
        losses.push_back(lose(*pool));
        for (auto& hammer : hammers) hammer.start();
        co_await when_all(std::span(losses));
        for (auto& hammer : hammers) {
            while (!hammer.finished()) co_await sleep_for(kMillisecond);
            wrong += hammer.take();
        }
        while (pool->rebuild_status().pending_groups > 0) co_await sleep_for(kMillisecond);
        const auto scrubbing = co_await pool->start_scrub();
        XSAN_ASSERT(scrubbing.has_value());
        while (pool->scrub_status().state != pool::JobState::done) co_await sleep_for(kMillisecond);
        if (pool->scrub_status().mismatches + pool->scrub_status().incomplete > 0) wrong++;
        const auto stopped = co_await pool->stop();
        if (!stopped) wrong++;
    }
    Task<void> lose(pool::Pool& pool) {
        co_await sleep_for(3 * kMillisecond);
        const auto failed = co_await pool.fail(MemberIndex{2});
        if (!failed) wrong++;
    }
    Task<void> run_and_stop() {
        co_await run();
        reactors.stop();
    }
};

}  // namespace

TEST_CASE("three reactors write a volume while a member is lost and rebuilt") {
    ReactorPoolOptions options;
    options.count = 3;
    options.io_flusher = false;
    auto reactors = ReactorPool::create(options);
    if (!reactors) {
        WARN("no io_uring here: " << reactors.error().message);
        return;
    }
    Shared shared{**reactors};
    TaskGroup root;
    struct Start : RemoteWork {
        Shared* shared;
        TaskGroup* root;
    } start;
    start.shared = &shared;
    start.root = &root;
    start.run = [](RemoteWork& self) {
        auto& s = static_cast<Start&>(self);
        s.root->spawn(s.shared->run_and_stop());
    };
    (*reactors)->start();
    (*reactors)->at(0).post(start);
    (*reactors)->run_first();
    CHECK(shared.wrong == 0);
}

}  // namespace xsan::test
