// The work of a scrub, and what of it is durable.
#include "pool/scrub.h"

#include <algorithm>

#include "base/log.h"

namespace xsan::pool {
namespace {

constexpr std::size_t kStripesScrubbedAtOnce = 8;
constexpr TimeNs kSaveEvery = 30 * kSecond;
constexpr TimeNs kSaveFoundEvery = kSecond;  // when something was found
constexpr unsigned kStepsPerSecond = 4;      // at least, below a rate

using Phase = meta::ScrubProgress::Phase;

Phase phase_of(JobState state) {
    switch (state) {
        case JobState::running: return Phase::running;
        case JobState::paused: return Phase::paused;
        default: return Phase::done;
    }
}

JobState state_of(Phase phase) {
    switch (phase) {
        case Phase::running: return JobState::running;
        case Phase::paused: return JobState::paused;
        case Phase::done: break;
    }
    return JobState::done;
}

}  // namespace

std::optional<JobStatus> Scrub::job() const {
    if (!status_.ever) return std::nullopt;
    JobStatus job;
    job.kind = JobKind::scrub;
    job.state = status_.state;
    job.bytes_done = status_.stripes_checked;
    job.bytes_total = status_.stripes_total;
    return job;
}

Task<Result<void>> Scrub::start(bool repairs, std::optional<std::uint64_t> rate_max) {
    if (status_.ever && status_.state == JobState::running) co_return Errc::busy;
    given_up_ = true;
    while (is_running_ && !stopping_) co_await sleep_for(kMillisecond);
    if (stopping_) co_return Errc::aborted;
    given_up_ = false;
    const std::uint64_t rate_before = status_.rate_max;
    status_ = {};
    status_.ever = true;
    status_.repairs = repairs;
    status_.state = JobState::running;
    status_.rate_max = rate_max.value_or(rate_before);
    next_ = {};
    status_.stripes_total = stripes_from(next_);
    pace_.reset();
    begin();
    co_return co_await save();
}

// From what settled_ says on.
void Scrub::begin() {
    settled_ = status_;
    saved_at_ = Reactor::current().now();
    saved_found_ = status_.mismatches + status_.errors;
    is_waiting_ = false;
    is_running_ = true;
    context_.tasks.spawn(run());
}

void Scrub::load() {
    const auto& kept = context_.store.scrub_progress();
    if (!kept) return;
    status_.ever = true;
    status_.resumed = kept->phase != Phase::done;
    status_.state = state_of(kept->phase);
    status_.repairs = kept->repairs;
    status_.rate_max = kept->rate_max;
    status_.stripes_checked = kept->stripes_checked;
    status_.stripes_total = kept->stripes_total;
    status_.mismatches = kept->mismatches;
    status_.incomplete = kept->incomplete;
    status_.errors = kept->errors;
    status_.repaired = kept->repaired;
    status_.untold = kept->untold;
    for (const auto& wrong : kept->wrong) status_.wrong_bytes[wrong.member] = wrong.bytes;
    next_ = {kept->next_group, kept->next_stripe};
    is_waiting_ = status_.resumed;
    // Clusters may have come and gone since that was written.
    if (status_.resumed) status_.stripes_total = status_.stripes_checked + stripes_from(next_);
    settled_ = status_;
}

void Scrub::go_on() {
    if (!is_waiting_) return;
    log(LogLevel::info, "pool {}: scrub {} goes on behind {} of {} stripes{}",
        context_.store.state().pool().name, status_.repairs ? "repair" : "check", status_.stripes_checked,
        status_.stripes_total, status_.state == JobState::paused ? ", paused" : "");
    begin();
}

Task<Result<void>> Scrub::set(bool paused, std::optional<std::uint64_t> rate_max) {
    if (rate_max) status_.rate_max = *rate_max;
    if (!status_.ever) co_return Result<void>{};
    pace_.reset();
    if (status_.state == JobState::running || status_.state == JobState::paused) {
        status_.state = paused ? JobState::paused : JobState::running;
    }
    co_return co_await save();
}

void Scrub::keep() {
    if (status_.ever) context_.store.keep_scrub_progress(progress());
}

meta::ScrubProgress Scrub::progress() const {
    meta::ScrubProgress p;
    p.phase = phase_of(status_.state);
    p.repairs = status_.repairs;
    p.rate_max = status_.rate_max;
    p.next_group = next_.group;
    p.next_stripe = next_.stripe;
    p.stripes_checked = settled_.stripes_checked;
    p.stripes_total = std::max(status_.stripes_total, settled_.stripes_checked);
    p.mismatches = settled_.mismatches;
    p.incomplete = settled_.incomplete;
    p.errors = settled_.errors;
    p.repaired = settled_.repaired;
    p.untold = settled_.untold;
    for (const auto& [member, bytes] : settled_.wrong_bytes) p.wrong.push_back({member, bytes});
    std::stable_sort(p.wrong.begin(), p.wrong.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    if (p.wrong.size() > meta::kScrubWrongMax) p.wrong.resize(meta::kScrubWrongMax);
    return p;
}

// What was repaired or healed must be durable before the place behind it is. One at a time, so that the newest state is
// written last.
Task<Result<void>> Scrub::save() {
    co_await saving_.lock();
    AsyncMutex::Guard guard(saving_);
    meta::ScrubProgress now = progress();
    {
        Quiescence::Scope scope(context_.engine.quiescence());
        XSAN_CO_TRY_VOID(context_.engine.flush());
    }
    co_return co_await context_.store.write_scrub_progress(std::move(now));
}

// When something was found, soon: a repair leaves nothing behind that a second look would count.
Task<void> Scrub::save_sometimes() {
    const TimeNs since = Reactor::current().now() - saved_at_;
    const std::uint64_t found = settled_.mismatches + settled_.errors;
    if (since < kSaveFoundEvery || (since < kSaveEvery && found == saved_found_)) co_return;
    const auto saved = co_await save();
    static_cast<void>(saved);  // the next one may be
    saved_at_ = Reactor::current().now();
    saved_found_ = found;
}

// Mapped stripes from a place on.
std::uint64_t Scrub::stripes_from(Place place) const {
    const meta::State& state = context_.store.state();
    std::uint64_t stripes = 0;
    for (std::uint32_t g = place.group.get(); g < state.group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state.row(group);
        if (row == nullptr) continue;
        if (group == place.group) {
            stripes += stripes_of(group, place.stripe).size();
            continue;
        }
        const ec::Scheme& scheme = context_.groups.codec(row->scheme()).scheme();
        stripes += std::uint64_t{context_.groups.mapped_places(group)} *
                   (context_.groups.cluster_bytes(row->scheme()) / scheme.stripe_data_bytes());
    }
    return stripes;
}

std::vector<StripeIndex> Scrub::stripes_of(GroupIndex group, StripeIndex first) const {
    std::vector<StripeIndex> found;
    const GroupRow* row = context_.store.state().row(group);
    if (row == nullptr || context_.groups.mapped_places(group) == 0) return found;
    const ec::Scheme& scheme = context_.groups.codec(row->scheme()).scheme();
    const std::uint32_t stripes = raid::stripes_per_group(scheme, context_.groups.extent_bytes());
    for (std::uint32_t s = first.get(); s < stripes; s++) {
        if (context_.groups.is_mapped(group, s * scheme.stripe_data_bytes())) found.emplace_back(s);
    }
    return found;
}

Task<void> Scrub::check_stripe(Place place, SchemeId scheme) {
    status_.stripes_checked++;
    status_.stripes_total = std::max(status_.stripes_total, status_.stripes_checked);
    const GroupRow* row = context_.store.state().row(place.group);
    // The group may be gone, and with it its stripes.
    if (row == nullptr || row->scheme() != scheme) co_return;
    const auto check = co_await context_.engine.check_stripe(place.group, place.stripe);
    if (!check) {
        status_.errors++;
        co_return;
    }
    if (!check->complete) status_.incomplete++;
    if (check->agrees) co_return;
    status_.mismatches++;
    if (!check->complete) co_return;
    const auto found = co_await context_.engine.scrub_stripe(place.group, place.stripe, status_.repairs);
    if (!found) {
        status_.errors++;
        co_return;
    }
    if (found->untold_bytes > 0) status_.untold++;
    for (const auto& wrong : found->wrong) status_.wrong_bytes[wrong.member] += wrong.bytes;
    if (status_.repairs && (found->untold_bytes > 0 || !found->wrong.empty())) status_.repaired++;
}

Task<void> Scrub::hold() {
    while (status_.state == JobState::paused && !is_over()) co_await sleep_for(50 * kMillisecond);
}

// From next_ on; next_ is behind what was done of it.
Task<void> Scrub::check_group(GroupIndex group) {
    const std::vector<StripeIndex> stripes = stripes_of(group, next_.stripe);
    if (stripes.empty()) co_return;
    const SchemeId scheme_id = context_.store.state().row(group)->scheme();
    const ec::Scheme scheme = context_.groups.codec(scheme_id).scheme();
    const std::uint64_t stripe_bytes = std::uint64_t{scheme.total_strips()} * scheme.strip_bytes;
    for (std::size_t first = 0; first < stripes.size();) {
        co_await hold();
        if (is_over()) co_return;
        // Below a low rate in small steps, so that users do not wait behind a burst of it.
        std::size_t count = kStripesScrubbedAtOnce;
        if (rate() != 0) count = std::clamp<std::size_t>(rate() / kStepsPerSecond / stripe_bytes, 1, count);
        const std::size_t end = std::min(stripes.size(), first + count);
        std::vector<Task<void>> tasks;
        for (std::size_t i = first; i < end; i++) {
            tasks.push_back(check_stripe(Place{group, stripes[i]}, scheme_id));
        }
        co_await when_all(std::span(tasks));
        next_.stripe = StripeIndex{stripes[end - 1].get() + 1};
        settled_ = status_;
        co_await save_sometimes();
        co_await pace_.keep((end - first) * stripe_bytes, rate(), stopping_);
        first = end;
    }
}

Task<void> Scrub::run() {
    while (next_.group.get() < context_.store.state().group_limit()) {
        co_await check_group(next_.group);
        if (is_over()) break;
        next_ = Place{GroupIndex{next_.group.get() + 1}, StripeIndex{0}};
    }
    // A pause at the end came too late.
    if (!is_over()) {
        status_.stripes_total = status_.stripes_checked;
        status_.state = JobState::done;
        settled_ = status_;
        log_end();
        const auto saved = co_await save();
        static_cast<void>(saved);  // then its end is found once more after a restart
    }
    is_running_ = false;
}

void Scrub::log_end() const {
    const meta::State& state = context_.store.state();
    log(LogLevel::info, "pool {}: scrub {} of {} stripes: {} mismatches, {} repaired, {} read errors",
        state.pool().name, status_.repairs ? "repair" : "check", status_.stripes_checked, status_.mismatches,
        status_.repaired, status_.errors);
    for (const auto& [member, bytes] : status_.wrong_bytes) {
        const meta::Member* known = state.find_member(member);
        log(LogLevel::warning, "pool {}: scrub found {} wrong bytes on member {} ({})", state.pool().name, bytes,
            member.get(), known == nullptr ? "gone" : known->path);
    }
}

}  // namespace xsan::pool
