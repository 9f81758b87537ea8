// A pool as placement sees it: members with extents, groups on them; makes, loses and replaces like
// the pool.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "support/catch.h"
#include "wl/placement.h"

namespace xsan::wl::test {

class FakePool final : public PoolView {
  public:
    std::vector<MemberCandidate> candidates;
    std::vector<std::vector<MemberIndex>> groups;
    std::uint64_t seed = 1;

    FakePool(std::size_t members, std::uint32_t extents) {
        for (std::size_t i = 0; i < members; i++)
            add(extents);
    }
    MemberCandidate& add(std::uint32_t extents) {
        MemberCandidate c;
        c.member = MemberIndex{static_cast<std::uint16_t>(candidates.size())};
        c.extents_free = c.extents_total = extents;
        candidates.push_back(c);
        return candidates.back();
    }
    MemberCandidate& operator[](MemberIndex m) { return candidates[m.get()]; }

    std::vector<MemberCandidate> members() const override { return candidates; }
    void each_group(const VisitGroup& visit) const override {
        for (const auto& g : groups)
            visit(g);
    }

    MemberRequest request(std::uint32_t strips, std::uint32_t strips_min) const {
        MemberRequest r;
        r.candidates = candidates;
        r.strips = strips;
        r.strips_min = strips_min;
        r.seed = seed;
        return r;
    }

    // Makes one group; false when the placement refuses. Checks the invariants of an answer.
    bool make_group(Placement& placement, std::uint32_t strips, std::uint32_t strips_min = 0) {
        const auto r = request(strips, strips_min == 0 ? strips : strips_min);
        const auto answer = placement.select_members(r);
        if (!answer.has_value()) return false;
        groups.push_back(accept(r, *answer));
        return true;
    }

    // Replaces `lost` in every group that has it; returns per member the strips written to it.
    std::vector<std::uint32_t> rebuild(Placement& placement, MemberIndex lost) {
        std::vector<std::uint32_t> written(candidates.size());
        (*this)[lost].healthy = false;
        for (auto& group : groups) {
            const auto at = std::find(group.begin(), group.end(), lost);
            if (at == group.end()) continue;
            group.erase(at);
            placement.on_strips_released(std::vector{lost}, group);
            MemberRequest r = request(1, 1);
            r.members_used = group;
            r.spares = SpareUse::prefer;
            const auto answer = placement.select_members(r);
            if (!answer.has_value()) continue;
            const auto target = accept(r, *answer);
            REQUIRE(std::find(group.begin(), group.end(), target[0]) == group.end());
            group.push_back(target[0]);
            written[target[0].get()]++;
        }
        return written;
    }

    std::vector<std::uint32_t> shared_with(MemberIndex one) const {
        std::vector<std::uint32_t> counts(candidates.size());
        for (const auto& g : groups) {
            if (std::find(g.begin(), g.end(), one) == g.end()) continue;
            for (const MemberIndex m : g)
                counts[m.get()]++;
        }
        return counts;
    }

  private:
    std::vector<MemberIndex> accept(const MemberRequest& r, const StripMembers& answer) {
        REQUIRE(answer.size() == r.strips);
        std::vector<MemberIndex> taken;
        std::set<std::uint32_t> domains;
        for (const auto& m : answer) {
            if (!m.has_value()) continue;
            MemberCandidate& c = (*this)[*m];
            REQUIRE(c.healthy);
            REQUIRE((!c.spare || r.spares == SpareUse::prefer));
            REQUIRE(c.extents_free > 0);
            REQUIRE(std::find(taken.begin(), taken.end(), *m) == taken.end());
            if (c.domain != kNoDomain) REQUIRE(domains.insert(c.domain.get()).second);
            c.extents_free--;
            taken.push_back(*m);
        }
        REQUIRE(taken.size() >= r.strips_min);
        return taken;
    }
};

// max/min over the entries but `except`; a zero minimum gives a huge ratio.
inline double spread(const std::vector<std::uint32_t>& counts, MemberIndex except) {
    std::uint32_t low = UINT32_MAX;
    std::uint32_t high = 0;
    for (std::size_t i = 0; i < counts.size(); i++) {
        if (i == except.get()) continue;
        low = std::min(low, counts[i]);
        high = std::max(high, counts[i]);
    }
    return low == 0 ? 1e9 : static_cast<double>(high) / static_cast<double>(low);
}

}  // namespace xsan::wl::test
