// An example of a placement of one's own, as docs/wear-leveling.md describes it: Coldest puts
// groups on the members with the fewest bytes written since it started, as on_io tells. Built and
// tested here; not registered by the library.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wl/registry.h"
#include "wl/scored_placement.h"

namespace xsan::wl::example {

class Coldest final : public ScoredPlacement {
  public:
    static constexpr std::string_view kName = "coldest";

    std::string_view name() const override { return kName; }
    WearGoal goal() const override { return WearGoal::placed; }
    void on_io(const IoReport& report) override;

  protected:
    double score(const MemberCandidate& candidate) override;
    std::string explain(const MemberCandidate& candidate) const override;
    bool members_changed(const MemberTable& table) override;

  private:
    double part_of_writes(MemberIndex member) const;

    double written_all_ = 0;  // bytes, by all members
};

// Makes it known, beside the built-in ones. Errors: exists.
Outcome<void> add_coldest(Registry& registry);

}  // namespace xsan::wl::example
