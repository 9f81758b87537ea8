// Replay of the stripe log at assembly: what the members in sync hold of it, put together by stripe.
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "ec/geometry.h"
#include "pool/stripe_log.h"
#include "reactor/task_group.h"

namespace xsan::pool {
namespace {

constexpr std::size_t kStripesReplayedAtOnce = 8;

// The strip of the stripe that the member holds in sync; nullopt: none.
std::optional<unsigned> strip_on(const GroupRow& row, const ec::Scheme& scheme, StripeIndex stripe,
                                 MemberIndex member) {
    const auto strips = row.strips();
    for (unsigned slot = 0; slot < strips.size(); slot++) {
        if (strips[slot].state() == StripState::ok && strips[slot].member() == member) {
            return ec::strip_in(scheme, stripe, ec::SlotIndex{slot}).get();
        }
    }
    return std::nullopt;
}

bool is_same(const raid::ReplayRecord& a, const raid::ReplayRecord& b) {
    return a.kind == b.kind && a.rows == b.rows && a.touched == b.touched &&
           a.granule_bytes == b.granule_bytes;
}

}  // namespace

// Adds the member's copies. What the engine cannot have written is left out.
void StripeLog::collect(const meta::MemberStripeLog& log, MemberIndex member, std::uint64_t retired,
                        Stripes& stripes) const {
    for (const meta::StripeLogBatch& batch : log.batches) {
        for (std::size_t i = 0; i < batch.records.size(); i++) {
            const meta::StripeLogDescriptor& d = batch.records[i];
            const GroupRow* row = context_.state.row(d.group);
            // A row of a later generation has strips that became stale since. Before members joined a group
            // its records were forgotten, so those that are found still lie where the row says.
            if (d.sequence < retired && !mutant(Mutant::replay_retired)) continue;
            if (row == nullptr || d.generation > row->generation()) continue;
            if (mutant(Mutant::stale_generation) && d.generation != row->generation()) continue;
            const ec::Scheme& scheme = context_.groups.codec(row->scheme()).scheme();
            if (d.stripe.get() >= raid::stripes_per_group(scheme, context_.groups.extent_bytes()) ||
                strip_on(*row, scheme, d.stripe, member) != d.strip ||
                (scheme.parity_mask() & raid::strip_mask(d.strip)) == 0) {
                continue;
            }
            raid::ReplayRecord record;
            record.sequence = d.sequence;
            record.kind = static_cast<raid::LogKind>(d.kind);
            record.rows = {d.row_begin, d.row_end};
            record.touched = d.touched;
            record.granule_bytes = d.granule_bytes;
            if (!raid::is_possible(record, scheme, batch.contents[i].size())) continue;
            auto& known = stripes[{d.group, d.stripe}];
            const auto [at, is_new] = known.try_emplace(d.sequence, std::move(record));
            if (!is_new && !is_same(at->second, record)) continue;
            at->second.copies.push_back({d.strip, batch.contents[i]});
        }
    }
}

Task<Result<void>> StripeLog::redo(Stripes& stripes, const std::vector<MemberIndex>& unreadable) {
    std::vector<std::vector<raid::ReplayRecord>> lists;
    std::vector<StripeKey> keys;
    for (auto& [stripe, records] : stripes) {
        const GroupRow& row = *context_.state.row(stripe.group);
        const ec::Scheme& scheme = context_.groups.codec(row.scheme()).scheme();
        ec::StripMask unknown = 0;
        for (const MemberIndex member : unreadable) {
            const auto strip = strip_on(row, scheme, stripe.stripe, member);
            if (strip) unknown |= raid::strip_mask(*strip);
        }
        auto& list = lists.emplace_back();
        keys.push_back(stripe);
        for (auto& [sequence, record] : records) {
            record.unknown = unknown;
            list.push_back(std::move(record));
        }
    }
    for (std::size_t first = 0; first < lists.size(); first += kStripesReplayedAtOnce) {
        std::vector<Task<Result<void>>> tasks;
        for (std::size_t i = first; i < std::min(lists.size(), first + kStripesReplayedAtOnce);
             i++) {
            tasks.push_back(engine_->replay_stripe(keys[i].group, keys[i].stripe, lists[i]));
        }
        co_await when_all(std::span(tasks));
        for (auto& task : tasks) {
            const auto one = task.take();
            if (!one) co_return one;
        }
    }
    if (mutant(Mutant::replay_no_flush)) co_return Result<void>{};
    Quiescence::Scope scope(engine_->quiescence());
    co_return co_await engine_->flush();
}

// A member without a strip holds no record that counts: one that had joined, but whose log was not set up when
// the power went, say.
bool StripeLog::holds_strips(MemberIndex member) const {
    for (std::uint32_t g = 0; g < context_.state.group_limit(); g++) {
        const GroupRow* row = context_.state.row(GroupIndex{g});
        if (row == nullptr) continue;
        const auto is_there = [member](const StripRef& strip) {
            return strip.state() != StripState::none && strip.member() == member;
        };
        if (std::ranges::any_of(row->strips(), is_there)) return true;
    }
    return false;
}

// A member of whose log something cannot be read is not trusted with the rest. Those that must stay remain in
// the list.
Task<void> StripeLog::fail_unreadable(std::vector<MemberIndex>& damaged) {
    std::vector<MemberIndex> kept;
    for (const MemberIndex member : damaged) {
        log(LogLevel::warning, "the stripe log of member {} cannot be read", member.get());
        const auto recorded = co_await context_.faults.member_failed(member, Error{Errc::media_error});
        if (!recorded) kept.push_back(member);
    }
    damaged = std::move(kept);
}

// `epoch_now`: of the pool, raised for this run.
Task<Result<StripeLog::Replayed>> StripeLog::replay(std::uint64_t epoch_now) {
    std::vector<MemberIndex> members;
    std::vector<Task<meta::MemberStripeLog>> reads;
    for (std::size_t i = 0; i < context_.state.members().size(); i++) {
        const MemberIndex member{static_cast<std::uint16_t>(i)};
        dev::BlockDevice* device = context_.members.live(member);
        if (device == nullptr) continue;
        const meta::Member& stored = *context_.state.members()[i];
        const meta::StripeLogIdentity identity{context_.state.pool().uuid, stored.uuid};
        members.push_back(member);
        reads.push_back(meta::read_stripe_log(*device, stored.layout, identity));
    }
    co_await when_all(std::span(reads));
    std::vector<meta::MemberStripeLog> logs;
    for (auto& read : reads) logs.push_back(read.take());

    // A region of a lower epoch is from before a replay that had come to its end.
    std::uint64_t epoch = 0;
    for (auto& log : logs) {
        const std::uint64_t used = log.tail.epoch + (mutant(Mutant::epoch_off_by_one) ? 1 : 0);
        if (log.has_tail && used >= epoch_now) {
            log = {};
            log.is_damaged = true;
        }
        epoch = std::max(epoch, log.tail.epoch);
    }
    std::uint64_t retired = 1;
    std::uint64_t newest = 0;
    std::vector<MemberIndex> unreadable;
    for (std::size_t i = 0; i < logs.size(); i++) {
        if (logs[i].is_damaged && holds_strips(members[i])) unreadable.push_back(members[i]);
        if (logs[i].tail.epoch != epoch) continue;
        retired = std::max(retired, logs[i].tail.retired);
        for (const auto& batch : logs[i].batches) {
            retired = std::max(retired, batch.head.retired);
            for (const auto& record : batch.records) newest = std::max(newest, record.sequence);
        }
    }
    Stripes stripes;
    for (std::size_t i = 0; i < logs.size(); i++) {
        if (logs[i].has_tail && logs[i].tail.epoch == epoch) {
            collect(logs[i], members[i], retired, stripes);
        }
    }
    Replayed replayed;
    replayed.stripes = stripes.size();
    for (const auto& [stripe, records] : stripes) replayed.records += records.size();
    for (const auto& log : logs) replayed.read_bytes += log.read_bytes;
    co_await fail_unreadable(unreadable);
    const auto done = co_await redo(stripes, unreadable);
    if (!done) co_return done.error();
    next_sequence_.store(std::max(retired, newest + 1));
    retired_.store(next_sequence_.load());
    co_return replayed;
}

}  // namespace xsan::pool
