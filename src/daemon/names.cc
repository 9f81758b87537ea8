// See names.h.
#include "daemon/names.h"

#include <algorithm>
#include <cmath>

namespace xsan::daemon {

std::string_view health_name(pool::PoolHealth health) {
    switch (health) {
        case pool::PoolHealth::online: return "online";
        case pool::PoolHealth::degraded: return "degraded";
        case pool::PoolHealth::failed: return "failed";
    }
    return "failed";
}

std::string_view member_state_name(const pool::MemberStatus& status) {
    switch (status.member.state) {
        case meta::MemberState::faulty: return "faulty";
        case meta::MemberState::missing: return "missing";
        case meta::MemberState::removed: return "removing";
        case meta::MemberState::in_sync: break;
    }
    if (!status.live) return "missing";
    if (status.member.removing) return "removing";
    if (status.receives) return "rebuilding";
    return status.member.spare ? "spare" : "in_sync";
}

std::string_view job_kind_name(pool::JobKind kind) {
    switch (kind) {
        case pool::JobKind::rebuild: return "rebuild";
        case pool::JobKind::resync: return "resync";
        case pool::JobKind::scrub: return "scrub";
        case pool::JobKind::relocate: return "relocate";
    }
    return "rebuild";
}

std::string_view job_state_name(pool::JobState state) {
    switch (state) {
        case pool::JobState::running: return "running";
        case pool::JobState::paused: return "paused";
        case pool::JobState::done: return "done";
        case pool::JobState::failed: return "failed";
    }
    return "failed";
}

std::string_view consistency_name(meta::Consistency consistency) {
    switch (consistency) {
        case meta::Consistency::none: return "none";
        case meta::Consistency::resync: return "resync";
        case meta::Consistency::log: return "log";
    }
    return "none";
}

std::string_view leveling_state_name(pool::Wear::TaskView::State state) {
    using State = pool::Wear::TaskView::State;
    switch (state) {
        case State::stopped: return "stopped";
        case State::idle: return "idle";
        case State::running: return "running";
        case State::paused: return "paused";
        case State::waiting: return "waiting";
    }
    return "stopped";
}

std::string_view account_kind_name(std::size_t kind) {
    return kind < kWriteKindNames.size() ? kWriteKindNames[kind] : kMetadataName;
}

std::string_view origin_name(wl::EnduranceOrigin origin) {
    switch (origin) {
        case wl::EnduranceOrigin::configured: return "configured";
        case wl::EnduranceOrigin::model: return "model";
        case wl::EnduranceOrigin::assumed: return "assumed";
    }
    return "assumed";
}

std::string_view origin_name(wl::WearOrigin origin) {
    switch (origin) {
        case wl::WearOrigin::own: return "own";
        case wl::WearOrigin::drive: return "drive";
        case wl::WearOrigin::file: return "file";
    }
    return "own";
}

double percent_of(std::uint64_t done, std::uint64_t total) {
    if (total == 0) return 100.0;
    return std::min(100.0, 100.0 * static_cast<double>(done) / static_cast<double>(total));
}

std::optional<double> max_over_min(const wl::Spread& spread) {
    if (spread.low <= 0 || !std::isfinite(spread.ratio)) return std::nullopt;
    return spread.ratio;
}

}  // namespace xsan::daemon
