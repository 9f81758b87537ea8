// Bringing a crash state up and checking it.
#include "sim/crash_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <set>

#include "base/rng.h"
#include "sim/reader.h"

namespace xsan::simtest {
namespace {

constexpr sim::ChoiceLabel kCheck{sim::Subsystem::check, 0};
constexpr TimeNs kResyncMost = 3600 * kSecond;

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
    }

    MaybeFinding run() {
        stats_.states++;
        stats_.deepest = std::max<std::uint64_t>(stats_.deepest, state_.depth);
        MaybeFinding found = bring_up();
        if (!found && bed_->pool != nullptr) found = check_serving();
        hash_ = mix_seed(hash_, bed_->world.trace_hash());
        if (found && found->kind == "hang") {
            static_cast<void>(bed_.release());  // what is stuck cannot be taken apart
            return found;
        }
        if (bed_->pool != nullptr) bed_->abandon();
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
    Judge judge() const { return {state_.model, state_.observed, beyond()}; }

    MaybeFinding bring_up();
    MaybeFinding assemble(bool accept_missing);
    MaybeFinding check_serving();
    MaybeFinding read(const Judge& judge, Observed& observed);
    MaybeFinding wait_for_resync();
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
    MaybeFinding nested_;  // found by a cut of a running assembly
};

MaybeFinding CrashCheck::bring_up() {
    MaybeFinding found = assemble(false);
    if (found || bed_->pool != nullptr) return found;
    const bool any_absent = std::ranges::count(state_.absent, true) > 0;
    const bool may_refuse = any_absent && assembled_.error().code == Errc::too_many_failures;
    if (may_refuse) {
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
    const bool cuts = may_cut_again() && choices_.chance(12, kCheck);
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
    if (!found && may_cut_again() && choices_.chance(30, kCheck)) found = cut_again(&observed);
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
    sim::ChoiceStream kept(mix_seed(next.seed, 1));
    for (const auto& drive : bed_->drives) {
        next.images.push_back(drive->cut_image(kept));
        next.absent.push_back(drive->is_gone());
    }
    MaybeFinding found = check_crash(next, stats_, hash_);
    if (found && found->kind == "hang") return found;
    if (found) found->what = fmt::format("after cut {}: {}", next.depth, found->what);
    return found;
}

}  // namespace

MaybeFinding check_crash(const CrashState& state, Stats& stats, std::uint64_t& hash) {
    CrashCheck check(state, stats, hash);
    return check.run();
}

}  // namespace xsan::simtest
