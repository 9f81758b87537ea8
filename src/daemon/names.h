// The words of docs/rpc.md and docs/metrics.md for states and kinds: one place for answers and metrics.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "meta/records.h"
#include "pool/pool.h"
#include "pool/wear.h"
#include "raid/traffic.h"
#include "wl/account.h"
#include "wl/spread.h"

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
inline constexpr std::array<std::string_view, 5> kLevelingStateNames{"stopped", "idle", "running", "paused", "waiting"};

std::string_view health_name(pool::PoolHealth health);
std::string_view member_state_name(const pool::MemberStatus& status);
std::string_view job_kind_name(pool::JobKind kind);
std::string_view job_state_name(pool::JobState state);
std::string_view consistency_name(meta::Consistency consistency);
std::string_view leveling_state_name(pool::Wear::TaskView::State state);
std::string_view account_kind_name(std::size_t kind);  // below wl::kAccountKinds
std::string_view origin_name(wl::EnduranceOrigin origin);
std::string_view origin_name(wl::WearOrigin origin);

// Of a total of nothing all is done.
double percent_of(std::uint64_t done, std::uint64_t total);
// max / min; nullopt where min is 0.
std::optional<double> max_over_min(const wl::Spread& spread);

}  // namespace xsan::daemon
