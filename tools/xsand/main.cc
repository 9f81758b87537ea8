// xsand: the daemon. Parses, names the concrete classes, joins them, and waits for a signal.
//
// Order of start: configuration, log, reactors, control socket (so that a second daemon is refused before it
// touches a drive), metrics, what a previous daemon left, then clients are answered. The end is the reverse, but for
// metrics: their server ends first, while devices are served, since that may take a while.
#include <sys/mman.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <random>
#include <thread>

#include "base/log.h"
#include "daemon/service.h"
#include "logging.h"
#include "metrics_exposer.h"
#include "reactor/reactor_pool.h"
#include "reactor/task_group.h"
#include "reactor/thread_offload.h"
#include "rpc/server.h"

namespace {

using namespace xsan;

constexpr unsigned kOffloadThreads = 8;
constexpr TimeNs kMetricsInterval = kSecond;
// Each pool and each volume may take that long at the start, in microseconds (TimeoutStartSec of the unit).
constexpr const char* kMoreTime = "EXTEND_TIMEOUT_USEC=120000000";

int complain(const std::string& message, int status) {
    std::fprintf(stderr, "xsand: %s\n", message.c_str());
    return status;
}

// The kernel may need this process to write a page out before it can free memory: it must not be paged out or
// killed for want of memory itself. Without the rights (tests) it goes on.
void protect_from_memory_pressure() {
    std::ofstream("/proc/self/oom_score_adj") << "-1000";
    if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        log(LogLevel::warning, "memory could not be locked: raise LimitMEMLOCK");
    }
}

std::uint64_t entropy() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

unsigned reactor_count(const daemon::Config& config) {
    if (config.reactors.count != 0) return config.reactors.count;
    return std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
}

// Everything that runs; lives on reactor 0.
class Program {
  public:
    // `exposer`: nullptr, or where metrics go.
    Program(ReactorPool& reactors, daemon::Service& service, rpc::Server& server, MetricsExposer* exposer)
        : reactors_(reactors), service_(service), server_(server), exposer_(exposer) {
        metrics_timer_.work = Work{[](void* self) { static_cast<Program*>(self)->metrics_due_.set(); }, this};
    }

    // Before the reactors run: the first thing that reactor 0 does.
    void begin() {
        start_work_.program = this;
        start_work_.run = [](RemoteWork& self) {
            Program& program = *static_cast<Signal&>(self).program;
            program.tasks_.spawn(program.run());
        };
        reactors_.at(0).post(start_work_);
    }
    // From the signal thread.
    void ask_to_stop() {
        stop_work_.program = this;
        stop_work_.run = [](RemoteWork& self) { static_cast<Signal&>(self).program->stop_.set(); };
        reactors_.at(0).post(stop_work_);
    }

  private:
    Task<void> run() {
        co_await service_.start();
        server_.start();
        sd_notify(0, "READY=1");
        log(LogLevel::info, "xsand {} is ready", XSAN_VERSION);
        watchdog_.spawn(feed_watchdog());
        if (exposer_ != nullptr) metrics_.spawn(publish_metrics());
        co_await stop_.wait();
        sd_notify(0, "STOPPING=1");
        log(LogLevel::info, "xsand stops");
        co_await server_.stop();
        reactors_.at(0).cancel(metrics_timer_);
        metrics_due_.set();
        co_await metrics_.join();
        co_await service_.stop();
        stopped_ = true;
        // It sleeps: a reactor must not end with timers of its own.
        co_await watchdog_.join();
        reactors_.stop();
    }

    // Ends when stop_ is set and metrics_due_ after it.
    Task<void> publish_metrics() {
        while (!stop_.is_set()) {
            exposer_->publish(service_.metrics());
            metrics_due_.reset();
            reactors_.at(0).arm(metrics_timer_, Reactor::current().now() + kMetricsInterval);
            co_await metrics_due_.wait();
        }
    }

    // A reactor that hangs does not feed, and systemd restarts the daemon; the volumes wait in the kernel.
    Task<void> feed_watchdog() {
        std::uint64_t interval_us = 0;
        if (sd_watchdog_enabled(0, &interval_us) <= 0) co_return;
        const TimeNs interval = std::min<TimeNs>(interval_us * kMicrosecond / 3, kSecond);
        // Stopping feeds it too: the last flush may take longer than the watchdog waits.
        while (!stopped_) {
            sd_notify(0, "WATCHDOG=1");
            const TimeNs end = Reactor::current().now() + interval;
            while (!stopped_ && Reactor::current().now() < end) {
                co_await sleep_for(std::min<TimeNs>(interval, 200 * kMillisecond));
            }
        }
    }

    struct Signal : RemoteWork {
        Program* program = nullptr;
    };
    ReactorPool& reactors_;
    daemon::Service& service_;
    rpc::Server& server_;
    MetricsExposer* exposer_;
    Event stop_;
    Signal start_work_;
    Signal stop_work_;
    bool stopped_ = false;
    TaskGroup tasks_;
    TaskGroup watchdog_;
    TaskGroup metrics_;
    Timer metrics_timer_;
    Event metrics_due_;
};

// state.json and the links of live devices belong to one daemon.
Outcome<rpc::Fd> claim_run_folder(const daemon::Config& config, const std::string& run_folder) {
    XSAN_TRY_VOID(rpc::make_run_folder(run_folder, rpc::find_group(config.control.group)));
    return rpc::lock_run_folder(run_folder);
}

int run_daemon(const daemon::Config& config, const std::string& run_folder) {
    // Blocked before the first thread exists, so that one thread alone gets them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    auto sink = make_log_sink(config.log);
    if (!sink) return complain(sink.error().message, 1);
    set_log_sink(sink->get());

    protect_from_memory_pressure();

    ReactorPoolOptions pool_options;
    pool_options.count = reactor_count(config);
    pool_options.cpus = config.reactors.cpus;
    auto reactors = ReactorPool::create(pool_options);
    if (!reactors) return complain(reactors.error().message, 1);
    auto offload = std::make_unique<ThreadOffload>(kOffloadThreads);
    daemon::ServiceOptions options;
    options.config = config;
    options.run_folder = run_folder;
    options.seed = entropy();
    options.wall_seconds = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
    options.on_progress = [] { sd_notify(0, kMoreTime); };
    auto service = std::make_unique<daemon::Service>(**reactors, *offload, std::move(options));
    rpc::Dispatcher dispatcher;
    service->register_methods(dispatcher);
    rpc::ServerOptions server_options;
    server_options.path = config.control.socket;
    server_options.group = config.control.group;
    auto server = rpc::Server::open(server_options, dispatcher);
    if (!server) return complain(server.error().message, 1);
    auto state_lock = claim_run_folder(config, run_folder);
    if (!state_lock) return complain(state_lock.error().message, 1);

    std::unique_ptr<MetricsExposer> exposer;
    if (config.metrics.listen) {
        auto opened = MetricsExposer::open(*config.metrics.listen);
        if (!opened) return complain(opened.error().message, 1);
        exposer = std::move(*opened);
    }

    Program program(**reactors, *service, **server, exposer.get());
    std::thread waiter([&] {
        int signal = 0;
        sigwait(&signals, &signal);
        if (exposer != nullptr) exposer->close();
        program.ask_to_stop();
    });
    program.begin();
    (*reactors)->start();
    (*reactors)->run_first();
    waiter.join();
    // The kernel may still write into the buffers of devices that wait for the next daemon, until the rings
    // are gone.
    auto abandoned = service->take_abandoned();
    server->reset();
    service.reset();
    reactors->reset();
    abandoned.clear();
    offload.reset();
    set_log_sink(nullptr);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Serves fault-tolerant block devices over NVMe drives. See xsand(8)."};
    std::string config_path;
    std::string socket_path;
    std::string run_folder = "/run/xsan";
    app.add_option("--config", config_path, "configuration file (default /etc/xsan/xsan.toml)");
    app.add_option("--socket", socket_path, "control socket (default /run/xsan/xsand.sock)");
    app.add_option("--run-folder", run_folder, "where state.json is kept (default /run/xsan)");
    app.set_version_flag("--version", std::string("xsand ") + XSAN_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);
        return complain(std::string(e.what()) + " (see xsand --help)", 2);
    }
    const bool given = !config_path.empty();
    auto config = daemon::load_config(given ? config_path : daemon::kDefaultConfigPath, given);
    if (!config) return complain(config.error().message, 2);
    if (!socket_path.empty()) config->control.socket = socket_path;
    return run_daemon(*config, run_folder);
}
