// Carrying out one mover, a rebuild's or a relocation's: copies stripe by stripe while the group serves, commits a row
// with the targets in it, and frees what nobody needs any more.
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "pool/pool.h"
#include "reactor/cross.h"

namespace xsan::pool {
namespace {

constexpr unsigned kStripesMovedAtOnce = 4;

// Is the target the place that the row has for the strip already?
bool is_in_place(const StripRef& strip, const raid::MoveTarget& target) {
    return strip.state() != StripState::none && strip.member() == target.member && strip.extent() == target.extent;
}

}  // namespace

Task<void> Pool::move_group(RunningMover& running) {
    const GroupIndex group = running.mover.group();
    const auto result = co_await run_mover(running);
    if (result) {
        if (!running.relocation) rebuild_done_bytes_ += running.bytes;
        update_open(state().row(group)->scheme(), group);
        if (!running.replaced.empty()) {
            // Who reads by the row from before may still be at the old place.
            co_await engine_->quiescence().synchronize();
            release_source(running);
        }
        // While strips were lost, resync could not make all parity agree.
        if (groups_->flag(group, GroupTable::kSuspect)) co_await resync_group(group);
    } else {
        release_targets(running);
        if (!running.relocation && !stopping_ && !state().pool().rebuild_paused) {
            log(LogLevel::warning, "pool {}: rebuild of group {} stopped: {}", name(), group.get(),
                errc_name(result.error().code));
            co_await pause_for(kSecond);  // whatever it was, do not spin on it
        }
    }
    if (running.relocation) relocation_ended(running, result);
    movers_.erase(group);
    mover_done_.wake_all();
    rebuild_wake_.set();
    start_moves();
}

// The extents were taken for nothing, except those that stale strips of the row still own.
void Pool::release_targets(const RunningMover& running) {
    const GroupRow* row = state().row(running.mover.group());
    std::vector<StripRef> unused;
    for (const raid::MoveTarget& target : running.mover.targets()) {
        if (is_in_place(row->strips()[target.slot], target)) continue;
        unused.emplace_back(target.member, target.extent, StripState::ok);
    }
    // A strip that was to be moved does not share the group with its target.
    std::optional<MemberIndex> source;
    if (running.relocation) source = running.relocation->order.from;
    give_back(unused, holders(row->strips(), source));
}

bool Pool::must_stop(const RunningMover& running) const {
    if (stopping_ || running.is_cancelled) return true;
    if (!running.relocation) return state().pool().rebuild_paused || store_->is_broken();
    if (running.was_held || store_->is_broken()) return true;
    // What was lost is rebuilt first, all of it; that begins when this mover has ended.
    return running.mover.has_failed() || groups_->lost_slots(*state().row(running.mover.group())) != 0;
}

Task<Result<void>> Pool::run_mover(RunningMover& running) {
    raid::Mover& mover = running.mover;
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
    for (std::uint32_t first = 0; first < mover.stripes() && result; first += kStripesMovedAtOnce) {
        if (must_stop(running)) {
            result = Error{Errc::aborted};
            break;
        }
        std::vector<Task<Result<void>>> stripes;
        const std::uint32_t end = std::min(mover.stripes(), first + kStripesMovedAtOnce);
        for (std::uint32_t s = first; s < end; s++) {
            stripes.push_back(engine_->move_stripe(mover, StripeIndex{s}));
        }
        co_await when_all(std::span(stripes));
        for (auto& stripe : stripes) {
            const auto one = stripe.take();
            if (!one) result = one;
        }
        const std::uint64_t bytes = (end - first) * strip_bytes * mover.targets().size();
        running.bytes_done += bytes;
        co_await throttle(running, bytes);
    }
    struct Argument {
        Pool* pool;
        RunningMover* running;
    } argument{this, &running};
    const raid::Engine::Commit commit_it = [](void* a) {
        auto* arg = static_cast<Argument*>(a);
        return arg->pool->commit_move(*arg->running);
    };
    // While the targets are flushed their devices must stay.
    Quiescence::Scope scope(engine_->quiescence());
    if (result) co_return co_await engine_->finish_mover(mover, commit_it, &argument);
    const auto given_up = co_await engine_->finish_mover(mover, nullptr, nullptr);
    static_cast<void>(given_up);
    co_return result;
}

// The row with the targets in it. A spare that received something is an ordinary member from now on.
Task<Result<void>> Pool::commit_move(RunningMover& running) {
    const raid::Mover& mover = running.mover;
    const GroupIndex group = mover.group();
    // Of records from before, replay could not tell any more whether all who should hold them do: the members
    // are others by then. They are forgotten first; nobody writes to the group. Writes of stripes whose parity
    // was lost have no record, and agree with what is rebuilt only once they are durable.
    if (stripe_log_ != nullptr) {
        if (!mutant(Mutant::mover_unlogged_writes)) XSAN_CO_TRY_VOID(engine_->flush());
        if (!mutant(Mutant::mover_log_kept)) XSAN_CO_TRY_VOID(stripe_log_->advance_past_all());
    }
    if (mover.has_failed()) co_return Error{Errc::aborted};
    // The row as it is now: its strips on a member that was lost and came back meanwhile are stale.
    const GroupRow& row = *state().row(group);
    if (running.relocation && lost_soon(row) != 0) co_return Error{Errc::aborted};
    std::vector<StripRef> strips(row.strips().begin(), row.strips().end());
    std::vector<StripRef> replaced;
    std::vector<meta::Record> records;
    for (const raid::MoveTarget& target : mover.targets()) {
        if (members_.live(target.member) == nullptr || is_going(target.member)) {
            co_return Error{Errc::aborted};
        }
        StripRef& strip = strips[target.slot];
        if (strip.state() != StripState::none && !is_in_place(strip, target)) replaced.push_back(strip);
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
    const std::vector<MemberIndex> kept = holders(strips);
    record.strips = std::move(strips);
    records.push_back(std::move(record));
    running.is_committing = true;
    const auto committed = co_await commit(std::move(records));
    running.is_committing = false;
    if (!committed) co_return committed;
    if (running.relocation) {
        running.replaced = std::move(replaced);
    } else {
        give_back(replaced, kept);
    }
    co_return committed;
}

// Keeps rebuilds below their rate, and relocations below theirs.
Task<void> Pool::throttle(const RunningMover& running, std::uint64_t bytes) {
    const std::uint64_t own = state().pool().rebuild_rate_max;
    const std::uint64_t rate = own != 0 ? own : environment_.rebuild_rate_max;
    if (running.relocation) {
        const auto is_over = [this, &running] { return must_stop(running); };
        co_await move_pace_.keep_unless(bytes, moves_.rate_max().value_or(rate), is_over);
    } else {
        co_await rebuild_pace_.keep(bytes, rate, stopping_);
    }
}

}  // namespace xsan::pool
