// What people ask of wear leveling and change in it.
#include <fmt/format.h>

#include <algorithm>

#include "pool/pool.h"
#include "pool/wear.h"

namespace xsan::pool {

Task<Outcome<void>> Wear::set_policy(std::string policy) {
    const std::string before(pool_.placement_name());
    if (policy == before) co_return Outcome<void>{};
    XSAN_CO_CHECK_VOID(pool_.use_placement(policy));
    planner_.reset();
    note(EventKind::wear_policy, fmt::format("policy {} instead of {}", policy, before));
    co_return co_await save_now();
}

Task<Outcome<void>> Wear::change_settings(std::vector<std::string> changes) {
    XSAN_CO_CHECK(settings_, wl::with_changes(settings_, changes));
    planner_.reset();
    plan_at_.reset();
    std::string list;
    for (const std::string& change : changes) list += (list.empty() ? "" : ", ") + change;
    note(EventKind::wear_settings, list);
    hold_or_release();
    co_return co_await save_now();
}

Task<Outcome<void>> Wear::set_endurance(MemberIndex member, double bytes) {
    const auto at = sides_.find(member);
    if (at == sides_.end()) {
        co_return Failure(Errc::not_found, fmt::format("{} is not there: nothing is known of its wear",
                                                       pool_.describe_member(member)));
    }
    wl::Account& account = at->second->account;
    account.endurance_by_command = bytes;
    account.rate(endurance_of(member, bytes));
    note(EventKind::wear_settings, fmt::format("endurance of {}: {:.0f} bytes", pool_.describe_member(member),
                                               account.endurance.bytes));
    co_return co_await save_now();
}

Task<Outcome<void>> Wear::set_task(bool on) {
    // It ends what `balance` began, too.
    if (on == task_is_on_ && (on || !is_balancing_)) co_return Outcome<void>{};
    task_is_on_ = on;
    note(EventKind::wear_task, on ? "started by command" : "stopped by command");
    plan_at_.reset();
    if (on) {
        plan_at_ = pool_.control().now();
    } else {
        (void)pool_.cancel_moves();
        is_balancing_ = false;
    }
    hold_or_release();
    co_return co_await save_now();
}

Task<Outcome<std::vector<MemberIndex>>> Wear::reset(std::optional<MemberIndex> member, bool with_history) {
    count_all();
    std::vector<MemberIndex> done;
    for (auto& [index, side] : sides_) {
        if (member && *member != index) continue;
        side->account.reset(now_seconds(), with_history);
        done.push_back(index);
    }
    if (member && done.empty()) {
        co_return Failure(Errc::not_found, fmt::format("{} is not there: nothing is known of its wear",
                                                       pool_.describe_member(*member)));
    }
    if (!member) user_bytes_ = device_bytes_ = 0;
    const std::string whose = member ? pool_.describe_member(*member) : "all members";
    note(EventKind::wear_reset, fmt::format("accounts of {} begin anew{}", whose, with_history ? ", history too" : ""));
    // Else a worn drive would seem new until the next look.
    if (with_history && !is_reading_) co_await read_in_background();
    const auto saved = co_await save_now();
    if (!saved) co_return saved.error();
    co_return done;
}

std::vector<Wear::MemberView> Wear::members() const {
    std::vector<MemberView> views;
    for (const wl::MemberCandidate& candidate : pool_.candidates()) {
        MemberView view;
        view.member = candidate.member;
        view.candidate = candidate;
        if (const auto side = sides_.find(candidate.member); side != sides_.end()) {
            view.account = &side->second->account;
            view.rate_bytes = side->second->rate_bytes;
            view.request_seconds = side->second->load.service_seconds();
        }
        views.push_back(view);
    }
    return views;
}

wl::Spread Wear::wear_spread() const {
    std::vector<double> wear;
    for (const wl::MemberCandidate& candidate : pool_.candidates()) {
        if (!candidate.spare && is_live(candidate.member)) wear.push_back(candidate.wear);
    }
    return wl::spread_of(wear);
}

wl::Spread Wear::fill_spread() const {
    std::vector<double> fill;
    for (const wl::MemberCandidate& candidate : pool_.candidates()) {
        if (candidate.spare || candidate.extents_total == 0 || !is_live(candidate.member)) continue;
        fill.push_back(1 - static_cast<double>(candidate.extents_free) / candidate.extents_total);
    }
    return wl::spread_of(fill);
}

std::vector<Wear::HotGroup> Wear::hottest(std::size_t count_max) const {
    std::vector<HotGroup> hot;
    for (std::uint32_t g = 0; g < pool_.state().group_limit(); g++) {
        const GroupIndex group{g};
        if (pool_.state().row(group) != nullptr && heat_.rate(group) > 0) hot.push_back({group, heat_.rate(group)});
    }
    const auto count = std::min(count_max, hot.size());
    std::ranges::partial_sort(hot, hot.begin() + static_cast<std::ptrdiff_t>(count), std::ranges::greater(),
                              &HotGroup::rate_bytes);
    hot.resize(count);
    return hot;
}

Wear::TaskView Wear::task() const {
    using State = TaskView::State;
    TaskView view;
    const MoveQueue& moves = pool_.moves();
    const bool moves_now = moves.has_background() || moves.running() > 0;
    if (is_paused_) {
        view.state = State::paused;
    } else if (moves_now && !moves.is_paused()) {
        view.state = State::running;
    } else if (!task_is_on_) {
        view.state = State::stopped;
    } else {
        view.state = settings_.schedule.contains(now_seconds()) ? State::idle : State::waiting;
    }
    view.last_plan_seconds = last_plan_seconds_;
    if (task_is_on_ && plan_at_) {
        const TimeNs now = pool_.control().now();
        const TimeNs left = *plan_at_ > now ? *plan_at_ - now : 0;
        view.next_plan_seconds = now_seconds() + static_cast<std::int64_t>(left / kSecond);
    }
    view.levels_wear = levels_wear_;
    view.moves_done = moves_done_;
    view.moves_failed = moves_failed_;
    view.moved_bytes = moved_bytes_;
    if (rate_bytes_ && pool_.moves().rate_max() < kRateMost) view.rate_bytes = pool_.moves().rate_max();
    view.latency_ns = latency_.now_ns;
    view.latency_quiet_ns = latency_.quiet_ns;
    return view;
}

}  // namespace xsan::pool
