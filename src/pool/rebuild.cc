// Rebuild: finds groups with lost strips, gives the strips new extents, copies, commits. The table is the
// progress record: after a restart, what is not committed starts again.
#include <algorithm>
#include <bit>

#include "base/log.h"
#include "base/mutant.h"
#include "pool/pool.h"
#include "reactor/cross.h"

namespace xsan::pool {
namespace {

constexpr unsigned kGroupsAtOnce = 4;
constexpr unsigned kStripesAtOnce = 4;

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
        if (damage.empty() && movers_.empty() && rebuild_total_bytes_ > 0) {
            log(LogLevel::info, "pool {}: rebuild finished", name());
            rebuild_ended_ = JobStatus{};
            rebuild_ended_->bytes_done = rebuild_done_bytes_;
            rebuild_ended_->bytes_total = rebuild_done_bytes_;
            rebuild_total_bytes_ = 0;
        }
        // Nothing could be committed, and nothing taken back, once the store is broken.
        if (damage.empty() || state().pool().rebuild_paused || store_->is_broken()) {
            if (movers_.empty() && damage.empty()) unplaced_groups_ = 0;
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
            while (movers_.size() >= kGroupsAtOnce && !stopping_) co_await mover_done_.wait();
            if (stopping_ || state().pool().rebuild_paused || store_->is_broken()) break;
            // Another member was lost: other groups are in the greatest danger now.
            if (damage_version_ != version) break;
            const bool placed = co_await begin_move(one.group);
            placed_any |= placed;
            if (!placed) unplaced++;
        }
        if (damage_version_ != version) continue;
        while (!movers_.empty()) co_await mover_done_.wait();
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
    request.parity_strips = std::min<std::uint32_t>(scheme.parity_strips, request.strips);
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

// Starts a mover for the group; false when there is no place for any of its lost strips.
Task<bool> Pool::begin_move(GroupIndex group) {
    const GroupRow* row = state().row(group);
    if (row == nullptr || movers_.contains(group) || reserved_groups_.contains(group)) co_return true;
    const ec::SlotMask lost = groups_->lost_slots(*row);
    if (lost == 0) co_return true;
    auto targets = choose_targets(*row);
    if (targets.empty()) co_return false;
    const bool complete = targets.size() == static_cast<unsigned>(std::popcount(lost));
    const ec::Scheme& scheme = groups_->codec(row->scheme()).scheme();
    const std::uint64_t bytes = targets.size() * groups_->extent_bytes();
    auto running = std::make_unique<RunningMover>(
        group, std::move(targets), raid::stripes_per_group(scheme, groups_->extent_bytes()), bytes);
    RunningMover& started = *running;
    movers_.emplace(group, std::move(running));
    tasks_.spawn(move_group(started));
    co_return complete;
}

Task<void> Pool::move_group(RunningMover& running) {
    raid::Mover& mover = running.mover;
    const GroupIndex group = mover.group();
    const auto result = co_await run_mover(mover);
    if (result) {
        rebuild_done_bytes_ += running.bytes;
        update_open(state().row(group)->scheme(), group);
        // While strips were lost, resync could not make all parity agree.
        if (groups_->flag(group, GroupTable::kSuspect)) co_await resync_group(group);
    } else {
        // The extents were taken for nothing, except those that stale strips of the row still own.
        const GroupRow* row = state().row(group);
        std::vector<StripRef> unused;
        for (const raid::MoveTarget& target : mover.targets()) {
            const StripRef in_row = row->strips()[target.slot];
            const bool own = in_row.state() != StripState::none && in_row.member() == target.member &&
                             in_row.extent() == target.extent;
            if (!own) unused.emplace_back(target.member, target.extent, StripState::ok);
        }
        std::vector<MemberIndex> kept;
        for (const StripRef& strip : row->strips()) {
            if (strip.state() != StripState::none) kept.push_back(strip.member());
        }
        give_back(unused, kept);
        if (!stopping_ && !state().pool().rebuild_paused) {
            log(LogLevel::warning, "pool {}: rebuild of group {} stopped: {}", name(), group.get(),
                errc_name(result.error().code));
            co_await pause_for(kSecond);  // whatever it was, do not spin on it
        }
    }
    movers_.erase(group);
    mover_done_.wake_all();
    rebuild_wake_.set();
}

Task<Result<void>> Pool::run_mover(raid::Mover& mover) {
    // Free space is zero on every member: the targets begin as zeros, or end as such where they are compared.
    for (const raid::MoveTarget& target : mover.targets()) {
        if (target.holds_older) continue;
        XSAN_CO_TRY_VOID(zero_extent(target.member, target.extent));
    }
    for (;;) {
        const auto started = co_await engine_->start_mover(mover);
        if (started) break;
        if (stopping_) co_return Error{Errc::aborted};
        co_await sleep_for(10 * kMillisecond);  // another mover holds this slot of the table
    }
    const GroupRow* row = state().row(mover.group());
    const std::uint64_t strip_bytes = groups_->codec(row->scheme()).scheme().strip_bytes;
    Result<void> result;
    for (std::uint32_t first = 0; first < mover.stripes() && result; first += kStripesAtOnce) {
        if (stopping_ || state().pool().rebuild_paused) {
            result = Error{Errc::aborted};
            break;
        }
        std::vector<Task<Result<void>>> stripes;
        const std::uint32_t end = std::min(mover.stripes(), first + kStripesAtOnce);
        for (std::uint32_t s = first; s < end; s++) {
            stripes.push_back(engine_->move_stripe(mover, StripeIndex{s}));
        }
        co_await when_all(std::span(stripes));
        for (auto& stripe : stripes) {
            const auto one = stripe.take();
            if (!one) result = one;
        }
        co_await throttle((end - first) * strip_bytes * mover.targets().size());
    }
    struct Argument {
        Pool* pool;
        const raid::Mover* mover;
    } argument{this, &mover};
    const raid::Engine::Commit commit_it = [](void* a) {
        auto* arg = static_cast<Argument*>(a);
        return arg->pool->commit_move(*arg->mover);
    };
    // While the targets are flushed their devices must stay.
    Quiescence::Scope scope(engine_->quiescence());
    if (result) co_return co_await engine_->finish_mover(mover, commit_it, &argument);
    const auto given_up = co_await engine_->finish_mover(mover, nullptr, nullptr);
    static_cast<void>(given_up);
    co_return result;
}

// The row with the targets in it. A spare that received something is an ordinary member from now on.
Task<Result<void>> Pool::commit_move(const raid::Mover& mover) {
    const GroupIndex group = mover.group();
    const GroupRow& row = *state().row(group);
    std::vector<StripRef> strips(row.strips().begin(), row.strips().end());
    std::vector<StripRef> replaced;
    std::vector<meta::Record> records;
    for (const raid::MoveTarget& target : mover.targets()) {
        if (members_.live(target.member) == nullptr || losing_.contains(target.member)) {
            co_return Error{Errc::aborted};
        }
        StripRef& strip = strips[target.slot];
        const bool in_place = strip.state() != StripState::none && strip.member() == target.member &&
                              strip.extent() == target.extent;
        if (strip.state() != StripState::none && !in_place) replaced.push_back(strip);
        strip = StripRef(target.member, target.extent, StripState::ok);
        const meta::Member& member = *state().members()[target.member.get()];
        if (member.spare) {
            meta::Record record;
            record.kind = meta::RecordKind::member_set;
            record.member_index = target.member;
            record.member = member;
            record.member.spare = false;
            records.push_back(std::move(record));
        }
    }
    meta::Record record;
    record.kind = meta::RecordKind::group_set;
    record.group = group;
    record.scheme_id = row.scheme();
    record.generation = row.generation() + 1;
    std::vector<MemberIndex> kept;
    for (const StripRef& strip : strips) {
        if (strip.state() != StripState::none) kept.push_back(strip.member());
    }
    record.strips = std::move(strips);
    records.push_back(std::move(record));
    // Of records from before, replay could not tell any more whether all who should hold them do: the members
    // are others by then. They are forgotten first; nobody writes to the group. Writes of stripes whose parity
    // was lost have no record, and agree with what is rebuilt only once they are durable.
    if (stripe_log_ != nullptr) {
        if (!mutant(Mutant::mover_unlogged_writes)) XSAN_CO_TRY_VOID(engine_->flush());
        if (!mutant(Mutant::mover_log_kept)) XSAN_CO_TRY_VOID(stripe_log_->advance_past_all());
    }
    if (mover.has_failed()) co_return Error{Errc::aborted};
    const auto committed = co_await commit(std::move(records));
    if (committed) give_back(replaced, kept);
    co_return committed;
}

// Keeps rebuild below its rate.
Task<void> Pool::throttle(std::uint64_t bytes) {
    const std::uint64_t own = state().pool().rebuild_rate_max;
    const std::uint64_t rate = own != 0 ? own : environment_.rebuild_rate_max;
    co_await rebuild_pace_.keep(bytes, rate, stopping_);
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
