// The loop of a run, and its cuts.
#include "sim/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "sim/reader.h"

namespace xsan::simtest {
namespace {

bool is_request(OpKind kind) {
    return kind <= OpKind::flush;
}
bool is_fault(OpKind kind) {
    return kind >= OpKind::read_error && kind != OpKind::relocate;
}

}  // namespace

void Runner::note(std::string kind, std::string what) {
    if (!found_) found_ = Finding{std::move(kind), std::move(what), op_id_};
}

void Runner::say(const Op& op, const std::string& what) const {
    if (verbose) fmt::print("  {:3} {:14} {}\n", op.id, op_name(op.kind), what);
}

template <class P>
void Runner::step_until(P pred, const char* what) {
    for (std::uint64_t steps = 0; !pred() && !found_; steps++) {
        if (steps > Bed::kStepsMax || !bed_->world.step()) note("hang", what);
    }
}

void Runner::drain() {
    step_until([this] { return outstanding_ == 0; }, "requests do not end");
}

MaybeFinding Runner::run() {
    stats_.runs++;
    stats_.seen.clear();
    if (start()) {
        for (const Op& op : plan_.ops) {
            if (found_) break;
            op_id_ = op.id;
            stats_.operations++;
            execute(op);
        }
        finish_run();
    }
    // A task that is done has still to tell its group. What is stuck cannot be taken apart.
    const bool idle = bed_->world.run_until([this] { return bed_->world.spawned_running() == 0; });
    hash_ = mix_seed(hash_, bed_->world.trace_hash());
    if (!idle || (found_ && found_->kind == "hang")) static_cast<void>(bed_.release());
    return found_;
}

bool Runner::start() {
    bed_ = std::make_unique<Bed>(plan_.config, choices_);
    Outcome<void> made;
    const auto create = [](Bed& bed, Outcome<void>& out) -> Task<void> { out = co_await bed.create(); };
    if (!bed_->finish(create(*bed_, made))) note("hang", "creating the pool");
    if (!made) note("create", made.error().message);
    if (found_) return false;
    watch_drives();
    Op first;
    first.kind = OpKind::create_volume;
    first.a = 2;
    administering_ = true;
    bed_->world.spawn(administer(first));
    step_until([this] { return !administering_; }, "creating the first volume");
    return !found_;
}

void Runner::execute(const Op& op) {
    if (is_request(op.kind)) {
        step_until([this] { return outstanding_ < plan_.config.depth; }, "requests do not end");
        if (!found_) start_request(op);
    } else if (is_fault(op.kind)) {
        if (op.kind == OpKind::rot_scrub) {
            drain();
            if (found_) return;
            administering_ = true;
            bed_->world.spawn(administer(op));
        } else {
            inject(op);
        }
    } else if (op.kind == OpKind::drain) {
        drain();
    } else if (op.kind == OpKind::pause) {
        bed_->world.run_for((op.a % 4 == 0 ? 6 * kSecond : 1 * kMillisecond) * (1 + op.b % 3));
    } else if (op.kind == OpKind::pull_member) {
        pull_member(op);
    } else {
        const bool alone = op.kind == OpKind::delete_volume || op.kind == OpKind::restart ||
                           op.kind == OpKind::scrub;
        if (alone) drain();
        if (op.kind == OpKind::power_cut) cut_power(op);
        if (found_) return;
        administering_ = true;
        bed_->world.spawn(administer(op));
    }
    advance(op);
    step_until([this] { return !administering_; }, "administration does not end");
}

// Steps through what the operation started, with cuts on the way.
void Runner::advance(const Op& op) {
    Rng rng(mix_seed(plan_.seed, 1000 + op.id));
    for (std::uint32_t cut = 0; cut < op.cuts && !found_; cut++) {
        // Administration takes longer than requests: stopping and assembling, thousands of steps.
        const std::uint64_t most = administering_ ? op.steps * (1 + rng.below(20)) : op.steps;
        const std::uint64_t steps = rng.below(most + 1);
        for (std::uint64_t i = 0; i < steps; i++) {
            if (outstanding_ == 0 && !administering_) break;
            if (!bed_->world.step()) break;
        }
        take_cuts(op, cut);
    }
    for (std::uint64_t i = rng.below(op.steps + 1); i > 0 && outstanding_ > 0 && !found_; i--)
        bed_->world.step();
}

// Several states of one prefix: different subsets of what no flush covered survive.
void Runner::take_cuts(const Op& op, std::uint32_t cut) {
    const Config& config = plan_.config;
    if (power_is_off_) return;  // the drives are off already
    const unsigned lost = impaired();
    const bool logged = config.policy == meta::Consistency::log;
    if (lost > 0 && !logged && !config.degraded_cuts) return;
    count_outstanding(*bed_, "cut", state(), stats_);
    const unsigned promised = bed_->losses_promised();
    // A pool without groups has lost no strip with a member, but starts with one that is in sync only.
    const unsigned more = lost < promised ? std::min(promised - lost, to_spare()) : 0;
    std::set<std::uint64_t> here;  // the same content twice says nothing new
    for (const auto& drive : bed_->drives)
        static_cast<void>(drive->media().durable().hash());  // kept in what the copies share
    std::vector<bool> whole = whole_drives(*bed_);
    for (const unsigned drive : ever_faulty_) whole[drive] = false;
    for (unsigned v = 0; v < config.variants && !found_; v++) {
        CrashState state;
        state.config = &config;
        state.model = &model_;
        state.seed = mix_seed(mix_seed(plan_.seed, op.id), cut * 64 + v);
        state.impaired = lost;
        state.may_lack_votes = metadata_is_damaged_;
        state.damaged_superblocks = damaged_superblocks_;
        state.rotten = rotten_;
        state.informed = bed_->pool == nullptr ? informed_ : informed_drives(*bed_);
        state.whole = whole;
        sim::ChoiceStream kept(mix_seed(state.seed, 1));
        for (const auto& drive : bed_->drives) {
            state.images.push_back(drive->cut_image(kept));
            // A drive that was away may be back after the cut, with what it had.
            state.absent.push_back(drive->is_gone() && kept.flip({sim::Subsystem::check, 1}));
        }
        // With the log a cut and losses may come together.
        if (logged && more > 0 && v > 0) {
            const auto count = static_cast<std::uint32_t>(state.absent.size());
            std::uint32_t losses = kept.below(more + 1, {sim::Subsystem::check, 2});
            if (losses > 0) count_outstanding(*bed_, "cut and loss", "", stats_);
            for (; losses > 0; losses--)
                state.absent[kept.below(count, {sim::Subsystem::check, 2})] = true;
        }
        if (!here.insert(state.content_hash()).second) continue;
        found_ = check_crash(state, stats_, hash_);
        if (!found_ && v == 0) found_ = check_straggler(std::move(state));
        if (found_) found_->op = op.id;
    }
}

// A drive that is away comes back while all the others are not there: it does not know what they know.
MaybeFinding Runner::check_straggler(CrashState state) {
    const auto away = std::ranges::find_if(bed_->drives, [](const auto& d) { return d->is_gone(); });
    if (away == bed_->drives.end() || beyond()) return {};
    state.absent.assign(state.absent.size(), true);
    state.absent[static_cast<std::size_t>(away - bed_->drives.begin())] = false;
    state.must_refuse = true;
    return check_crash(state, stats_, hash_);
}

void Runner::finish_run() {
    if (found_) {
        // What the pool still does ends by itself; requests were started by us.
        if (found_->kind != "hang" && bed_->pool != nullptr) {
            const MaybeFinding first = std::exchange(found_, {});
            step_until([this] { return outstanding_ == 0 && !administering_; }, "");
            if (!found_) bed_->abandon();
            found_ = first;
        }
        return;
    }
    drain();
    if (found_) return;
    Op last;
    last.kind = OpKind::restart;
    last.id = op_id_ + 1;
    administering_ = true;
    bed_->world.spawn(administer(last));
    step_until([this] { return !administering_; }, "the last restart does not end");
    if (!found_ && bed_->pool != nullptr) bed_->abandon();
}

}  // namespace xsan::simtest
