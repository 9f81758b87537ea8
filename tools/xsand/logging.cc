// spdlog behind the LogSink interface. Lines are handed to a thread of spdlog's, so that a reactor never waits
// for a terminal or a disk; when that thread falls behind, the oldest lines are dropped, not the I/O.
#include "logging.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace xsan {
namespace {

using Target = daemon::Config::Log::Target;
constexpr std::size_t kQueuedLinesMax = 8192;

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return spdlog::level::debug;
        case LogLevel::info: return spdlog::level::info;
        case LogLevel::warning: return spdlog::level::warn;
        case LogLevel::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

class SpdlogSink final : public LogSink {
  public:
    SpdlogSink(std::shared_ptr<spdlog::logger> logger, LogLevel least)
        : logger_(std::move(logger)), least_(least) {}
    ~SpdlogSink() override {
        logger_->flush();
        logger_.reset();
        spdlog::shutdown();
    }
    bool wants(LogLevel level) const override { return level >= least_; }
    void write(LogLevel level, std::string_view line) override {
        logger_->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
    }

  private:
    std::shared_ptr<spdlog::logger> logger_;
    LogLevel least_;
};

std::shared_ptr<spdlog::sinks::sink> make_target(const daemon::Config::Log& config) {
    Target target = config.target;
    if (target == Target::automatic) {
        target = std::getenv("JOURNAL_STREAM") != nullptr ? Target::journal : Target::stderr_stream;
    }
    switch (target) {
        case Target::journal: return std::make_shared<spdlog::sinks::systemd_sink_mt>("xsand");
        case Target::syslog:
            return std::make_shared<spdlog::sinks::syslog_sink_mt>("xsand", 0, LOG_DAEMON, true);
        case Target::file: return std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
        case Target::stderr_stream:
        case Target::automatic: break;
    }
    return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

}  // namespace

Outcome<std::unique_ptr<LogSink>> make_log_sink(const daemon::Config::Log& config) {
    try {
        spdlog::init_thread_pool(kQueuedLinesMax, 1);
        auto logger = std::make_shared<spdlog::async_logger>(
            "xsand", make_target(config), spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
        logger->set_level(spdlog::level::debug);
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
        logger->flush_on(spdlog::level::info);
        return std::unique_ptr<LogSink>(std::make_unique<SpdlogSink>(std::move(logger), config.level));
    } catch (const spdlog::spdlog_ex& e) {
        return Failure(Errc::io_error, fmt::format("cannot log to {}: {}", config.file, e.what()));
    }
}

}  // namespace xsan
