// A pipe from each process.
#include "sim/jobs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace xsan::simtest {
namespace {

struct Child {
    pid_t process = -1;
    int from = -1;
};

[[noreturn]] void work_and_tell(const std::function<JobResult(unsigned job)>& work, unsigned job,
                                int to) {
    const JobResult result = work(job);
    std::fflush(stdout);
    const std::string text = to_text(result.stats);
    const bool told = write(to, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(result.clean && told ? 0 : 1);
}

}  // namespace

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

JobResult run_jobs(unsigned jobs, const std::function<JobResult(unsigned job)>& work) {
    if (jobs <= 1) return work(0);
    JobResult sum;
    std::vector<Child> children;
    std::fflush(stdout);
    for (unsigned job = 0; job < jobs; job++) {
        int ends[2];
        if (pipe(ends) != 0) {
            sum.clean = false;
            break;
        }
        const pid_t process = fork();
        if (process == 0) {
            close(ends[0]);
            work_and_tell(work, job, ends[1]);
        }
        close(ends[1]);
        children.push_back({process, ends[0]});
    }
    for (const Child& child : children) {
        const std::string text = read_all(child.from);
        close(child.from);
        int status = 0;
        const bool ended = child.process > 0 && waitpid(child.process, &status, 0) == child.process;
        if (!add_text(sum.stats, text) || !ended || status != 0) sum.clean = false;
    }
    return sum;
}

}  // namespace xsan::simtest
