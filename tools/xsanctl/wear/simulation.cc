// Simulated days.
#include "xsanctl/wear/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "base/rng.h"
#include "base/units.h"
#include "wl/heat.h"
#include "wl/planner.h"
#include "wl/prediction.h"
#include "wl/registry.h"

namespace xsan::ctl::wear {
namespace {

constexpr double kExtentBytes = static_cast<double>(kGiB);  // only ratios to it matter
constexpr double kHeatHalfLifeDays = 2;
constexpr double kTrendDays = 6.0 * kDaysPerMonth;
constexpr double kOutstandingMean = 16;

std::vector<std::uint32_t> extents_of_members(const CompareOptions& options) {
    std::vector<std::uint32_t> extents;
    for (const double size : options.sizes) {
        extents.push_back(std::max(1u, static_cast<std::uint32_t>(size * options.extents)));
    }
    return extents;
}

class Simulation final : private wl::PoolView {
  public:
    Simulation(const CompareOptions& options, Workload& workload,
               std::unique_ptr<wl::Placement> placement);

    Outcome<PolicyResult> run();

  private:
    std::vector<wl::MemberCandidate> members() const override { return members_; }
    void each_group(const VisitGroup& visit) const override {
        for (const auto& strips : groups_) {
            if (!strips.empty()) visit(strips);
        }
    }

    wl::PlannerSettings planner_settings() const;
    Outcome<void> place(std::size_t group);
    Outcome<void> recycle_groups();
    void replace_members(unsigned day);
    void write_day(const std::vector<double>& parts);
    void relocate(wl::Planner& planner);
    void write(MemberIndex member, double bytes);
    void sample(double day);
    double end_of_life_gap() const;

    const CompareOptions& options_;
    Workload& workload_;
    std::unique_ptr<wl::Placement> placement_;
    Rng rng_;
    std::vector<wl::MemberCandidate> members_;
    std::vector<double> written_today_;             // by member
    std::vector<std::vector<MemberIndex>> groups_;  // by group, in slots
    std::vector<double> shares_;                    // of a group's writes, by slot
    std::vector<wl::WearHistory> histories_;        // by member
    wl::GroupHeat heat_{kHeatHalfLifeDays * kDaySeconds};
    double bytes_per_day_ = 0;  // of users, all members together
    double endurance_ = 0;      // of all members together
    PolicyResult result_;
};

Simulation::Simulation(const CompareOptions& options, Workload& workload,
                       std::unique_ptr<wl::Placement> placement)
    : options_(options),
      workload_(workload),
      placement_(std::move(placement)),
      rng_(options.seed),
      groups_(groups_at_start(options)),
      shares_(wl::strip_write_shares(options.data_strips, options.parity_strips,
                                     options.parity_fixed, workload.small_part())) {
    const std::vector<std::uint32_t> extents = extents_of_members(options);
    for (std::size_t i = 0; i < extents.size(); i++) {
        wl::MemberCandidate m;
        m.member = MemberIndex{static_cast<std::uint16_t>(i)};
        m.extents_free = m.extents_total = extents[i];
        m.wear = options.ages[i];
        m.endurance_bytes = extents[i] * kExtentBytes * options.rated_writes;
        bytes_per_day_ += extents[i] * kExtentBytes * options.writes_per_day;
        endurance_ += m.endurance_bytes;
        members_.push_back(m);
    }
    written_today_.resize(members_.size());
    histories_.resize(members_.size());
    result_.policy = placement_->name();
}

wl::PlannerSettings Simulation::planner_settings() const {
    wl::PlannerSettings settings;
    settings.extent_bytes = static_cast<std::uint64_t>(kExtentBytes);
    settings.goal = placement_->goal();
    if (options_.relocation == Relocation::always && settings.goal != wl::WearGoal::stagger) {
        settings.goal = wl::WearGoal::level;
    }
    return settings;
}

Outcome<void> Simulation::place(std::size_t group) {
    wl::MemberRequest request;
    request.candidates = members_;
    request.strips = options_.data_strips + options_.parity_strips;
    request.parity_strips = options_.parity_strips;
    request.strips_min = request.strips;
    request.parity_fixed = options_.parity_fixed;
    request.seed = rng_.next();
    XSAN_TRY(const auto chosen, placement_->select_members(request));
    groups_[group].clear();
    for (const auto& member : chosen) {
        groups_[group].push_back(*member);
        members_[member->get()].extents_free--;
    }
    return {};
}

// Volumes come and go: some groups are deleted, and as many made anew.
Outcome<void> Simulation::recycle_groups() {
    const auto count =
        static_cast<std::size_t>(options_.churn * static_cast<double>(groups_.size()));
    std::vector<std::size_t> gone;
    for (std::size_t i = 0; i < count; i++) {
        const std::size_t group = rng_.below(groups_.size());
        if (groups_[group].empty()) continue;
        for (const MemberIndex m : groups_[group])
            members_[m.get()].extents_free++;
        placement_->on_strips_released(groups_[group], {});
        groups_[group].clear();
        gone.push_back(group);
    }
    for (const std::size_t group : gone)
        XSAN_TRY_VOID(place(group));
    return {};
}

void Simulation::replace_members(unsigned day) {
    for (const Replacement& r : options_.replacements) {
        if (r.month * kDaysPerMonth != day) continue;
        wl::MemberCandidate& m = members_[r.member];
        m.wear = 0;
        const double bytes = (m.extents_total - m.extents_free) * kExtentBytes;
        result_.replaced_bytes += bytes;
        write(m.member, bytes);
    }
}

void Simulation::write(MemberIndex member, double bytes) {
    wl::MemberCandidate& m = members_[member.get()];
    m.wear += wl::kWearMax * bytes / m.endurance_bytes;
    written_today_[member.get()] += bytes;
}

void Simulation::write_day(const std::vector<double>& parts) {
    std::vector<wl::GroupIo> written;
    std::fill(written_today_.begin(), written_today_.end(), 0);
    for (std::size_t group = 0; group < groups_.size(); group++) {
        const double bytes = parts[group] * bytes_per_day_;
        for (std::size_t slot = 0; slot < groups_[group].size(); slot++) {
            write(groups_[group][slot], bytes * shares_[slot]);
        }
        written.push_back(
            {GroupIndex{static_cast<std::uint32_t>(group)}, 0, static_cast<std::uint64_t>(bytes)});
    }
    result_.user_bytes += bytes_per_day_;
    heat_.fold(written, kDaySeconds);
    // By Little's law requests in flight go with the rate, at equal service times.
    const double mean = bytes_per_day_ / static_cast<double>(members_.size());
    for (auto& m : members_) {
        m.outstanding = static_cast<std::uint32_t>(
            std::lround(kOutstandingMean * written_today_[m.member.get()] / mean));
    }
}

void Simulation::relocate(wl::Planner& planner) {
    std::vector<std::vector<wl::PlannerStrip>> strips(groups_.size());
    std::vector<wl::PlannerGroup> table;
    for (std::size_t group = 0; group < groups_.size(); group++) {
        const GroupIndex index{static_cast<std::uint32_t>(group)};
        for (std::size_t slot = 0; slot < groups_[group].size(); slot++) {
            strips[group].push_back({groups_[group][slot], heat_.rate(index) * shares_[slot]});
        }
        table.push_back({index, strips[group], false});
    }
    const wl::Plan plan = planner.plan(members_, table);
    for (const wl::Move& move : plan.moves) {
        auto& group = groups_[move.group.get()];
        members_[move.from.get()].extents_free++;
        members_[move.to.get()].extents_free--;
        group[move.slot] = move.to;
        std::vector<MemberIndex> kept = group;
        kept.erase(kept.begin() + move.slot);
        placement_->on_strips_released(std::vector{move.from}, kept);
        placement_->on_strip_placed(move.to, kept);
        write(move.to, kExtentBytes);
        result_.moved_bytes += kExtentBytes;
    }
    result_.moves += plan.moves.size();
}

void Simulation::sample(double day) {
    WearSample sample{day, {}};
    for (const auto& m : members_)
        sample.wear.push_back(m.wear);
    result_.history.push_back(std::move(sample));
}

// Between the first and the second member to reach 100 points at the rate of the last six months,
// in units of the time in which the members on average use up a rated life. 1 where the second
// never does, or later than that.
double Simulation::end_of_life_gap() const {
    std::vector<double> ends;
    for (const auto& history : histories_) {
        const auto trend = wl::wear_trend(history.points(), kTrendDays * kDaySeconds, 0);
        // Before now, for a member that is past its end.
        const bool ends_once = trend && trend->rate > 0;
        ends.push_back(ends_once ? (wl::kWearMax - trend->wear) / trend->rate
                                 : std::numeric_limits<double>::infinity());
    }
    std::sort(ends.begin(), ends.end());
    const double rated_life = kDaySeconds * endurance_ / bytes_per_day_;
    if (ends.size() < 2 || !std::isfinite(ends[1])) return 1;
    return std::min(1.0, (ends[1] - ends[0]) / rated_life);
}

Outcome<PolicyResult> Simulation::run() {
    placement_->start(*this);
    for (std::size_t group = 0; group < groups_.size(); group++) {
        const auto placed = place(group);
        if (placed.has_value()) continue;
        return Failure(Errc::invalid_argument,
                       fmt::format("wear compare: the pool cannot be filled to {} %: {}",
                                   100 * options_.fill, placed.error().message));
    }
    wl::Planner planner(planner_settings());
    double total = 0;
    for (unsigned day = 0; total < options_.growth; day++) {
        if (day % kDaysPerMonth == 0) {
            sample(day);
            if (day > 0) XSAN_TRY_VOID(recycle_groups());
        }
        replace_members(day);
        write_day(workload_.phase(day / options_.hot_days));
        if (options_.relocation != Relocation::never) relocate(planner);
        total = wl::kWearMax * (result_.user_bytes + result_.moved_bytes) / endurance_;
        result_.days = day + 1;
        for (const auto& m : members_) {
            histories_[m.member.get()].add({result_.days * kDaySeconds, m.wear});
        }
    }
    sample(result_.days);
    result_.wear = result_.history.back().wear;
    result_.spread = wl::spread_of(result_.wear);
    result_.first_end_of_life_gap = end_of_life_gap();
    placement_->stop();
    return std::move(result_);
}

}  // namespace

std::size_t groups_at_start(const CompareOptions& options) {
    const std::vector<std::uint32_t> extents = extents_of_members(options);
    const double all = std::accumulate(extents.begin(), extents.end(), 0.0);
    const unsigned strips = options.data_strips + options.parity_strips;
    return std::max<std::size_t>(1, static_cast<std::size_t>(options.fill * all / strips));
}

Outcome<PolicyResult> simulate(const std::string& policy, const CompareOptions& options,
                               Workload& workload) {
    wl::Registry registry;
    wl::add_builtin_placements(registry);
    XSAN_TRY(auto placement, registry.make(policy));
    Simulation simulation(options, workload, std::move(placement));
    return simulation.run();
}

}  // namespace xsan::ctl::wear
