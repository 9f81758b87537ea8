// What `show` says of the long work of a pool: plain values.
#pragma once

#include <cstdint>
#include <optional>

namespace xsan::pool {

enum class JobKind : std::uint8_t { rebuild, resync, scrub, relocate };
enum class JobState : std::uint8_t { running, paused, done, failed };
struct JobStatus {
    JobKind kind = JobKind::rebuild;
    JobState state = JobState::done;
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;
    std::uint64_t rate_bytes = 0;                // per second; 0: not known yet
    std::optional<std::uint64_t> eta_seconds;    //
};

}  // namespace xsan::pool
