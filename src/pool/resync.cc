// Consistency of parity after an unclean stop, policy `resync`: a durable mark on a group before the first
// write to it, taken away again when it has been idle; after an unclean stop parity of marked groups is made
// to agree with data.
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "pool/pool.h"
#include "reactor/cross.h"

namespace xsan::pool {
namespace {

constexpr TimeNs kCleanEvery = 5 * kSecond;
constexpr TimeNs kResyncTornEvery = 60 * kSecond;
constexpr unsigned kStripesResyncedAtOnce = 8;

}  // namespace

Task<void> Pool::pause_for(TimeNs duration) {
    const TimeNs end = Reactor::current().now() + duration;
    while (!stopping_ && Reactor::current().now() < end) {
        co_await sleep_for(std::min<TimeNs>(end - Reactor::current().now(), 50 * kMillisecond));
    }
}

Task<Result<void>> Pool::mark_dirty(GroupIndex group) {
    auto on_control = [&]() { return mark_on_control(group); };
    co_return co_await call_on(control(), on_control);
}

Task<Result<void>> Pool::commit_marks(std::vector<GroupIndex> groups, bool dirty) {
    meta::Record record;
    record.kind = meta::RecordKind::group_dirty;
    record.groups = std::move(groups);
    record.flag = dirty;
    std::vector<meta::Record> records;
    records.push_back(std::move(record));
    co_return co_await commit(std::move(records));
}

Task<Result<void>> Pool::mark_on_control(GroupIndex group) {
    for (;;) {
        if (groups_->flag(group, GroupTable::kMarked)) co_return Result<void>{};
        if (cleaning_.contains(group)) {
            if (!cleaning_committing_) {
                // Still marked on disk: call the cleaning off. Waiting here would wait for ourselves, since
                // the cleaner waits for everyone who holds a token.
                cleaning_.erase(group);
                groups_->set_flag(group, GroupTable::kMarked, true);
                co_return Result<void>{};
            }
            co_await cleaned_.wait();
            continue;
        }
        const auto marking = marking_.find(group);
        if (marking == marking_.end()) break;
        co_await marking->second->wait();
    }
    Event& event = *marking_.emplace(group, std::make_unique<Event>()).first->second;
    std::vector<GroupIndex> groups{group};
    if (mutant(Mutant::ack_before_mark)) groups_->set_flag(group, GroupTable::kMarked, true);
    const auto committed = co_await commit_marks(std::move(groups), true);
    if (committed) groups_->set_flag(group, GroupTable::kMarked, true);
    event.set();
    marking_.erase(group);
    co_return committed;
}

Task<void> Pool::clean_loop() {
    while (!stopping_) {
        co_await pause_for(kCleanEvery);
        if (stopping_) break;
        const auto cleaned = co_await clean_groups(CleanWhich::idle);
        static_cast<void>(cleaned);  // a failed commit leaves marks, which is safe
        // Those that could not be removed when they became empty, because they were in use some other way.
        for (std::size_t i = 0; i < state().schemes().size() && !stopping_; i++) {
            if (state().schemes()[i]) {
                co_await remove_empty_groups(SchemeId{static_cast<std::uint16_t>(i)});
            }
        }
        const auto retired = co_await retire_log();
        static_cast<void>(retired);  // the next look tries again
        co_await resync_torn();
        report_io();
        co_await persist_counters();
    }
}

// Takes the mark from groups that nobody has written since the last look. New writers must mark again; those
// that are on their way have left before the flush, so that what the mark covered is durable.
Task<Result<void>> Pool::clean_groups(CleanWhich which) {
    XSAN_ASSERT(cleaning_.empty());
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        if (!groups_->flag(group, GroupTable::kMarked)) continue;
        if (groups_->flag(group, GroupTable::kSuspect)) continue;
        if (which == CleanWhich::idle && groups_->flag(group, GroupTable::kTouched)) {
            groups_->set_flag(group, GroupTable::kTouched, false);
            continue;
        }
        cleaning_.insert(group);
        groups_->set_flag(group, GroupTable::kMarked, false);
    }
    if (cleaning_.empty()) co_return Result<void>{};
    co_await engine_->quiescence().synchronize();
    // A write that was on its way may have left its group suspect: the mark stays.
    std::erase_if(cleaning_, [this](GroupIndex group) {
        if (!groups_->flag(group, GroupTable::kSuspect)) return false;
        groups_->set_flag(group, GroupTable::kMarked, true);
        return true;
    });
    Result<void> result;
    if (!mutant(Mutant::flush_before_clean)) result = co_await flush_all();
    if (result && !cleaning_.empty()) {
        cleaning_committing_ = true;
        std::vector<GroupIndex> groups(cleaning_.begin(), cleaning_.end());
        result = co_await commit_marks(std::move(groups), false);
        cleaning_committing_ = false;
    }
    // In doubt they count as unmarked, and nobody can mark them any more.
    if (!result && result.error().code != Errc::in_doubt) {
        for (const GroupIndex group : cleaning_) groups_->set_flag(group, GroupTable::kMarked, true);
    }
    cleaning_.clear();
    cleaned_.wake_all();
    co_return result;
}

Task<Result<void>> Pool::flush_all() {
    Quiescence::Scope scope(engine_->quiescence());
    co_return co_await engine_->flush();
}

// A scrub that was under way goes on behind the resync: what that has not reached yet would be counted as wrong.
Task<void> Pool::resync_then_scrub() {
    co_await resync_all();
    if (!stopping_) scrub_->go_on();
}

// After an unclean start: every marked group, oldest number first. User I/O goes on; writes to these groups do
// not use the delta until their group is done.
Task<void> Pool::resync_all() {
    std::vector<GroupIndex> suspects;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        if (groups_->flag(GroupIndex{g}, GroupTable::kSuspect)) suspects.push_back(GroupIndex{g});
    }
    resync_total_ = suspects.size();
    if (suspects.empty()) co_return;
    log(LogLevel::info, "pool {}: resync of {} groups after an unclean stop", name(), suspects.size());
    for (const GroupIndex group : suspects) {
        if (stopping_) co_return;
        co_await resync_group(group);
        resync_done_++;
    }
    log(LogLevel::info, "pool {}: resync finished", name());
}

Task<void> Pool::stripe_torn(GroupIndex group, StripeIndex) {
    auto on_control = [&]() { return note_torn(group); };
    co_await call_on(control(), on_control);
}

// The mark keeps the group suspect over a restart; where it cannot be made durable the flag is all there is.
Task<void> Pool::note_torn(GroupIndex group) {
    log(LogLevel::warning, "pool {}: a write of group {} failed and left copies or parity that do not agree: "
        "it will be resynced", name(), group.get());
    groups_->set_flag(group, GroupTable::kSuspect, true);
    torn_[group]++;
    const auto marked = co_await mark_on_control(group);
    static_cast<void>(marked);
}

// Groups that became suspect since the start; every now and then, since what made them so may last.
Task<void> Pool::resync_torn() {
    if (torn_.empty() || Reactor::current().now() < resync_torn_at_) co_return;
    std::vector<GroupIndex> groups;
    for (const auto& [group, times] : torn_) groups.push_back(group);
    for (const GroupIndex group : groups) {
        if (!stopping_ && !movers_.contains(group)) co_await resync_group(group);
    }
    resync_torn_at_ = Reactor::current().now() + kResyncTornEvery;
}

Task<void> Pool::resync_group(GroupIndex group) {
    const GroupRow* row = state().row(group);
    if (row == nullptr) co_return;
    const ec::Scheme& scheme = groups_->codec(row->scheme()).scheme();
    const std::uint32_t stripes = raid::stripes_per_group(scheme, groups_->extent_bytes());
    bool all_good = true;
    const auto torn = torn_.find(group);
    const std::uint64_t times_torn = torn == torn_.end() ? 0 : torn->second;
    // A suspect group is not removed, so it stays the group that it is.
    for (std::uint32_t first = 0; first < stripes && !stopping_; first += kStripesResyncedAtOnce) {
        std::vector<Task<Result<void>>> tasks;
        for (std::uint32_t s = first; s < std::min(stripes, first + kStripesResyncedAtOnce); s++) {
            if (groups_->is_mapped(group, s * scheme.stripe_data_bytes())) {
                tasks.push_back(engine_->resync_stripe(group, StripeIndex{s}));
            }
        }
        co_await when_all(std::span(tasks));
        for (auto& task : tasks) all_good &= task.take().has_value();
    }
    // A group that could not be read wholly, or has lost strips, stays marked and suspect: once it is rebuilt,
    // or at the next start, it is tried again.
    row = state().row(group);
    const auto again = torn_.find(group);
    const bool torn_again = again != torn_.end() && again->second != times_torn;
    if (row == nullptr ||
        (all_good && !torn_again && !stopping_ && groups_->lost_slots(*row) == 0)) {
        torn_.erase(group);
        groups_->set_flag(group, GroupTable::kSuspect, false);
    }
}

meta::MemberCounters Pool::counters_of(MemberIndex member) const {
    meta::MemberCounters counters = members_.slot(member).counters_at_start;
    const raid::MemberTraffic traffic = engine_->traffic().total(member);
    const raid::MemberTraffic& base = members_.slot(member).traffic_at_start;
    counters.written_bytes += traffic.writes().bytes - base.writes().bytes;
    counters.read_bytes += traffic.reads.bytes - base.reads.bytes;
    counters.corrected_errors += members_.slot(member).corrected_count;
    return counters;
}

// Bytes written and read since the members joined; at most one commit each time the cleaner looks, and none
// while nothing is written.
Task<void> Pool::persist_counters() {
    std::vector<meta::Record> records;
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        if (!all[i] || members_.live(index) == nullptr) continue;
        const meta::MemberCounters now = counters_of(index);
        if (now.written_bytes == all[i]->counters.written_bytes &&
            now.corrected_errors == all[i]->counters.corrected_errors) {
            continue;
        }
        meta::Record record;
        record.kind = meta::RecordKind::counters_set;
        record.member_index = index;
        record.member.counters = now;
        records.push_back(std::move(record));
    }
    if (records.empty()) co_return;
    const auto committed = co_await commit(std::move(records));
    static_cast<void>(committed);  // figures only: the next look tries again
}

}  // namespace xsan::pool
