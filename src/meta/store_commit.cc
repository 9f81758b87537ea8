// Commits: queue, batch, entry, and the entries that the loss of a member needs.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "meta/draft.h"
#include "meta/record_codec.h"
#include "meta/store.h"

namespace xsan::meta {
namespace {

// Space for one checkpoint page more than the tally's bound: what the store itself commits must
// always fit.
constexpr std::uint64_t kSlotReserve = kPageBytesMax;

// Does the commit nothing but take members out of sync? It must always be possible.
bool only_loses(const Draft& before, std::span<const Record> records) {
    return std::ranges::all_of(records, [&before](const Record& r) {
        return r.kind == RecordKind::member_set && r.member.state != MemberState::in_sync &&
               before.find_member(r.member_index) != nullptr;
    });
}

}  // namespace

void Store::Batch::add(Record record) {
    encode_record(record, bytes);
    records.push_back(std::move(record));
}

std::uint64_t Store::commit_bytes_max() const {
    return std::min<std::uint64_t>(log_bytes_ / 8, 1u << 20) - sizeof(LogEntryHeader);
}

// An eighth of the log is kept for what the store itself has to commit while a checkpoint is
// written.
bool Store::has_log_room(std::uint64_t entry_bytes) const {
    const LogPosition next = log_advance(head_, entry_bytes, log_bytes_);
    return next.total_bytes - log_start_bytes_ <= log_bytes_ - log_bytes_ / 8;
}

Store::Written Store::written(MemberIndex member) const {
    const auto found = written_.find(member);
    return found == written_.end() ? Written{} : found->second;
}

void Store::count_written(MemberIndex member, std::uint64_t writes, std::uint64_t bytes) {
    Written& sum = written_[member];
    sum.writes += writes;
    sum.bytes += bytes;
}

Task<Result<void>> Store::commit(std::vector<Record> records) {
    if (!gate_.try_enter()) co_return Errc::aborted;
    Pending pending;
    for (const auto& record : records)
        encode_record(record, pending.bytes);
    pending.records = std::move(records);
    if (pending.bytes.size() > commit_bytes_max()) {
        gate_.leave();
        co_return Errc::no_space;
    }
    queue_.push_back(&pending);
    kick();
    co_await pending.done.wait();
    gate_.leave();
    co_return pending.result;
}

void Store::kick() {
    if (is_pumping_) return;
    is_pumping_ = true;
    tasks_.spawn(pump());
}

Task<void> Store::pump() {
    while (!queue_.empty() || (has_unrecorded_loss() && !is_broken_)) {
        // At most what the batch below can take: it is chosen when the log has room for it.
        const bool has_room = has_log_room(log_entry_bytes(commit_bytes_max()));
        if (!has_room && !is_broken_ && !has_unrecorded_loss()) {
            start_checkpoint();
            if (is_checkpointing_) co_await checkpoint_done_.wait();
            continue;
        }
        Batch batch;
        std::vector<Pending*> taken;
        if (has_room) taken = take_batch(batch);
        Result<void> result;
        if (!batch.records.empty() || has_unrecorded_loss() || is_broken_) {
            result = co_await append(std::move(batch));
        }
        report_losses();
        answer(taken, result);
        if (is_broken_) answer(std::exchange(queue_, {}), Result<void>(Errc::too_many_failures));
        if (!is_broken_ && log_used() > log_bytes_ / 2) start_checkpoint();
    }
    is_pumping_ = false;
}

template <class Pendings>
void Store::answer(const Pendings& pendings, Result<void> result) {
    for (Pending* pending : pendings) {
        pending->result = result.error();
        pending->done.set();
    }
}

// Whether the tables still fit a checkpoint slot, and the extents the growth limit. What makes them
// no larger always may.
bool Store::fits_on_disk(const Draft& draft) const {
    const auto now = checkpoint_bytes_max(state_.tally());
    const auto then = checkpoint_bytes_max(draft.tally());
    if (then > now && then + kSlotReserve > slot_bytes_) return false;
    const auto extents = draft.extent_total();
    return extents <= draft.pool().extents_max || extents <= Draft(state_).extent_total();
}

// Moves commits from the queue into one entry. Those that do not fit the state are answered at
// once.
std::vector<Store::Pending*> Store::take_batch(Batch& batch) {
    std::vector<Pending*> taken;
    std::optional<Draft> draft(state_);
    while (!queue_.empty() && !is_broken_) {
        Pending* next = queue_.front();
        if (!taken.empty() && batch.bytes.size() + next->bytes.size() > commit_bytes_max()) break;
        queue_.pop_front();
        Error error;
        const bool is_loss = only_loses(*draft, next->records);
        for (const auto& record : next->records) {
            const auto added = draft->add(record);
            if (added) continue;
            log(LogLevel::error, "a change of pool '{}' is refused: {}", state_.pool().name,
                added.error().message);
            error = Errc::corrupt;
            break;
        }
        if (error.is_ok() && !is_loss && !fits_on_disk(*draft)) error = Errc::no_space;
        if (error.is_ok()) {
            batch.bytes.insert(batch.bytes.end(), next->bytes.begin(), next->bytes.end());
            std::move(next->records.begin(), next->records.end(),
                      std::back_inserter(batch.records));
            taken.push_back(next);
            continue;
        }
        next->result = error;
        next->done.set();
        // The draft may hold half of the refused commit: what was taken before goes out first.
        if (!taken.empty()) break;
        draft.emplace(state_);
    }
    return taken;
}

void Store::overlay_records(Overlay& overlay, const State& state, std::span<const Record> records) {
    for (const auto& r : records) {
        if (r.kind == RecordKind::member_set) overlay[r.member_index] = r.member;
        if (r.kind != RecordKind::counters_set) continue;
        const Member* known = state.find_member(r.member_index);
        if (known != nullptr) overlay.try_emplace(r.member_index, *known);
        const auto found = overlay.find(r.member_index);
        if (found != overlay.end()) found->second.counters = r.member.counters;
    }
}

const Member* Store::member_after(const Overlay& overlay, MemberIndex index) const {
    const auto found = overlay.find(index);
    return found != overlay.end() ? &found->second : state_.find_member(index);
}

// A record for every member that would be in sync though nothing is written to it.
std::vector<Record> Store::loss_records(const Overlay& overlay) const {
    std::vector<Record> records;
    std::size_t limit = state_.members().size();
    if (!overlay.empty()) limit = std::max<std::size_t>(limit, overlay.rbegin()->first.get() + 1u);
    for (std::size_t i = 0; i < limit; i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const Member* member = member_after(overlay, index);
        if (member == nullptr || member->state != MemberState::in_sync || slots_.contains(index))
            continue;
        const auto loss = losses_.find(index);
        const bool is_gone = loss == losses_.end() || loss->second.code == Errc::device_gone;
        Record record;
        record.kind = RecordKind::member_set;
        record.member_index = index;
        record.member = *member;
        record.member.state = is_gone ? MemberState::missing : MemberState::faulty;
        records.push_back(std::move(record));
    }
    return records;
}

bool Store::has_unrecorded_loss() const {
    return !loss_records({}).empty();
}

// A member in sync could not be written. Takes it out, so that the next entry records its loss, where the pool
// survives that; else no entry is possible any more.
bool Store::accept_loss(MemberIndex index, Error error) {
    std::vector<MemberIndex> lost{index};
    for (const auto& record : loss_records({}))
        lost.push_back(record.member_index);
    if (may_lose && !may_lose(lost)) {
        if (!is_broken_) {
            log(LogLevel::error,
                "metadata of pool '{}' cannot be written to member {} ({}), and without it data would be lost: "
                "nothing that changes metadata is possible until its drives are back and the pool was stopped "
                "and assembled",
                state_.pool().name, index.get(), errc_name(error.code));
        }
        is_broken_ = true;
        return false;
    }
    slots_.erase(index);
    losses_[index] = error;
    return true;
}

void Store::note_loss(MemberIndex index, Error error) {
    if (!slots_.contains(index)) return;
    const Member* member = state_.find_member(index);
    if (member != nullptr && member->state == MemberState::in_sync) {
        accept_loss(index, error);
    } else {
        slots_.erase(index);
    }
}

// A loss that could not be recorded is not reported: what the member misses must not be acknowledged.
void Store::report_losses() {
    if (is_broken_) return;
    for (const auto& [index, error] : std::exchange(losses_, {})) {
        log(LogLevel::error, "member {} of pool '{}' is recorded as lost ({})", index.get(),
            state_.pool().name, errc_name(error.code));
        if (on_member_lost) on_member_lost(index, error);
    }
}

void Store::drop_member(MemberIndex index) {
    slots_.erase(index);
}

// Writes the batch as one entry, then one more as long as members fail, then applies all of it. What some
// members have and others could not be given is in doubt: the next start may find it and go by it.
Task<Result<void>> Store::append(Batch batch) {
    co_await append_mutex_.lock();
    AsyncMutex::Guard guard(append_mutex_);
    std::vector<Record> durable;
    Overlay overlay;
    if (is_broken_) co_return Errc::too_many_failures;
    for (bool again = true; again;) {
        overlay_records(overlay, state_, batch.records);
        auto losses = loss_records(overlay);
        overlay_records(overlay, state_, losses);
        for (auto& record : losses) {
            losses_.try_emplace(record.member_index, Errc::device_gone);  // dropped by the owner
            batch.add(std::move(record));
        }
        again = co_await write_entry(batch, overlay);
        std::move(batch.records.begin(), batch.records.end(), std::back_inserter(durable));
        batch.records.clear();
        batch.bytes.clear();
        if (is_broken_) co_return Errc::in_doubt;
    }
    for (const auto& record : durable) {
        const auto applied = state_.apply(record);
        XSAN_ASSERT(applied.has_value());
    }
    applied_ = head_;
    for (auto& [index, slot] : slots_) {
        const Member* member = state_.find_member(index);
        if (member != nullptr && member->state == MemberState::in_sync) slot.is_joining = false;
    }
    // A member that the records took out of the pool, or marked, gets no more entries.
    std::erase_if(slots_, [this](const auto& item) {
        const Member* member = state_.find_member(item.first);
        return !item.second.is_joining &&
               (member == nullptr || member->state != MemberState::in_sync);
    });
    co_return Result<void>();
}

// One entry, to every member that is in sync after it and to those that join. Returns whether a
// member in sync failed, so that another entry has to say so. Sets is_broken_ when none is left.
Task<bool> Store::write_entry(const Batch& batch, const Overlay& overlay) {
    std::vector<MemberIndex> targets;
    std::vector<Task<Result<void>>> tasks;
    LogEntryInput input;
    input.after = head_;
    input.epoch = epoch_;
    input.lineage = lineage_;
    input.pool_uuid = state_.pool().uuid;
    input.flags = batch.flags;
    input.record_count = static_cast<std::uint32_t>(batch.records.size());
    input.records = batch.bytes;
    input.region_bytes = log_bytes_;
    const dev::AlignedBuffer entry = encode_log_entry(input);
    const std::uint64_t place = log_place(head_.offset, entry.size(), log_bytes_);
    LogPosition next = log_advance(head_, entry.size(), log_bytes_);
    if (next.total_bytes - log_start_bytes_ > log_bytes_) {
        // More losses than the reserve has room for, while no checkpoint could be finished.
        is_broken_ = true;
        co_return false;
    }
    for (const auto& [index, slot] : slots_) {
        const Member* member = member_after(overlay, index);
        const bool is_in_sync = member != nullptr && member->state == MemberState::in_sync;
        if (!is_in_sync && !slot.is_joining) continue;
        if (mutant(Mutant::copies_of_entry) && &slot == &slots_.rbegin()->second) continue;
        targets.push_back(index);
        tasks.push_back(write_fully(
            *slot.device, slot.superblock.content.layout.log_offset() + place, entry.span(), true));
    }
    const auto results = co_await run_all(std::move(tasks));

    next.sequence = head_.sequence + 1;
    next.epoch = epoch_;
    next.lineage = lineage_;
    next.crc = decode_log_crc(entry.span());
    head_ = next;
    bool lost = false;
    std::size_t durable = 0;
    for (std::size_t i = 0; i < targets.size(); i++) {
        const Member* member = member_after(overlay, targets[i]);
        const bool is_in_sync = member != nullptr && member->state == MemberState::in_sync;
        const bool is_dropped = !slots_.contains(targets[i]);
        if (results[i]) count_written(targets[i], 1, entry.size());
        if (results[i] && !is_dropped) {
            durable += is_in_sync ? 1 : 0;
            continue;
        }
        lost = lost || is_in_sync;
        if (is_dropped) continue;
        if (is_in_sync) {
            accept_loss(targets[i], results[i].error());
        } else {
            slots_.erase(targets[i]);
        }
    }
    if (durable == 0) is_broken_ = true;
    co_return lost;
}

}  // namespace xsan::meta
