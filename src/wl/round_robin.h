// RoundRobin: the first placement, and the one that others are judged by. Members fill alike, by
// fraction of their size, and groups decluster evenly: any two members share about the same number
// of groups, so that the rebuild of a lost member reads from and writes to all others alike. Blind
// to wear.
#pragma once

#include <string_view>

#include "wl/scored_placement.h"

namespace xsan::wl {

class RoundRobin final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "round_robin";
    std::string_view name() const override { return kName; }

  protected:
    double score(const MemberCandidate& candidate) override { return fill_of(candidate); }
};

}  // namespace xsan::wl
