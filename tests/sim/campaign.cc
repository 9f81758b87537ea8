// Seeds one after the other.
#include "sim/campaign.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/runner.h"

namespace xsan::simtest {

CampaignResult run_campaign(const CampaignOptions& options) {
    CampaignResult result;
    const double begin = options.seconds == nullptr ? 0 : options.seconds();
    std::uint64_t seed = options.seed;
    for (;; seed += options.seed_step) {
        if (result.stats.states >= options.states || result.stats.runs >= options.runs) break;
        if (options.seconds_max > 0 && options.seconds() - begin > options.seconds_max) break;
        const Plan plan = generate(seed, options.plan);
        if (options.on_run != nullptr) options.on_run(plan);
        Runner runner(plan, result.stats);
        MaybeFinding found = runner.run();
        if (!found && result.stats.runs % options.replay_every == 0) {
            Stats ignored;
            Runner again(plan, ignored);
            found = again.run();
            if (!found && again.hash() != runner.hash())
                found = finding("determinism", "the same plan took another course");
        }
        if (!found) continue;
        result.findings++;
        if (!result.first) {
            result.first = found;
            result.plan = plan;
        }
        if (!options.keep_going) break;
    }
    return result;
}

std::string summary(const Stats& stats, double seconds) {
    std::string faults;
    for (const auto& [kind, count] : stats.faults)
        faults += fmt::format("{}{} {}", faults.empty() ? "" : ", ", count, kind);
    return fmt::format(
        "{} states ({} nested, {} deep; {} more repeated) in {:.1f} s, {:.0f} states/s; {} runs, {} operations, {} "
        "rows, {} reads with losses, {} looks at rest, {} refusals, {} outvoted; a state: {} steps, {} requests, {} "
        "KiB read; faults: {}",
        stats.states, stats.nested, stats.deepest, stats.repeated, seconds,
        seconds > 0 ? static_cast<double>(stats.states) / seconds : 0.0, stats.runs,
        stats.operations, stats.rows_checked, stats.loss_reads, stats.at_rest, stats.refusals,
        stats.outvoted, stats.steps / std::max<std::uint64_t>(stats.states, 1),
        stats.requests / std::max<std::uint64_t>(stats.states, 1),
        stats.read_bytes / 1024 / std::max<std::uint64_t>(stats.states, 1),
        faults.empty() ? "none" : faults);
}

}  // namespace xsan::simtest
