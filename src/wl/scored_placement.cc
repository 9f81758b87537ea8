// Choosing the members of a group by score.
#include "wl/scored_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>

#include "base/assert.h"

namespace xsan::wl {
namespace {

constexpr TierMask kNewGroupTiers = tier_bit(Tier::normal) | tier_bit(Tier::slow);
constexpr TierMask kAllTiers = (1u << kTiers) - 1;
// Scores are sums of fractions: what differs by less than this differs by rounding.
constexpr double kScoreRounding = 1e-9;
constexpr TierMask kSlowTiers = tier_bit(Tier::slow) | tier_bit(Tier::slow_spare);

template <class T>
bool contains(const std::vector<T>& all, T one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

std::string_view why_last_resort(const MemberCandidate& candidate) {
    if (!candidate.is_last_resort()) return "";
    return candidate.slow ? "slow but needed, " : "low on spare blocks but needed, ";
}

}  // namespace

double extent_share(const MemberCandidate& candidate) {
    return 1.0 / std::max(candidate.extents_total, 1u);
}

// One selection: the domains that the group may not use any more, and the members taken so far.
class ScoredPlacement::Choice {
  public:
    struct Found {
        RankKey key;
        bool critical = false;
        double shared = 0;  // groups shared with the group's members, by the member's size
        std::size_t alike = 1;
    };

    Choice(const ScoredPlacement& owner, const MemberRequest& request);

    std::size_t placeable() const { return placeable_; }
    Found find() const;
    Found find_first_in_order() const;
    void take(MemberIndex member);
    const std::vector<MemberIndex>& taken() const { return taken_; }

  private:
    void collect_used(const MemberRequest& request);
    std::size_t open_domains(TierMask tiers) const;
    std::vector<RankKey> window(Tier tier) const;
    Found least_shared(const std::vector<RankKey>& window) const;

    const ScoredPlacement& owner_;
    TierMask tiers_;
    std::vector<MemberIndex> members_;       // of the group: those that stay, then those taken
    std::vector<DomainKey> domains_closed_;  // of members_, and those that the request names
    std::vector<DomainKey> critical_;
    std::vector<MemberIndex> taken_;
    std::size_t placeable_ = 0;
};

ScoredPlacement::Choice::Choice(const ScoredPlacement& owner, const MemberRequest& request)
    : owner_(owner), tiers_(request.spares == SpareUse::never ? kNewGroupTiers : kAllTiers) {
    collect_used(request);
    if (open_domains(tiers_ & ~kSlowTiers) >= request.strips) tiers_ &= ~kSlowTiers;
    placeable_ = std::min<std::size_t>(open_domains(tiers_), request.strips);
    if (!members_.empty() || placeable_ == 0) return;
    const bool with_slow = (tiers_ & tier_bit(Tier::slow)) != 0;
    critical_ = owner_.table_.capacity(with_slow).critical(static_cast<std::uint32_t>(placeable_));
}

void ScoredPlacement::Choice::collect_used(const MemberRequest& request) {
    const auto close = [&](DomainKey domain) {
        if (!contains(domains_closed_, domain)) domains_closed_.push_back(domain);
    };
    for (const DomainId domain : request.domains_used) {
        if (domain != kNoDomain) close(domain_key(domain));
    }
    for (const MemberIndex member : request.members_used) {
        members_.push_back(member);
        if (const auto* candidate = owner_.table_.find(member)) close(domain_key(*candidate));
    }
}

std::size_t ScoredPlacement::Choice::open_domains(TierMask tiers) const {
    std::size_t open = owner_.table_.domains(tiers);
    for (const DomainKey domain : domains_closed_) {
        if (owner_.table_.has_ranked(domain, tiers)) open--;
    }
    return open;
}

// The best member of each of the best domains that are still open.
std::vector<RankKey> ScoredPlacement::Choice::window(Tier tier) const {
    std::vector<RankKey> found;
    double score_max = 0;
    owner_.table_.ranked(tier).walk([&](DomainKey domain, const RankKey& key) {
        if (contains(domains_closed_, domain)) return true;
        const double slack = owner_.slack(*owner_.table_.find(key.member));
        if (found.empty()) score_max = key.score + kScoreRounding;
        if (key.score - slack <= score_max) found.push_back(key);
        // A member of another size may have more slack, but never so much that it comes later by
        // more than twice this one's.
        return found.size() < kWindow && key.score - 2 * slack <= score_max;
    });
    return found;
}

ScoredPlacement::Choice::Found ScoredPlacement::Choice::least_shared(
    const std::vector<RankKey>& window) const {
    XSAN_ASSERT(!window.empty());
    Found best;
    for (const RankKey& key : window) {
        double shared = 0;
        for (const MemberIndex member : members_)
            shared += owner_.shared_.count(key.member, member);
        shared *= extent_share(*owner_.table_.find(key.member));
        const bool is_first = &key == &window.front();
        if (is_first || std::tie(shared, key) < std::tie(best.shared, best.key)) {
            best.key = key;
            best.shared = shared;
        }
    }
    best.alike = window.size();
    return best;
}

ScoredPlacement::Choice::Found ScoredPlacement::Choice::find() const {
    for (std::size_t i = 0; i < kTiers; i++) {
        const Tier tier = static_cast<Tier>(i);
        if ((tiers_ & tier_bit(tier)) == 0) continue;
        const RankIndex& ranked = owner_.table_.ranked(tier);
        std::vector<RankKey> urgent;
        for (const DomainKey domain : critical_) {
            if (contains(domains_closed_, domain) || !ranked.contains(domain)) continue;
            urgent.push_back(ranked.best(domain));
        }
        if (!urgent.empty()) {
            Found found = least_shared(urgent);
            found.critical = true;
            return found;
        }
        const std::vector<RankKey> best = window(tier);
        if (!best.empty()) return least_shared(best);
    }
    XSAN_ASSERT(false);  // placeable() counted an open domain
    return {};
}

// The first member by number, tier by tier. A look at all members: only the first of a few drives
// of a linear pool is ever asked for.
ScoredPlacement::Choice::Found ScoredPlacement::Choice::find_first_in_order() const {
    std::optional<std::tuple<Tier, MemberIndex>> first;
    owner_.table_.each([&](const MemberCandidate& c) {
        const Tier tier = tier_of(c);
        const bool is_open = c.healthy && c.extents_free > 0 && (tiers_ & tier_bit(tier)) != 0 &&
                             !contains(domains_closed_, domain_key(c));
        if (is_open && (!first || std::tuple(tier, c.member) < *first)) first = {tier, c.member};
    });
    XSAN_ASSERT(first.has_value());
    Found found;
    found.key.member = std::get<1>(*first);
    return found;
}

void ScoredPlacement::Choice::take(MemberIndex member) {
    domains_closed_.push_back(domain_key(*owner_.table_.find(member)));
    members_.push_back(member);
    taken_.push_back(member);
}

void ScoredPlacement::start(const PoolView& pool) {
    stop();
    const std::vector<MemberCandidate> members = pool.members();
    table_.update(members);
    members_changed(table_);
    pool.each_group([this](std::span<const MemberIndex> group) { shared_.add_within(group, +1); });
}

void ScoredPlacement::stop() {
    table_.clear();
    shared_.clear();
    totals_.clear();
    rotation_ = 0;
}

double ScoredPlacement::slack(const MemberCandidate& candidate) const {
    return extent_share(candidate);
}

void ScoredPlacement::rank(std::uint64_t seed, bool all) {
    table_.rank([this](const MemberCandidate& c) { return score(c); }, seed ^ (rotation_ << 16),
                all);
}

Outcome<StripMembers> ScoredPlacement::select_members(const MemberRequest& request) {
    XSAN_ASSERT(request.strips > 0 && request.parity_strips <= request.strips);
    XSAN_ASSERT(request.strips_min <= request.strips);
    begin(request.seed);
    const bool all = table_.update(request.candidates) && members_changed(table_);
    rank(request.seed, all);
    Choice choice(*this, request);
    if (choice.placeable() < std::max(request.strips_min, 1u)) {
        return Failure(
            Errc::no_space,
            fmt::format("{} strips need as many healthy members with a free extent, each in a "
                        "failure domain of its own; there are {} (at least {} are needed)",
                        request.strips, choice.placeable(), std::max(request.strips_min, 1u)));
    }
    while (choice.taken().size() < choice.placeable()) {
        const Choice::Found found =
            request.fill_in_order ? choice.find_first_in_order() : choice.find();
        if (request.reasons != nullptr) {
            const MemberCandidate& c = *table_.find(found.key.member);
            *request.reasons +=
                fmt::format("{}: member {}: {}{}{}fill {:.3f}, score {:.4f}, best of {} alike{}\n",
                            name(), c.member.get(), found.critical ? "needed for capacity, " : "",
                            why_last_resort(c), c.spare ? "spare, " : "", fill_of(c),
                            found.key.score, found.alike, explain(c));
        }
        choice.take(found.key.member);
        on_taken(found.key.member, found.key.score);
    }
    rotation_++;
    table_.touch(choice.taken());
    shared_.add_within(choice.taken(), +1);
    shared_.add_between(choice.taken(), request.members_used, +1);
    return in_order(choice, request);
}

StripMembers ScoredPlacement::in_order(const Choice& choice, const MemberRequest& request) const {
    std::vector<MemberIndex> members = choice.taken();
    std::sort(members.begin(), members.end());
    // Incomplete groups keep the order of members too: which strips are left out is not known here.
    const bool is_exact = table_.domains(kNewGroupTiers) <= request.strips;
    if (request.parity_fixed && !is_exact && members.size() == request.strips) {
        const auto more_worn = [this](MemberIndex a, MemberIndex b) {
            return table_.find(a)->wear > table_.find(b)->wear;
        };
        std::stable_sort(members.begin(), members.end(), more_worn);
        std::sort(members.begin(), members.end() - request.parity_strips);
    }
    StripMembers answer(members.begin(), members.end());
    answer.resize(request.strips);
    return answer;
}

void ScoredPlacement::on_strips_released(std::span<const MemberIndex> released,
                                         std::span<const MemberIndex> kept) {
    shared_.add_within(released, -1);
    shared_.add_between(released, kept, -1);
}

void ScoredPlacement::on_strip_placed(MemberIndex member, std::span<const MemberIndex> kept) {
    shared_.add_between(std::span(&member, 1), kept, +1);
}

std::optional<GroupIndex> ScoredPlacement::select_group(const ClusterRequest& request) {
    // The next one after the previous cluster's group, in a circle.
    const auto& open = request.open;
    const auto has_room = [](const OpenGroup& g) { return g.clusters_free > 0; };
    if (request.previous.has_value()) {
        const auto after =
            std::upper_bound(open.begin(), open.end(), *request.previous,
                             [](GroupIndex group, const OpenGroup& g) { return group < g.group; });
        auto found = std::find_if(after, open.end(), has_room);
        if (found == open.end()) found = std::find_if(open.begin(), after, has_room);
        if (found == open.end() || !has_room(*found)) return std::nullopt;
        return found->group;
    }
    // The first cluster of all: where most is free.
    const auto emptiest = std::max_element(
        open.begin(), open.end(),
        [](const OpenGroup& a, const OpenGroup& b) { return a.clusters_free < b.clusters_free; });
    if (emptiest == open.end() || !has_room(*emptiest)) return std::nullopt;
    return emptiest->group;
}

void ScoredPlacement::on_io(const IoReport& report) {
    for (const MemberIo& io : report.members) {
        if (totals_.size() <= io.member.get()) totals_.resize(io.member.get() + std::size_t{1});
        MemberIo& total = totals_[io.member.get()];
        total.reads += io.reads;
        total.writes += io.writes;
        total.read_bytes += io.read_bytes;
        total.written_bytes += io.written_bytes;
    }
}

double ScoredPlacement::wear_level(MemberIndex member) const {
    const MemberCandidate* known = table_.find(member);
    return known == nullptr ? 0 : std::clamp(known->wear, 0.0, kWearMax);
}

MemberIo ScoredPlacement::totals(MemberIndex member) const {
    MemberIo total = member.get() < totals_.size() ? totals_[member.get()] : MemberIo{};
    total.member = member;
    return total;
}

}  // namespace xsan::wl
