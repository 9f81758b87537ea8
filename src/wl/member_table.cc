// Upkeep of what placement knows of the members.
#include "wl/member_table.h"

#include <algorithm>

#include "base/assert.h"
#include "base/rng.h"

namespace xsan::wl {
namespace {

// A count of members by tier as the set of tiers that have any.
template <class Counts>
TierMask mask_of(const Counts& counts) {
    TierMask mask = 0;
    for (std::size_t tier = 0; tier < counts.size(); tier++) {
        if (counts[tier] > 0) mask |= 1u << tier;
    }
    return mask;
}

bool differs_in_more_than_space(const MemberCandidate& a, MemberCandidate b) {
    b.extents_free = a.extents_free;
    return a != b;
}

}  // namespace

Tier tier_of(const MemberCandidate& candidate) {
    if (candidate.is_last_resort()) return candidate.spare ? Tier::slow_spare : Tier::slow;
    return candidate.spare ? Tier::spare : Tier::normal;
}

DomainKey domain_key(const MemberCandidate& candidate) {
    if (candidate.domain != kNoDomain) return domain_key(candidate.domain);
    return (DomainKey{1} << 32) | candidate.member.get();
}

DomainKey domain_key(DomainId domain) {
    XSAN_ASSERT(domain != kNoDomain);
    return domain.get();
}

double fill_of(const MemberCandidate& candidate) {
    if (candidate.extents_total == 0) return 1;
    return 1 - static_cast<double>(candidate.extents_free) / candidate.extents_total;
}

void MemberTable::clear() {
    *this = MemberTable();
}

bool MemberTable::update(std::span<const MemberCandidate> candidates) {
    updates_++;
    bool more_than_space = false;
    for (const MemberCandidate& candidate : candidates) {
        const std::size_t at = candidate.member.get();
        if (slots_.size() <= at) slots_.resize(at + 1);
        Slot& slot = slots_[at];
        slot.stamp = updates_;
        if (slot.known && slot.candidate == candidate) continue;
        more_than_space |= !slot.known || differs_in_more_than_space(slot.candidate, candidate);
        unrank(slot);
        if (!slot.known) known_++;
        slot.known = true;
        slot.candidate = candidate;
        mark_changed(slot);
    }
    if (known_ == candidates.size()) return more_than_space;
    for (Slot& slot : slots_) {
        if (!slot.known || slot.stamp == updates_) continue;
        unrank(slot);
        slot.known = false;
        known_--;
    }
    return true;
}

void MemberTable::rank(const Score& score, std::uint64_t tie_seed, bool all) {
    if (all) {
        for (Slot& slot : slots_) {
            if (slot.known) mark_changed(slot);
        }
    }
    for (const MemberIndex member : changed_) {
        Slot& slot = slots_[member.get()];
        slot.is_changed = false;
        unrank(slot);
        const MemberCandidate& c = slot.candidate;
        if (!slot.known || !c.healthy || c.extents_free == 0) continue;
        Rng rng(tie_seed ^ (std::uint64_t{member.get()} << 48));
        slot.key = {score(c), rng.next(), member};
        ranked_[static_cast<std::size_t>(tier_of(c))].insert(domain_key(c), slot.key);
        count(c, +1);
        slot.is_ranked = true;
    }
    changed_.clear();
}

void MemberTable::touch(std::span<const MemberIndex> members) {
    for (const MemberIndex member : members)
        mark_changed(slots_[member.get()]);
}

const MemberCandidate* MemberTable::find(MemberIndex member) const {
    if (member.get() >= slots_.size() || !slots_[member.get()].known) return nullptr;
    return &slots_[member.get()].candidate;
}

std::size_t MemberTable::domains(TierMask tiers) const {
    std::size_t sum = 0;
    for (TierMask mask = 0; mask < domains_by_mask_.size(); mask++) {
        if ((mask & tiers) != 0) sum += domains_by_mask_[mask];
    }
    return sum;
}

bool MemberTable::has_ranked(DomainKey domain, TierMask tiers) const {
    const auto at = tiers_of_domain_.find(domain);
    return at != tiers_of_domain_.end() && (mask_of(at->second) & tiers) != 0;
}

void MemberTable::mark_changed(Slot& slot) {
    if (slot.is_changed) return;
    slot.is_changed = true;
    changed_.push_back(slot.candidate.member);
}

void MemberTable::unrank(Slot& slot) {
    if (!slot.is_ranked) return;
    const MemberCandidate& c = slot.candidate;
    ranked_[static_cast<std::size_t>(tier_of(c))].erase(domain_key(c), slot.key);
    count(c, -1);
    slot.is_ranked = false;
}

void MemberTable::count(const MemberCandidate& candidate, int by) {
    const DomainKey domain = domain_key(candidate);
    TierCounts& counts = tiers_of_domain_[domain];
    domains_by_mask_[mask_of(counts)]--;
    counts[static_cast<std::size_t>(tier_of(candidate))] += static_cast<std::uint32_t>(by);
    domains_by_mask_[mask_of(counts)]++;
    if (mask_of(counts) == 0) tiers_of_domain_.erase(domain);
    if (candidate.spare) return;  // no group's strip goes there, so its extents are no capacity
    const auto extents = std::int64_t{candidate.extents_free} * by;
    capacity_all_.add(domain, extents);
    if (!candidate.is_last_resort()) capacity_normal_.add(domain, extents);
}

}  // namespace xsan::wl
