// xsan-ublk-check: exports a file as a ublk device, without a pool, for tests/vm/ublk.
//
// The file is mapped and shared, so that its bytes survive kill -9 as a drive's would. Requests
// take effect after a random delay and in any order, so that a kill finds many of them not yet
// done. Signals: TERM detaches and ends (or says why not, and goes on), INT ends and leaves the
// device to the next server, USR1 writes the counts to --counts, USR2 tells the kernel the size
// --resize.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/rng.h"
#include "base/units.h"
#include "dev/block_device.h"
#include "reactor/reactor_pool.h"
#include "reactor/task_group.h"
#include "reactor/thread_offload.h"
#include "ublk/target.h"

namespace {

using namespace xsan;

struct Options {
    std::string file;
    std::string size = "256M";
    std::string resize = "0";
    std::string counts;
    unsigned block = 512;
    unsigned reactors = 1;
    unsigned queues = 0;
    unsigned depth = 128;
    unsigned delay_us = 0;
    std::string cluster = "1M";
    std::string full_at = "0";  // writes from here on find no space; 0: none do
    std::string bad_at = "0";   // reads of this block fail
    std::string volume = "00000000-0000-4000-8000-000000000001";
    int number = -1;
};

std::uint64_t bytes_of(const std::string& text) {
    const auto bytes = parse_size(text);
    if (!bytes.has_value()) {
        std::fprintf(stderr, "%s\n", bytes.error().message.c_str());
        std::exit(2);
    }
    return *bytes;
}

class StderrLog final : public LogSink {
  public:
    bool wants(LogLevel) const override { return true; }
    void write(LogLevel, std::string_view line) override {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    }
};

constexpr unsigned kReactorsMax = 8;

class MappedFile final : public dev::BlockDevice {
  public:
    explicit MappedFile(const Options& options)
        : delay_us_(options.delay_us),
          full_at_(bytes_of(options.full_at)),
          bad_at_(bytes_of(options.bad_at)) {
        limits_.size_bytes = std::max(bytes_of(options.size), bytes_of(options.resize));
        const int fd = ::open(options.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(limits_.size_bytes)) != 0) std::exit(2);
        void* data = ::mmap(nullptr, limits_.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) std::exit(2);
        ::close(fd);
        data_ = static_cast<std::byte*>(data);
        mapped_bytes_ = limits_.size_bytes;
        limits_.size_bytes = bytes_of(options.size);
        limits_.logical_block_bytes = options.block;
        limits_.physical_block_bytes = 4096;
        limits_.volatile_cache = true;
        limits_.discard = true;
        identity_.kind = "file";
        identity_.path = options.file;
    }
    ~MappedFile() override { ::munmap(data_, mapped_bytes_); }

    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return limits_; }

    void submit(dev::IoRequest& request) override {
        Reactor& reactor = Reactor::current();
        count(request, reactor.index());
        auto* op = new Op{{}, &request, this};
        const Work work{[](void* argument) {
                            const std::unique_ptr<Op> owned(static_cast<Op*>(argument));
                            owned->request->complete(owned->device->act(*owned->request));
                        },
                        op};
        if (delay_us_ == 0) {
            reactor.make_ready(work);
            return;
        }
        op->timer.work = work;
        thread_local Rng rng(reactor.index() + 1);
        reactor.arm(op->timer, reactor.now() + rng.below(delay_us_) * kMicrosecond);
    }

    std::string counts() const {
        std::string text = fmt::format(
            "reads={} writes={} flushes={} zeroes={} discards={} fua={} reissued={} unstable={}",
            kinds_[0].load(), kinds_[1].load(), kinds_[2].load(), kinds_[3].load(),
            kinds_[4].load(), fua_.load(), reissued_.load(), unstable_.load());
        for (unsigned i = 0; i < kReactorsMax; i++) {
            text += fmt::format(" reactor{}={}", i, on_reactor_[i].load());
        }
        return text;
    }

  private:
    struct Op {
        Timer timer;
        dev::IoRequest* request;
        MappedFile* device;
    };

    void count(const dev::IoRequest& request, unsigned reactor) {
        kinds_[static_cast<std::size_t>(request.kind)]++;
        on_reactor_[reactor]++;
        if (request.fua) fua_++;
        if (request.reissued) reissued_++;
        if (!request.stable_buffer) unstable_++;
    }

    Error act(const dev::IoRequest& request) {
        const std::uint64_t end = request.offset + request.length;
        switch (request.kind) {
            case dev::IoKind::read:
                if (bad_at_ != 0 && request.offset <= bad_at_ && bad_at_ < end)
                    return {Errc::media_error};
                std::memcpy(request.iov[0].iov_base, data_ + request.offset, request.length);
                return {};
            case dev::IoKind::write:
                if (full_at_ != 0 && end > full_at_) return {Errc::no_space};
                std::memcpy(data_ + request.offset, request.iov[0].iov_base, request.length);
                return {};
            case dev::IoKind::write_zeroes:
            case dev::IoKind::discard:
                std::memset(data_ + request.offset, 0, request.length);
                return {};
            case dev::IoKind::flush:
                return {};
        }
        return {Errc::unsupported};
    }

    dev::DeviceIdentity identity_;
    dev::DeviceLimits limits_;
    unsigned delay_us_;
    std::uint64_t full_at_;
    std::uint64_t bad_at_;
    std::byte* data_ = nullptr;
    std::uint64_t mapped_bytes_ = 0;
    std::array<std::atomic<std::uint64_t>, 5> kinds_{};
    std::array<std::atomic<std::uint64_t>, kReactorsMax> on_reactor_{};
    std::atomic<std::uint64_t> fua_{0};
    std::atomic<std::uint64_t> reissued_{0};
    std::atomic<std::uint64_t> unstable_{0};
};

struct Server {
    explicit Server(const Options& o) : options(o), device(o) {}
    const Options& options;
    MappedFile device;
    std::unique_ptr<ublk::Target> target;  // after abandon() it must outlive the reactors
    TaskGroup tasks;                       // on reactor 0
    std::unique_ptr<ReactorPool> pool;
    std::vector<UringReactor*> reactors;
    ThreadOffload offload{2};
    std::string error;
};

Task<void> begin(Server& s, bool recover) {
    ublk::TargetOptions options;
    options.volume = Uuid::parse(s.options.volume).value_or(Uuid{});
    options.preferred_number = s.options.number;
    options.queues = s.options.queues;
    options.depth = s.options.depth;
    options.discard_granularity_bytes = static_cast<std::uint32_t>(bytes_of(s.options.cluster));
    options.io_min_bytes = 65536;
    options.io_opt_bytes = 4 * 65536;
    const ublk::Target::Reactors reactors(s.reactors);
    auto task = recover ? ublk::Target::recover(s.device, static_cast<unsigned>(s.options.number),
                                                options, reactors, s.offload)
                        : ublk::Target::start(s.device, options, reactors, s.offload);
    auto target = co_await task;
    if (target.has_value()) {
        s.target = std::move(target).value();
    } else {
        s.error = target.error().message;
    }
}

Task<void> detach(Server& s) {
    const auto stopped = co_await s.target->stop();
    s.error = stopped.has_value() ? std::string() : stopped.error().message;
}

Task<void> leave(Server& s) {
    co_await s.target->abandon();
}

Task<void> grow(Server& s) {
    const auto told = co_await s.target->resize(bytes_of(s.options.resize));
    s.error = told.has_value() ? std::string() : told.error().message;
}

Task<void> drive(Task<void> task, std::shared_ptr<std::promise<void>> done) {
    co_await task;
    done->set_value();
}

// Runs make() on reactor 0 and waits for it here, on the main thread.
template <class Make>
void run_there(Server& s, Make make) {
    struct Call : RemoteWork {
        Make* make;
        TaskGroup* tasks;
        std::shared_ptr<std::promise<void>> done;
    };
    auto done = std::make_shared<std::promise<void>>();
    Call call{{}, &make, &s.tasks, done};
    call.run = [](RemoteWork& work) {
        auto& c = static_cast<Call&>(work);
        c.tasks->spawn(drive((*c.make)(), c.done));
    };
    s.reactors[0]->post(call);
    done->get_future().get();
}

void write_counts(const Server& s) {
    if (s.options.counts.empty()) return;
    const std::string next = s.options.counts + ".new";
    std::ofstream(next) << s.device.counts() << "\n";
    std::rename(next.c_str(), s.options.counts.c_str());
}

int end(Server& s) {
    s.pool->stop();
    s.pool->join();
    write_counts(s);
    return s.error.empty() ? 0 : 1;
}

int serve(const Options& options, bool recover) {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    Server s(options);
    ReactorPoolOptions pool_options;
    pool_options.count = options.reactors;
    pool_options.first_on_caller = false;
    auto pool = ReactorPool::create(pool_options);
    if (!pool.has_value()) {
        std::fprintf(stderr, "%s\n", pool.error().message.c_str());
        return 1;
    }
    s.pool = std::move(pool).value();
    for (unsigned i = 0; i < s.pool->size(); i++)
        s.reactors.push_back(&s.pool->at(i));
    s.pool->start();

    run_there(s, [&] { return begin(s, recover); });
    if (!s.error.empty()) {
        std::fprintf(stderr, "%s\n", s.error.c_str());
        return end(s);
    }
    const UringFeatures& features = s.reactors[0]->features();
    std::fprintf(stderr, "deferred task work: %d\n", features.single_issuer_defer_taskrun);
    std::printf("%s\n", s.target->path().c_str());
    std::fflush(stdout);
    for (;;) {
        int signal = 0;
        if (sigwait(&signals, &signal) != 0) continue;
        if (signal == SIGUSR1) {
            write_counts(s);
        } else if (signal == SIGUSR2) {
            run_there(s, [&] { return grow(s); });
            std::fprintf(stderr, "resize: %s\n", s.error.empty() ? "done" : s.error.c_str());
        } else if (signal == SIGINT) {
            run_there(s, [&] { return leave(s); });
            s.error.clear();
            return end(s);
        } else {
            run_there(s, [&] { return detach(s); });
            if (s.error.empty()) return end(s);
            std::fprintf(stderr, "%s\n", s.error.c_str());
        }
    }
}

int report(const Outcome<void>& outcome) {
    if (outcome.has_value()) return 0;
    std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
    return 1;
}

int list() {
    const auto devices = ublk::list_devices();
    if (!devices.has_value()) return report(devices.error());
    for (const auto& d : *devices) {
        std::printf("%s state=%u pid=%d queues=%u depth=%u flags=%#llx volume=%016llx\n",
                    ublk::block_path(d.number).c_str(), static_cast<unsigned>(d.state),
                    d.server_pid, d.queues, d.depth, static_cast<unsigned long long>(d.flags),
                    static_cast<unsigned long long>(d.server_flags));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"exports a file as a ublk device, for tests"};
    Options options;
    app.require_subcommand(1);
    auto* start = app.add_subcommand("start", "add a device and serve it");
    auto* recover = app.add_subcommand("recover", "serve the device --number of a dead server");
    auto* remove = app.add_subcommand("delete", "delete the device --number");
    auto* list_command = app.add_subcommand("list", "list devices");
    auto* check = app.add_subcommand("check", "whether this kernel can");
    for (auto* command : {start, recover, remove})
        command->add_option("--number", options.number);
    for (auto* command : {start, recover}) {
        command->add_option("--file", options.file)->required();
        command->add_option("--size", options.size);
        command->add_option("--resize", options.resize);
        command->add_option("--counts", options.counts);
        command->add_option("--block", options.block);
        command->add_option("--reactors", options.reactors)->check(CLI::Range(1u, kReactorsMax));
        command->add_option("--queues", options.queues);
        command->add_option("--depth", options.depth);
        command->add_option("--delay-us", options.delay_us);
        command->add_option("--cluster", options.cluster);
        command->add_option("--full-at", options.full_at);
        command->add_option("--bad-at", options.bad_at);
        command->add_option("--volume", options.volume);
    }
    CLI11_PARSE(app, argc, argv);
    StderrLog sink;
    set_log_sink(&sink);
    if (*check) return report(ublk::check_kernel());
    if (*list_command) return list();
    if (*remove) return report(ublk::delete_device(static_cast<unsigned>(options.number)));
    return serve(options, static_cast<bool>(*recover));
}
