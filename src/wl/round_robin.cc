// Round robin over members, level by fill and even by shared groups.
#include "wl/round_robin.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/rng.h"
#include "wl/capacity.h"

namespace xsan::wl {
namespace {

constexpr unsigned kTierSpare = 0;
constexpr unsigned kTierNormal = 1;
constexpr unsigned kTierSlow = 2;

// A key that is equal for members of one domain only.
std::uint64_t domain_key(const MemberCandidate& c) {
    if (c.domain == kNoDomain) return (std::uint64_t{1} << 32) | c.member.get();
    return c.domain.get();
}

// Free extents in units of the member's size, so that members of unequal size fill alike.
std::uint64_t free_fraction(const MemberCandidate& c, std::uint32_t more) {
    const std::uint64_t free = std::uint64_t{c.extents_free} + more;
    return (free << 31) / std::max(c.extents_total, 1u);
}

template <class T>
bool contains(std::span<const T> all, T one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

// One selection: the eligible members, and what was taken of them so far.
struct RoundRobin::Choice {
    struct Entry {
        const MemberCandidate* candidate;
        std::uint64_t domain;
        unsigned tier;
        bool critical = false;
        std::uint64_t shared = 0;  // groups shared with the members that the group has so far
        std::uint64_t tie = 0;
    };

    std::vector<Entry> open;  // still to be chosen from: no domain of the group among them
    std::vector<MemberIndex> taken;

    void collect(const MemberRequest& request, std::uint64_t rotation);
    std::size_t count_domains(unsigned tier_max) const;
    void mark_critical(std::uint32_t strips);
    std::size_t best() const;
    std::size_t first_in_order() const;
    void take(std::size_t at);
};

void RoundRobin::Choice::collect(const MemberRequest& request, std::uint64_t rotation) {
    std::vector<std::uint64_t> domains_used;
    for (const DomainId d : request.domains_used) {
        if (d != kNoDomain) domains_used.push_back(d.get());
    }
    for (const MemberCandidate& c : request.candidates) {
        if (contains(request.members_used, c.member)) domains_used.push_back(domain_key(c));
    }
    for (const MemberCandidate& c : request.candidates) {
        const std::uint64_t domain = domain_key(c);
        if (!c.healthy || c.extents_free == 0) continue;
        if (c.spare && request.spares == SpareUse::never) continue;
        if (contains(request.members_used, c.member)) continue;
        if (contains(std::span<const std::uint64_t>(domains_used), domain)) continue;
        const unsigned tier = c.slow ? kTierSlow : c.spare ? kTierSpare : kTierNormal;
        Rng rng(request.seed ^ (rotation << 16) ^ c.member.get());
        open.push_back({&c, domain, tier, false, 0, rng.next()});
    }
    if (count_domains(kTierNormal) >= request.strips) {
        std::erase_if(open, [](const Entry& e) { return e.tier == kTierSlow; });
    }
}

std::size_t RoundRobin::Choice::count_domains(unsigned tier_max) const {
    std::vector<std::uint64_t> domains;
    for (const Entry& e : open) {
        if (e.tier <= tier_max) domains.push_back(e.domain);
    }
    std::sort(domains.begin(), domains.end());
    return static_cast<std::size_t>(std::unique(domains.begin(), domains.end()) - domains.begin());
}

void RoundRobin::Choice::mark_critical(std::uint32_t strips) {
    std::map<std::uint64_t, std::uint64_t> free_by_domain;
    for (const Entry& e : open)
        free_by_domain[e.domain] += e.candidate->extents_free;
    std::vector<std::uint64_t> sums;
    for (const auto& [domain, free] : free_by_domain)
        sums.push_back(free);
    const std::uint64_t groups = group_capacity(sums, strips, false);
    for (Entry& e : open)
        e.critical = free_by_domain[e.domain] >= groups;
}

std::size_t RoundRobin::Choice::best() const {
    const auto rank = [](const Entry& e) { return std::tuple(e.tier, !e.critical); };
    auto first = rank(open.front());
    for (const Entry& e : open)
        first = std::min(first, rank(e));
    std::uint64_t fraction_max = 0;
    for (const Entry& e : open) {
        if (rank(e) == first) fraction_max = std::max(fraction_max, free_fraction(*e.candidate, 0));
    }
    std::size_t chosen = open.size();
    std::tuple<std::uint64_t, std::uint64_t, std::uint64_t> chosen_score;
    for (std::size_t i = 0; i < open.size(); i++) {
        const Entry& e = open[i];
        const MemberCandidate& c = *e.candidate;
        if (rank(e) != first || free_fraction(c, kLevelSlack) < fraction_max) continue;
        const auto score = std::tuple((e.shared << 31) / std::max(c.extents_total, 1u),
                                      ~free_fraction(c, 0), e.tie);
        if (chosen == open.size() || score < chosen_score) {
            chosen = i;
            chosen_score = score;
        }
    }
    XSAN_ASSERT(chosen < open.size());
    return chosen;
}

std::size_t RoundRobin::Choice::first_in_order() const {
    const auto earlier = [](const Entry& a, const Entry& b) {
        return std::tuple(a.tier, a.candidate->member) < std::tuple(b.tier, b.candidate->member);
    };
    return static_cast<std::size_t>(std::min_element(open.begin(), open.end(), earlier) -
                                    open.begin());
}

void RoundRobin::Choice::take(std::size_t at) {
    const std::uint64_t domain = open[at].domain;
    taken.push_back(open[at].candidate->member);
    std::erase_if(open, [&](const Entry& e) { return e.domain == domain; });
}

void RoundRobin::start(const PoolView& pool) {
    stop();
    const std::vector<MemberCandidate> members = pool.members();
    std::size_t highest = 0;
    for (const MemberCandidate& c : members)
        highest = std::max<std::size_t>(highest, c.member.get());
    wear_.assign(highest + 1, 0);
    totals_.resize(highest + 1);
    for (const MemberCandidate& c : members)
        wear_[c.member.get()] = c.wear;
    pool.each_group([this](std::span<const MemberIndex> group) { count_within(group, +1); });
}

void RoundRobin::stop() {
    width_ = 0;
    shared_.clear();
    wear_.clear();
    totals_.clear();
    rotation_ = 0;
}

Outcome<StripMembers> RoundRobin::select_members(const MemberRequest& request) {
    XSAN_ASSERT(request.strips > 0 && request.parity_strips <= request.strips);
    XSAN_ASSERT(request.strips_min <= request.strips);
    for (const MemberCandidate& c : request.candidates) {
        if (wear_.size() <= c.member.get()) wear_.resize(c.member.get() + std::size_t{1});
        wear_[c.member.get()] = c.wear;
    }
    Choice choice;
    choice.collect(request, rotation_);
    const std::size_t placeable =
        std::min<std::size_t>(choice.count_domains(kTierSlow), request.strips);
    if (placeable < std::max(request.strips_min, 1u)) {
        return Failure(
            Errc::no_space,
            fmt::format("{} strips need as many healthy members with a free extent, each in a "
                        "failure domain of its own; there are {} (at least {} are needed)",
                        request.strips, placeable, std::max(request.strips_min, 1u)));
    }
    for (auto& e : choice.open) {
        for (const MemberIndex used : request.members_used)
            e.shared += shared(e.candidate->member, used);
    }
    const bool new_group = request.members_used.empty();
    if (new_group) choice.mark_critical(static_cast<std::uint32_t>(placeable));
    while (choice.taken.size() < placeable) {
        choice.take(request.fill_in_order ? choice.first_in_order() : choice.best());
        for (auto& e : choice.open)
            e.shared += shared(e.candidate->member, choice.taken.back());
    }
    rotation_++;
    count_within(choice.taken, +1);
    count_shared(choice.taken, request.members_used, +1);

    std::sort(choice.taken.begin(), choice.taken.end());
    StripMembers answer(choice.taken.begin(), choice.taken.end());
    answer.resize(request.strips);
    return answer;
}

void RoundRobin::on_strips_released(std::span<const MemberIndex> released,
                                    std::span<const MemberIndex> kept) {
    count_within(released, -1);
    count_shared(released, kept, -1);
}

std::optional<GroupIndex> RoundRobin::select_group(const ClusterRequest& request) {
    // The next one after the previous cluster's group, in a circle.
    const OpenGroup* first = nullptr;
    const OpenGroup* fullest_free = nullptr;
    for (const OpenGroup& g : request.open) {
        if (g.clusters_free == 0) continue;
        if (request.previous.has_value() && g.group > *request.previous) return g.group;
        if (first == nullptr) first = &g;
        if (fullest_free == nullptr || g.clusters_free > fullest_free->clusters_free)
            fullest_free = &g;
    }
    if (first == nullptr) return std::nullopt;
    return request.previous.has_value() ? first->group : fullest_free->group;
}

void RoundRobin::on_io(const IoReport& report) {
    for (const MemberIo& io : report.members) {
        if (totals_.size() <= io.member.get()) totals_.resize(io.member.get() + std::size_t{1});
        MemberIo& total = totals_[io.member.get()];
        total.reads += io.reads;
        total.writes += io.writes;
        total.read_bytes += io.read_bytes;
        total.written_bytes += io.written_bytes;
    }
}

unsigned RoundRobin::wear_level(MemberIndex member) const {
    return member.get() < wear_.size() ? std::min<unsigned>(wear_[member.get()], kWearMax) : 0;
}

MemberIo RoundRobin::totals(MemberIndex member) const {
    MemberIo total = member.get() < totals_.size() ? totals_[member.get()] : MemberIo{};
    total.member = member;
    return total;
}

std::uint32_t RoundRobin::shared(MemberIndex a, MemberIndex b) const {
    if (a.get() >= width_ || b.get() >= width_) return 0;
    return shared_[a.get() * width_ + b.get()];
}

void RoundRobin::count_within(std::span<const MemberIndex> members, int by) {
    for (std::size_t i = 0; i < members.size(); i++) {
        for (std::size_t j = i + 1; j < members.size(); j++)
            add_shared(members[i], members[j], by);
    }
}

void RoundRobin::count_shared(std::span<const MemberIndex> some,
                              std::span<const MemberIndex> others, int by) {
    for (const MemberIndex a : some) {
        for (const MemberIndex b : others)
            add_shared(a, b, by);
    }
}

void RoundRobin::add_shared(MemberIndex a, MemberIndex b, int by) {
    const std::size_t needed = std::size_t{std::max(a.get(), b.get())} + 1;
    if (needed > kSharedMembersMax) return;
    if (needed > width_) {
        const std::size_t width = std::min(kSharedMembersMax, std::max(needed, width_ * 2));
        std::vector<std::uint32_t> wider(width * width);
        for (std::size_t row = 0; row < width_; row++) {
            for (std::size_t column = 0; column < width_; column++) {
                wider[row * width + column] = shared_[row * width_ + column];
            }
        }
        shared_ = std::move(wider);
        width_ = width;
    }
    const auto change = [&](std::uint32_t& count) {
        if (by < 0 && count == 0)
            return;  // a release of something placed before start() was told of it
        count += static_cast<std::uint32_t>(by);
    };
    change(shared_[a.get() * width_ + b.get()]);
    if (a != b) change(shared_[b.get() * width_ + a.get()]);
}

}  // namespace xsan::wl
