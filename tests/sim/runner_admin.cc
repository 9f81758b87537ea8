// Administration, restarts, and power cuts of the whole run.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "meta/examine.h"
#include "meta/stripe_log.h"
#include "sim/reader.h"
#include "sim/runner.h"
#include "support/volume_io.h"

namespace xsan::simtest {
namespace {

constexpr std::size_t kVolumesMax = 3;
constexpr unsigned kDrivesMore = 2;  // that a run may add
constexpr TimeNs kWaitMost = 3600 * kSecond;

}  // namespace

Task<void> Runner::administer(Op op) {
    if (bed_->pool != nullptr) {
        switch (op.kind) {
            case OpKind::create_volume:
                co_await create_volume(op);
                break;
            case OpKind::resize_volume:
                co_await resize_volume(op);
                break;
            case OpKind::delete_volume:
                co_await delete_volume(op);
                break;
            case OpKind::fail_member:
                co_await fail_member(op);
                break;
            case OpKind::return_member:
                co_await return_member(op);
                break;
            case OpKind::add_spare:
                co_await add_spare(op);
                break;
            case OpKind::rebuild_wait: {
                const TimeNs end = bed_->world.now() + 60 * kSecond;
                while (is_rebuilding() && bed_->world.now() < end)
                    co_await sleep_for(kMillisecond);
                break;
            }
            case OpKind::scrub:
                co_await scrub(op);
                break;
            case OpKind::rot_scrub:
                co_await rot_scrub(op);
                break;
            case OpKind::relocate:
                co_await relocate(op);
                break;
            case OpKind::restart:
            case OpKind::power_cut:
                co_await restart(op);
                break;
            default:
                break;
        }
    }
    administering_ = false;
}

bool Runner::is_rebuilding() const {
    return bed_->pool->rebuild_status().pending_groups > 0;
}

Task<void> Runner::create_volume(Op op) {
    const auto present = std::ranges::count_if(model_, [](const auto& entry) {
        return entry.second.existence == VolumeModel::Existence::present;
    });
    if (static_cast<std::size_t>(present) >= kVolumesMax) co_return;
    const ec::Scheme scheme = bed_->scheme();
    const std::uint64_t cluster = pool::cluster_bytes_of(scheme, kMiB);
    const std::uint32_t block = plan_.config.volume_block_bytes;
    // Not always a whole number of clusters.
    const std::uint64_t bytes = cluster * (1 + op.a % 3) + op.b % 2 * (op.b / 2 % 4) * block;
    pool::VolumeOptions options{fmt::format("v{}", volumes_made_++), scheme, bytes, block};
    say(op, fmt::format("{} of {} bytes", options.name, bytes));
    const auto [at, is_new] = model_.try_emplace(options.name, bytes, plan_.config.granule_bytes());
    const auto made = co_await bed_->pool->create_volume(std::move(options));
    if (made) at->second.existence = VolumeModel::Existence::present;
    if (!made && !may_fail(made.error().code)) note("create-volume", made.error().message);
}

Task<void> Runner::resize_volume(Op op) {
    for (auto& [name, model] : model_) {
        if (model.existence != VolumeModel::Existence::present) continue;
        const std::uint64_t bytes =
            model.size_bytes() + (1 + op.a % 40) * 4 * plan_.config.volume_block_bytes;
        say(op, fmt::format("{} to {} bytes", name, bytes));
        model.begin_resize(bytes);
        const auto done = co_await bed_->pool->resize_volume(name, bytes);
        model.end_resize(bytes, done.has_value());
        if (!done && !may_fail(done.error().code)) note("resize", done.error().message);
        co_return;
    }
}

Task<void> Runner::delete_volume(Op op) {
    const auto last = std::ranges::find_if(model_.rbegin(), model_.rend(), [](const auto& entry) {
        return entry.second.existence == VolumeModel::Existence::present;
    });
    if (last == model_.rend() || last->first == "v0") co_return;
    say(op, last->first);
    last->second.existence = VolumeModel::Existence::uncertain;
    last->second.deleting = true;
    const auto done = co_await bed_->pool->delete_volume(last->first);
    if (done) last->second.existence = VolumeModel::Existence::absent;
    if (!done && !may_fail(done.error().code)) note("delete", done.error().message);
}

Task<void> Runner::fail_member(Op op) {
    const auto& members = bed_->pool->state().members();
    const std::size_t m = op.a % members.size();
    if (!members[m] || members[m]->state != meta::MemberState::in_sync) co_return;
    if (!may_impair(drive_of(*members[m]))) co_return;
    say(op, fmt::format("member {}", m));
    stats_.faults["member failed"]++;
    ever_faulty_.insert(drive_of(*members[m]));
    // A cut from here on may find the loss recorded.
    armed_.push_back({drive_of(*members[m]), UINT32_MAX});
    const auto failed = co_await bed_->pool->fail(MemberIndex{static_cast<std::uint16_t>(m)});
    armed_.pop_back();  // the pool's tables say it now
    // Refused where it would lose data, which within the budget nothing may claim.
    if (!failed && !beyond()) note("fail", failed.error().message);
}

void Runner::pull_member(const Op& op) {
    const unsigned drive = op.a % static_cast<unsigned>(bed_->drives.size());
    if (bed_->pool == nullptr || bed_->drives[drive]->is_gone() || !may_impair(drive)) return;
    say(op, fmt::format("drive {}", drive));
    stats_.faults["member vanished"]++;
    ever_faulty_.insert(drive);
    bed_->drives[drive]->each_outstanding(
        [&](const dev::IoRequest& request) { hit("vanish", drive, request); });
    bed_->drives[drive]->vanish();
}

// Others wrote to a drive while it was away: to some places of its extents.
void Runner::write_noise(const Op& op, unsigned drive, const meta::MemberLayout& layout) {
    Rng rng(mix_seed(plan_.seed, 5000 + op.id));
    const std::uint64_t block = plan_.config.device_block_bytes;
    const std::uint64_t extent = bed_->pool->state().pool().extent_bytes;
    const std::uint64_t extents = std::min<std::uint64_t>(layout.extent_count, 4);  // from the lowest on they are taken
    std::vector<std::byte> noise(block);
    for (std::uint64_t left = 1 + rng.below(300); left > 0; left--) {
        for (std::byte& b : noise) b = static_cast<std::byte>(rng.next());
        const std::uint64_t reach = rng.chance_percent(50) ? extent : extent / 16;
        const std::uint64_t place = rng.below(extents) * extent + rng.below(reach);
        bed_->drives[drive]->poke(layout.data_offset + place / block * block, noise);
    }
    stats_.faults["noise on a member away"]++;
}

Task<void> Runner::return_member(Op op) {
    const auto& members = bed_->pool->state().members();
    for (std::size_t i = 0; i < members.size(); i++) {
        const std::size_t m = (i + op.a) % members.size();
        if (!members[m] || members[m]->state == meta::MemberState::in_sync) continue;
        if (members[m]->state == meta::MemberState::removed) continue;
        const unsigned drive = drive_of(*members[m]);
        say(op, fmt::format("member {}, drive {}", m, drive));
        bed_->drives[drive]->come_back();
        bed_->drives[drive]->faults().clear();
        if (op.a / 7 % 3 == 0) write_noise(op, drive, members[m]->layout);
        std::erase_if(armed_, [drive](const Armed& a) { return a.drive == drive; });
        pool::Pool::Found back;
        back.device = bed_->plug(drive);
        auto examined = co_await meta::examine(*back.device);
        if (!examined) {
            note("examine", examined.error().message);
            co_return;
        }
        back.examined = std::move(*examined);
        stats_.faults["member returned stale"]++;
        stats_.cells.hit({"stale return", state(), "", "join"});
        const auto done = co_await bed_->pool->readmit(back);
        if (!done && !beyond()) note("readmit", done.error().message);
        co_return;
    }
}

Task<void> Runner::add_spare(Op op) {
    if (bed_->drives.size() >= plan_.config.members + plan_.config.spares + kDrivesMore) co_return;
    const auto drive = static_cast<unsigned>(bed_->drives.size());
    // How many lanes there are was decided when the pool came up: with --reactors its log may be too small.
    const std::uint64_t log = bed_->layout(drive).stripe_log_bytes;
    if (meta::stripe_log_lane_bytes(log, plan_.config.reactors) == 0) co_return;
    bed_->add_drive();
    watch_drives();
    std::vector<pool::NewDevice> devices;
    devices.push_back({bed_->plug(drive), "", op.a % 2 == 0});
    say(op, fmt::format("drive {}", drive));
    const auto added = co_await bed_->pool->add(devices);
    if (!added && !beyond()) note("add", added.error().message);
}

Task<void> Runner::scrub(Op op) {
    const bool resyncing = std::ranges::any_of(bed_->pool->job_status(), [](const auto& job) {
        return job.kind == pool::JobKind::resync && job.state == pool::JobState::running;
    });
    if (resyncing || impaired_members(*bed_) > 0) co_return;
    const bool errors_armed = !armed_.empty();
    const auto started = co_await bed_->pool->start_scrub();
    if (!started) co_return;
    co_await scrub_ends();
    const pool::ScrubStatus& status = bed_->pool->scrub_status();
    say(op, fmt::format("{} stripes, {} mismatches", status.stripes_checked, status.mismatches));
    if (!beyond() && (status.mismatches > 0 || (status.errors > 0 && !errors_armed))) {
        note("scrub", fmt::format("{} stripes of {} do not agree, {} errors", status.mismatches,
                                  status.stripes_checked, status.errors));
    }
}

Task<void> Runner::scrub_ends() {
    const TimeNs end = bed_->world.now() + kWaitMost;
    while (bed_->pool->scrub_status().state == pool::JobState::running && bed_->world.now() < end)
        co_await sleep_for(kMillisecond);
}

// A bit of data flips while nothing runs, and a scrub looks: it must see it, and where two parities
// or three copies tell which strip is wrong, put it right. Else the bit flips back: a drive that
// lies about data is beyond the contract.
Task<void> Runner::rot_scrub(Op op) {
    const bool cut_meanwhile = op.cuts > 0;
    if (cut_meanwhile || impaired() > 0 || !armed_.empty() || bed_->losses_promised() == 0)
        co_return;
    if (is_rebuilding() || !bed_->pool->moves().is_idle() || state() != "healthy") co_return;
    // What no flush has covered would flip back with the next one.
    const auto volume = bed_->pool->state().volumes().begin();
    if (volume == bed_->pool->state().volumes().end()) co_return;
    pool::Volume* flushed = bed_->pool->find_volume(volume->second.info.name);
    if (flushed == nullptr) co_return;
    const Errc code = co_await test::request(*flushed, dev::IoKind::flush, 0, {}, 0);
    if (code != Errc::ok) co_return;
    std::vector<meta::MapEntry> mapped;
    volume->second.map->for_each_mapped(
        [&](ClusterIndex, meta::MapEntry e) { mapped.push_back(e); });
    if (mapped.empty()) co_return;
    const meta::MapEntry entry = mapped[op.a % mapped.size()];
    const GroupRow& row = *bed_->pool->state().row(entry.group());
    const StripRef strip = row.strips()[op.b % row.strips().size()];
    const std::uint64_t bytes =
        bed_->pool->groups().extent_bytes() / bed_->pool->groups().places(row.scheme());
    const std::uint64_t at = bed_->pool->groups().extent_offset(strip.member(), strip.extent()) +
                             entry.place() * bytes +
                             op.c % std::min<std::uint64_t>(bytes, 32 * kKiB);
    sim::SimDevice& drive =
        *bed_->drives[drive_of(*bed_->pool->state().members()[strip.member().get()])];
    const bool tells = bed_->losses_promised() >= 2;
    drive.flip_bit(at, op.d % 8);
    stats_.faults["bit rot"]++;
    stats_.cells.hit({"bit rot", "scrub", "data", "read"});
    const auto started = co_await bed_->pool->start_scrub(tells);
    if (!started) {
        drive.flip_bit(at, op.d % 8);
        co_return;
    }
    co_await scrub_ends();
    const pool::ScrubStatus status = bed_->pool->scrub_status();
    if (!tells) drive.flip_bit(at, op.d % 8);
    // The repair is a write like others: before a flush the drive may forget it, and what rotted is
    // back.
    const Errc kept = co_await test::request(*flushed, dev::IoKind::flush, 0, {}, 0);
    if (kept != Errc::ok) note("io-error", "a flush after a scrub");
    say(op, fmt::format("member {} at {}: {} mismatches, {} repaired", strip.member().get(), at,
                        status.mismatches, status.repaired));
    if (status.mismatches != 1 || (tells && (status.repaired != 1 || status.untold != 0))) {
        note("scrub", fmt::format("a flipped bit: {} mismatches, {} repaired, {} untold",
                                  status.mismatches, status.repaired, status.untold));
    }
}

// All drives lose their power at once; the pool's process with them.
void Runner::cut_power(const Op& op) {
    if (bed_->pool == nullptr) return;
    const bool logged = plan_.config.policy == meta::Consistency::log;
    if (impaired() > 0 && !logged && !plan_.config.degraded_cuts) return;
    say(op, fmt::format("{} requests outstanding", outstanding_));
    const unsigned one = op.d % static_cast<unsigned>(bed_->drives.size());
    const bool leaves = plan_.config.leaves_drives && logged && op.c % 2 == 0 && may_impair(one);
    if (leaves) ever_faulty_.insert(one);
    drives_back_ = leaves ? ~(1u << one) : UINT32_MAX;
    impaired_before_ = impaired() + (leaves ? 1 : 0);
    spare_before_ = to_spare();
    if (leaves && spare_before_ > 0) spare_before_--;
    power_is_off_ = true;
    for (const auto& drive : bed_->drives) {
        if (!drive->is_gone()) drive->vanish();
    }
    drain();
}

Task<void> Runner::restart(Op op) {
    if (op.kind == OpKind::power_cut && !power_is_off_) co_return;
    was_clean_ = false;
    if (!power_is_off_) {
        impaired_before_ = impaired();
        spare_before_ = to_spare();
    }
    if (power_is_off_) {
        co_await bed_->pool->abandon();
        bring_drives_back(op, drives_back_);
    } else {
        stopping_ = true;
        const auto stopped = co_await bed_->pool->stop();
        stopping_ = false;
        was_clean_ = stopped.has_value();
        if (!stopped && !beyond() && impaired_members(*bed_) == 0) {
            say(op, stopped.error().message);
        }
        bring_drives_back(op, op.b);
        say(op, was_clean_ ? "stopped cleanly" : "stopped");
    }
    informed_ = informed_drives(*bed_);
    bed_->pool.reset();
    power_is_off_ = false;
    co_await come_up(op);
}

void Runner::bring_drives_back(const Op&, std::uint32_t mask) {
    for (std::size_t i = 0; i < bed_->drives.size(); i++) {
        if ((mask >> (i % 16) & 1) == 0) continue;
        if (bed_->drives[i]->is_gone()) {
            bed_->drives[i]->come_back();
            if (!power_is_off_) stats_.cells.hit({"stale return", "assembly", "", "join"});
        }
        bed_->drives[i]->faults().clear();
    }
}

Task<void> Runner::come_up(Op op) {
    if (cloned_drive_ >= 0 && !bed_->drives[static_cast<unsigned>(cloned_drive_)]->is_gone()) {
        stats_.faults["member cloned"]++;
        stats_.cells.hit({"clone", "assembly", "", "join"});
        const auto refused = co_await bed_->assemble(false, cloned_drive_);
        cloned_drive_ = -1;
        if (refused) {
            note("clone", "a pool with one member twice was started");
            co_return;
        }
    }
    // Before assembly repairs anything. The set itself stays for cuts within it, when a write may still be lost.
    const bool is_damaged = metadata_is_damaged_ || !without_superblock(*bed_, damaged_superblocks_).empty();
    auto up = co_await bed_->assemble(false);
    std::vector<bool> away;
    for (const auto& drive : bed_->drives) away.push_back(drive->is_gone());
    // A drive that can only be read says what it knows, so that errors of writes and flushes are no excuse.
    const bool votes_lack = std::ranges::count(away, true) > 0 || is_damaged;
    if (!up && votes_lack && up.error().code == Errc::too_many_failures && !(beyond() && is_damaged) &&
        may_accept_missing(plan_.config, informed_, away)) {
        stats_.refusals++;
        up = co_await bed_->assemble(true);
    }
    if (!up) {
        if (!beyond()) note("refused", up.error().message);
        co_return;
    }
    if (may_be_outvoted(plan_.config, informed_, away)) {
        stats_.outvoted++;
        co_await bed_->pool->abandon();
        bed_->pool.reset();
        co_return;
    }
    std::string lost;
    for (const auto& member : bed_->pool->member_status()) {
        if (!member.live || member.member.state != meta::MemberState::in_sync)
            lost += fmt::format(" {}", member.index.get());
    }
    say(op, fmt::format("assembled, without members:{}", lost.empty() ? " none" : lost));
    // Assembly repairs what it finds in superblocks and logs, or leaves the member out. What did not strike
    // until now never will, else it would be one more than the budget knows of.
    const auto outlives = [this](unsigned drive) {
        return std::ranges::any_of(armed_, [drive](const Armed& a) { return a.drive == drive && a.outlives_assembly; });
    };
    for (const Armed& armed : armed_) {
        if (!outlives(armed.drive)) bed_->drives[armed.drive]->faults().clear();
    }
    std::erase_if(armed_, [&](const Armed& armed) { return !armed.outlives_assembly; });
    metadata_is_damaged_ = !armed_.empty();
    damaged_superblocks_.clear();
    co_await check_after_assembly(was_clean_);
}

Task<void> Runner::check_after_assembly(bool clean) {
    if (clean) {
        for (auto& [name, model] : model_)
            model.all_durable();
    }
    Observed observed;
    const bool may_give_up = impaired_before_ > 0 && !plan_.config.logs_all_payload();
    const Judge judge{&model_, nullptr, beyond(), may_give_up};
    auto wrong = co_await read_back(*bed_, judge, observed);
    if (wrong) {
        note(wrong->kind, wrong->what);
        co_return;
    }
    for (auto& [name, model] : model_) {
        const auto words = observed.find(name);
        if (words == observed.end()) {
            model.existence = VolumeModel::Existence::absent;
            continue;
        }
        model.existence = VolumeModel::Existence::present;
        model.deleting = false;
        model.settle_size(bed_->pool->find_volume(name)->info().size_bytes);
        model.settle(words->second);
    }
}

}  // namespace xsan::simtest
