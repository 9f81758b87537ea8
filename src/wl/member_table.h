// MemberTable: what a placement knows of its pool's members, indexed for choosing. Brought up to
// date from each request's candidates: reading those costs a comparison per member, and only the
// members that changed are ranked anew, O(log members) each.
//
// Invariants: a member is ranked (in the index of its tier, and counted by domain) if and only if
// it is healthy and has a free extent; capacity counts ranked members that are no spares.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "wl/domain_index.h"
#include "wl/placement.h"

namespace xsan::wl {

// Members of an earlier tier are chosen before all of a later one.
enum class Tier : std::uint8_t { spare = 0, normal = 1, slow = 2, slow_spare = 3 };
inline constexpr std::size_t kTiers = 4;

// Sets of tiers, as bits.
using TierMask = unsigned;
constexpr TierMask tier_bit(Tier tier) {
    return 1u << static_cast<unsigned>(tier);
}

class MemberTable {
  public:
    using Score = std::function<double(const MemberCandidate&)>;

    void clear();

    // Takes over `candidates`; members that are not among them are forgotten. True when more than
    // free extents changed: wear, health, load or the members themselves.
    bool update(std::span<const MemberCandidate> candidates);
    // Ranks the members whose candidate changed since the last call, or all. Equal scores are
    // ordered by a number drawn from `tie_seed` and the member.
    void rank(const Score& score, std::uint64_t tie_seed, bool all);
    // Ranks these anew at the next rank(), changed or not.
    void touch(std::span<const MemberIndex> members);

    const MemberCandidate* find(MemberIndex member) const;
    double score(MemberIndex member) const { return slots_[member.get()].key.score; }
    // Visits the candidates of all known members, in ascending order.
    template <class Visit>
    void each(const Visit& visit) const {
        for (const Slot& slot : slots_) {
            if (slot.known) visit(slot.candidate);
        }
    }

    const RankIndex& ranked(Tier tier) const { return ranked_[static_cast<std::size_t>(tier)]; }
    // Free extents of members that are no spares; with or without slow ones.
    const CapacityIndex& capacity(bool with_slow) const {
        return with_slow ? capacity_all_ : capacity_normal_;
    }
    // Domains with a ranked member of one of these tiers.
    std::size_t domains(TierMask tiers) const;
    bool has_ranked(DomainKey domain, TierMask tiers) const;

  private:
    struct Slot {
        MemberCandidate candidate;
        RankKey key;
        std::uint64_t stamp = 0;  // the update that saw it last
        bool known = false;
        bool is_ranked = false;
        bool is_changed = false;
    };
    // Members by tier in one domain.
    using TierCounts = std::array<std::uint32_t, kTiers>;

    void mark_changed(Slot& slot);
    void unrank(Slot& slot);
    void count(const MemberCandidate& candidate, int by);

    std::vector<Slot> slots_;  // by member
    std::vector<MemberIndex> changed_;
    std::array<RankIndex, kTiers> ranked_;
    CapacityIndex capacity_normal_;
    CapacityIndex capacity_all_;
    std::map<DomainKey, TierCounts> tiers_of_domain_;
    std::array<std::size_t, 1u << kTiers> domains_by_mask_{};  // how many have exactly these tiers
    std::uint64_t updates_ = 0;
    std::size_t known_ = 0;
};

Tier tier_of(const MemberCandidate& candidate);
DomainKey domain_key(const MemberCandidate& candidate);
// Of a domain that has a name; kNoDomain has no key.
DomainKey domain_key(DomainId domain);

// The part of a member that is in use, 0..1; a member without extents is full.
double fill_of(const MemberCandidate& candidate);

}  // namespace xsan::wl
