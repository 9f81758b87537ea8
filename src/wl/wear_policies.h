// Placements that look at wear. All are ScoredPlacement with a score (scored_placement.h has the
// rest):
//
// least_worn        the least worn member first, by whole points; fill decides within a point. The
//                   young members fill up first.
// mixed             round robin and wear: fill plus wear, so that a member that is d points more
// worn
//                   stays d % of its size emptier than the others.
// load              fill, requests in flight, and wear at half its weight.
// weighted_random   in proportion to the life that a member has left (weighted_random.h).
// staggered         mixed over the deliberately uneven wear of stagger_offsets(): the most worn
// members
//                   are kept apart. Its relocation has the same goal.
// adaptive          one of three scores by what the pool needs (adaptive.h).
//
// A member filled over kFillHigh comes after all others, so that relocation finds room; only
// capacity (critical domains) goes before that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wl/scored_placement.h"
#include "wl/water_level.h"

namespace xsan::wl {

inline constexpr double kFillHigh = 0.9;

// Added to a score: 0 up to kFillHigh, more than any difference of scores above.
double full_penalty(const MemberCandidate& candidate);

// n / (n + kOutstandingHalf): 0 for an idle member, towards 1 for a busy one.
inline constexpr double kOutstandingHalf = 32;
double load_of(const MemberCandidate& candidate);

class LeastWorn final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "least_worn";
    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::placed; }

  protected:
    double score(const MemberCandidate& candidate) override;
    std::string explain(const MemberCandidate& candidate) const override;
};

class Mixed final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "mixed";
    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::placed; }

  protected:
    double score(const MemberCandidate& candidate) override;
    std::string explain(const MemberCandidate& candidate) const override;
};

class LoadBalance final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "load";
    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::placed; }

  protected:
    double score(const MemberCandidate& candidate) override;
    std::string explain(const MemberCandidate& candidate) const override;
};

class Staggered final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "staggered";
    explicit Staggered(StaggerSettings settings = {}) : settings_(settings) {}
    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::stagger; }

  protected:
    double score(const MemberCandidate& candidate) override;
    bool members_changed(const MemberTable& table) override;
    std::string explain(const MemberCandidate& candidate) const override;

  private:
    double offset(MemberIndex member) const;

    StaggerSettings settings_;
    std::vector<double> offsets_;  // by member, points
};

}  // namespace xsan::wl
