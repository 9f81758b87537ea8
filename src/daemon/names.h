// The words of docs/rpc.md and docs/metrics.md for states and kinds: one place for `show` and metrics.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "meta/records.h"
#include "pool/pool.h"
#include "raid/traffic.h"

namespace xsan::daemon {

// By raid::WriteKind; metadata is written beside them.
inline constexpr std::array<const char*, raid::kWriteKinds> kWriteKindNames{"data",       "parity", "rebuild",
                                                                            "relocation", "zeros",  "log"};
inline constexpr const char* kMetadataName = "metadata";

// All that the functions below may say.
inline constexpr std::array<std::string_view, 3> kHealthNames{"online", "degraded", "failed"};
inline constexpr std::array<std::string_view, 6> kMemberStateNames{"in_sync",  "spare",   "rebuilding",
                                                                   "removing", "missing", "faulty"};
inline constexpr std::array<std::string_view, 4> kJobStateNames{"running", "paused", "done", "failed"};

std::string_view health_name(pool::PoolHealth health);
std::string_view member_state_name(const pool::MemberStatus& status);
std::string_view job_kind_name(pool::JobKind kind);
std::string_view job_state_name(pool::JobState state);
std::string_view consistency_name(meta::Consistency consistency);

// Of a total of nothing all is done.
double percent_of(std::uint64_t done, std::uint64_t total);

}  // namespace xsan::daemon
