// Scrub: reads all strips of all mapped stripes, counts those that disagree, finds out whose strip is wrong,
// and puts it right when it is told to. User I/O goes on; strips that cannot be read are healed on the way.
#include <algorithm>

#include "base/log.h"
#include "pool/pool.h"

namespace xsan::pool {
namespace {

constexpr std::size_t kStripesAtOnce = 8;

}  // namespace

Task<Outcome<void>> Pool::start_scrub(bool repair) {
    if (stopping_ || admin_gate_.is_closed()) co_return refuse_stopping();
    if (scrub_.ever && (scrub_.state == JobState::running || scrub_.state == JobState::paused)) {
        co_return Failure(Errc::busy, fmt::format("a scrub of pool '{}' is running already", name()));
    }
    scrub_ = {};
    scrub_.ever = true;
    scrub_.repairs = repair;
    scrub_.state = JobState::running;
    scrub_paused_ = false;
    tasks_.spawn(scrub_all());
    co_return Outcome<void>{};
}

void Pool::pause_scrub(bool paused) {
    scrub_paused_ = paused;
    if (scrub_.state == JobState::running || scrub_.state == JobState::paused) {
        scrub_.state = paused ? JobState::paused : JobState::running;
    }
}

std::vector<Pool::ScrubPlace> Pool::scrub_places() const {
    std::vector<ScrubPlace> places;
    for (std::uint32_t g = 0; g < state().group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state().row(group);
        if (row == nullptr || groups_->mapped_places(group) == 0) continue;
        const ec::Scheme& scheme = groups_->codec(row->scheme()).scheme();
        const std::uint32_t stripes = raid::stripes_per_group(scheme, groups_->extent_bytes());
        for (std::uint32_t s = 0; s < stripes; s++) {
            if (groups_->is_mapped(group, s * scheme.stripe_data_bytes())) {
                places.push_back({group, row->scheme(), StripeIndex{s}});
            }
        }
    }
    return places;
}

Task<void> Pool::scrub_one(ScrubPlace place) {
    scrub_.stripes_checked++;
    const GroupRow* row = state().row(place.group);
    // The group may be gone, and with it its stripes.
    if (row == nullptr || row->scheme() != place.scheme) co_return;
    const auto check = co_await engine_->check_stripe(place.group, place.stripe);
    if (!check) {
        scrub_.errors++;
        co_return;
    }
    if (!check->complete) scrub_.incomplete++;
    if (check->agrees) co_return;
    scrub_.mismatches++;
    if (!check->complete) co_return;
    const auto found = co_await engine_->scrub_stripe(place.group, place.stripe, scrub_.repairs);
    if (!found) {
        scrub_.errors++;
        co_return;
    }
    if (found->untold_bytes > 0) scrub_.untold++;
    for (const auto& wrong : found->wrong) scrub_.wrong_bytes[wrong.member] += wrong.bytes;
    if (scrub_.repairs && (found->untold_bytes > 0 || !found->wrong.empty())) scrub_.repaired++;
}

Task<void> Pool::scrub_all() {
    const std::vector<ScrubPlace> places = scrub_places();
    scrub_.stripes_total = places.size();
    for (std::size_t first = 0; first < places.size() && !stopping_; first += kStripesAtOnce) {
        while (scrub_paused_ && !stopping_) co_await pause_for(200 * kMillisecond);
        std::vector<Task<void>> tasks;
        const std::size_t end = std::min(places.size(), first + kStripesAtOnce);
        for (std::size_t i = first; i < end; i++) tasks.push_back(scrub_one(places[i]));
        co_await when_all(std::span(tasks));
    }
    scrub_.state = stopping_ ? JobState::failed : JobState::done;
    if (stopping_) co_return;
    log(LogLevel::info, "pool {}: scrub {} of {} stripes: {} mismatches, {} repaired, {} read errors", name(),
        scrub_.repairs ? "repair" : "check", scrub_.stripes_checked, scrub_.mismatches, scrub_.repaired,
        scrub_.errors);
    for (const auto& [member, bytes] : scrub_.wrong_bytes) {
        log(LogLevel::warning, "pool {}: scrub found {} wrong bytes on member {} ({})", name(), bytes,
            member.get(), state().members()[member.get()]->path);
    }
}

}  // namespace xsan::pool
