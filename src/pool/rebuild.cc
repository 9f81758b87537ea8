// Rebuild: finds groups with lost strips and gives the strips new extents; move_group.cc copies and commits. The table
// is the progress record: after a restart, what is not committed starts again.
#include <algorithm>
#include <bit>

#include "base/log.h"
#include "pool/pool.h"

namespace xsan::pool {
namespace {

constexpr unsigned kGroupsAtOnce = 4;

}  // namespace

bool Pool::is_target(MemberIndex member) const {
    for (const auto& [group, running] : movers_) {
        for (const raid::MoveTarget& target : running->mover.targets()) {
            if (target.member == member) return true;
        }
    }
    return false;
}

// A drive came: what had no place may have one, and until that was tried the rebuild has not ended.
void Pool::retry_rebuild() {
    unplaced_groups_ = 0;
    damage_version_++;
    rebuild_wake_.set();
}

std::vector<Pool::Damage> Pool::find_damage() {
    std::vector<Damage> damage;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state().row(group);
        if (row == nullptr || movers_.contains(group) || reserved_groups_.contains(group)) continue;
        const ec::SlotMask lost = groups_->lost_slots(*row);
        if (lost == 0) continue;
        if (groups_->mapped_places(group) > 0 && !groups_->survives(*row, lost)) continue;
        damage.push_back({group, static_cast<unsigned>(std::popcount(lost))});
    }
    // Most losses first: those are the groups that the next failure would take.
    std::stable_sort(damage.begin(), damage.end(),
                     [](const Damage& a, const Damage& b) { return a.lost > b.lost; });
    return damage;
}

RebuildStatus Pool::rebuild_status() const {
    RebuildStatus status = damage_of(std::nullopt);
    status.unplaced_groups = std::min<std::uint64_t>(unplaced_groups_, status.pending_groups);
    status.pending_groups -= status.unplaced_groups;
    return status;
}

// Groups that have lost strips, of one scheme or of all: those that can be rebuilt, and those that cannot.
RebuildStatus Pool::damage_of(std::optional<SchemeId> scheme) const {
    RebuildStatus status;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state().row(group);
        if (row == nullptr || (scheme && row->scheme() != *scheme)) continue;
        const ec::SlotMask lost = groups_->lost_slots(*row);
        if (lost == 0) continue;
        if (groups_->mapped_places(group) > 0 && !groups_->survives(*row, lost)) {
            status.failed_groups++;
        } else {
            status.pending_groups++;
        }
    }
    return status;
}

// What is left to write: one extent for each lost strip.
std::uint64_t Pool::lost_bytes() const {
    std::uint64_t strips = 0;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupRow* row = state().row(GroupIndex{g});
        if (row != nullptr) strips += static_cast<unsigned>(std::popcount(groups_->lost_slots(*row)));
    }
    return strips * state().pool().extent_bytes;
}

Task<void> Pool::rebuild_loop() {
    while (!stopping_) {
        rebuild_wake_.reset();
        const auto damage = find_damage();
        const bool is_over = damage.empty() && rebuilds_running() == 0 && !relocations_hide_damage();
        if (is_over && rebuild_total_bytes_ > 0) {
            log(LogLevel::info, "pool {}: rebuild finished", name());
            note_event(EventKind::rebuild_done, fmt::format("{} bytes were rebuilt", rebuild_done_bytes_));
            rebuild_ended_ = JobStatus{};
            rebuild_ended_->bytes_done = rebuild_done_bytes_;
            rebuild_ended_->bytes_total = rebuild_done_bytes_;
            rebuild_total_bytes_ = 0;
        }
        // Nothing could be committed, and nothing taken back, once the store is broken.
        if (damage.empty() || state().pool().rebuild_paused || store_->is_broken()) {
            if (is_over) unplaced_groups_ = 0;
            co_await rebuild_wake_.wait();
            continue;
        }
        if (stripe_log_ != nullptr && stripe_log_->is_keeping()) {
            // No mover could commit. A resync of the stripe may end this, else the next start.
            co_await sleep_for(kSecond);
            continue;
        }
        if (rebuild_total_bytes_ == 0) {
            rebuild_began_ = Reactor::current().now();
            rebuild_done_bytes_ = 0;
            log(LogLevel::info, "pool {}: rebuild begins, {} groups have lost strips", name(),
                damage.size());
        }
        rebuild_total_bytes_ = rebuild_done_bytes_ + lost_bytes();
        std::uint64_t unplaced = 0;
        bool placed_any = false;
        const std::uint64_t version = damage_version_;
        for (const Damage& one : damage) {
            while (rebuilds_running() >= kGroupsAtOnce && !stopping_) co_await mover_done_.wait();
            if (stopping_ || state().pool().rebuild_paused || store_->is_broken()) break;
            // Another member was lost: other groups are in the greatest danger now.
            if (damage_version_ != version) break;
            const bool placed = begin_move(one.group);
            placed_any |= placed;
            if (!placed) unplaced++;
        }
        if (damage_version_ != version) continue;
        while (rebuilds_running() > 0) co_await mover_done_.wait();
        if (!stopping_ && !state().pool().rebuild_paused) unplaced_groups_ = unplaced;
        if (unplaced > 0) {
            rebuild_ended_ = JobStatus{};
            rebuild_ended_->state = JobState::failed;
            rebuild_ended_->bytes_done = rebuild_done_bytes_;
            rebuild_ended_->bytes_total = rebuild_done_bytes_ + lost_bytes();
        }
        // Nothing could be placed: wait until something is added, resumed or freed.
        if (!placed_any && !stopping_) co_await rebuild_wake_.wait();
    }
}

// Extents for the lost strips of a group: where a stale strip's own member is back, its own extent; else a
// spare, else free extents elsewhere. Fewer than all when there is no room for more; empty when there is none.
std::vector<raid::MoveTarget> Pool::choose_targets(const GroupRow& row) {
    std::vector<raid::MoveTarget> targets;
    std::vector<MemberIndex> used;
    std::vector<unsigned> homeless;
    const ec::SlotMask lost = groups_->lost_slots(row);
    const auto strips = row.strips();
    const auto add = [&](unsigned slot, MemberIndex member, ExtentIndex extent, bool holds_older) {
        targets.push_back({slot, member, extent, members_.live(member),
                           groups_->extent_offset(member, extent), holds_older});
        used.push_back(member);
    };
    for (unsigned slot = 0; slot < strips.size(); slot++) {
        const StripRef strip = strips[slot];
        if ((lost >> slot & 1) == 0) {
            used.push_back(strip.member());
        } else if (strip.state() == StripState::stale && members_.live(strip.member()) != nullptr) {
            add(slot, strip.member(), strip.extent(), members_.slot(strip.member()).is_sound);
        } else {
            homeless.push_back(slot);
        }
    }
    if (homeless.empty()) return targets;
    const auto candidates = members();
    std::vector<wl::DomainId> domains;
    for (const auto& candidate : candidates) {
        if (std::find(used.begin(), used.end(), candidate.member) != used.end()) {
            domains.push_back(candidate.domain);
        }
    }
    const ec::Scheme& scheme = groups_->codec(row.scheme()).scheme();
    wl::MemberRequest request;
    request.candidates = candidates;
    request.members_used = used;
    request.domains_used = domains;
    request.strips = static_cast<std::uint32_t>(homeless.size());
    const auto is_parity = [&](unsigned slot) { return slot >= scheme.data_strips; };
    request.parity_strips = static_cast<std::uint32_t>(std::ranges::count_if(homeless, is_parity));
    request.parity_fixed = scheme.has_fixed_parity();
    request.strips_min = 1;
    request.spares = wl::SpareUse::prefer;
    request.seed = rng_.next();
    const auto chosen = placement_->select_members(request);
    if (!chosen) return targets;
    for (std::size_t i = 0; i < homeless.size(); i++) {
        if (!(*chosen)[i]) continue;
        const auto extent = members_.slot(*(*chosen)[i]).extents.allocate();
        XSAN_ASSERT(extent.has_value());
        add(homeless[i], *(*chosen)[i], *extent, false);
    }
    return targets;
}

// Starts a mover for the group; false when there is no place for any of its lost strips, or not for all.
bool Pool::begin_move(GroupIndex group) {
    const GroupRow* row = state().row(group);
    if (row == nullptr || movers_.contains(group) || reserved_groups_.contains(group)) return true;
    const ec::SlotMask lost = groups_->lost_slots(*row);
    if (lost == 0) return true;
    auto targets = choose_targets(*row);
    if (targets.empty()) return false;
    const bool complete = targets.size() == static_cast<unsigned>(std::popcount(lost));
    const ec::Scheme& scheme = groups_->codec(row->scheme()).scheme();
    const std::uint64_t bytes = targets.size() * groups_->extent_bytes();
    auto running = std::make_unique<RunningMover>(
        group, std::move(targets), raid::stripes_per_group(scheme, groups_->extent_bytes()), bytes);
    RunningMover& started = *running;
    movers_.emplace(group, std::move(running));
    tasks_.spawn(move_group(started));
    return complete;
}

unsigned Pool::rebuilds_running() const {
    return static_cast<unsigned>(
        std::ranges::count_if(movers_, [](const auto& mover) { return !mover.second->relocation; }));
}

// Groups that have lost strips while they move: they are rebuilt when that has ended.
bool Pool::relocations_hide_damage() const {
    return std::ranges::any_of(movers_, [this](const auto& mover) {
        return mover.second->relocation && groups_->lost_slots(*state().row(mover.first)) != 0;
    });
}

// By command, of one group: before all others, and beside as many as run.
Outcome<GroupStatus> Pool::rebuild_group(GroupIndex group) {
    if (stopping_) return refuse_stopping();
    XSAN_TRY_VOID(group_status(group));
    const GroupRow& row = *state().row(group);
    const ec::SlotMask lost = groups_->lost_slots(row);
    const auto running = movers_.find(group);
    if (running != movers_.end() && !running->second->relocation) return group_status(group);
    if (running != movers_.end() || reserved_groups_.contains(group)) {
        return Failure(Errc::busy, fmt::format("group {} is being moved: wait until that has ended", group.get()));
    }
    if (lost == 0) {
        return Failure(Errc::invalid_argument,
                       fmt::format("group {} has lost nothing: there is nothing to rebuild", group.get()));
    }
    if (groups_->mapped_places(group) > 0 && !groups_->survives(row, lost)) {
        return Failure(Errc::too_many_failures,
                       fmt::format("group {} has lost more than can be rebuilt: bring drives back", group.get()));
    }
    if (state().pool().rebuild_paused) {
        return Failure(Errc::busy, fmt::format("the rebuild of pool '{0}' is held: `xsanctl rebuild {0} resume` lets "
                                               "it go on", name()));
    }
    XSAN_TRY_VOID(check_can_commit());
    (void)begin_move(group);
    if (!movers_.contains(group)) {
        return Failure(Errc::no_space,
                       fmt::format("group {} has no place to be rebuilt to: add a drive", group.get()));
    }
    rebuild_wake_.set();
    return group_status(group);
}

Task<Outcome<void>> Pool::set_rebuild(bool paused, std::optional<std::uint64_t> rate_max) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    meta::Record record;
    record.kind = meta::RecordKind::pool_set;
    record.pool = state().pool();
    record.pool.rebuild_paused = paused;
    if (rate_max) record.pool.rebuild_rate_max = *rate_max;
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    const auto committed = co_await commit(std::move(records));
    if (!committed) co_return Failure(committed.error().code, "the pool's metadata cannot be written");
    rebuild_pace_.reset();
    rebuild_wake_.set();
    co_return Outcome<void>{};
}

}  // namespace xsan::pool
