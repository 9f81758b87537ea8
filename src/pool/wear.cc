// Accounts of wear: what they are told, what is kept of them, and what placement is told by them.
#include "pool/wear.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "pool/pool.h"

namespace xsan::pool {
namespace {

constexpr TimeNs kLook = kSecond;
constexpr unsigned kLoadLooks = 4;  // in each of them
constexpr TimeNs kHeatEvery = 10 * kSecond;
constexpr TimeNs kReadEvery = 15 * kSecond;
constexpr TimeNs kPointEvery = 60 * kSecond;
constexpr double kHeatHalfLife = kDaySeconds;
constexpr double kClockSlack = 3600;
constexpr TimeNs kClockDoubt = 6 * 3600 * kSecond;
// A rate is the average over about so many looks.
constexpr double kRateLooks = 10;

static_assert(raid::kWriteKinds + 1 == wl::kAccountKinds);
static_assert(static_cast<int>(raid::WriteKind::log) == static_cast<int>(wl::AccountKind::log));

double seconds_of(TimeNs time) { return static_cast<double>(time) / static_cast<double>(kSecond); }

}  // namespace

Wear::Wear(Pool& pool, const WearOptions& options) : pool_(pool), options_(options), heat_(kHeatHalfLife) {}

Wear::~Wear() = default;

std::int64_t Wear::now_seconds() const {
    if (options_.wall_seconds) return options_.wall_seconds();
    return static_cast<std::int64_t>(pool_.control().now() / kSecond);
}

bool Wear::is_live(MemberIndex member) const { return pool_.live_device(member) != nullptr; }

std::vector<MemberIndex> Wear::live_members() const {
    std::vector<MemberIndex> live;
    for (std::size_t i = 0; i < pool_.state().members().size(); i++) {
        const MemberIndex member{static_cast<std::uint16_t>(i)};
        if (is_live(member)) live.push_back(member);
    }
    return live;
}

wl::AccountTotals Wear::totals_of(MemberIndex member) const {
    const raid::MemberTraffic traffic = pool_.engine().traffic().total(member);
    wl::AccountTotals totals;
    for (std::size_t kind = 0; kind < raid::kWriteKinds; kind++) {
        totals.written[kind] = {traffic.writes_by_kind[kind].count, traffic.writes_by_kind[kind].bytes};
    }
    const meta::Store::Written metadata = pool_.metadata_written(member);
    wl::IoTotal& out = totals.written[static_cast<std::size_t>(wl::AccountKind::metadata)];
    out = {metadata.writes, metadata.bytes};
    if (const auto side = sides_.find(member); side != sides_.end()) {
        out = {out.count + side->second->books.count, out.bytes + side->second->books.bytes};
    }
    totals.reads = {traffic.reads.count, traffic.reads.bytes};
    return totals;
}

wl::Endurance Wear::endurance_of(MemberIndex member, double by_command) const {
    const meta::Member& stored = *pool_.state().members()[member.get()];
    double configured = by_command;
    if (configured <= 0 && options_.reader != nullptr) {
        configured = options_.reader->endurance_bytes(pool_.drive_name(member));
    }
    return wl::endurance_of(stored.model, stored.layout.size_bytes, configured);
}

bool Wear::is_still(MemberIndex member, const Uuid& uuid) const {
    const auto& all = pool_.state().members();
    return member.get() < all.size() && all[member.get()] && all[member.get()]->uuid == uuid;
}

Task<void> Wear::open_new_members() {
    for (const MemberIndex member : live_members()) {
        // Those before it in the list may have taken a while.
        if (!is_live(member)) continue;
        const auto side = sides_.find(member);
        if (side == sides_.end() || !is_still(member, side->second->uuid)) co_await open(member, false);
    }
}

void Wear::start() {
    read_at_ = pool_.control().now();
    hold_or_release();
    pool_.spawn(run());
}

Task<void> Wear::run() {
    while (!stopping_) {
        co_await look_at_load();
        if (stopping_) break;
        co_await open_new_members();
        count();
        const TimeNs now = pool_.control().now();
        if (now - read_at_ >= kReadEvery) {
            read_at_ = now;
            // A drive that does not answer holds nothing else up.
            if (!is_reading_) pool_.spawn(read_in_background());
        }
        note_levels();
        note_mode();
        const bool looked = watch_latency();
        guide_moves(looked);
        plan_when_due();
        const bool is_due = (save_by_ && now >= *save_by_) || now - saved_at_ >= (is_dirty_ ? kSaveEvery : kSaveIdle);
        if (is_due && !stopping_) (void)co_await save();
    }
}

// Requests in flight are met by looking, so that requests need not be timed.
Task<void> Wear::look_at_load() {
    for (unsigned i = 0; i < kLoadLooks && !stopping_; i++) {
        co_await pool_.pause_for(kLook / kLoadLooks);
        const TimeNs now = pool_.control().now();
        const double elapsed = seconds_of(now - load_at_);
        load_at_ = now;
        for (auto& [member, side] : sides_) {
            const dev::BlockDevice* device = pool_.live_device(member);
            if (device == nullptr) continue;
            const wl::AccountTotals totals = totals_of(member);
            const std::uint64_t requests = totals.reads.count + totals.writes().count;
            side->load.add({device->in_flight(), requests - side->requests_seen, elapsed});
            side->requests_seen = requests;
        }
    }
    std::vector<wl::MemberLoad*> loads;
    for (auto& [member, side] : sides_) loads.push_back(is_live(member) ? &side->load : nullptr);
    wl::judge_slow(loads);
}

// What was done since the last look. Nothing on the data path knows of accounts.
void Wear::count() {
    const TimeNs now = pool_.control().now();
    const double elapsed = seconds_of(now - counted_at_);
    if (elapsed <= 0) return;
    counted_at_ = now;
    for (auto& [member, side] : sides_) {
        const wl::AccountTotals totals = totals_of(member);
        const wl::AccountTotals more = totals.since(side->seen);
        side->seen = totals;
        side->account.wrote(more);
        is_dirty_ |= more.reads.count > 0 || more.writes().count > more.of(wl::AccountKind::metadata).count;
        device_bytes_ += static_cast<double>(more.writes().bytes);
        side->rate_bytes += (static_cast<double>(more.writes().bytes) / elapsed - side->rate_bytes) / kRateLooks;
        side->account.read(std::nullopt, side->account.origin, 0);
    }
    if (now - heat_at_ < kHeatEvery) return;
    count_heat(now - heat_at_);
    heat_at_ = now;
}

void Wear::count_all() {
    count();
    const TimeNs now = pool_.control().now();
    if (now > heat_at_) count_heat(now - heat_at_);
    heat_at_ = now;
}

void Wear::count_heat(TimeNs elapsed) {
    std::vector<wl::GroupIo> written;
    const std::uint32_t limit = pool_.state().group_limit();
    if (group_bytes_seen_.size() < limit) group_bytes_seen_.resize(limit);
    for (std::uint32_t g = 0; g < limit; g++) {
        const GroupIndex group{g};
        if (pool_.state().row(group) == nullptr) continue;
        const raid::GroupSum sum = pool_.group_traffic(group);
        const std::uint64_t more = sum.written_bytes - group_bytes_seen_[g];
        if (more == 0) continue;
        group_bytes_seen_[g] = sum.written_bytes;
        user_bytes_ += static_cast<double>(more);
        written.push_back({group, 0, more});
    }
    heat_.fold(written, seconds_of(elapsed));
}

Task<void> Wear::read_in_background() {
    is_reading_ = true;
    co_await read_drives();
    is_reading_ = false;
}

Task<void> Wear::read_drives() {
    if (options_.reader == nullptr) co_return;
    std::vector<DriveName> names;
    std::vector<Uuid> uuids;
    for (const MemberIndex member : live_members()) {
        names.push_back(pool_.drive_name(member));
        uuids.push_back(pool_.state().members()[member.get()]->uuid);
    }
    std::vector<DriveName> asked = names;
    const std::vector<DriveReading> readings = co_await options_.reader->read(std::move(asked));
    XSAN_ASSERT(readings.size() == names.size());
    for (std::size_t i = 0; i < names.size(); i++) {
        const auto side = sides_.find(names[i].member);
        if (side == sides_.end() || side->second->uuid != uuids[i]) continue;
        const wl::WearOrigin from = readings[i].from_file ? wl::WearOrigin::file : wl::WearOrigin::drive;
        // A file that is taken away takes its figures along; a drive that does not answer is no younger for it.
        const bool is_taken_back = !readings[i].from_file && side->second->account.origin == wl::WearOrigin::file;
        if (is_taken_back) side->second->account.forget_reading();
        side->second->account.read(readings[i].reading, from, now_seconds() - readings[i].age_seconds);
    }
}

// History, and what people are warned of.
void Wear::note_levels() {
    const TimeNs now = pool_.control().now();
    const bool takes_points = points_at_ == 0 || now - points_at_ >= kPointEvery;
    if (takes_points) points_at_ = now;
    for (auto& [member, side] : sides_) {
        wl::Account& account = side->account;
        const double level = account.level();
        drop_false_history(*side);
        if (takes_points && is_live(member)) {
            account.history.add({static_cast<double>(now_seconds()), level});
        }
        if (level < account.warned_at - 1) account.warned_at = 0;  // another drive, or other figures
        const auto crossed = wl::threshold_crossed(settings_.warn_at, account.warned_at, level);
        if (crossed) {
            account.warned_at = *crossed;
            const std::string text = fmt::format("{} is worn by {:.1f} points: threshold {} is reached",
                                                 pool_.describe_member(member), level, *crossed);
            log(LogLevel::warning, "pool {}: {}", pool_.name(), text);
            note(EventKind::wear_threshold, text);
        }
        const bool worn_out = wl::is_worn_out(account);
        if (worn_out && !side->had_worn_out) {
            note(EventKind::wear_threshold, fmt::format("{} has fewer spare blocks than its maker thinks safe: what it "
                                                        "holds is to leave it; new groups go there as a last resort",
                                                        pool_.describe_member(member)));
        }
        side->had_worn_out = worn_out;
    }
}

// Where the newest point lies in the future the clock was wrong then, or is now: one that is put right soon costs
// nothing.
void Wear::drop_false_history(Side& side) {
    const auto points = side.account.history.points();
    const double now_or_later = static_cast<double>(now_seconds()) + kClockSlack;
    if (points.empty() || points.back().time_seconds <= now_or_later) {
        side.false_since.reset();
        return;
    }
    const TimeNs now = pool_.control().now();
    if (!side.false_since) side.false_since = now;
    if (now - *side.false_since < kClockDoubt) return;
    side.account.history.clear();
    side.false_since.reset();
}

void Wear::note_mode() {
    const std::string_view mode = pool_.placement().mode_name();
    if (mode == mode_) return;
    if (!mode_.empty() && !mode.empty()) note(EventKind::wear_mode, fmt::format("{} instead of {}", mode, mode_));
    mode_ = mode;
}

void Wear::annotate(wl::MemberCandidate& candidate) const {
    const auto at = sides_.find(candidate.member);
    if (at == sides_.end()) return;
    const Side& side = *at->second;
    candidate.wear = side.account.level();
    candidate.endurance_bytes = side.account.endurance.bytes;
    candidate.slow = side.load.slow();
    candidate.worn_out = wl::is_worn_out(side.account);
    candidate.outstanding = static_cast<std::uint32_t>(side.load.in_flight() + 0.5);
}

void Wear::note(EventKind kind, std::string text) {
    events_.add(now_seconds(), kind, std::move(text));
    // Of single moves there may be hundreds.
    const TimeNs by = pool_.control().now() + (is_of_move(kind) ? kSaveEvery : kSaveSoon);
    save_by_ = std::min(by, save_by_.value_or(by));
}

}  // namespace xsan::pool
