// Fuzz target: the configuration file.
// What is accepted is in range; what is not is refused with one line; nothing is thrown.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <string>

#include "base/units.h"
#include "daemon/config.h"
#include "ec/scheme.h"
#include "fuzz/input.h"
#include "wl/registry.h"

using namespace xsan;
using namespace xsan::daemon;

namespace {

constexpr unsigned kRunsPerFile = 4096;

void check(const Config& c) {
    XSAN_ASSERT(c.control.socket.starts_with('/') && c.control.socket.size() <= 107);
    XSAN_ASSERT(c.control.group.size() <= 32);
    XSAN_ASSERT(c.reactors.count <= kReactorsMax);
    XSAN_ASSERT(c.reactors.cpus.empty() || c.reactors.cpus.size() == c.reactors.count);
    XSAN_ASSERT(std::ranges::all_of(c.reactors.cpus, [](int n) { return n >= 0 && n < 8192; }));
    XSAN_ASSERT(c.log.level >= LogLevel::debug && c.log.level <= LogLevel::error);
    XSAN_ASSERT((c.log.target == Config::Log::Target::file) == c.log.file.starts_with('/'));
    XSAN_ASSERT(std::has_single_bit(c.create.strip_bytes));
    XSAN_ASSERT(c.create.strip_bytes >= ec::kStripBytesMin);
    XSAN_ASSERT(c.create.strip_bytes <= ec::kStripBytesMax);
    XSAN_ASSERT(c.create.block_bytes == 512 || c.create.block_bytes == 4096);
    XSAN_ASSERT(!c.create.extent_bytes ||
                (std::has_single_bit(*c.create.extent_bytes) && *c.create.extent_bytes >= kMiB));
    const auto& policy = c.create.consistency;
    XSAN_ASSERT(policy == "log" || policy == "resync" || policy == "none");
    XSAN_ASSERT(c.ublk.queues <= kReactorsMax);
    XSAN_ASSERT(c.ublk.queue_depth >= 1 && c.ublk.queue_depth <= 4096);
    XSAN_ASSERT(std::has_single_bit(c.ublk.request_bytes_max));
    XSAN_ASSERT(c.rebuild.rate_max_bytes <= INT64_MAX);
    XSAN_ASSERT(c.wear.readings.empty() || c.wear.readings.starts_with('/'));
    wl::Registry registry;
    wl::add_builtin_placements(registry);
    XSAN_ASSERT(registry.make(c.wear.policy).has_value());
    for (const Config::Wear::Endurance& e : c.wear.endurance) {
        XSAN_ASSERT(e.serial.empty() != e.model.empty());
        XSAN_ASSERT((e.bytes == 0) != (e.drive_writes == 0));
        XSAN_ASSERT(e.bytes <= kTiB << 20 && e.drive_writes >= 0 && e.drive_writes <= 1e6);
    }
    if (const auto& listen = c.metrics.listen) {
        XSAN_ASSERT(listen->port != 0 && (listen->host.starts_with("127.") || listen->host == "::1"));
        XSAN_ASSERT(parse_loopback(listen->text())->text() == listen->text());
    }
}

void check(const Outcome<Config>& outcome) {
    if (outcome) return check(*outcome);
    const std::string& message = outcome.error().message;
    XSAN_ASSERT(!message.empty() && message.find('\n') == std::string::npos);
}

// The same from a file, now and then: it costs system calls.
void load(std::string_view text, bool is_accepted) {
    const int fd = ::memfd_create("xsan.toml", 0);
    XSAN_ASSERT(fd >= 0 &&
                ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    const auto loaded = load_config("/proc/self/fd/" + std::to_string(fd), true);
    ::close(fd);
    XSAN_ASSERT(loaded.has_value() == is_accepted);
    XSAN_ASSERT(load_config("/nonexistent/xsan.toml", false).has_value());
    XSAN_ASSERT(!load_config("/nonexistent/xsan.toml", true).has_value());
    XSAN_ASSERT(!load_config("/", true).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static unsigned run = 0;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto outcome = parse_config(text, "xsan.toml");
    check(outcome);
    if (run++ % kRunsPerFile == 0) load(text, outcome.has_value());
    return 0;
}
