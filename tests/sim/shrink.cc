// Attempts in child processes.
#include "sim/shrink.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>

#include "sim/jobs.h"
#include "sim/runner.h"

namespace xsan::simtest {
namespace {

class Shrinker {
  public:
    Shrinker(const Plan& plan, const Finding& finding, const ShrinkOptions& options)
        : best_{plan, finding, 0}, options_(options) {}

    Shrunk run() {
        cut_off_tail();
        keep_one_cut();
        for (std::size_t before = SIZE_MAX; before != best_.plan.ops.size();) {
            before = best_.plan.ops.size();
            take_operations_out();
        }
        simplify_pool();
        simplify_operations();
        take_operations_out();
        return best_;
    }

  private:
    bool attempt(const Plan& plan) {
        if (best_.attempts >= options_.attempts_max) return false;
        best_.attempts++;
        MaybeFinding found = run_apart(plan, options_.seconds_each);
        if (!found || found->kind != best_.found->kind) return false;
        best_.plan = plan;
        if (found->kind == "abort") found->op = UINT32_MAX;
        best_.found = found;
        return true;
    }
    bool attempt(const std::function<void(Plan&)>& change) {
        Plan plan = best_.plan;
        change(plan);
        return to_text(plan) != to_text(best_.plan) && attempt(plan);
    }

    void cut_off_tail() {
        if (best_.found->op == UINT32_MAX) return halve();  // an abort does not say where it was
        attempt([this](Plan& plan) {
            std::erase_if(plan.ops, [this](const Op& op) { return op.id > best_.found->op; });
        });
    }
    void halve() {
        for (std::size_t keep = best_.plan.ops.size() / 2; keep > 0; keep /= 2) {
            if (!attempt([&](Plan& plan) { plan.ops.resize(keep); })) break;
        }
    }
    void keep_one_cut() {
        attempt([this](Plan& plan) {
            for (Op& op : plan.ops) {
                if (op.id != best_.found->op) op.cuts = 0;
            }
        });
    }
    void take_operations_out() {
        for (std::size_t chunk = best_.plan.ops.size() / 2; chunk > 0; chunk /= 2) {
            for (std::size_t at = 0; at < best_.plan.ops.size();) {
                const bool done = attempt([&](Plan& plan) {
                    const auto first = plan.ops.begin() + static_cast<std::ptrdiff_t>(at);
                    const auto count = std::min(chunk, plan.ops.size() - at);
                    plan.ops.erase(first, first + static_cast<std::ptrdiff_t>(count));
                });
                if (!done) at += chunk;
            }
        }
    }
    void simplify_pool() {
        attempt([](Plan& plan) { plan.config.reactors = 1; });
        attempt([](Plan& plan) { plan.config.spread = 0; });
        attempt([](Plan& plan) { plan.config.depth = 1; });
        attempt([](Plan& plan) { plan.config.reorder = false; });
        attempt([](Plan& plan) { plan.config.discard_zeroes = true; });
        attempt([](Plan& plan) { plan.config.strip_bytes = 4096; });
        attempt([](Plan& plan) {
            plan.config.device_block_bytes = 4096;
            plan.config.atomic_bytes = 4096;
            plan.config.volume_block_bytes = 4096;
        });
        attempt([](Plan& plan) { plan.config.volatile_cache = false; });
        for (unsigned variants = 1; variants < best_.plan.config.variants; variants++) {
            if (attempt([&](Plan& plan) { plan.config.variants = variants; })) break;
        }
    }
    void simplify_operations() {
        for (std::size_t i = 0; i < best_.plan.ops.size(); i++) {
            for (std::uint32_t Op::*field : {&Op::cuts, &Op::steps, &Op::c, &Op::b, &Op::a, &Op::d}) {
                if (attempt([&](Plan& plan) { plan.ops[i].*field = 0; })) continue;
                for (std::uint32_t v = best_.plan.ops[i].*field / 2; v > 0; v /= 2) {
                    if (!attempt([&](Plan& plan) { plan.ops[i].*field = v; })) break;
                }
            }
        }
    }

    Shrunk best_;
    ShrinkOptions options_;
};

// In the child: says what was found and ends without any clearing up.
[[noreturn]] void run_and_tell(const Plan& plan, int fd) {
    std::fclose(stderr);
    Stats stats;
    Runner runner(plan, stats);
    const MaybeFinding found = runner.run();
    if (found) {
        const std::string text = fmt::format("{}\n{}\n{}", found->kind, found->op, found->what);
        const ssize_t told = write(fd, text.data(), text.size());
        static_cast<void>(told);
    }
    _exit(0);
}

}  // namespace

MaybeFinding run_apart(const Plan& plan, unsigned seconds_max) {
    int ends[2];
    if (pipe(ends) != 0) return finding("sim", "no pipe");
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        alarm(seconds_max);
        run_and_tell(plan, ends[1]);
    }
    close(ends[1]);
    const std::string text = read_all(ends[0]);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
        const bool slow = WTERMSIG(status) == SIGALRM;
        return finding(slow ? "endless" : "abort", fmt::format("signal {}", WTERMSIG(status)));
    }
    if (text.empty()) return {};
    const std::size_t first = text.find('\n');
    const std::size_t second = text.find('\n', first + 1);
    Finding found{text.substr(0, first), text.substr(second + 1), 0};
    std::from_chars(text.data() + first + 1, text.data() + second, found.op);
    return found;
}

Shrunk shrink(const Plan& plan, const Finding& finding, const ShrinkOptions& options) {
    return Shrinker(plan, finding, options).run();
}

std::string write_replay(const Plan& plan, const Finding& finding, const std::string& folder) {
    const std::string path = fmt::format("{}/xsan-sim-{}-{}-{}.replay", folder, finding.kind, plan.seed,
                                         plan.ops.size());
    std::ofstream file(path);
    file << to_text(plan) << fmt::format("# {}: {}\n", finding.kind, finding.what);
    return path;
}

}  // namespace xsan::simtest
