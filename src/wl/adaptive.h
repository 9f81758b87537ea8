// Adaptive: chooses among three scores by the state of the pool, with hysteresis, and has
// relocation level all members.
//
// even    fill alone: the pool is level, so new groups decluster best.
// wear    fill in units of the share of writes that the member should take (level_shares over the
// next
//         kGrowth points): a member that should take twice the writes gets twice the strips.
// load    as even, plus requests in flight: some members have a queue, and wear can wait.
//
// Wear before load before even. Wear is entered when max - min of wear exceeds kSpreadEnter points
// and left below kSpreadLeave; load when the busiest member's load exceeds the idlest's by
// kLoadEnter, left below kLoadLeave (load_of: 0..1).
#pragma once

#include <string_view>
#include <vector>

#include "wl/scored_placement.h"

namespace xsan::wl {

class Adaptive final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "adaptive";
    static constexpr double kSpreadEnter = 4;
    static constexpr double kSpreadLeave = 2;
    static constexpr double kLoadEnter = 0.5;
    static constexpr double kLoadLeave = 0.25;
    static constexpr double kGrowth =
        10;  // points: over so much mean wear the pool is to become level

    enum class Mode : std::uint8_t { even, load, wear };

    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::level; }
    void stop() override;
    Mode mode() const { return mode_; }
    std::string_view mode_name() const override;

  protected:
    double score(const MemberCandidate& candidate) override;
    double slack(const MemberCandidate& candidate) const override;
    bool members_changed(const MemberTable& table) override;
    std::string explain(const MemberCandidate& candidate) const override;

  private:
    double weight(MemberIndex member) const;

    Mode mode_ = Mode::even;
    bool wear_is_uneven_ = false;
    bool load_is_uneven_ = false;
    std::vector<double> weights_;  // by member: share of writes over share of size
};

std::string_view adaptive_mode_name(Adaptive::Mode mode);

}  // namespace xsan::wl
