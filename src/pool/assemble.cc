// Finding a pool again: from its members' superblocks alone, in any order, with some missing or stale; and
// stopping it.
#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "pool/pool.h"
#include "pool/survival.h"
#include "pool/volume.h"
#include "reactor/cross.h"
#include "wl/registry.h"

namespace xsan::pool {

Task<Outcome<std::unique_ptr<Pool>>> Pool::assemble(Environment environment, std::vector<Found>& found,
                                                    bool accept_missing) {
    auto pool = std::unique_ptr<Pool>(new Pool(std::move(environment)));
    std::vector<meta::Examined> examined;
    for (Found& f : found) {
        f.examined.device = f.device.get();
        examined.push_back(f.examined);
    }
    meta::Store::Assembly how;
    how.accept_missing = accept_missing;
    how.random = pool->rng_.next();
    how.usable = check_usable;
    how.survives = survives_loss;
    XSAN_CO_TRY(pool->store_, meta::Store::assemble(std::move(examined), how));
    pool->open_members();

    std::vector<Found*> stale;
    for (Found& f : found) {
        const MemberIndex index = f.examined.superblock.member_index;
        const auto& members = pool->state().members();
        const bool known = index.get() < members.size() && members[index.get()] &&
                           members[index.get()]->uuid == f.examined.superblock.member_uuid;
        if (!known) continue;  // left the pool long ago
        const bool is_in_sync = members[index.get()]->state == meta::MemberState::in_sync;
        if (!is_in_sync && !mutant(Mutant::stale_member_live)) {
            stale.push_back(&f);
            continue;
        }
        pool->members_.attach(index, std::move(f.device), members[index.get()]->layout);
        pool->members_.set_live(index, true);
    }
    pool->start_running();
    auto replayed = co_await pool->replay_log();
    if (!replayed) {
        co_await pool->abandon();
        co_return replayed.error();
    }
    // A drive that was away comes back by itself; one that was failed for its errors waits for `add`.
    for (Found* f : stale) {
        const auto& member = *pool->state().members()[f->examined.superblock.member_index.get()];
        if (member.state != meta::MemberState::missing) continue;
        const std::string path = f->device->identity().path;
        const auto back = co_await pool->readmit(*f);
        if (!back) log(LogLevel::warning, "pool {}: {}: {}", pool->name(), path, back.error().message);
    }
    if (pool->wear_ != nullptr) co_await pool->wear_->load(false);
    // Not before: what came back is rebuilt in place, not elsewhere.
    pool->start_jobs();
    co_return pool;
}

// Tables that do not depend on which devices are present.
void Pool::open_members() {
    store_->on_member_lost = [this](MemberIndex member, Error why) {
        if (!losing_.contains(member)) {
            log(LogLevel::error, "pool {}: member {} could not take a metadata commit ({}) and was dropped",
                name(), member.get(), errc_name(why.code));
        }
        if (why.code != Errc::device_gone) members_.slot(member).has_misbehaved = true;
        member_is_lost(member);
    };
    store_->may_lose = [this](std::span<const MemberIndex> members) { return may_lose(members); };
    groups_ = std::make_unique<GroupTable>(store_->state(), members_);
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i]) continue;
        MemberTable::Slot& slot = members_.slot(MemberIndex{static_cast<std::uint16_t>(i)});
        slot.extents.reset(all[i]->layout.extent_count);
        slot.data_offset.store(all[i]->layout.data_offset, std::memory_order_release);
        slot.counters_at_start = all[i]->counters;
    }
    groups_->set_member_limit(static_cast<unsigned>(all.size()));
    groups_->load();
}

void Pool::start_running() {
    raid::EngineOptions options;
    options.reactors = static_cast<unsigned>(environment_.reactors.size());
    options.members_max = kMembersMax;
    options.groups_max = groups_->groups_max();
    options.buffers = environment_.buffers;
    options.interlock_slots_log2 = environment_.interlock_slots_log2;
    if (state().pool().consistency == meta::Consistency::log) {
        const StripeLog::Context context{state(), members_, *groups_, *this, environment_.reactors,
                                         environment_.stripe_log_lane_bytes_max};
        stripe_log_ = std::make_unique<StripeLog>(context, rng_.next());
        options.log = stripe_log_.get();
        options.log_payload_bytes_max = environment_.log_payload_bytes_max;
        for (const auto& [id, volume] : state().volumes()) {
            stripe_log_->use_block(volume.info.block_bytes);
        }
    }
    engine_ = std::make_unique<raid::Engine>(*groups_, *this, options);

    if (stripe_log_ != nullptr) stripe_log_->set_engine(*engine_);
    const Scrub::Context scrub{*store_, *groups_, *engine_, tasks_, environment_.scrub_rate_max};
    scrub_ = std::make_unique<Scrub>(scrub);

    if (environment_.wear.enabled) wear_ = std::make_unique<Wear>(*this, environment_.wear);
    start_placement();

    marks_dirty_ = state().pool().consistency == meta::Consistency::resync;
    // A clean stop takes the marks away. Those that are left are from an unclean one, or their resync could not
    // be finished before the stop.
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        if (state().row(group) == nullptr) continue;
        groups_->set_flag(group, GroupTable::kSuspect, groups_->flag(group, GroupTable::kMarked));
    }
    for (const meta::BadRange& bad : state().bad_ranges()) {
        groups_->set_flag(bad.group, GroupTable::kHasBad, true);
    }
    for (const auto& [id, volume] : state().volumes()) {
        volumes_.emplace(id, std::make_unique<Volume>(
                                 *this, id, static_cast<unsigned>(environment_.reactors.size())));
    }
}

// Before anything is served. What replay decided is durable, and so is that the log is empty.
Task<Outcome<void>> Pool::replay_log() {
    if (stripe_log_ == nullptr) co_return Outcome<void>{};
    const auto replayed = co_await stripe_log_->replay(store_->epoch());
    if (!replayed) {
        co_return Failure(replayed.error().code,
                          fmt::format("pool '{}': its stripe log could not be replayed ({}); see which drive "
                                      "fails, and assemble it again",
                                      name(), errc_name(replayed.error().code)));
    }
    if (replayed->records > 0) {
        log(LogLevel::info, "pool {}: {} records of the stripe log replayed, of {} stripes", name(),
            replayed->records, replayed->stripes);
    }
    co_return co_await open_log();
}

Task<Outcome<void>> Pool::open_log() {
    if (stripe_log_ == nullptr) co_return Outcome<void>{};
    const auto opened = co_await stripe_log_->open_live_members(store_->epoch());
    if (!opened) {
        co_return Failure(opened.error().code,
                          fmt::format("pool '{}': the stripe log could not be set up ({})", name(),
                                      errc_name(opened.error().code)));
    }
    co_return Outcome<void>{};
}

// So that the next start has little to replay, or nothing.
Task<Result<void>> Pool::retire_log() {
    if (stripe_log_ == nullptr || !stripe_log_->has_records()) co_return Result<void>{};
    co_return co_await stripe_log_->advance();
}

void Pool::start_jobs() {
    free_deleted_volumes();
    tasks_.spawn(rebuild_loop());
    tasks_.spawn(clean_loop());
    scrub_->load();
    tasks_.spawn(resync_then_scrub());
    if (wear_ != nullptr) wear_->start();
    rebuild_wake_.set();
}

// The groups that a commit changes for those who write to them: another row, a cluster less, or a range given up.
std::vector<GroupIndex> Pool::groups_changed(std::span<const meta::Record> records) const {
    std::vector<GroupIndex> groups;
    for (const meta::Record& record : records) {
        if (record.kind == meta::RecordKind::group_set && state().row(record.group) != nullptr)
            groups.push_back(record.group);
        // What is rewritten meanwhile would be an error again.
        if (record.kind == meta::RecordKind::bad_set) groups.push_back(record.bad.group);
        if (record.kind != meta::RecordKind::map_set) continue;
        const auto& map = *state().volumes().at(record.volume.id).map;
        for (const auto& change : record.entries) {
            if (!change.entry.is_mapped()) groups.push_back(map.get(change.cluster).group());
        }
    }
    return groups;
}

Task<Result<void>> Pool::commit(std::vector<meta::Record> records) {
    const auto changed = groups_changed(records);
    const auto committed = co_await store_->commit(std::move(records));
    if (committed.error().code == Errc::in_doubt && !mutant(Mutant::mover_commit_in_doubt)) {
        for (const GroupIndex group : changed) groups_->set_flag(group, GroupTable::kFrozen, true);
    }
    if (!retiring_rows_) {
        retiring_rows_ = true;
        tasks_.spawn(retire_rows());
    }
    co_return committed;
}

Task<void> Pool::retire_rows() {
    for (;;) {
        auto rows = store_->state().take_retired();
        if (rows.empty()) break;
        co_await engine_->quiescence().synchronize();
    }
    retiring_rows_ = false;
}

Task<void> Pool::stop_jobs() {
    co_await admin_gate_.close();
    stopping_ = true;
    scrub_->stop();
    if (wear_ != nullptr) wear_->stop();
    rebuild_wake_.set();
    mover_done_.wake_all();
    co_await tasks_.join();
    // Requests that were submitted before are still ours. Nothing takes volumes away any more.
    for (auto& [id, volume] : volumes_) co_await drain_volume(*volume);
    co_await tasks_.join();
}

Task<void> Pool::drain_volume(Volume& volume) {
    Volume* v = &volume;
    for (Reactor* reactor : environment_.reactors) {
        auto drain = [v]() { return v->drain(); };
        co_await call_on(*reactor, drain);
    }
}

// Lets go of the drives, so that others may claim them.
Task<void> Pool::close_devices() {
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        auto device = members_.detach(MemberIndex{static_cast<std::uint16_t>(i)});
        if (device != nullptr) co_await device->close();
    }
}

Task<Outcome<void>> Pool::stop() {
    XSAN_ASSERT(!stopped_);
    co_await stop_jobs();
    const auto flushed = co_await flush_all();
    const auto retired = co_await retire_log();
    static_cast<void>(retired);  // then the next start replays
    if (stripe_log_ != nullptr) co_await stripe_log_->close();
    if (flushed) {
        const auto cleaned = co_await clean_groups(CleanWhich::all);
        static_cast<void>(cleaned);
    }
    co_await persist_counters();
    if (flushed) scrub_->keep();
    if (wear_ != nullptr) co_await wear_->keep();
    co_await tasks_.join();
    const auto closed = co_await store_->close_clean();
    co_await tasks_.join();
    co_await close_devices();
    stopped_ = true;
    placement_->stop();
    if (!flushed || !closed) {
        co_return Failure(Errc::io_error,
                          fmt::format("pool '{}' stopped, but not cleanly: some drives could not be written; "
                                      "the next start checks parity",
                                      name()));
    }
    co_return Outcome<void>{};
}

Task<void> Pool::abandon() {
    XSAN_ASSERT(!stopped_);
    co_await stop_jobs();
    if (stripe_log_ != nullptr) co_await stripe_log_->close();
    co_await store_->close();
    co_await tasks_.join();  // its last commits may have lost members
    co_await close_devices();
    stopped_ = true;
    placement_->stop();
}

Task<Outcome<void>> Pool::destroy() {
    co_await stop_jobs();
    if (stripe_log_ != nullptr) co_await stripe_log_->close();
    const auto wiped = co_await store_->wipe();
    co_await tasks_.join();
    co_await close_devices();
    stopped_ = true;
    placement_->stop();
    if (!wiped) {
        co_return Failure(wiped.error().code,
                          fmt::format("pool '{}': the superblocks of some drives could not be erased", name()));
    }
    co_return Outcome<void>{};
}

Pool::~Pool() { XSAN_ASSERT(stopped_ || engine_ == nullptr); }

}  // namespace xsan::pool
