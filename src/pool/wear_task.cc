// The background task: when it plans, what becomes of a plan, and how fast its moves may go.
//
// A plan is made when the last one was carried out, at most once in settings.interval_seconds, inside the schedule, and
// not while anything is rebuilt. Its moves go into the pool's queue, where they wait behind rebuilds and moves by
// command (move_queue.h); each is checked again when it starts. When users' latency rises above what it is without
// moves their rate falls. What it is without them is learned while nothing moves and, where moves go on for long, in a
// look every kQuietHolds in which they go at their slowest.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/units.h"
#include "pool/pool.h"
#include "pool/wear.h"

namespace xsan::pool {
namespace {

constexpr TimeNs kLatencyEvery = 5 * kSecond;
constexpr std::uint64_t kRequestsLeast = 20;  // fewer say nothing of latency
constexpr double kQuietPart = 0.2;            // how much of the quiet latency one look makes
constexpr TimeNs kQuietHolds = 600 * kSecond;  // then moves all but stop for one look
constexpr TimeNs kTellEvery = 60 * kSecond;
constexpr std::uint64_t kRateFloor = 4 * kMiB;
constexpr std::uint64_t kRateFirst = 64 * kMiB;
constexpr TimeNs kPlanAfterStart = 10 * kSecond;
constexpr TimeNs kPredictionHolds = 30 * kSecond;

// What all members of a group write for a byte of its users: a full stripe writes each strip once; a small write its
// data and all parity, or all copies of it.
double member_bytes_per_user_byte(const ec::Scheme& scheme, double small_part) {
    const double full = static_cast<double>(scheme.total_strips()) / scheme.data_strips;
    if (scheme.kind != ec::CodeKind::parity) return full;
    return (1 - small_part) * full + small_part * (1.0 + scheme.parity_strips);
}

TimeNs as_time(double seconds) { return static_cast<TimeNs>(seconds * static_cast<double>(kSecond)); }

}  // namespace

// By hand, or ahead of a threshold, members are levelled as far as planning goes at all, whatever the policy thinks of
// wear; but what is staggered stays staggered.
wl::PlannerSettings Wear::planner_settings(bool eager) const {
    wl::PlannerSettings settings = settings_.planner;
    settings.extent_bytes = pool_.state().pool().extent_bytes;
    settings.goal = pool_.placement().goal();
    if (!eager) return settings;
    if (settings.goal != wl::WearGoal::stagger) settings.goal = wl::WearGoal::level;
    settings.spread_start = std::min(settings.spread_start, settings.spread_stop + 0.01);
    return settings;
}

wl::Plan Wear::make_plan(wl::Planner& planner) const {
    const std::vector<wl::MemberCandidate> members = pool_.candidates();
    const meta::State& state = pool_.state();
    const raid::EngineCounters counters = pool_.engine().counters();
    const auto small = static_cast<double>(counters.delta_writes + counters.reconstruct_writes);
    const double all = small + static_cast<double>(counters.full_stripe_writes);
    const double small_part = all > 0 ? small / all : 0.5;

    std::vector<wl::PlannerStrip> strips;
    struct Range {
        GroupIndex group;
        std::size_t first;
        std::size_t count;
        bool busy;
    };
    std::vector<Range> ranges;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state.row(group);
        if (row == nullptr) continue;
        const ec::Scheme& scheme = *state.schemes()[row->scheme().get()];
        const auto shares = wl::strip_write_shares(scheme.data_strips, scheme.parity_strips,
                                                   scheme.has_fixed_parity(), small_part);
        const double rate = heat_.rate(group) * member_bytes_per_user_byte(scheme, small_part);
        const std::size_t first = strips.size();
        for (std::size_t slot = 0; slot < row->strips().size(); slot++) {
            const StripRef strip = row->strips()[slot];
            if (strip.state() != StripState::none) strips.push_back({strip.member(), rate * shares[slot]});
        }
        ranges.push_back({group, first, strips.size() - first, !pool_.is_settled(group)});
    }
    std::vector<wl::PlannerGroup> groups;
    for (const Range& range : ranges) {
        groups.push_back({range.group, std::span(strips).subspan(range.first, range.count), range.busy});
    }
    return planner.plan(members, groups);
}

wl::Plan Wear::plan(bool eager) const {
    if (!eager && planner_) {
        wl::Planner copy = *planner_;
        return make_plan(copy);
    }
    wl::Planner planner(planner_settings(eager));
    return make_plan(planner);
}

double Wear::predicted_spread() {
    const TimeNs now = pool_.control().now();
    if (!predicted_at_ || now - *predicted_at_ > kPredictionHolds) {
        predicted_spread_ = plan(false).spread_predicted;
        predicted_at_ = now;
    }
    return predicted_spread_;
}

bool Wear::is_in_danger() const {
    if (settings_.prevent_days <= 0) return false;
    const wl::Spread spread = wear_spread();
    for (const auto& [member, side] : sides_) {
        if (!is_live(member) || side->account.level() <= spread.mean) continue;
        const wl::Outlook outlook = wl::outlook_of(side->account, settings_.warn_at);
        if (outlook.time && outlook.time->expected_seconds < settings_.prevent_days * kDaySeconds) return true;
    }
    return false;
}

// How many moves now wait.
std::size_t Wear::carry_out(const wl::Plan& plan) {
    // In force before the first byte is moved.
    set_rate(settings_.latency_factor == 0 ? rate_most() : std::min(rate_most(), kRateFirst));
    std::size_t count = 0;
    for (const wl::Move& move : plan.moves) {
        const MoveOrder order{move.group, move.from, move.to};
        const auto queued = pool_.enqueue_move(order, wl::describe(move));
        if (queued) {
            count++;
        } else {
            log(LogLevel::debug, "pool {}: {}: {}", pool_.name(), wl::describe(move), queued.error().message);
        }
    }
    return count;
}

Outcome<wl::Plan> Wear::balance() {
    if (stopping_) return pool_.refuse_stopping();
    if (!pool_.moves().is_idle()) {
        return Failure(Errc::busy, fmt::format("groups of pool '{}' move or wait to be moved: wait until that has "
                                               "ended",
                                               pool_.name()));
    }
    wl::Plan made = plan(true);
    is_balancing_ = true;
    const std::size_t count = carry_out(made);
    note(EventKind::wear_plan, fmt::format("balance by command: {} of {} moves wait, spread {:.1f} points", count,
                                           made.moves.size(), made.spread));
    hold_or_release();
    return made;
}

void Wear::plan_when_due() {
    const TimeNs now = pool_.control().now();
    if (pool_.moves().is_idle()) is_balancing_ = false;
    hold_or_release();
    if (!task_is_on_ || is_paused_ || !settings_.schedule.contains(now_seconds())) return;
    if (!plan_at_) plan_at_ = now + kPlanAfterStart;
    if (now < *plan_at_ || !pool_.moves().is_idle() || !pool_.may_plan_moves()) return;
    plan_at_ = now + as_time(settings_.interval_seconds);
    last_plan_seconds_ = now_seconds();
    const bool eager = is_in_danger();
    if (!planner_ || planner_->settings().goal != pool_.placement().goal()) planner_.emplace(planner_settings(false));
    const wl::Plan made = eager ? plan(true) : make_plan(*planner_);
    if (levels_wear_ != made.levels_wear) {
        note(EventKind::wear_plan, fmt::format("{}: spread {:.1f} points, {:.1f} foreseen",
                                               made.levels_wear ? "wear is to be levelled" : "wear is level enough",
                                               made.spread, made.spread_predicted));
    }
    levels_wear_ = made.levels_wear;
    if (made.moves.empty()) return;
    const std::size_t count = carry_out(made);
    note(EventKind::wear_plan,
         fmt::format("{} of {} moves wait, spread {:.1f} points, {:.1f} foreseen{}", count, made.moves.size(),
                     made.spread, made.spread_predicted, eager ? ", ahead of a threshold" : ""));
    hold_or_release();
}

// The queue is held while nobody wants its moves.
void Wear::hold_or_release() {
    const bool is_in_schedule = settings_.schedule.contains(now_seconds());
    if (task_is_on_ && was_in_schedule_.value_or(true) != is_in_schedule) {
        note(EventKind::wear_task,
             is_in_schedule ? "the time of its schedule has come" : "waits: it is outside its schedule");
    }
    if (task_is_on_) was_in_schedule_ = is_in_schedule;
    const bool wanted = is_balancing_ || (task_is_on_ && is_in_schedule);
    const bool held = is_paused_ || !wanted;
    if (held != pool_.moves().is_paused()) pool_.pause_moves(held);
}

void Wear::set_paused(bool paused) {
    if (is_paused_ != paused) note(EventKind::wear_task, paused ? "paused by command" : "resumed by command");
    is_paused_ = paused;
    hold_or_release();
}

// Mean latency of what users asked for since the last look, and how fast moves went meanwhile.
bool Wear::watch_latency() {
    const TimeNs now = pool_.control().now();
    const TimeNs elapsed = now - latency_.at;
    if (elapsed < kLatencyEvery) return false;
    latency_.at = now;
    const std::uint64_t moved = bytes_of_moves();
    latency_.moved_rate = static_cast<double>(moved - std::min(moved, latency_.moved_before)) /
                          (static_cast<double>(elapsed) / static_cast<double>(kSecond));
    latency_.moved_before = moved;
    const bool is_still = pool_.moves().is_idle() && latency_.moved_rate == 0 && pool_.is_quiet();
    const bool was_quiet = std::exchange(latency_.is_listening, false) || is_still;
    if (!load_source_) return true;
    const UserLoad load = load_source_();
    const UserLoad before = std::exchange(latency_.before, load);
    // A volume was detached, and its figures with it; or there is too little to tell.
    const bool is_comparable =
        load.requests >= before.requests + kRequestsLeast && load.nanoseconds >= before.nanoseconds;
    if (!is_comparable) {
        latency_.now_ns.reset();
        return true;
    }
    latency_.now_ns = static_cast<double>(load.nanoseconds - before.nanoseconds) /
                      static_cast<double>(load.requests - before.requests);
    if (!was_quiet) return true;
    // One from long ago says little: another one takes its place.
    const bool is_fresh = latency_.quiet_ns && now - latency_.quiet_at < kQuietHolds;
    const double old = is_fresh ? *latency_.quiet_ns : *latency_.now_ns;
    latency_.quiet_ns = old + kQuietPart * (*latency_.now_ns - old);
    latency_.quiet_at = now;
    return true;
}

std::uint64_t Wear::bytes_of_moves() const {
    std::uint64_t bytes = 0;
    for (const MemberIndex member : live_members()) bytes += totals_of(member).of(wl::AccountKind::relocation).bytes;
    return bytes;
}

// Moves go slower while users wait longer than they did without them, and faster again when they do not: one step with
// each look.
void Wear::guide_moves(bool looked) {
    // Moves by command go at the rate of rebuilds.
    if (pool_.moves().running_in_background() == 0) {
        if (rate_bytes_ && !pool_.moves().has_background()) {
            rate_bytes_.reset();
            pool_.set_move_rate(std::nullopt);
            latency_.is_high = latency_.is_listening = latency_.was_told = false;
        }
        return;
    }
    if (!looked && rate_bytes_) return;
    const std::uint64_t rate = next_rate();
    tell_of_latency();
    latency_.is_listening = must_listen();
    // What was reached before is taken up again after a look at users alone.
    if (latency_.is_listening) {
        pool_.set_move_rate(std::min(kRateFloor, rate_most()));
        rate_bytes_ = rate;
    } else {
        set_rate(rate);
    }
}

std::uint64_t Wear::next_rate() {
    const std::uint64_t most = rate_most();
    const std::uint64_t rate = std::min(most, rate_bytes_.value_or(kRateFirst));
    latency_.is_high = false;
    if (settings_.latency_factor == 0) return most;
    const bool can_tell = latency_.now_ns && latency_.quiet_ns;
    latency_.is_high = can_tell && *latency_.now_ns > settings_.latency_factor * *latency_.quiet_ns;
    if (latency_.is_high) return std::max(std::min(kRateFloor, most), rate / 2);
    // Far above what moves reach it would be no limit, and long on its way down.
    const auto useful = std::max(kRateFirst, static_cast<std::uint64_t>(2 * latency_.moved_rate));
    return std::min({most, rate + rate / 4, std::max(rate, useful)});
}

// Users ask for something, moves go on, and nobody knows any more how long users would wait without them.
bool Wear::must_listen() const {
    if (settings_.latency_factor == 0 || !latency_.now_ns) return false;
    return !latency_.quiet_ns || pool_.control().now() - latency_.quiet_at >= kQuietHolds;
}

void Wear::tell_of_latency() {
    const TimeNs now = pool_.control().now();
    if (latency_.is_high == latency_.was_told || (latency_.told_at > 0 && now - latency_.told_at < kTellEvery)) return;
    latency_.was_told = latency_.is_high;
    latency_.told_at = now;
    note(EventKind::wear_task,
         latency_.is_high ? fmt::format("users wait {:.0f} us instead of {:.0f}: moves go slower",
                                        latency_.now_ns.value_or(0) / 1000, latency_.quiet_ns.value_or(0) / 1000)
                          : "users wait no longer than without moves: these go faster again");
}

std::uint64_t Wear::rate_most() const {
    const std::uint64_t own = settings_.rate_max_bytes > 0 ? settings_.rate_max_bytes : kRateMost;
    const std::uint64_t of_rebuilds = pool_.state().pool().rebuild_rate_max;
    return of_rebuilds > 0 ? std::min(own, of_rebuilds) : own;
}

void Wear::set_rate(std::uint64_t rate) {
    rate_bytes_ = rate;
    if (pool_.moves().rate_max() != rate) pool_.set_move_rate(rate);
}

void Wear::move_began(const MoveOrder& order, const std::string& why) {
    if (!why.empty()) note(EventKind::wear_move, why);
    log(LogLevel::debug, "pool {}: group {} begins to move", pool_.name(), order.group.get());
}

void Wear::move_ended(const MoveOrder& order, bool moved, const std::string& why) {
    if (moved) {
        moves_done_++;
        moved_bytes_ += pool_.state().pool().extent_bytes;
        note(EventKind::wear_moved, fmt::format("group {} moved from member {} to {}", order.group.get(),
                                                order.from.get(), order.to.get()));
    } else {
        moves_failed_++;
        note(EventKind::wear_move_failed, fmt::format("group {} stays on member {}: {}", order.group.get(),
                                                      order.from.get(), why));
    }
}

void Wear::moves_cancelled(std::size_t count, std::optional<GroupIndex> group) {
    note(EventKind::wear_task, group ? fmt::format("the move of group {} gives way to a command", group->get())
                                     : fmt::format("{} moves are cancelled", count));
}

}  // namespace xsan::pool
