// Running the policies and choosing among their results.
#include "xsanctl/wear/compare.h"

#include <algorithm>

#include "wl/heat.h"
#include "wl/water_level.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

constexpr const char* kPolicies[] = {"round_robin", "least_worn", "mixed",   "weighted_random",
                                     "load",        "staggered",  "adaptive"};

// A member takes at most one strip's part of each group's writes and, where all groups are written
// alike, no more than its extents hold.
double cv_bound_of(const CompareOptions& options) {
    if (!options.replacements.empty()) return 0;
    const double small_part = options.workload == WorkloadKind::sequential ? 0 : 1;
    const std::vector<double> strips = wl::strip_write_shares(
        options.data_strips, options.parity_strips, options.parity_fixed, small_part);
    const double strip_max = *std::max_element(strips.begin(), strips.end());
    const bool is_even =
        options.workload == WorkloadKind::uniform || options.workload == WorkloadKind::sequential;
    const double groups = static_cast<double>(groups_at_start(options));
    std::vector<wl::WearState> states;
    std::vector<double> caps;
    double size = 0;
    for (std::size_t i = 0; i < options.ages.size(); i++) {
        states.push_back({options.ages[i], options.sizes[i]});
        size += options.sizes[i];
        const double held = options.sizes[i] * options.extents / groups;
        caps.push_back(strip_max * (is_even ? std::min(1.0, held) : 1.0));
    }
    const std::vector<double> shares = wl::level_shares(states, options.growth, caps);
    std::vector<double> wear;
    for (std::size_t i = 0; i < states.size(); i++) {
        wear.push_back(states[i].wear + shares[i] * options.growth * size / states[i].endurance);
    }
    return wl::spread_of(wear).cv;
}

template <class IsBetter>
std::string best_of(const std::vector<PolicyResult>& policies, const IsBetter& is_better) {
    const PolicyResult* best = nullptr;
    for (const PolicyResult& result : policies) {
        if (result.extra_write_fraction() > kExtraWritesMax) continue;
        if (best == nullptr || is_better(result, *best)) best = &result;
    }
    return best == nullptr ? "" : best->policy;
}

json inputs_of(const CompareOptions& o) {
    constexpr const char* kRelocation[] = {"policy", "never", "always"};
    return {{"scheme", std::to_string(o.data_strips) + "+" + std::to_string(o.parity_strips)},
            {"parity_fixed", o.parity_fixed},
            {"workload", workload_name(o)},
            {"members", o.ages.size()},
            {"ages", o.ages},
            {"sizes", o.sizes},
            {"extents", o.extents},
            {"clusters_per_group", o.clusters_per_group},
            {"fill", o.fill},
            {"hot_days", o.hot_days},
            {"growth", o.growth},
            {"rated_writes", o.rated_writes},
            {"writes_per_day", o.writes_per_day},
            {"churn", o.churn},
            {"relocation", kRelocation[static_cast<int>(o.relocation)]},
            {"seed", o.seed}};
}

}  // namespace

Outcome<Comparison> compare(const CompareOptions& options) {
    XSAN_TRY_VOID(check_options(options));
    XSAN_TRY(Workload workload, Workload::make(options, groups_at_start(options)));
    Comparison comparison;
    comparison.options = options;
    comparison.cv_bound = cv_bound_of(options);
    for (const char* policy : kPolicies) {
        XSAN_TRY(auto result, simulate(policy, options, workload));
        comparison.policies.push_back(std::move(result));
    }
    comparison.best = best_of(comparison.policies, [](const auto& a, const auto& b) {
        return a.spread.cv < b.spread.cv;
    });
    comparison.best_spaced = best_of(comparison.policies, [](const auto& a, const auto& b) {
        return a.first_end_of_life_gap > b.first_end_of_life_gap;
    });
    return comparison;
}

json to_json(const Comparison& comparison) {
    json policies = json::array();
    for (const PolicyResult& r : comparison.policies) {
        policies.push_back({{"policy", r.policy},
                            {"cv", r.spread.cv},
                            {"deviation", r.spread.deviation},
                            {"wear_mean", r.spread.mean},
                            {"wear_min", r.spread.low},
                            {"wear_max", r.spread.high},
                            {"wear", r.wear},
                            {"extra_write_fraction", r.extra_write_fraction()},
                            {"first_end_of_life_gap", r.first_end_of_life_gap},
                            {"moves", r.moves},
                            {"years", r.days / 365}});
    }
    return {{"inputs", inputs_of(comparison.options)},
            {"policies", policies},
            {"cv_bound", comparison.cv_bound},
            {"best", comparison.best},
            {"best_spaced", comparison.best_spaced}};
}

}  // namespace xsan::ctl::wear
