// Ordered views of a pool's members for placement: which failure domain has the best member, and
// which domains have most free extents. Kept from one choice to the next; each change costs O(log
// members).
//
// A domain counts once in both, since a group takes one strip of it at most. Members without a
// domain are domains of their own.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/strong.h"

namespace xsan::wl {

using DomainKey = std::uint64_t;  // equal for members of one domain only

// Where a member stands among others: the lowest is chosen first.
struct RankKey {
    double score = 0;
    std::uint64_t tie = 0;
    MemberIndex member;
    friend bool operator<(const RankKey& a, const RankKey& b) {
        return std::tie(a.score, a.tie, a.member) < std::tie(b.score, b.tie, b.member);
    }
};

// Domains by their best member.
class RankIndex {
  public:
    void insert(DomainKey domain, const RankKey& key);
    void erase(DomainKey domain, const RankKey& key);  // must be in it
    void clear();

    bool contains(DomainKey domain) const { return domains_.contains(domain); }
    const RankKey& best(DomainKey domain) const { return *domains_.at(domain).begin(); }

    // Calls visit(domain, its best member's key), best first, until it returns false.
    template <class Visit>
    void walk(const Visit& visit) const {
        for (const auto& [key, domain] : order_) {
            if (!visit(domain, key)) return;
        }
    }

  private:
    std::map<DomainKey, std::set<RankKey>> domains_;
    std::set<std::pair<RankKey, DomainKey>> order_;
};

// Domains by their free extents.
class CapacityIndex {
  public:
    void add(DomainKey domain, std::int64_t extents);  // a sum of 0 leaves the index
    void clear();

    // group_capacity() of the domains: O(total_strips). Those with the most free extents hold a
    // strip of every group that fits; without the j largest the others need room for total_strips -
    // j strips of each group, so the first j at which the next domain has no more than its share
    // ends the search. total_strips > 0.
    std::uint64_t groups_that_fit(std::uint32_t total_strips) const;

    // The domains that each further group has to use, or capacity is lost: those with as many free
    // extents as groups fit. At most 2 total_strips of them.
    std::vector<DomainKey> critical(std::uint32_t total_strips) const;

  private:
    std::map<DomainKey, std::uint64_t> free_;
    std::set<std::pair<std::uint64_t, DomainKey>> order_;
    std::uint64_t sum_ = 0;
};

}  // namespace xsan::wl
