// Assembly: from what was examined to a running store.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "meta/store.h"

namespace xsan::meta {

// Loads the state of the newest device that may be believed: its metadata is whole, and it is in
// sync in its own eyes. (One that was just joining may have an entry more than those in sync;
// nobody was told of it.)
Task<Outcome<std::size_t>> Store::load_newest(std::span<const Examined> found,
                                              std::vector<bool>& is_source_bad) {
    std::string outsiders;
    for (;;) {
        const auto newest = pick_newest(found, is_source_bad);
        if (!newest && outsiders.empty()) co_return newest.error();
        if (!newest) {
            co_return Failure(
                Errc::too_many_failures,
                fmt::format("pool '{}' cannot start: {} left it or fell behind, and no member that "
                            "is in sync was found",
                            found[0].superblock.pool_name, outsiders));
        }
        Examined from = found[*newest];
        if (from.end.sequence == 0) {
            co_return Failure(
                Errc::not_found,
                fmt::format("the creation of pool '{}' was interrupted, nothing is in it; create "
                            "it again (found on {})",
                            from.superblock.pool_name, from.name()));
        }
        auto state = co_await load_state(from);
        if (!state) {
            // Newer than us is not damage: nobody else's older copy may replace it.
            if (state.error().code == Errc::version_mismatch) co_return state.error();
            log(LogLevel::warning, "{}", state.error().message);
            is_source_bad[*newest] = true;
            continue;
        }
        const Member* self = state->find_member(from.superblock.member_index);
        if (self != nullptr && self->uuid == from.superblock.member_uuid &&
            self->state == MemberState::in_sync) {
            state_ = std::move(*state);
            co_return *newest;
        }
        outsiders += (outsiders.empty() ? "" : ", ") + from.name();
        is_source_bad[*newest] = true;
    }
}

// What becomes missing is stale for ever, so nobody becomes that without whom data would be lost.
Outcome<void> Store::check_absent(const AssemblyPlan& plan, const Assembly& how) const {
    if (how.accept_missing || !how.survives || how.survives(state_, plan.absent)) return {};
    std::string missing;
    for (const MemberIndex index : plan.absent) {
        missing += (missing.empty() ? "" : ", ") + describe_member(index, *state_.find_member(index));
    }
    return Failure(
        Errc::too_many_failures,
        fmt::format("pool '{}' cannot start: it holds data that cannot be read without members that are "
                    "missing: {}; bring them back, or accept the loss of what only they know with "
                    "'assemble --accept-missing'",
                    state_.pool().name, missing));
}

// Takes over what the plan says; nothing is written yet.
void Store::take_plan(std::span<const Examined> found, std::size_t newest, const AssemblyPlan& plan,
                      Assembly how) {
    const Examined& best = found[newest];
    epoch_ = 0;
    for (const auto& f : found)
        epoch_ = std::max({epoch_, f.superblock.epoch, f.end.epoch});
    if (!mutant(Mutant::epoch_not_raised)) epoch_++;
    lineage_ = best.end.lineage;
    ancestors_ = best.superblock.ancestors;
    std::erase_if(ancestors_, [this](const Ancestor& a) { return a.lineage == lineage_; });
    if (plan.starts_new_lineage) {
        // What devices that are here know beyond `best` could not be loaded, and has been given up.
        Ancestor split{lineage_, best.end.epoch, best.end.sequence};
        for (const auto& f : found) {
            if (f.lineage() != lineage_) continue;
            split.epoch = std::max(split.epoch, f.end.epoch);
            split.sequence = std::max(split.sequence, f.end.sequence);
        }
        ancestors_.insert(ancestors_.begin(), split);
        if (ancestors_.size() > kAncestorsMax) ancestors_.resize(kAncestorsMax);
        Rng rng(how.random ^ epoch_);
        lineage_ = Uuid::random(rng);
    }
    applied_ = best.end;
    log_start_bytes_ = 0;
    log_bytes_ = best.superblock.layout.metadata_log_bytes;
    slot_bytes_ = best.superblock.layout.checkpoint_slot_bytes;
    was_unclean_ = !best.is_clean;
    slots_.clear();
    scrub_progress_.reset();
    for (const auto* list : {&plan.current, &plan.lagging}) {
        for (const std::size_t i : *list) {
            Slot& slot = slots_[found[i].superblock.member_index];
            slot.device = found[i].device;
            slot.superblock = {found[i].superblock, found[i].repair};
            slot.is_ready = true;
            take_scrub_progress(found[i].superblock);
        }
    }
    // The oldest checkpoint in use says how much of the log is.
    for (const std::size_t i : plan.current) {
        applied_.total_bytes = std::max(applied_.total_bytes, found[i].end.total_bytes);
    }
    head_ = applied_;
    stale_.clear();
    for (const std::size_t i : plan.stale)
        stale_.push_back(found[i].superblock.member_index);
}

// Makes the new epoch durable on all who take part, and the newest state on those that lag behind.
// Returns the positions of devices that failed.
Task<std::vector<std::size_t>> Store::raise_epoch(std::span<Examined> found, AssemblyPlan plan) {
    const bool seeds_all = log_used() > log_bytes_ / 2;
    const CheckpointImage image = encode_state();
    std::vector<std::size_t> positions;
    std::vector<Task<Result<void>>> tasks;
    for (const std::size_t i : plan.current) {
        const MemberIndex index = found[i].superblock.member_index;
        positions.push_back(i);
        Superblock next = next_superblock(slots_.at(index));
        tasks.push_back(seeds_all ? seed(index, image, applied_)
                                  : update_superblock(index, std::move(next)));
    }
    for (const std::size_t i : plan.lagging) {
        positions.push_back(i);
        tasks.push_back(seed(found[i].superblock.member_index, image, applied_));
    }
    const auto results = co_await run_all(std::move(tasks));
    std::vector<std::size_t> failed;
    for (std::size_t k = 0; k < positions.size(); k++) {
        Examined& f = found[positions[k]];
        const Slot& slot = slots_.at(f.superblock.member_index);
        f.superblock = slot.superblock.content;
        f.repair = slot.superblock.repair;
        if (results[k]) continue;
        f.write_error = results[k].error();
        failed.push_back(positions[k]);
    }
    if (seeds_all) log_start_bytes_ = applied_.total_bytes;
    co_return failed;
}

Task<Outcome<void>> Store::start(std::vector<Examined> found, Assembly how) {
    const auto candidates = check_candidates(found);
    if (!candidates) co_return candidates.error();
    for (const auto& f : found) {
        if (!f.note.empty()) log(LogLevel::warning, "{}: {}", f.name(), f.note);
    }
    for (;;) {
        std::vector<bool> is_source_bad(found.size());
        const auto newest = co_await load_newest(found, is_source_bad);
        if (!newest) co_return newest.error();
        if (how.usable) {
            const auto usable = how.usable(state_);
            if (!usable) co_return usable.error();
        }
        const auto plan = plan_assembly(found, *newest, state_, is_source_bad, how.accept_missing);
        if (!plan) co_return plan.error();
        for (const auto& note : plan->notes)
            log(LogLevel::warning, "{}", note);
        const auto allowed = check_absent(*plan, how);
        if (!allowed) co_return allowed.error();
        take_plan(found, *newest, *plan, how);
        AssemblyPlan writes = *plan;
        auto failed = co_await raise_epoch(found, std::move(writes));
        if (failed.empty()) break;
        // Without those that cannot be written the decision is a new one. What they know counts still.
        for (const std::size_t i : failed) {
            log(LogLevel::warning, "{}: cannot be written", found[i].name());
        }
        if (failed.size() == plan->current.size() + plan->lagging.size())
            co_return Failure(Errc::io_error, "no device of the pool can be written");
    }
    for (const auto& f : found) {
        if (!f.write_error.is_ok()) losses_[f.superblock.member_index] = f.write_error;
    }
    if (how.survives) {
        may_lose = [this, survives = how.survives](std::span<const MemberIndex> lost) {
            return survives(state_, lost);
        };
    }
    // The first entry of the epoch; it marks the absent members by itself.
    Batch batch;
    Result<void> appended;
    if (!mutant(Mutant::stale_absent_unmarked)) appended = co_await append(std::move(batch));
    if (!appended) {
        co_return Failure(Errc::io_error,
                          fmt::format("pool '{}' cannot start: devices that it cannot do without cannot be "
                                      "written",
                                      state_.pool().name));
    }
    report_losses();
    co_return Outcome<void>();
}

Task<Outcome<std::unique_ptr<Store>>> Store::assemble(std::vector<Examined> found, Assembly how) {
    std::unique_ptr<Store> store(new Store());
    const auto started = co_await store->start(std::move(found), how);
    if (!started) co_return started.error();
    co_return std::move(store);
}

}  // namespace xsan::meta
