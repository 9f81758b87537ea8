// How much space there is: members as placement sees them, what volumes may use, and groups that hold nothing
// any more.
#include <algorithm>

#include "pool/pool.h"
#include "wl/capacity.h"

namespace xsan::pool {
namespace {

// Failure domains by name; members without one are domains of their own.
wl::DomainId domain_id(const std::string& domain, std::map<std::string, std::uint32_t>& known) {
    if (domain.empty()) return wl::kNoDomain;
    const auto next = static_cast<std::uint32_t>(known.size());
    return wl::DomainId{known.emplace(domain, next).first->second};
}

}  // namespace

std::vector<wl::MemberCandidate> Pool::members() const {
    std::vector<wl::MemberCandidate> out;
    std::map<std::string, std::uint32_t> domains;
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i] || all[i]->state == meta::MemberState::removed) continue;
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const ExtentAllocator& extents = members_.slot(index).extents;
        wl::MemberCandidate candidate;
        candidate.member = index;
        candidate.domain = domain_id(all[i]->domain, domains);
        candidate.extents_free = extents.free();
        candidate.extents_total = all[i]->layout.extent_count;
        candidate.spare = all[i]->spare;
        candidate.healthy = members_.live(index) != nullptr && !losing_.contains(index) &&
                            !all[i]->removing;
        if (wear_ != nullptr) wear_->annotate(candidate);
        out.push_back(candidate);
    }
    return out;
}

void Pool::each_group(const VisitGroup& visit) const {
    std::vector<MemberIndex> members;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupRow* row = state().row(GroupIndex{g});
        if (row == nullptr) continue;
        members.clear();
        for (const StripRef& strip : row->strips()) {
            if (strip.state() != StripState::none) members.push_back(strip.member());
        }
        visit(members);
    }
}

// What members hold that may hold data: a failure domain has one entry, since a group takes one strip of it at
// most. Those that are lost count only on request.
std::vector<std::uint64_t> Pool::extents_of_members(bool with_lost) const {
    std::vector<std::uint64_t> extents;
    std::map<std::string, std::uint64_t> domains;
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        const auto& member = all[i];
        if (!member || member->spare || member->removing) continue;
        if (member->state == meta::MemberState::removed) continue;
        const bool live = members_.live(MemberIndex{static_cast<std::uint16_t>(i)}) != nullptr;
        if (!live && !with_lost) continue;
        if (member->domain.empty()) {
            extents.push_back(member->layout.extent_count);
        } else {
            domains[member->domain] += member->layout.extent_count;
        }
    }
    for (const auto& [domain, sum] : domains) extents.push_back(sum);
    return extents;
}

std::uint64_t Pool::groups_that_fit(const ec::Scheme& scheme, bool with_lost, bool keeps_spare) const {
    return wl::group_capacity(extents_of_members(with_lost), scheme.total_strips(),
                              keeps_spare && scheme.losses_promised() > 0);
}

// What new volumes are promised. A lost member counts only where a group cannot be complete without it, since
// groups may leave a strip on none.
std::uint64_t Pool::data_bytes_total(const ec::Scheme& scheme) const {
    const bool with_lost = extents_of_members(false).size() < scheme.total_strips();
    return groups_that_fit(scheme, with_lost, true) * raid::group_data_bytes(scheme, state().pool().extent_bytes);
}

// The space that is left out of a pool's capacity is for rebuilds: a new group may not take it. It is there to make
// up for a lost member: what was promised before the loss stays promised as far as the live members have it.
bool Pool::room_for_group(SchemeId scheme) const {
    const ec::Scheme& s = *state().schemes()[scheme.get()];
    const std::uint64_t now = data_bytes_total(s) / raid::group_data_bytes(s, state().pool().extent_bytes);
    const std::uint64_t before = std::min(groups_that_fit(s, true, true), groups_that_fit(s, false, false));
    const std::uint64_t capacity = std::max(now, before) * s.total_strips();
    const std::uint64_t used =
        groups_->strips_in_use() + reserved_groups_.size() * s.total_strips();
    return used + s.total_strips() <= capacity;
}

Result<GroupIndex> Pool::free_group_number() {
    while (state().row(GroupIndex{free_group_from_}) != nullptr) free_group_from_++;
    for (std::uint32_t g = free_group_from_; g < groups_->groups_max(); g++) {
        const GroupIndex group{g};
        if (state().row(group) == nullptr && !reserved_groups_.contains(group)) return group;
    }
    return Error{Errc::no_space};
}

// Is a group of this scheme kept open though nothing is in it?
bool Pool::wants_open_group(SchemeId scheme) const {
    for (const auto& [id, volume] : state().volumes()) {
        if (volume.info.scheme == scheme && !volume.info.name.empty()) return true;
    }
    return false;
}

// Gives the extents of groups that hold nothing any more to whoever needs them, another scheme or a rebuild.
// The caller holds no quiescence token.
Task<void> Pool::remove_empty_groups(SchemeId scheme) {
    if (removing_groups_) co_return;
    removing_groups_ = true;
    const ec::Scheme& s = *state().schemes()[scheme.get()];
    std::vector<GroupIndex> groups;
    for (const wl::OpenGroup& open : open_groups(scheme).groups) groups.push_back(open.group);
    while (!groups.empty() && !stopping_) {
        const GroupIndex group = groups.back();
        groups.pop_back();
        std::size_t keep = 0;
        if (wants_open_group(scheme)) {
            const auto all = members();
            const auto usable = static_cast<unsigned>(
                std::count_if(all.begin(), all.end(), [](const auto& c) { return c.healthy && !c.spare; }));
            keep = std::max(1u, wl::interleave_width(usable, s.total_strips())) + 1;
        }
        if (open_groups(scheme).groups.size() <= keep) break;
        const bool busy = movers_.contains(group) || cleaning_.contains(group) ||
                          marking_.contains(group) || unmapping_.contains(group) ||
                          groups_->flag(group, GroupTable::kSuspect);
        if (busy || groups_->free_places(group) != groups_->places(scheme)) continue;
        const auto removed = co_await remove_group(group);
        if (!removed) break;
    }
    removing_groups_ = false;
}

// Of an empty group. From the first line on nobody can take a place in it.
Task<Result<void>> Pool::remove_group(GroupIndex group) {
    const GroupRow& row = *state().row(group);
    const SchemeId scheme = row.scheme();
    const std::vector<StripRef> strips(row.strips().begin(), row.strips().end());
    groups_->group_removed(group);
    update_open(scheme, group);
    reserved_groups_.insert(group);
    Result<void> committed;
    // Its number may be used again, and then no record of it may be in the stripe log.
    if (stripe_log_ != nullptr) committed = co_await stripe_log_->advance_past_all();
    if (committed) {
        meta::Record record;
        record.kind = meta::RecordKind::group_remove;
        record.group = group;
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        committed = co_await commit(std::move(records));
    }
    if (committed) {
        co_await engine_->quiescence().synchronize();
        give_back(strips, {});
        if (wear_ != nullptr) wear_->forget_group(group);
        free_group_from_ = std::min(free_group_from_, group.get());
        rebuild_wake_.set();
    } else {
        groups_->group_created(group);
        groups_->set_flag(group, GroupTable::kMarked, state().is_dirty(group));
        groups_->set_flag(group, GroupTable::kHasBad, has_bad(group));
        update_open(scheme, group);
    }
    reserved_groups_.erase(group);
    co_return committed;
}

}  // namespace xsan::pool
