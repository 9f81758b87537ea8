// xsan-sim: runs the simulator. Exit status 0: clean; 1: something was found; 2: usage.
//
// A finding leaves two replay files: the whole run, and what the shrinker made of it.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/mutant.h"
#include "sim/campaign.h"
#include "sim/jobs.h"
#include "sim/runner.h"
#include "sim/shrink.h"

namespace {

using namespace xsan;
using namespace xsan::simtest;

double now_seconds() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// A broken assertion ends the process: the plan that ran is kept, and shrunk like others (its attempts
// run in processes of their own). The abort is synchronous, so that this may allocate.
const Plan* g_running = nullptr;
std::string g_artifacts;
bool g_is_brief = false;  // a finding is one line: no replay files, no shrinking

void report(const Plan& plan, const Finding& finding, const std::string& folder);

void on_abort(int) {
    std::signal(SIGABRT, SIG_DFL);
    if (g_running != nullptr) {
        report(*g_running, Finding{"abort", "an assertion failed", UINT32_MAX}, g_artifacts);
        std::fflush(stdout);
    }
    _exit(1);
}

class PrintedLog final : public LogSink {
  public:
    bool wants(LogLevel) const override { return true; }
    void write(LogLevel, std::string_view line) override { fmt::print("        log: {}\n", line); }
};

// Runs a plan from a file, and says what each operation does.
int replay(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        fmt::print(stderr, "xsan-sim: {} cannot be read\n", path);
        return 2;
    }
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto plan = parse_plan(text);
    if (!plan) {
        fmt::print(stderr, "xsan-sim: {}: {}\n", path, plan.error().message);
        return 2;
    }
    PrintedLog log;
    set_log_sink(&log);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Stats stats;
    Runner runner(*plan, stats);
    runner.verbose = true;
    const double begin = now_seconds();
    const MaybeFinding found = runner.run();
    set_log_sink(nullptr);
    if (found) fmt::print("{} at operation {}: {}\n", found->kind, found->op, found->what);
    fmt::print("trace {:#x}; {}\n", runner.hash(), summary(stats, now_seconds() - begin));
    return found ? 1 : 0;
}

void report(const Plan& plan, const Finding& finding, const std::string& folder) {
    fmt::print("seed {}: {} at operation {}: {}\n", plan.seed, finding.kind, finding.op, finding.what);
    if (g_is_brief) return;
    const std::string whole = write_replay(plan, finding, folder);
    fmt::print("the whole run: xsan-sim --replay {}\nshrinking ...\n", whole);
    std::fflush(stdout);
    const Shrunk shrunk = shrink(plan, finding, {});
    const std::string path = write_replay(shrunk.plan, *shrunk.found, folder);
    fmt::print("{} operations left after {} attempts: {}\nto see it again: xsan-sim --replay {}\n",
               shrunk.plan.ops.size(), shrunk.attempts, shrunk.found->what, path);
}

// False: this build has no mutant of that name.
bool select_mutant(const std::string& name) {
    for ([[maybe_unused]] const MutantInfo& info : kMutants) {
#ifdef XSAN_MUTANTS
        if (info.name != name) continue;
        selected_mutant = info.mutant;
        return true;
#endif
    }
    fmt::print(stderr, "xsan-sim: {} '{}'\n",
               kHasMutants ? "no mutant is called" : "built without mutants (preset `mutants`):", name);
    return false;
}

int list_mutants() {
    for (const MutantInfo& info : kMutants)
        fmt::print("{}\t{}\t{}\n", info.name, info.kind, info.defect);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // A pool's tables are a few MiB, made and freed for each state: keep their pages.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);
    CLI::App app{"xsan in a simulator: workloads, faults and power cuts, held against its promises"};
    CampaignOptions options;
    options.seconds = now_seconds;
    std::string policy = "resync";
    std::string mode = "within";
    std::string replayed;
    std::string mutant_name;
    std::vector<std::string> focus;
    bool prints_matrix = false;
    bool needs_matrix = false;
    unsigned jobs = 1;
    bool lists_mutants = false;
    double hours = 0;
    app.add_option("--seed", options.seed, "the first seed");
    const auto* states = app.add_option("--states", options.states, "crash states to check, at least (20000)");
    app.add_option("--runs", options.runs, "runs, one for each seed, at most");
    app.add_option("--hours", hours, "run for so long; with --states, or --runs, stop at whichever comes first");
    app.add_option("--replay", replayed, "run the plan in this file and say what happens");
    app.add_option("--policy", policy, "consistency of the pools: log, resync or none");
    app.add_option("--mode", mode, "within: what is promised; beyond: more, only C5 holds");
    app.add_option("--shape", options.plan.shape, "one scheme only, such as 4+2");
    app.add_option("--ring", options.plan.log_ring_bytes, "bytes of each ring of the stripe log, such as 81920");
    app.add_option("--reactors", options.plan.reactors, "of each pool; from 49 on a tail of the log may be torn");
    app.add_option("--focus", focus, "operations or faults that are to be frequent, such as write_error");
    app.add_option("--artifacts", options.artifacts, "folder for replay files");
    app.add_flag("--degraded", options.plan.degraded_cuts, "cut also while members are missing");
    app.add_flag("--keep-going", options.keep_going, "count findings, do not stop at the first");
    app.add_option("--jobs", jobs, "processes that share the work, each with seeds of its own");
    app.add_flag("--full-matrix", needs_matrix, "an empty cell of the matrix is a failure");
    app.add_flag("--matrix", prints_matrix, "which fault met which I/O in which state, how often");
    app.add_option("--mutant", mutant_name, "run with this defect built in (preset `mutants`)");
    app.add_flag("--list-mutants", lists_mutants, "names, classes and defects");
    app.add_flag("--brief", g_is_brief, "say what was found in one line, and do not shrink it");
    CLI11_PARSE(app, argc, argv);
    if (lists_mutants) return list_mutants();
    if (!mutant_name.empty() && !select_mutant(mutant_name)) return 2;
    if (!replayed.empty()) return replay(replayed);
    const auto parsed = parse_policy(policy);
    if (!parsed) {
        fmt::print(stderr, "xsan-sim: {}\n", parsed.error().message);
        return 2;
    }
    for (const std::string& name : focus) {
        options.plan.focus.push_back(parse_op(name));
        if (options.plan.focus.back() != OpKind::count_) continue;
        fmt::print(stderr, "xsan-sim: there is no operation '{}'\n", name);
        return 2;
    }
    options.plan.policy = *parsed;
    options.plan.mode = mode == "beyond" ? Mode::beyond : Mode::within;
    options.seconds_max = hours * 3600;
    if (hours > 0 && states->count() == 0) options.states = UINT64_MAX;
    const double begin = now_seconds();
    g_artifacts = options.artifacts;
    options.on_run = [](const Plan& plan) { g_running = &plan; };
    std::signal(SIGABRT, on_abort);
    if (g_is_brief) std::signal(SIGSEGV, on_abort);  // what a mutant leads to is found all the same
    const JobResult result = run_jobs(jobs, [options, jobs](unsigned job) {
        CampaignOptions mine = options;
        mine.seed += job;
        mine.seed_step = jobs;
        mine.states = options.states / jobs + (options.states % jobs != 0 ? 1 : 0);
        CampaignResult ran = run_campaign(mine);
        std::signal(SIGABRT, SIG_DFL);
        if (ran.first) report(ran.plan, *ran.first, mine.artifacts);
        return JobResult{std::move(ran.stats), !ran.first};
    });
    const MatrixScope scope{*parsed == meta::Consistency::log, options.plan.relocates()};
    const bool empty = needs_matrix && empty_cells(result.stats.cells, scope) > 0;
    if (prints_matrix || empty) fmt::print("{}", print_matrix(result.stats.cells, scope));
    fmt::print("{}\n", summary(result.stats, now_seconds() - begin));
    return result.clean && !empty ? 0 : 1;
}
