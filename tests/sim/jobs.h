// Jobs: the same work in several processes, on seeds of their own, summed up.
#pragma once

#include <functional>
#include <string>

#include "sim/report.h"

namespace xsan::simtest {

struct JobResult {
    Stats stats;
    bool clean = true;
};

// Runs work(0) ... work(jobs - 1), each in a process of its own, and adds up what they counted. Not
// clean when one of them is not, or does not end as it should. One job runs in this process.
JobResult run_jobs(unsigned jobs, const std::function<JobResult(unsigned job)>& work);

// What comes out of a pipe until its last writer has closed it.
std::string read_all(int fd);

}  // namespace xsan::simtest
