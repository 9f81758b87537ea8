// A simulated or recorded workload: which part of the writes goes to which group, phase by phase. A
// phase is the time that one hot set lasts; all policies see the same phases.
//
// Clusters belong to groups in turn (cluster c to group c mod groups), as the pool interleaves
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "xsanctl/wear/options.h"

namespace xsan::ctl::wear {

class Workload {
  public:
    // The options must pass check_options. Errors: invalid_argument (the trace, with its line).
    static Outcome<Workload> make(const CompareOptions& options, std::size_t groups);

    // By group, sum 1. Phases may be asked for in any order; those passed are kept.
    const std::vector<double>& phase(std::size_t number);

    // The part of user bytes in writes smaller than a stripe, 0..1.
    double small_part() const { return small_part_; }

  private:
    Workload(const CompareOptions& options, std::size_t groups);
    Outcome<void> read_trace(const std::string& text);
    std::vector<double> draw_zipf(std::size_t number) const;

    std::size_t groups_;
    std::size_t clusters_;
    WorkloadKind kind_;
    double theta_;
    std::uint64_t seed_;
    double small_part_ = 1;
    unsigned hot_days_;
    std::vector<double> zipf_;  // by rank, sum 1
    std::vector<std::vector<double>> phases_;
    std::size_t trace_phases_ = 0;
};

}  // namespace xsan::ctl::wear
