// The stripe log forgets: tails move past what is durable in place, and stop before what is kept.
#include <algorithm>
#include <mutex>

#include "base/mutant.h"
#include "pool/stripe_log.h"

namespace xsan::pool {

// First kept, then closed: advance() looks for open tickets before it looks here.
void StripeLog::keep(raid::LogTicket& ticket) {
    {
        std::lock_guard guard(kept_lock_);
        kept_.insert(ticket.sequence);
    }
    retire(ticket);
}

void StripeLog::release(raid::LogSpan records) {
    std::lock_guard guard(kept_lock_);
    kept_.erase(records.begin);
}

std::uint64_t StripeLog::kept_from() {
    std::lock_guard guard(kept_lock_);
    return kept_.empty() ? UINT64_MAX : *kept_.begin();
}

Task<Result<void>> StripeLog::advance_past(std::uint64_t sequence) {
    while (retired_.load(std::memory_order_acquire) < sequence) {
        XSAN_CO_TRY_VOID(advance());
        if (kept_from() < sequence) co_return Error{Errc::io_error};
        // Others are being written in place.
        if (retired_.load(std::memory_order_acquire) < sequence) co_await sleep_for(kMillisecond);
    }
    co_return Result<void>{};
}

Task<Result<void>> StripeLog::advance() {
    auto on_control = [this]() { return advance_locked(); };
    co_return co_await call_on(*context_.reactors[0], on_control);
}

Task<Result<void>> StripeLog::advance_locked() {
    co_await advance_mutex_.lock();
    AsyncMutex::Guard guard(advance_mutex_);
    std::uint64_t retired = UINT64_MAX;
    for (const auto& lane : lanes_) {
        std::lock_guard lane_guard(lane->lock);
        const bool any_open = lane->oldest != nullptr && !mutant(Mutant::tail_open_records);
        retired = std::min(retired, any_open ? lane->oldest->sequence : next_sequence_.load());
    }
    if (!mutant(Mutant::tail_passes_kept)) retired = std::min(retired, kept_from());
    if (retired == retired_.load()) co_return Result<void>{};
    Quiescence::Scope scope(engine_->quiescence());
    // Everything below had completed in place before this flush is submitted.
    if (!mutant(Mutant::flush_before_tail)) XSAN_CO_TRY_VOID(engine_->flush());
    for (const auto& lane : lanes_) {
        std::lock_guard lane_guard(lane->lock);
        for (auto& [member, ring] : lane->rings) {
            auto& batches = ring->batches;
            while (!batches.empty() && batches.front().sequence_max < retired) batches.pop_front();
            const bool any_open = !batches.empty() && !mutant(Mutant::tail_position_head);
            ring->next_tail = any_open ? batches.front().position : ring->head;
        }
    }
    std::vector<Task<Result<void>>> writes;
    for (const auto& [member, number] : tail_number_) {
        dev::BlockDevice* device = context_.members.live(member);
        if (mutant(Mutant::tail_one_fewer) && member.get() == 0) continue;
        if (device != nullptr) writes.push_back(write_tail_or_fail(member, *device, retired));
    }
    co_await when_all(std::span(writes));
    for (auto& write : writes) {
        const auto one = write.take();
        if (!one) co_return one;
    }
    for (const auto& lane : lanes_) {
        std::lock_guard lane_guard(lane->lock);
        for (auto& [member, ring] : lane->rings) ring->tail = ring->next_tail;
    }
    retired_.store(retired, std::memory_order_release);
    co_return Result<void>{};
}

Task<Result<void>> StripeLog::write_tail(MemberIndex member, dev::BlockDevice& device,
                                         std::uint64_t retired) {
    const meta::Member& stored = *context_.state.members()[member.get()];
    const meta::MemberLayout layout = stored.layout;
    meta::StripeLogTail tail;
    tail.epoch = epoch_;
    tail.number = tail_number_[member] + (mutant(Mutant::tail_one_sector) ? 2 : 1);
    tail.retired = retired;
    for (const auto& lane : lanes_) {
        std::lock_guard guard(lane->lock);
        const Ring& ring = *lane->rings.at(member);
        tail.incarnation = ring.incarnation;
        tail.lane_bytes = ring.lane_bytes;
        tail.position.push_back(ring.next_tail);
    }
    dev::AlignedBuffer block(meta::kStripeLogBlockBytes);
    const meta::StripeLogIdentity identity{context_.state.pool().uuid, stored.uuid};
    meta::encode_stripe_log_tail(tail, identity, block.span());
    const std::uint64_t offset =
        layout.stripe_log_offset + meta::stripe_log_tail_offset(tail.number);
    const auto written = co_await device.write(offset, block.span(), true);
    tails_.fetch_add(1, std::memory_order_relaxed);
    if (written) engine_->traffic().count_write(member, raid::WriteKind::log, block.size());
    // After a failure the same block again: the other one holds the last good tail.
    if (written) tail_number_[member] = tail.number;
    co_return written;
}

// Success also when the member is recorded as lost instead.
Task<Result<void>> StripeLog::write_tail_or_fail(MemberIndex member, dev::BlockDevice& device,
                                                 std::uint64_t retired) {
    const auto written = co_await write_tail(member, device, retired);
    if (written) co_return written;
    co_return co_await context_.faults.member_failed(member, written.error());
}

Task<Result<void>> StripeLog::open_member(MemberIndex member, dev::BlockDevice& device,
                                          std::uint64_t epoch) {
    const meta::Member stored = *context_.state.members()[member.get()];
    const meta::MemberLayout layout = stored.layout;
    const std::uint64_t room = meta::stripe_log_lane_bytes(layout.stripe_log_bytes, lane_count());
    const std::uint64_t lane_bytes = std::min(room, context_.lane_bytes_max);
    if (lane_bytes == 0) co_return Error{Errc::no_space};
    const meta::StripeLogIdentity identity{context_.state.pool().uuid, stored.uuid};
    co_await advance_mutex_.lock();
    AsyncMutex::Guard guard(advance_mutex_);
    epoch_ = epoch;
    // Newer than whatever lies there.
    XSAN_CO_TRY(const auto old, meta::read_stripe_log_tail(device, layout, identity));
    const std::uint64_t number = old ? old->number : 0;
    tail_number_[member] = number;
    const std::uint64_t incarnation = rng_.next();
    for (const auto& lane : lanes_) {
        auto ring = std::make_unique<Ring>();
        ring->incarnation = incarnation;
        ring->lane_bytes = lane_bytes;
        ring->offset =
            layout.stripe_log_offset + meta::stripe_log_ring_offset(lane->index, lane_bytes);
        std::lock_guard lane_guard(lane->lock);
        lane->rings[member] = std::move(ring);
    }
    const std::uint64_t most = lane_bytes / 2 - 4 * meta::kStripeLogBlockBytes;
    append_bytes_max_.store(std::min(append_bytes_max_.load(), most));
    if (mutant(Mutant::tail_not_opened)) co_return Result<void>{};
    co_return co_await write_tail(member, device, retired_.load());
}

Task<Result<void>> StripeLog::open_live_members(std::uint64_t epoch) {
    const auto& members = context_.state.members();
    for (std::size_t i = 0; i < members.size(); i++) {
        const MemberIndex member{static_cast<std::uint16_t>(i)};
        dev::BlockDevice* device = context_.members.live(member);
        if (device == nullptr) continue;
        const auto opened = co_await open_member(member, *device, epoch);
        if (opened) continue;
        XSAN_CO_TRY_VOID(context_.faults.member_failed(member, opened.error()));
    }
    co_return Result<void>{};
}

}  // namespace xsan::pool
