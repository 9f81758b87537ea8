// See metrics_exposer.h.
#include "metrics_exposer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>

namespace xsan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kHttpThreads = "2";
constexpr daemon::Metric kAge{"xsan_snapshot_age_seconds", prometheus::MetricType::Gauge,
                              "How old the other figures are: they are collected each second."};

// 0, or the errno with which nobody can listen there now. The HTTP library does not say why it failed.
int try_address(const daemon::ListenAddress& address) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    const bool is_v6 = address.is_v6();
    if (is_v6) {
        ::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
    } else {
        ::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr);
    }
    const auto* name = is_v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
    const int fd = ::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    // Connections of an earlier daemon that are not forgotten yet are no obstacle, as they are none to the library.
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const bool listens = ::bind(fd, name, is_v6 ? sizeof(v6) : sizeof(v4)) == 0 && ::listen(fd, 1) == 0;
    const int error = listens ? 0 : errno;
    ::close(fd);
    return error;
}

Failure refuse(const daemon::ListenAddress& address, Errc code, std::string_view why) {
    return {code, fmt::format("metrics.listen: {} {}", address.text(), why)};
}

}  // namespace

class MetricsExposer::Source final : public prometheus::Collectable {
  public:
    void publish(daemon::MetricSnapshot snapshot) {
        auto next = std::make_shared<const Dated>(Dated{std::move(snapshot), Clock::now()});
        const std::lock_guard lock(mutex_);
        newest_.swap(next);  // what was there is freed without the lock
    }

    // On an HTTP thread. Nothing before the first snapshot: the daemon is taking up what a previous one left.
    std::vector<prometheus::MetricFamily> Collect() const override {
        std::shared_ptr<const Dated> newest;
        {
            const std::lock_guard lock(mutex_);
            newest = newest_;
        }
        if (newest == nullptr) return {};
        daemon::MetricSet age;
        age.add(kAge, {}, std::chrono::duration<double>(Clock::now() - newest->at).count());
        std::vector<prometheus::MetricFamily> families = newest->snapshot;
        families.push_back(std::move(age.take().front()));
        return families;
    }

  private:
    struct Dated {
        daemon::MetricSnapshot snapshot;
        Clock::time_point at;
    };
    mutable std::mutex mutex_;
    std::shared_ptr<const Dated> newest_;
};

MetricsExposer::MetricsExposer() : source_(std::make_shared<Source>()) {}
MetricsExposer::~MetricsExposer() = default;

Outcome<std::unique_ptr<MetricsExposer>> MetricsExposer::open(const daemon::ListenAddress& address) {
    if (const int error = try_address(address); error == EADDRINUSE) {
        return refuse(address, Errc::busy, "is taken by another program");
    } else if (error != 0) {
        return refuse(address, error_from_errno(error).code, fmt::format("cannot be had: {}", std::strerror(error)));
    }
    std::unique_ptr<MetricsExposer> exposer(new MetricsExposer());
    try {
        const std::vector<std::string> options{"listening_ports", address.text(), "num_threads", kHttpThreads};
        exposer->http_ = std::make_unique<prometheus::Exposer>(options);
        exposer->http_->RegisterCollectable(exposer->source_);
    } catch (const std::exception&) {
        return refuse(address, Errc::unsupported,
                      address.is_v6() ? "cannot be served: the HTTP library here knows no IPv6; use 127.0.0.1"
                                      : "cannot be served: the HTTP library does not start");
    }
    return exposer;
}

void MetricsExposer::publish(daemon::MetricSnapshot snapshot) { source_->publish(std::move(snapshot)); }

void MetricsExposer::close() { http_.reset(); }

}  // namespace xsan
