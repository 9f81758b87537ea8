// Losing members: who may be lost, how it becomes durable, what happens then.
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "pool/pool.h"
#include "reactor/cross.h"

namespace xsan::pool {
namespace {

constexpr std::uint64_t kCorrectedPerHour = 20;
constexpr TimeNs kHour = 3600 * kSecond;

std::string describe(const std::optional<meta::Member>& member, MemberIndex index) {
    if (!member) return fmt::format("member {}", index.get());
    return fmt::format("member {} ({}{}{})", index.get(), member->path,
                       member->serial.empty() ? "" : ", serial ", member->serial);
}

}  // namespace

// Is the member's loss being recorded, by us or by the store, which decides by itself and tells us afterwards?
bool Pool::is_going(MemberIndex member) const {
    return losing_.contains(member) || store_->device(member) == nullptr;
}

// Strips that are lost now or in a moment.
ec::SlotMask Pool::lost_soon(const GroupRow& row) const { return lost_without(row, {}); }

// The same without these members as well.
ec::SlotMask Pool::lost_without(const GroupRow& row, std::span<const MemberIndex> members) const {
    ec::SlotMask lost = groups_->lost_slots(row);
    const auto strips = row.strips();
    for (std::size_t i = 0; i < strips.size(); i++) {
        if (strips[i].state() != StripState::none && goes(strips[i].member(), members)) lost |= ec::SlotMask{1} << i;
    }
    return lost;
}

bool Pool::goes(MemberIndex member, std::span<const MemberIndex> members) const {
    return is_going(member) || std::ranges::find(members, member) != members.end();
}

// Members may be lost when every group that holds data stays decodable without them. Members whose loss is
// being recorded right now count as lost already.
bool Pool::may_lose(std::span<const MemberIndex> members) const {
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state().row(group);
        if (row == nullptr || groups_->mapped_places(group) == 0) continue;
        const ec::SlotMask lost = lost_without(*row, members);
        if (lost != groups_->lost_slots(*row) && !groups_->survives(*row, lost)) return false;
    }
    return std::ranges::all_of(movers_, [&](const auto& mover) { return may_lose_targets(*mover.second, members); });
}

// A relocation that is being committed: its row with the target in it may be the one that counts.
bool Pool::may_lose_targets(const RunningMover& running, std::span<const MemberIndex> members) const {
    const GroupIndex group = running.mover.group();
    if (!running.is_committing || groups_->mapped_places(group) == 0) return true;
    const GroupRow& row = *state().row(group);
    ec::SlotMask lost = lost_without(row, members);
    for (const raid::MoveTarget& target : running.mover.targets()) {
        const ec::SlotMask bit = ec::SlotMask{1} << target.slot;
        lost = goes(target.member, members) ? lost | bit : lost & ~bit;
    }
    return lost == 0 || groups_->survives(row, lost);
}

Task<Result<void>> Pool::member_failed(MemberIndex member, Error why) {
    const auto state =
        why.code == Errc::device_gone ? meta::MemberState::missing : meta::MemberState::faulty;
    auto on_control = [&]() { return lose_member(member, state, why); };
    co_return co_await call_on(control(), on_control);
}

Task<Result<void>> Pool::lose_member(MemberIndex member, meta::MemberState new_state, Error why) {
    const bool is_blameless = why.code == Errc::device_gone || why.code == Errc::aborted;
    if (!is_blameless) members_.slot(member).has_misbehaved = true;
    if (members_.live(member) == nullptr) co_return Result<void>{};
    if (const auto losing = losing_.find(member); losing != losing_.end()) {
        co_await losing->second->wait();
        if (members_.live(member) == nullptr) co_return Result<void>{};
        co_return Error{Errc::io_error};
    }
    const auto& stored = state().members()[member.get()];
    if (why.code == Errc::device_gone) members_.slot(member).vanished = true;
    if (!may_lose({&member, 1})) {
        if (!members_.slot(member).kept_reported) {
            members_.slot(member).kept_reported = true;
            log(LogLevel::error, "pool {}: {} failed ({}), but without it data would be lost: it stays, "
                "and what it cannot serve is an I/O error",
                name(), describe(stored, member), errc_name(why.code));
        }
        co_return Error{Errc::io_error, why.os_errno};
    }
    Event& event = *losing_.emplace(member, std::make_unique<Event>()).first->second;
    log(LogLevel::error, "pool {}: {} is {}: {} (errno {})", name(), describe(stored, member),
        new_state == meta::MemberState::missing ? "missing" : "faulty",
        why.code == Errc::aborted ? "by command" : errc_name(why.code),
        why.os_errno);
    store_->drop_member(member);
    update_all_open();
    meta::Record record;
    record.kind = meta::RecordKind::member_set;
    record.member_index = member;
    record.member = *stored;
    record.member.state = new_state;
    record.member.counters = counters_of(member);
    // Where it was last, for those who look for it.
    if (const auto* device = members_.live(member); device != nullptr) {
        const std::string& path = device->identity().path;
        if (path.size() <= meta::kTextBytesMax) record.member.path = path;
    }
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    if (mutant(Mutant::ack_loss_commit)) member_is_lost(member);
    const auto committed = co_await commit(std::move(records));
    if (committed) member_is_lost(member);
    event.set();
    losing_.erase(member);
    if (!committed) update_all_open();
    co_return committed;
}

// The loss is durable: nobody reads from the member any more, and rebuild begins.
void Pool::member_is_lost(MemberIndex member) {
    // Before anyone finds the strip lost and takes the target for it: a write that is under way may miss both.
    for (auto& [group, running] : movers_) {
        const bool is_source = running->relocation && running->relocation->order.from == member;
        if (is_source) running->mover.fail();
    }
    auto device = members_.detach(member);
    // Movers onto the member would go on writing to a device that is about to be closed.
    for (auto& [group, running] : movers_) {
        for (const raid::MoveTarget& target : running->mover.targets()) {
            if (target.member == member) running->mover.fail();
        }
    }
    if (device != nullptr && !stopped_) tasks_.spawn(retire_device(std::move(device)));
    damage_version_++;
    update_all_open();
    rebuild_wake_.set();
    note_event(EventKind::member_lost, fmt::format("{} is lost", describe_member(member)));
}

Task<void> Pool::retire_device(std::unique_ptr<dev::BlockDevice> device) {
    co_await engine_->quiescence().synchronize();
    co_await store_->drained();
    co_await device->close();
}

Task<void> Pool::read_failed(MemberIndex member, std::uint64_t offset, Error why, bool corrected) {
    auto on_control = [&]() { return count_read_error(member, offset, why, corrected); };
    co_await call_on(control(), on_control);
}

// Faulty is a member with a second error at the same place after a rewrite, or with more than twenty errors
// within an hour that were corrected, or that were not the media's (nothing is rewritten for those).
Task<void> Pool::count_read_error(MemberIndex member, std::uint64_t offset, Error why, bool corrected) {
    MemberTable::Slot& slot = members_.slot(member);
    if (slot.owned == nullptr) co_return;
    const bool again = std::find(slot.corrected_offset.begin(), slot.corrected_offset.end(), offset) !=
                       slot.corrected_offset.end();
    bool too_many = false;
    if (corrected || why.code != Errc::media_error) {
        const TimeNs now = Reactor::current().now();
        const std::size_t ring = slot.corrected_at.size();
        slot.corrected_at[slot.corrected_count % ring] = now;
        slot.corrected_offset[slot.corrected_count % ring] = corrected ? offset : UINT64_MAX;
        slot.corrected_count++;
        // The ring holds one more than an hour may have: the oldest is the next one to be overwritten.
        const TimeNs oldest = slot.corrected_at[slot.corrected_count % ring];
        too_many = slot.corrected_count - slot.corrected_before > kCorrectedPerHour && now - oldest < kHour;
    }
    log(LogLevel::warning, "pool {}: {}: read error at byte {} ({}){}", name(),
        describe(state().members()[member.get()], member), offset, errc_name(why.code),
        corrected ? ", corrected" : "");
    if ((again || too_many) && !losing_.contains(member)) {
        const auto lost = co_await lose_member(member, meta::MemberState::faulty, why);
        static_cast<void>(lost);  // when it may not be lost, it stays: that was logged
    }
}

Task<Result<void>> Pool::range_lost(GroupIndex group, std::uint64_t offset, std::uint64_t length) {
    auto on_control = [&]() { return lose_range({group, offset, length}); };
    co_return co_await call_on(control(), on_control);
}

// Of free space nothing is lost: zeros are what it holds.
Task<Result<void>> Pool::lose_range(raid::GroupRange range) {
    if (!groups_->is_mapped(range.group, range.offset)) co_return Result<void>{};
    co_return co_await commit_bad(meta::RecordKind::bad_set, range);
}

Task<Result<void>> Pool::commit_bad(meta::RecordKind kind, raid::GroupRange range) {
    // Set before the commit and taken away after it: a reader asks once too often, never too seldom.
    groups_->set_flag(range.group, GroupTable::kHasBad, true);
    meta::Record record;
    record.kind = kind;
    record.bad = {range.group, range.offset, range.length};
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    const auto committed = co_await commit(std::move(records));
    groups_->set_flag(range.group, GroupTable::kHasBad, has_bad(range.group));
    co_return committed;
}

bool Pool::has_bad(GroupIndex group) const {
    for (const meta::BadRange& bad : state().bad_ranges()) {
        if (bad.group == group) return true;
    }
    return false;
}

bool Pool::overlaps_bad(const raid::GroupRange& range) const {
    for (const meta::BadRange& bad : state().bad_ranges()) {
        if (bad.group == range.group && bad.offset < range.offset + range.length &&
            range.offset < bad.offset + bad.length) {
            return true;
        }
    }
    return false;
}

Task<Result<void>> Pool::check_bad(raid::GroupRange range) {
    auto on_control = [&]() { return check_bad_on_control(range); };
    co_return co_await call_on(control(), on_control);
}

Task<Result<void>> Pool::check_bad_on_control(raid::GroupRange range) {
    if (overlaps_bad(range)) co_return Error{Errc::media_error};
    co_return Result<void>{};
}

Task<Result<void>> Pool::range_rewritten(GroupIndex group, std::uint64_t offset, std::uint64_t length) {
    auto on_control = [&]() { return clear_bad_on_control({group, offset, length}); };
    co_return co_await call_on(control(), on_control);
}

Task<Result<void>> Pool::clear_bad_on_control(raid::GroupRange range) {
    if (!overlaps_bad(range)) co_return Result<void>{};
    co_return co_await commit_bad(meta::RecordKind::bad_clear, range);
}

}  // namespace xsan::pool
