// Upkeep of the ordered views.
#include "wl/domain_index.h"

#include "base/assert.h"

namespace xsan::wl {

void RankIndex::insert(DomainKey domain, const RankKey& key) {
    auto& members = domains_[domain];
    if (!members.empty()) order_.erase({*members.begin(), domain});
    members.insert(key);
    order_.insert({*members.begin(), domain});
}

void RankIndex::erase(DomainKey domain, const RankKey& key) {
    const auto at = domains_.find(domain);
    XSAN_ASSERT(at != domains_.end());
    auto& members = at->second;
    order_.erase({*members.begin(), domain});
    XSAN_ASSERT(members.erase(key) == 1);
    if (members.empty()) {
        domains_.erase(at);
    } else {
        order_.insert({*members.begin(), domain});
    }
}

void RankIndex::clear() {
    domains_.clear();
    order_.clear();
}

void CapacityIndex::add(DomainKey domain, std::int64_t extents) {
    if (extents == 0) return;
    std::uint64_t& free = free_[domain];
    if (free > 0) order_.erase({free, domain});
    free += static_cast<std::uint64_t>(extents);
    sum_ += static_cast<std::uint64_t>(extents);
    if (free > 0) {
        order_.insert({free, domain});
    } else {
        free_.erase(domain);
    }
}

void CapacityIndex::clear() {
    free_.clear();
    order_.clear();
    sum_ = 0;
}

std::uint64_t CapacityIndex::groups_that_fit(std::uint32_t total_strips) const {
    XSAN_ASSERT(total_strips > 0);
    std::uint64_t rest = sum_;
    std::uint32_t strips = total_strips;
    for (auto at = order_.rbegin(); at != order_.rend(); ++at) {
        const std::uint64_t groups = rest / strips;
        if (at->first <= groups) return groups;
        rest -= at->first;
        if (--strips == 0) return at->first;
    }
    return 0;
}

std::vector<DomainKey> CapacityIndex::critical(std::uint32_t total_strips) const {
    const std::uint64_t groups = groups_that_fit(total_strips);
    std::vector<DomainKey> found;
    for (auto at = order_.rbegin(); at != order_.rend() && at->first >= groups; ++at) {
        found.push_back(at->second);
    }
    return found;
}

}  // namespace xsan::wl
