// Bringing a crash state up and checking it.
#include "sim/crash_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <set>

#include "base/rng.h"
#include "meta/examine.h"
#include "meta/layout.h"
#include "sim/reader.h"

namespace xsan::simtest {
namespace {

constexpr sim::ChoiceLabel kCheck{sim::Subsystem::check, 0};
constexpr TimeNs kResyncMost = 3600 * kSecond;
constexpr std::uint64_t kPageOfLog = 4096;

class CrashCheck {
  public:
    CrashCheck(const CrashState& state, Stats& stats, std::uint64_t& hash)
        : state_(state), stats_(stats), hash_(hash), choices_(state.seed) {
        bed_ = std::make_unique<Bed>(*state.config, choices_);
        while (bed_->drives.size() < state.images.size())
            bed_->add_drive();
        for (std::size_t i = 0; i < state.images.size(); i++) {
            if (state.absent[i]) bed_->drives[i]->vanish();
            bed_->drives[i]->restore(state.images[i]);
        }
        rotten_ = state.rotten;
        without_superblock_ = without_superblock(*bed_, state.damaged_superblocks);
        mislead();
        for (unsigned i = 0; i < bed_->drives.size(); i++) watch(i);
    }

    MaybeFinding run() {
        // What was checked before in this run is checked against all that was promised since, but
        // counts once.
        stats_.seen.insert(state_.content_hash()).second ? stats_.states++ : stats_.repeated++;
        stats_.deepest = std::max<std::uint64_t>(stats_.deepest, state_.depth);
        MaybeFinding found = bring_up();
        if (bed_->pool != nullptr && may_be_outvoted(*state_.config, state_.informed, state_.absent)) {
            stats_.outvoted++;
        } else if (!found && bed_->pool != nullptr) {
            found = check_serving();
        }
        hash_ = mix_seed(hash_, bed_->world.trace_hash());
        if (found && found->kind == "hang") {
            static_cast<void>(bed_.release());  // what is stuck cannot be taken apart
            return found;
        }
        if (bed_->pool != nullptr) {
            const std::vector<unsigned> drives = drives_in_sync();
            bed_->abandon();
            if (!found && is_undamaged() && choices_.chance(5, kCheck)) found = check_at_rest(drives);
        }
        count();
        return found;
    }

  private:
    void count() {
        stats_.steps += bed_->world.steps();
        for (const auto& drive : bed_->drives) {
            for (const auto& kind : drive->counters().kinds)
                stats_.requests += kind.count;
            stats_.read_bytes += drive->counters().of(dev::IoKind::read).bytes;
        }
    }
    bool beyond() const { return state_.config->mode == Mode::beyond; }
    Judge judge() const {
        const bool lost = state_.impaired > 0 || misled_ || std::ranges::count(state_.absent, true) > 0;
        return {state_.model, state_.observed, beyond(), lost && !state_.config->logs_all_payload()};
    }
    void mislead();
    void watch(unsigned drive);

    MaybeFinding bring_up();
    MaybeFinding check_members() const;
    MaybeFinding assemble(bool accept_missing);
    MaybeFinding check_serving();
    MaybeFinding read(const Judge& judge, Observed& observed);
    MaybeFinding wait_for_resync();
    bool is_undamaged() const {
        return !beyond() && !misled_ && state_.rotten.empty() && !state_.may_lack_votes;
    }
    std::vector<unsigned> drives_in_sync();
    MaybeFinding check_at_rest(const std::vector<unsigned>& drives);
    MaybeFinding read_with_losses(const Observed& observed);
    MaybeFinding cut_again(const Observed* observed);
    MaybeFinding hang(const char* where) {
        return finding("hang", fmt::format("{} does not end", where));
    }
    bool may_cut_again() {
        if (state_.depth >= kDepthMax) return false;
        return state_.config->policy == meta::Consistency::log || impaired() == 0 ||
               state_.config->degraded_cuts;
    }
    unsigned impaired() {
        return bed_->pool == nullptr ? state_.impaired : impaired_members(*bed_);
    }

    const CrashState& state_;
    Stats& stats_;
    std::uint64_t& hash_;
    sim::ChoiceStream choices_;
    std::unique_ptr<Bed> bed_;
    Outcome<void> assembled_;
    bool misled_ = false;           // a read of metadata goes wrong while it is assembled
    std::vector<Rotten> rotten_;    // that no read has met yet
    std::set<unsigned> without_superblock_;
    MaybeFinding nested_;  // found by a cut of a running assembly
};

// Now and then one read of metadata, or of the stripe log, gives an error or something else's content: no
// more than the loss of one member, where one may be lost.
void CrashCheck::mislead() {
    const bool logged = state_.config->policy == meta::Consistency::log;
    if (!logged || state_.impaired > 0 || bed_->losses_promised() == 0 || !choices_.chance(8, kCheck)) return;
    if (std::ranges::count(state_.absent, true) > 0) return;
    const unsigned drive = choices_.below(static_cast<std::uint32_t>(bed_->drives.size()), kCheck);
    const meta::MemberLayout layout = bed_->layout(drive);
    sim::FaultRule rule;
    rule.on = dev::IoKind::read;
    rule.count = 1;
    const std::uint32_t region = choices_.below(4, kCheck);
    rule.offset = region == 0   ? 0
                  : region == 1 ? layout.metadata_offset
                  : region == 2 ? layout.log_offset()
                                : layout.stripe_log_offset;
    rule.length = region == 0   ? meta::kHeadBytes
                  : region == 1 ? 2 * layout.checkpoint_slot_bytes
                  : region == 2 ? layout.metadata_log_bytes
                                : layout.stripe_log_bytes;
    // A batch of the stripe log that is not whole looks as if it had never been written.
    if (region != 3 && choices_.flip(kCheck)) {
        rule.kind = sim::FaultKind::misdirected;
        rule.target_offset = layout.metadata_offset + choices_.below(256, kCheck) * kPageOfLog;
    }
    // Damage that no assembly had reason to read is still there: a second member would be one too many.
    if (state_.may_lack_votes) return;
    misled_ = true;
    bed_->drives[drive]->faults().add(rule);
}

void CrashCheck::watch(unsigned drive) {
    sim::SimDevice& device = *bed_->drives[drive];
    if (misled_) {
        device.on_fault = [this, drive](sim::FaultKind kind, const dev::IoRequest& request) {
            const auto fault = kind == sim::FaultKind::error ? "read error" : "misdirected read";
            stats_.faults[fault]++;
            stats_.cells.hit({fault, state_name(*bed_, impaired()), region_of(bed_->layout(drive), request),
                              io_name(request.kind)});
        };
    }
    if (rotten_.empty()) return;
    device.on_io = [this, drive](dev::IoKind kind, std::uint64_t offset, std::uint64_t length) {
        if (kind == dev::IoKind::read && bed_->pool == nullptr) {
            count_rot(*bed_, rotten_, {drive, offset, length}, stats_);
        }
    };
}

MaybeFinding CrashCheck::check_members() const {
    if (!is_undamaged()) return {};
    for (const auto& member : bed_->pool->state().members()) {
        if (!member || member->state == meta::MemberState::in_sync) continue;
        const unsigned drive = drive_of(*member);
        if (drive < state_.whole.size() && state_.whole[drive] && !state_.absent[drive])
            return finding("member", fmt::format("the cut alone cost the member on drive {}", drive));
    }
    return {};
}

MaybeFinding CrashCheck::bring_up() {
    MaybeFinding found = assemble(false);
    if (state_.must_refuse && bed_->pool != nullptr)
        return finding("stale", "a member that was away has started the pool alone");
    if (state_.must_refuse) return found;
    if (!found && bed_->pool != nullptr) found = check_members();
    if (found || bed_->pool != nullptr) return found;
    if (misled_ && assembled_.error().code == Errc::too_many_failures) {
        // Tried again, the read that failed does not.
        for (const auto& drive : bed_->drives) drive->faults().clear();
        found = assemble(false);
        if (found || bed_->pool != nullptr) return found;
    }
    const bool is_damaged = state_.may_lack_votes || !without_superblock_.empty();
    const bool lacks_votes = misled_ || is_damaged || std::ranges::count(state_.absent, true) > 0;
    const bool may_refuse = lacks_votes && assembled_.error().code == Errc::too_many_failures;
    // Beyond the budget damage may keep from us what the one who knows all would say.
    if (may_refuse && !(beyond() && is_damaged) && may_accept_missing(*state_.config, state_.informed, state_.absent)) {
        // Without a majority an administrator has to say that nobody knows more.
        stats_.refusals++;
        found = assemble(true);
        if (found || bed_->pool != nullptr) return found;
    }
    if (beyond()) {
        stats_.refusals++;
        return {};
    }
    return finding("refused", assembled_.error().message);
}

MaybeFinding CrashCheck::assemble(bool accept_missing) {
    const auto task = [](CrashCheck& self, bool accept) -> Task<void> {
        self.assembled_ = co_await self.bed_->assemble(accept);
    };
    // The cut comes after so many steps, if the assembly still runs then.
    const bool cuts = may_cut_again() && !state_.must_refuse && choices_.chance(12, kCheck);
    std::uint64_t countdown = cuts ? 1 + choices_.below(choices_.flip(kCheck) ? 3000 : 600, kCheck) : 0;
    const bool done = bed_->finish(task(*this, accept_missing), [&] {
        if (countdown > 0 && --countdown == 0) nested_ = cut_again(state_.observed);
    });
    if (!done) return hang("assembly");
    return nested_;
}

MaybeFinding CrashCheck::read(const Judge& judge, Observed& observed) {
    MaybeFinding found;
    const auto task = [](CrashCheck& self, const Judge& j, Observed& o,
                         MaybeFinding& f) -> Task<void> { f = co_await read_back(*self.bed_, j, o); };
    if (!bed_->finish(task(*this, judge, observed, found))) return hang("reading back");
    return found;
}

MaybeFinding CrashCheck::wait_for_resync() {
    if (state_.config->policy != meta::Consistency::resync) return {};
    const auto done = [this] {
        return std::ranges::none_of(bed_->pool->job_status(), [](const pool::JobStatus& job) {
            return job.kind == pool::JobKind::resync && job.state == pool::JobState::running;
        });
    };
    return bed_->wait_until(done, kResyncMost) ? MaybeFinding{} : hang("resync");
}

MaybeFinding CrashCheck::check_serving() {
    Observed observed;
    MaybeFinding found = read(judge(), observed);
    if (found) return found;
    // What was read is what stays: from here on exactly that (C4).
    if (may_cut_again() && choices_.chance(6, kCheck)) {
        const std::uint64_t steps = choices_.below(400, kCheck);
        for (std::uint64_t i = 0; i < steps && bed_->world.events_pending() > 0; i++)
            bed_->world.step();
        found = cut_again(&observed);
        if (found) return found;
    }
    found = wait_for_resync();
    if (!found && !beyond()) found = check_raw(*bed_, observed, stats_);
    if (!found && choices_.chance(8, kCheck)) found = read_with_losses(observed);
    return found;
}

std::vector<unsigned> CrashCheck::drives_in_sync() {
    std::vector<unsigned> drives;
    const auto& members = bed_->pool->state().members();
    for (std::size_t i = 0; i < members.size(); i++) {
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        if (!members[i] || members[i]->state != meta::MemberState::in_sync) continue;
        if (bed_->pool->groups().live_device(index) == nullptr) continue;
        const unsigned drive = drive_of(*members[i]);
        if (!bed_->drives[drive]->is_gone()) drives.push_back(drive);
    }
    return drives;
}

// Nothing is under way: every member in sync has four good superblocks, a whole log that ends where the
// others' do, and tables that can be loaded from it.
MaybeFinding CrashCheck::check_at_rest(const std::vector<unsigned>& drives) {
    stats_.at_rest++;
    MaybeFinding found;
    const auto task = [](CrashCheck& self, const std::vector<unsigned>& all, MaybeFinding& out) -> Task<void> {
        std::optional<meta::LogPosition> end;
        for (const unsigned drive : all) {
            auto examined = co_await meta::examine(*self.bed_->drives[drive]);
            const std::string who = fmt::format("at rest: drive {}: ", drive);
            if (!examined) {
                out = finding("tables", who + examined.error().message);
                co_return;
            }
            if (examined->copies_valid != meta::kSuperblockCopies || examined->is_log_damaged)
                out = finding("tables", who + examined->note);
            if (end && !end->same_point(examined->end)) out = finding("tables", who + "another end of its log");
            end = examined->end;
            auto state = co_await meta::load_state(*examined);
            if (!state) out = finding("tables", who + state.error().message);
            if (out) co_return;
        }
    };
    if (!bed_->finish(task(*this, drives, found))) return hang("looking at what is at rest");
    return found;
}

// Fails members that may be lost, and reads everything again.
MaybeFinding CrashCheck::read_with_losses(const Observed& observed) {
    const unsigned promised = bed_->losses_promised();
    const unsigned lost = impaired_members(*bed_);
    const unsigned spare = members_to_spare(*bed_);
    if (lost >= promised || spare == 0 || beyond()) return {};
    stats_.loss_reads++;
    unsigned losses = 1 + choices_.below(std::min(promised - lost, spare), kCheck);
    const auto& members = bed_->pool->state().members();
    const auto count = static_cast<std::uint32_t>(members.size());
    const std::uint32_t first = choices_.below(count, kCheck);
    const std::uint32_t stride = 1 + choices_.below(count, kCheck);
    std::set<std::uint32_t> tried;
    for (std::uint32_t i = 0; i < 2 * count && losses > 0; i++) {
        const std::uint32_t m = (first + i * stride) % count;
        if (!tried.insert(m).second || members[m]->state != meta::MemberState::in_sync) continue;
        Outcome<void> failed;
        const auto task = [](CrashCheck& self, std::uint32_t member, Outcome<void>& out) -> Task<void> {
            out = co_await self.bed_->pool->fail(MemberIndex{static_cast<std::uint16_t>(member)});
        };
        if (!bed_->finish(task(*this, m, failed))) return hang("failing a member");
        if (!failed) return finding("fail", failed.error().message);
        losses--;
    }
    Observed again;
    const Judge exactly{state_.model, &observed, false};
    MaybeFinding found = read(exactly, again);
    if (found) found->what = "with members failed: " + found->what;
    const bool cuts = !found && may_cut_again() && choices_.chance(30, kCheck);
    // Damage that no assembly had reason to read is still there, on a member that the next one may need: with those
    // that have failed it may be one too many.
    const bool may_be_too_many = state_.may_lack_votes && impaired() >= promised;
    if (cuts && !may_be_too_many) found = cut_again(&observed);
    return found;
}

MaybeFinding CrashCheck::cut_again(const Observed* observed) {
    stats_.nested++;
    count_outstanding(*bed_, "cut", state_name(*bed_, impaired()), stats_);
    CrashState next;
    next.config = state_.config;
    next.model = state_.model;
    next.observed = observed;
    next.seed = mix_seed(state_.seed, choices_.below(1u << 30, kCheck));
    next.depth = state_.depth + 1;
    next.impaired = impaired();
    next.may_lack_votes = state_.may_lack_votes;
    // Those that could be read are repaired before they are updated.
    if (bed_->pool == nullptr) next.damaged_superblocks = without_superblock_;
    if (misled_ && bed_->pool == nullptr) next.impaired = std::max(next.impaired, 1u);
    sim::ChoiceStream kept(mix_seed(next.seed, 1));
    for (const auto& drive : bed_->drives) {
        next.images.push_back(drive->cut_image(kept));
        next.absent.push_back(drive->is_gone());
    }
    next.informed = bed_->pool == nullptr ? state_.informed : informed_drives(*bed_);
    next.whole = whole_drives(*bed_);
    next.whole.resize(state_.whole.size());
    for (std::size_t i = 0; i < next.whole.size(); i++)
        next.whole[i] = next.whole[i] && state_.whole[i] && !misled_;
    MaybeFinding found = check_crash(next, stats_, hash_);
    if (found && found->kind == "hang") return found;
    if (found) found->what = fmt::format("after cut {}: {}", next.depth, found->what);
    return found;
}

}  // namespace

std::uint64_t CrashState::content_hash() const {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < images.size(); i++)
        hash = mix_seed(hash, absent[i] ? 0 : images[i].hash() | 1);
    return hash;
}

MaybeFinding check_crash(const CrashState& state, Stats& stats, std::uint64_t& hash) {
    CrashCheck check(state, stats, hash);
    return check.run();
}

}  // namespace xsan::simtest
