// Construction, flush, and the gate for changes of a whole group.
#include "raid/engine.h"

#include "base/mutant.h"
#include "reactor/task_group.h"

namespace xsan::raid {

Engine::Engine(GroupMap& map, FaultSink& faults, const EngineOptions& options)
    : map_(map),
      faults_(faults),
      log_(options.log),
      log_payload_bytes_max_(options.log_payload_bytes_max),
      quiescence_(options.reactors),
      traffic_(options.reactors, options.members_max),
      group_traffic_(options.reactors, options.groups_max),
      interlock_(options.interlock_slots_log2) {
    for (unsigned i = 0; i < options.reactors; i++) {
        per_reactor_.push_back(std::make_unique<PerReactor>(options.buffers));
    }
}

Engine::~Engine() = default;

EngineCounters Engine::counters() const {
    EngineCounters sum;
    for (const auto& per : per_reactor_) {
        sum.full_stripe_writes += per->full_stripe_writes.get();
        sum.delta_writes += per->delta_writes.get();
        sum.reconstruct_writes += per->reconstruct_writes.get();
        sum.merged_writes += per->merged_writes.get();
        sum.degraded_reads += per->degraded_reads.get();
    }
    return sum;
}

Task<Result<void>> Engine::flush() {
    std::vector<Task<Result<void>>> flushes;
    for (unsigned i = mutant(Mutant::flush_first_member) ? 1 : 0; i < map_.member_limit(); i++) {
        const MemberIndex member{static_cast<std::uint16_t>(i)};
        dev::BlockDevice* device = map_.live_device(member);
        if (device == nullptr || !device->limits().volatile_cache) continue;
        if (traffic_.needs_flush(member) || traffic_.has_failed_flush(member))
            flushes.push_back(flush_member(member, *device));
    }
    co_await when_all(std::span(flushes));
    Result<void> result;
    for (auto& flush : flushes) {
        const auto one = flush.take();
        if (!one) result = one;
    }
    co_return result;
}

// What a flush that failed has lost, no later one makes durable, also not one whose failure another
// request is still recording.
Task<Result<void>> Engine::flush_device(MemberIndex member, dev::BlockDevice& device) {
    if (traffic_.has_failed_flush(member)) co_return Error{Errc::io_error};
    // Taken before the flush is submitted: it covers only what had completed by then.
    const std::uint64_t mark = traffic_.write_mark(member);
    const auto flushed = co_await device.flush();
    if (!flushed) {
        if (flushed.error().code != Errc::invalid_argument) traffic_.flush_has_failed(member);
        co_return flushed;
    }
    if (traffic_.has_failed_flush(member)) co_return Error{Errc::io_error};
    traffic_.flush_covered(member, mutant(Mutant::flush_mark_late) ? traffic_.write_mark(member) : mark);
    co_return flushed;
}

Task<Result<void>> Engine::flush_member(MemberIndex member, dev::BlockDevice& device) {
    const auto flushed = co_await flush_device(member, device);
    if (flushed) co_return flushed;
    if (mutant(Mutant::ack_flush_error)) co_return Result<void>{};
    if (flushed.error().code == Errc::invalid_argument) co_return Error{Errc::io_error};
    const auto recorded = co_await faults_.member_failed(member, flushed.error());
    if (recorded) co_return recorded;
    co_return Error{Errc::io_error, flushed.error().os_errno};
}

Task<Result<void>> Engine::with_group_closed(GroupIndex group, Commit body, void* argument) {
    co_await gate_.acquire(group.get(), KeyedLock::Mode::exclusive);
    KeyedLock::Guard gate(gate_, group.get(), KeyedLock::Mode::exclusive);
    co_return co_await body(argument);
}

}  // namespace xsan::raid
