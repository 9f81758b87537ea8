// Relocation: checks orders to move a healthy strip of a group to another member, and starts those that wait;
// move_group.cc carries them out.
//
// What a relocation promises beyond a rebuild: the group serves from the old place until the commit; the old extent is
// free once that is durable and every reactor has passed a quiescent point; a move that fails leaves everything as it
// was. It gives nothing up: a block that can neither be read nor computed ends it.
#include <algorithm>

#include "base/log.h"
#include "pool/pool.h"

namespace xsan::pool {
namespace {

constexpr unsigned kMovesAtOnce = 4;
constexpr TimeNs kLookAgain = 100 * kMillisecond;

std::string list_members(const GroupRow& row) {
    std::string list;
    for (const StripRef& strip : row.strips()) {
        if (strip.state() == StripState::none) continue;
        list += fmt::format("{}{}", list.empty() ? "" : ", ", strip.member().get());
    }
    return list;
}

std::optional<unsigned> slot_on(const GroupRow& row, MemberIndex member) {
    for (unsigned slot = 0; slot < row.strips().size(); slot++) {
        const StripRef strip = row.strips()[slot];
        if (strip.state() != StripState::none && strip.member() == member) return slot;
    }
    return std::nullopt;
}

}  // namespace

std::string Pool::describe_member(MemberIndex member) const {
    const dev::BlockDevice* device = members_.live(member);
    const std::string& path = device != nullptr ? device->identity().path : state().members()[member.get()]->path;
    return fmt::format("member {} ({})", member.get(), path);
}

Outcome<GroupStatus> Pool::group_status(GroupIndex group) const {
    const GroupRow* row = state().row(group);
    if (row == nullptr) {
        const std::uint32_t limit = state().group_limit();
        const std::string known = limit == 0 ? "none yet" : fmt::format("numbers below {}, not all in use", limit);
        return Failure(Errc::not_found, fmt::format("pool '{}' has no group {} ({})", name(), group.get(), known));
    }
    GroupStatus status;
    status.group = group;
    status.scheme = groups_->codec(row->scheme()).scheme().name();
    const ec::SlotMask lost = groups_->lost_slots(*row);
    for (unsigned slot = 0; slot < row->strips().size(); slot++) {
        const StripRef strip = row->strips()[slot];
        GroupStatus::Strip& out = status.strips.emplace_back();
        if (strip.state() != StripState::none) out.member = strip.member();
        out.is_lost = (lost >> slot & 1) != 0;
    }
    if (const auto running = movers_.find(group); running != movers_.end()) {
        status.work = running->second->relocation ? GroupStatus::Work::relocate : GroupStatus::Work::rebuild;
        for (const raid::MoveTarget& target : running->second->mover.targets()) {
            status.strips[target.slot].to = target.member;
        }
    } else if (const MoveQueue::Entry* entry = moves_.find(group)) {
        status.work = GroupStatus::Work::waits;
        if (const auto slot = slot_on(*row, entry->order.from)) status.strips[*slot].to = entry->order.to;
    }
    return status;
}

// While a write is kept for the next start's replay no group's members may change.
Outcome<void> Pool::check_can_commit() const {
    if (store_->is_broken()) return Failure(Errc::io_error, "the pool's metadata cannot be written");
    if (stripe_log_ == nullptr || !stripe_log_->is_keeping()) return {};
    return Failure(Errc::busy, fmt::format("a failed write of pool '{}' waits for the next start: until then nothing "
                                           "can be moved",
                                           name()));
}

Outcome<void> Pool::check_move(const MoveOrder& order) const {
    const unsigned g = order.group.get();
    XSAN_TRY_VOID(group_status(order.group));
    const GroupRow& row = *state().row(order.group);
    if (movers_.contains(order.group) || reserved_groups_.contains(order.group)) {
        return Failure(Errc::busy, fmt::format("group {} is being moved or rebuilt: wait until that has ended", g));
    }
    if (!slot_on(row, order.from)) {
        return Failure(Errc::not_found, fmt::format("group {} has no strip on member {}: its strips are on {}", g,
                                                    order.from.get(), list_members(row)));
    }
    if (lost_soon(row) != 0) {
        return Failure(Errc::busy, fmt::format("group {} has lost strips: these are rebuilt first", g));
    }
    XSAN_TRY_VOID(check_target(order, row));
    return check_can_commit();
}

Outcome<void> Pool::check_target(const MoveOrder& order, const GroupRow& row) const {
    const unsigned g = order.group.get();
    const auto refuse = [](Errc code, std::string why) { return Failure(code, std::move(why)); };
    const auto& all = state().members();
    if (order.to.get() >= all.size() || !all[order.to.get()]) {
        return refuse(Errc::not_found, fmt::format("pool '{}' has no member {}", name(), order.to.get()));
    }
    const meta::Member& to = *all[order.to.get()];
    const std::string named = describe_member(order.to);
    if (slot_on(row, order.to)) {
        return refuse(Errc::invalid_argument, fmt::format("{} holds a strip of group {} already", named, g));
    }
    const MemberTable::Slot& slot = members_.slot(order.to);
    const bool is_live = members_.live(order.to) != nullptr && !is_going(order.to) && !slot.vanished;
    if (to.state != meta::MemberState::in_sync || !is_live) {
        return refuse(Errc::invalid_argument, fmt::format("{} is missing or faulty: nothing can move to it", named));
    }
    if (slot.kept_reported || engine_->traffic().has_failed_flush(order.to)) {
        return refuse(Errc::invalid_argument,
                      fmt::format("{} has failed writes and stays only because data would be lost without it", named));
    }
    if (to.spare || to.removing) {
        return refuse(Errc::invalid_argument, fmt::format("{} is {}", named,
                                                          to.spare ? "a spare, which is kept for rebuilds"
                                                                   : "on its way out of the pool"));
    }
    for (const StripRef& strip : row.strips()) {
        if (strip.state() == StripState::none || strip.member() == order.from || to.domain.empty()) continue;
        if (all[strip.member().get()]->domain != to.domain) continue;
        return refuse(Errc::invalid_argument,
                      fmt::format("{} is in failure domain '{}', and so is member {}, which holds another strip of "
                                  "group {}",
                                  named, to.domain, strip.member().get(), g));
    }
    if (slot.extents.free() == 0) return refuse(Errc::no_space, fmt::format("{} has no free extent", named));
    return {};
}

Outcome<GroupStatus> Pool::relocate(const MoveOrder& order) {
    if (stopping_) return refuse_stopping();
    XSAN_TRY_VOID(check_move(order));
    const MoveQueue::Entry* waiting = moves_.find(order.group);
    if (waiting != nullptr && waiting->by_command) {
        return Failure(Errc::busy, fmt::format("group {} waits to be moved to member {} already", order.group.get(),
                                               waiting->order.to.get()));
    }
    (void)cancel_moves(order.group);
    add_move({order, true});
    return group_status(order.group);
}

Outcome<void> Pool::enqueue_move(const MoveOrder& order, std::string why) {
    if (stopping_) return refuse_stopping();
    XSAN_TRY_VOID(check_move(order));
    if (moves_.find(order.group) != nullptr) {
        return Failure(Errc::exists, fmt::format("group {} waits to be moved already", order.group.get()));
    }
    add_move({order, false, std::move(why)});
    return {};
}

void Pool::add_move(const MoveQueue::Entry& entry) {
    moves_.add(entry, groups_->extent_bytes(), control().now());
    start_moves();
    watch_moves();
}

std::size_t Pool::cancel_moves(std::optional<GroupIndex> group) {
    std::size_t count = moves_.cancel(group, groups_->extent_bytes());
    for (auto& [moving, running] : movers_) {
        const bool is_meant = !group || *group == moving;
        if (!is_meant || !running->relocation || running->relocation->by_command) continue;
        if (!running->is_cancelled) count++;
        running->is_cancelled = true;
    }
    if (wear_ != nullptr && count > 0) wear_->moves_cancelled(count, group);
    return count;
}

// Those that run end, and wait again: a mover that stood still would make each write of its group cost one more.
void Pool::pause_moves(bool paused) {
    moves_.set_paused(paused);
    for (auto& [group, running] : movers_) {
        const bool is_in_background = running->relocation && !running->relocation->by_command;
        if (paused && is_in_background) running->was_held = true;
    }
    start_moves();
}

void Pool::set_move_rate(std::optional<std::uint64_t> rate_max) {
    const std::uint64_t before = moves_.rate_max().value_or(0);
    moves_.set_rate_max(rate_max);
    if (before > 0 && rate_max.value_or(0) > 0) {
        move_pace_.rescale(before, *rate_max, control().now());
    } else {
        move_pace_.reset();
    }
}

// Most moves are started by the end of another one; what holds the others up may also end by itself.
void Pool::watch_moves() {
    if (moves_.waiting() == 0 || is_watching_moves_) return;
    is_watching_moves_ = true;
    tasks_.spawn(start_moves_later());
}

Task<void> Pool::start_moves_later() {
    while (!stopping_ && moves_.waiting() > 0) {
        co_await pause_for(kLookAgain);
        start_moves();
    }
    is_watching_moves_ = false;
}

bool Pool::is_settled(GroupIndex group) const {
    const GroupRow& row = *state().row(group);
    return !movers_.contains(group) && !reserved_groups_.contains(group) && moves_.find(group) == nullptr &&
           lost_soon(row) == 0;
}

bool Pool::may_plan_moves() const {
    return rebuilds_running() == 0 && check_can_commit() && rebuild_status().pending_groups == 0;
}

DriveName Pool::drive_name(MemberIndex member) const {
    const meta::Member& stored = *state().members()[member.get()];
    const dev::BlockDevice* device = members_.live(member);
    const std::string path = device != nullptr ? device->identity().path : stored.path;
    return {member, path, stored.model, stored.serial, stored.layout.size_bytes};
}

// What has lost redundancy goes before what only lies in the wrong place. Looks at all groups at the end.
bool Pool::may_start_in_background() const {
    if (!moves_.has_background() || moves_.is_paused() || rebuilds_running() > 0) return false;
    if (!check_can_commit()) return false;
    return state().pool().rebuild_paused || rebuild_status().pending_groups == 0;
}

void Pool::start_moves() {
    if (stopping_ || moves_.waiting() == 0 || moves_.running() >= kMovesAtOnce) return;
    const bool with_background = may_start_in_background();
    const auto may_start = [&](const MoveQueue::Entry& entry) {
        if (movers_.contains(entry.order.group) || reserved_groups_.contains(entry.order.group)) return false;
        return entry.by_command || with_background;
    };
    while (moves_.running() < kMovesAtOnce) {
        const auto entry = moves_.take(may_start);
        if (!entry) return;
        const auto begun = begin_relocation(*entry);
        if (begun) continue;
        log(LogLevel::warning, "pool {}: group {} is not moved: {}", name(), entry->order.group.get(),
            begun.error().message);
        if (wear_ != nullptr && !entry->by_command) wear_->move_ended(entry->order, false, begun.error().message);
        moves_.ended(*entry, MoveQueue::End::failed, groups_->extent_bytes());
    }
}

Outcome<void> Pool::begin_relocation(const MoveQueue::Entry& entry) {
    const MoveOrder& order = entry.order;
    XSAN_TRY_VOID(check_move(order));
    const GroupRow& row = *state().row(order.group);
    const unsigned slot = *slot_on(row, order.from);
    placement_->on_strip_placed(order.to, holders(row.strips(), order.from));
    const auto extent = members_.slot(order.to).extents.allocate();
    XSAN_ASSERT(extent.has_value());
    const ec::Scheme& scheme = groups_->codec(row.scheme()).scheme();
    std::vector<raid::MoveTarget> targets{{slot, order.to, *extent, members_.live(order.to),
                                           groups_->extent_offset(order.to, *extent), false}};
    auto running = std::make_unique<RunningMover>(order.group, std::move(targets),
                                                  raid::stripes_per_group(scheme, groups_->extent_bytes()),
                                                  groups_->extent_bytes(), entry);
    RunningMover& started = *running;
    movers_.emplace(order.group, std::move(running));
    log(LogLevel::info, "pool {}: group {} moves from {} to {}", name(), order.group.get(), describe_member(order.from),
        describe_member(order.to));
    if (wear_ != nullptr && !entry.by_command) wear_->move_began(order, entry.why);
    tasks_.spawn(move_group(started));
    return {};
}

// The old place, which nobody reads any more.
void Pool::release_source(const RunningMover& running) {
    const GroupRow& row = *state().row(running.mover.group());
    give_back(running.replaced, holders(row.strips(), running.relocation->order.to));
}

void Pool::relocation_ended(const RunningMover& running, const Result<void>& result) {
    const MoveQueue::Entry& entry = *running.relocation;
    const unsigned group = entry.order.group.get();
    auto how = MoveQueue::End::moved;
    if (result) {
        log(LogLevel::info, "pool {}: group {} has moved to {}", name(), group, describe_member(entry.order.to));
    } else if (running.is_cancelled || stopping_) {
        how = MoveQueue::End::cancelled;
    } else if (running.was_held && result.error().code == Errc::aborted && !running.mover.has_failed()) {
        moves_.put_back(entry);
        watch_moves();
        return;
    } else {
        how = MoveQueue::End::failed;
        const bool lost = groups_->lost_slots(*state().row(entry.order.group)) != 0;
        log(LogLevel::warning, "pool {}: group {} stays where it is: its move to {} has failed ({})", name(), group,
            describe_member(entry.order.to),
            lost ? "it has lost a strip, which is rebuilt first" : errc_name(result.error().code));
    }
    if (wear_ != nullptr && !entry.by_command && how != MoveQueue::End::cancelled) {
        const bool moved = how == MoveQueue::End::moved;
        wear_->move_ended(entry.order, moved, moved ? "" : std::string(errc_name(result.error().code)));
    }
    moves_.ended(entry, how, running.bytes);
}

std::uint64_t Pool::relocating_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [group, running] : movers_) {
        if (running->relocation) bytes += running->bytes_done;
    }
    return bytes;
}

}  // namespace xsan::pool
