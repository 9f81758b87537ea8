// The configuration of xsand: /etc/xsan/xsan.toml (man/xsan.toml.5).
// What is absent has the defaults below; an unknown key, a wrong type and a value out of range are
// refused with one line that names file, line and key. What is given on the command line goes
// before the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/units.h"
#include "daemon/listen_address.h"

namespace xsan::daemon {

inline constexpr const char* kDefaultConfigPath = "/etc/xsan/xsan.toml";
inline constexpr unsigned kReactorsMax = 64;
inline constexpr std::size_t kConfigBytesMax = kMiB;

struct Config {
    struct Control {
        std::string socket = "/run/xsan/xsand.sock";
        std::string group = "xsan";  // may read over the socket; "": root alone
    } control;

    struct Reactors {
        unsigned count = 0;     // 0: as many as there are CPUs to run on, at most 4
        std::vector<int> cpus;  // one per reactor; empty: not pinned
    } reactors;

    struct Log {
        enum class Target : std::uint8_t { automatic, stderr_stream, journal, syslog, file };
        LogLevel level = LogLevel::info;
        Target target = Target::automatic;  // the journal under systemd, else stderr
        std::string file;                   // absolute; only with Target::file
    } log;

    // For `create` and `volume create` where the request says nothing.
    struct Create {
        std::uint64_t strip_bytes = 64 * kKiB;
        std::uint64_t block_bytes = 4096;
        std::optional<std::uint64_t> extent_bytes;  // absent: chosen from the pool's size
        std::string consistency = "log";            // log, resync or none
    } create;

    struct Ublk {
        unsigned queues = 0;  // 0: one per reactor
        unsigned queue_depth = 128;
        std::uint64_t request_bytes_max = kMiB;
    } ublk;

    struct Rebuild {
        std::uint64_t rate_max_bytes = 0;  // a second; 0: no limit
    } rebuild;

    struct Scrub {
        std::uint64_t rate_max_bytes = 0;  // that it may read in a second; 0: no limit
    } scrub;

    struct Wear {
        // What drives can be written in their life. Exactly one of serial and model (a pattern with '*'), and one
        // of bytes and drive_writes (times the drive's size).
        struct Endurance {
            std::string serial;
            std::string model;
            std::uint64_t bytes = 0;
            double drive_writes = 0;
        };
        bool enabled = true;                 // accounts are kept on the drives
        std::string readings;                // absolute; "": no file of readings
        std::string policy = "round_robin";  // of new pools
        std::vector<Endurance> endurance;    // in the order of the file
    } wear;

    struct Metrics {
        std::optional<ListenAddress> listen;  // absent: metrics are not served
    } metrics;
};

// `file_name` is for messages only.
Outcome<Config> parse_config(std::string_view text, std::string_view file_name);

// A file that is absent gives the defaults, unless `must_exist`.
Outcome<Config> load_config(const std::string& path, bool must_exist);

}  // namespace xsan::daemon
