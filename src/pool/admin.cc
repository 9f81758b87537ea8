// Members by command, and what `show` says.
#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/mutant.h"
#include "base/units.h"
#include "pool/pool.h"
#include "pool/volume.h"

namespace xsan::pool {
namespace {

// What could not be made durable holds all the same, until the pool is stopped.
void warn_of(const std::string& pool, const Result<void>& scrub) {
    if (scrub) return;
    log(LogLevel::warning, "pool {}: how far its scrub is could not be written ({})", pool,
        errc_name(scrub.error().code));
}

}  // namespace

Failure Pool::refuse_stopping() const {
    return Failure(Errc::aborted, fmt::format("pool '{}' is being stopped", name()));
}

Outcome<MemberIndex> Pool::find_member(const std::string& text) const {
    const auto& all = state().members();
    const auto uuid = Uuid::parse(text);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    std::optional<MemberIndex> absent;
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i] || all[i]->state == meta::MemberState::removed) continue;
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        if ((uuid && all[i]->uuid == *uuid) || (is_number && number == i)) return index;
        // The name of a live member goes before what one that is gone was called once.
        const dev::BlockDevice* device = members_.live(index);
        if (device != nullptr && device->identity().path == text) return index;
        if (device == nullptr && all[i]->path == text && !absent) absent = index;
    }
    if (absent) return *absent;
    return Failure(Errc::not_found,
                   fmt::format("pool '{}' has no member '{}': give its path, index or UUID as `xsanctl show` "
                               "prints them",
                               name(), text));
}

std::optional<MemberIndex> Pool::find_live_member(const std::string& unique_id) const {
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const dev::BlockDevice* device = members_.live(index);
        if (device != nullptr && device->identity().unique_id == unique_id) return index;
    }
    return std::nullopt;
}

bool Pool::is_known(const meta::Superblock& superblock) const {
    const auto& all = state().members();
    const std::size_t index = superblock.member_index.get();
    return superblock.pool_uuid == state().pool().uuid && index < all.size() && all[index] &&
           all[index]->uuid == superblock.member_uuid;
}

std::uint32_t Pool::member_block_bytes() const {
    std::uint32_t largest = 0;
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        const dev::BlockDevice* device = members_.live(MemberIndex{static_cast<std::uint16_t>(i)});
        if (device != nullptr) largest = std::max(largest, device->limits().logical_block_bytes);
    }
    return largest;
}

std::uint32_t Pool::member_atomic_bytes() const {
    std::uint32_t smallest = UINT32_MAX;
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        const dev::BlockDevice* device = members_.live(MemberIndex{static_cast<std::uint16_t>(i)});
        if (device != nullptr) smallest = std::min(smallest, device->limits().atomic_write_bytes);
    }
    return smallest;
}

Task<Outcome<void>> Pool::fail(MemberIndex member) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    const meta::Member stored = *state().members()[member.get()];
    if (stored.state == meta::MemberState::missing) {
        // A drive that was away is told not to come back by itself.
        meta::Record record;
        record.kind = meta::RecordKind::member_set;
        record.member_index = member;
        record.member = stored;
        record.member.state = meta::MemberState::faulty;
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        const auto committed = co_await commit(std::move(records));
        if (!committed) co_return Failure(committed.error().code, "the pool's metadata cannot be written");
        members_.slot(member).was_dismissed = true;
        co_return Outcome<void>{};
    }
    if (stored.state != meta::MemberState::in_sync) {
        co_return Failure(Errc::invalid_argument, fmt::format("{} is faulty already", stored.path));
    }
    if (!may_lose({&member, 1})) {
        co_return Failure(Errc::too_many_failures,
                          fmt::format("failing {} would lose data: groups on it have no redundancy left; wait for "
                                      "the rebuild, or add a drive first",
                                      stored.path));
    }
    const auto lost = co_await lose_member(member, meta::MemberState::faulty, Error{Errc::aborted});
    if (!lost) {
        co_return Failure(lost.error().code, fmt::format("{} could not be failed: {}", stored.path,
                                                         errc_name(lost.error().code)));
    }
    members_.slot(member).was_dismissed = true;
    co_return Outcome<void>{};
}

Task<Outcome<void>> Pool::add(std::vector<NewDevice>& devices) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    XSAN_CO_CHECK_VOID(check_add(devices));
    std::vector<meta::Member> members;
    for (const NewDevice& device : devices) {
        XSAN_CO_CHECK(auto member, make_member(device, store_->layout_sizes(), rng_));
        members.push_back(std::move(member));
    }
    for (std::size_t i = 0; i < devices.size(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(state().members().size())};
        meta::Record record;
        record.kind = meta::RecordKind::member_set;
        record.member_index = index;
        record.member = members[i];
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        const meta::Store::NewMember joining{index, devices[i].device.get()};
        members_.slot(index).extents.reset(members[i].layout.extent_count);
        members_.slot(index).traffic_at_start = engine_->traffic().total(index);
        XSAN_CO_TRY_VOID(store_->add_member(joining, std::move(records)));
        members_.attach(index, std::move(devices[i].device), members[i].layout);
        groups_->set_member_limit(index.get() + 1u);
        XSAN_CO_TRY_VOID(go_live(index));
        note_event(EventKind::member_added, fmt::format("{} has joined", describe_member(index)));
        retry_rebuild();
    }
    co_return Outcome<void>{};
}

// The member is in sync by the tables: once the stripe log has its region on it, I/O may reach it. Any commit
// may lose it again meanwhile, and then its device is gone, but not before our token is.
Task<Outcome<void>> Pool::go_live(MemberIndex member) {
    const std::string path = state().members()[member.get()]->path;
    const auto is_in = [&]() {
        return state().members()[member.get()]->state == meta::MemberState::in_sync &&
               members_.slot(member).owned != nullptr;
    };
    Result<void> opened;
    {
        Quiescence::Scope scope(engine_->quiescence());
        if (is_in() && stripe_log_ != nullptr) {
            opened = co_await stripe_log_->open_member(member, *members_.slot(member).owned, store_->epoch());
        }
    }
    if (opened && is_in()) {
        members_.set_live(member, true);
        co_return Outcome<void>{};
    }
    if (is_in()) {
        // Nothing of it was used yet: nobody is asked whether it may go.
        store_->drop_member(member);
        meta::Record record;
        record.kind = meta::RecordKind::member_set;
        record.member_index = member;
        record.member = *state().members()[member.get()];
        record.member.state = meta::MemberState::faulty;
        std::vector<meta::Record> records;
        records.push_back(std::move(record));
        const auto committed = co_await commit(std::move(records));
        static_cast<void>(committed);
    }
    if (auto device = members_.detach(member)) tasks_.spawn(retire_device(std::move(device)));
    co_return Failure(Errc::io_error, fmt::format("{} was lost again as it came in", path));
}

// Does the member, which is away, hold the strip of a group with data that is beyond decoding without it?
bool Pool::is_needed(MemberIndex member) const {
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state().row(group);
        if (row == nullptr || groups_->mapped_places(group) == 0) continue;
        const bool holds = std::ranges::any_of(row->strips(), [member](const StripRef& strip) {
            return strip.state() == StripState::ok && strip.member() == member;
        });
        if (holds && !groups_->survives(*row, groups_->lost_slots(*row))) return true;
    }
    return false;
}

Task<Outcome<void>> Pool::readmit(Found& found, bool gives_up) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    XSAN_CO_CHECK_VOID(check_readmit(found, gives_up));
    const MemberIndex index = found.examined.superblock.member_index;
    const std::string path = found.device->identity().path;
    const meta::Member member = *state().members()[index.get()];
    // What it holds is stale, all of it, and that becomes durable together with its return.
    meta::Record stale;
    stale.kind = meta::RecordKind::member_stale;
    stale.member_index = index;
    meta::Record back;
    back.kind = meta::RecordKind::member_set;
    back.member_index = index;
    back.member = member;
    back.member.state = meta::MemberState::in_sync;
    back.member.path = path;
    std::vector<meta::Record> records;
    if (!mutant(Mutant::stale_readmitted)) records.push_back(std::move(stale));
    records.push_back(std::move(back));
    const meta::Store::NewMember joining{index, found.device.get()};
    XSAN_CO_TRY_VOID(store_->add_member(joining, std::move(records)));
    MemberTable::Slot& slot = members_.slot(index);
    // Of one that is faulty since before this run only the loss is known.
    if (member.state == meta::MemberState::faulty && !slot.was_dismissed) slot.has_misbehaved = true;
    if (engine_->traffic().has_failed_flush(index)) slot.has_misbehaved = true;
    slot.is_sound = !slot.has_misbehaved;
    slot.forgive();
    members_.attach(index, std::move(found.device), member.layout);
    // Whoever still holds a row from before would take the member's strips for good.
    co_await engine_->quiescence().synchronize();
    engine_->traffic().forget_failed_flush(index);
    XSAN_CO_TRY_VOID(go_live(index));
    log(LogLevel::info, "pool {}: {} is back; what it holds is stale and is {}", name(), path,
        slot.is_sound ? "compared, and rebuilt where it differs" : "rebuilt");
    retry_rebuild();
    co_return Outcome<void>{};
}

PoolHealth Pool::health_of(std::optional<SchemeId> scheme) const {
    const RebuildStatus damage = damage_of(scheme);
    bool vanished = false;
    bool lost = false;
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i] || all[i]->state == meta::MemberState::removed) continue;
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        if (members_.live(index) == nullptr) lost = true;
        if (members_.live(index) != nullptr && members_.slot(index).vanished) vanished = true;
    }
    if (damage.failed_groups > 0 || vanished || store_->is_broken()) return PoolHealth::failed;
    if (damage.pending_groups > 0) return PoolHealth::degraded;
    return lost && needs_members(scheme) ? PoolHealth::degraded : PoolHealth::online;
}

PoolHealth Pool::volume_health(const Volume& volume) const { return health_of(volume.info().scheme); }

// Has the pool fewer live members than the scheme, or some scheme of it, wants?
bool Pool::needs_members(std::optional<SchemeId> scheme) const {
    unsigned live = 0;
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        if (members_.live(MemberIndex{static_cast<std::uint16_t>(i)}) != nullptr) live++;
    }
    const auto& schemes = state().schemes();
    for (std::size_t i = 0; i < schemes.size(); i++) {
        if (!schemes[i] || (scheme && scheme->get() != i)) continue;
        if (live < schemes[i]->members_min()) return true;
    }
    return false;
}

std::vector<MemberStatus> Pool::member_status() const {
    std::vector<MemberStatus> out;
    const auto& all = state().members();
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i] || all[i]->state == meta::MemberState::removed) continue;
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        MemberStatus status;
        status.index = index;
        status.member = *all[i];
        status.member.counters = counters_of(index);
        status.live = members_.live(index) != nullptr;
        // Names of drives change from boot to boot: what is stored is where it was added.
        if (status.live) status.member.path = members_.live(index)->identity().path;
        if (status.live && members_.slot(index).vanished) status.member.state = meta::MemberState::missing;
        const ExtentAllocator& extents = members_.slot(index).extents;
        status.used_bytes = (extents.total() - extents.free()) * state().pool().extent_bytes;
        status.traffic = engine_->traffic().total(index);
        status.metadata_written = store_->written(index);
        status.receives = status.live && is_only_receiving(index);
        out.push_back(std::move(status));
    }
    return out;
}

// A member that is live but holds no strip that can be read yet, only such as are being written.
bool Pool::is_only_receiving(MemberIndex member) const {
    bool stale = false;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupRow* row = state().row(GroupIndex{g});
        if (row == nullptr) continue;
        for (const StripRef& strip : row->strips()) {
            if (strip.state() == StripState::none || strip.member() != member) continue;
            if (strip.state() == StripState::ok) return false;
            stale = true;
        }
    }
    return stale || is_target(member);
}

// The one that runs; else how the last one ended, while that still holds.
std::optional<JobStatus> Pool::rebuild_job() const {
    const RebuildStatus damage = rebuild_status();
    if (damage.pending_groups == 0 && rebuilds_running() == 0) {
        if (!rebuild_ended_) return std::nullopt;
        const bool is_left = damage.unplaced_groups + damage.failed_groups > 0;
        return is_left == (rebuild_ended_->state == JobState::failed) ? rebuild_ended_ : std::nullopt;
    }
    const bool paused = state().pool().rebuild_paused;
    JobStatus job;
    job.kind = JobKind::rebuild;
    job.state = paused ? JobState::paused : JobState::running;
    job.bytes_done = rebuild_done_bytes_;
    job.bytes_total = std::max(rebuild_total_bytes_, rebuild_done_bytes_ + lost_bytes());
    const TimeNs elapsed = environment_.reactors[0]->now() - rebuild_began_;
    if (!paused && elapsed > 0 && job.bytes_done > 0) {
        job.rate_bytes = static_cast<std::uint64_t>(static_cast<double>(job.bytes_done) * 1e9 /
                                                    static_cast<double>(elapsed));
        if (job.rate_bytes > 0) job.eta_seconds = (job.bytes_total - job.bytes_done) / job.rate_bytes;
    }
    return job;
}

std::vector<JobStatus> Pool::job_status() const {
    std::vector<JobStatus> jobs;
    if (const auto rebuild = rebuild_job()) jobs.push_back(*rebuild);
    if (resync_done_ < resync_total_) {
        JobStatus job;
        job.kind = JobKind::resync;
        job.state = JobState::running;
        job.bytes_done = resync_done_;
        job.bytes_total = resync_total_;
        jobs.push_back(job);
    }
    if (const auto scrub = scrub_->job()) jobs.push_back(*scrub);
    if (const auto moves = moves_.job(relocating_bytes(), environment_.reactors[0]->now())) jobs.push_back(*moves);
    return jobs;
}

bool Pool::is_quiet() const {
    return std::ranges::none_of(job_status(), [](const JobStatus& job) { return job.state == JobState::running; });
}

Task<Outcome<void>> Pool::start_scrub(bool repair, std::optional<std::uint64_t> rate_max) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    const auto started = co_await scrub_->start(repair, rate_max);
    if (!started && started.error().code == Errc::busy) {
        co_return Failure(Errc::busy, fmt::format("a scrub of pool '{}' is running already", name()));
    }
    warn_of(name(), started);
    co_return Outcome<void>{};
}

Task<Outcome<void>> Pool::set_scrub(bool paused, std::optional<std::uint64_t> rate_max) {
    if (!admin_gate_.try_enter()) co_return refuse_stopping();
    AdminScope running(admin_gate_);
    co_await admin_.lock();
    AsyncMutex::Guard guard(admin_);
    const auto set = co_await scrub_->set(paused, rate_max);
    warn_of(name(), set);
    co_return Outcome<void>{};
}

}  // namespace xsan::pool
