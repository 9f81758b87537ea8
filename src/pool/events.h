// EventLog: what happened to a pool and what its background tasks decided, numbered, the newest kept. Values only; the
// members' books carry it over restarts (wear_book.h), so what was noted in the last seconds before a crash may be
// gone; after an unclean stop numbers are passed over, so that none is used twice.
//
// Invariants: numbers grow from event to event, by one but for such gaps and for events that are not kept any more;
// those of single moves take no more than half of the room.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsan::pool {

// The numbers are on disk.
enum class EventKind : std::uint16_t {
    wear_policy = 1,
    wear_settings = 2,
    wear_task = 3,
    wear_plan = 4,
    wear_move = 5,
    wear_moved = 6,
    wear_move_failed = 7,
    wear_threshold = 8,
    wear_reset = 9,
    wear_mode = 10,
    member_lost = 11,
    member_added = 12,
    rebuild_done = 13,
};
inline constexpr std::uint16_t kEventKindLast = 13;

constexpr std::string_view event_kind_name(EventKind kind) {
    constexpr std::array<std::string_view, kEventKindLast + 1> kNames{
        "",           "wear_policy",      "wear_settings",  "wear_task",  "wear_plan", "wear_move",   "wear_moved",
        "wear_move_failed", "wear_threshold", "wear_reset", "wear_mode", "member_lost", "member_added", "rebuild_done"};
    const auto number = static_cast<std::size_t>(kind);
    return number < kNames.size() ? kNames[number] : "";
}

// Of single moves there may be hundreds: they may not push all others out.
constexpr bool is_of_move(EventKind kind) {
    return kind == EventKind::wear_move || kind == EventKind::wear_moved || kind == EventKind::wear_move_failed;
}

struct PoolEvent {
    std::uint64_t number = 0;
    std::int64_t unix_seconds = 0;
    EventKind kind = EventKind::wear_policy;
    std::string text;
};

class EventLog {
  public:
    static constexpr std::size_t kEventsMax = 1024;  // kept; what a book has no room for ends with the daemon
    static constexpr std::size_t kMovesMax = kEventsMax / 2;  // of them of moves
    static constexpr std::size_t kTextBytesMax = 200;

    void add(std::int64_t unix_seconds, EventKind kind, std::string text) {
        if (text.size() > kTextBytesMax) text.resize(kTextBytesMax);
        noted_[static_cast<std::size_t>(kind)]++;
        events_.push_back({++last_, unix_seconds, kind, std::move(text)});
        moves_ += is_of_move(kind);
        if (moves_ > kMovesMax) {
            events_.erase(std::ranges::find_if(events_, is_of_move, &PoolEvent::kind));
            moves_--;
        } else if (events_.size() > kEventsMax) {
            moves_ -= is_of_move(events_.front().kind);
            events_.pop_front();
        }
    }
    // Of an earlier life of the pool, ascending; before anything is added.
    void restore(std::vector<PoolEvent> events, std::uint64_t last) {
        events_.assign(events.begin(), events.end());
        moves_ = static_cast<std::size_t>(std::ranges::count_if(events_, is_of_move, &PoolEvent::kind));
        last_ = last;
    }

    // So many numbers may have been given to events that nobody knows any more.
    void skip(std::uint64_t numbers) { last_ += numbers; }

    std::uint64_t last() const { return last_; }  // 0: there was none yet
    // How many of that kind were added since this log was made.
    std::uint64_t noted(EventKind kind) const { return noted_[static_cast<std::size_t>(kind)]; }
    std::optional<std::uint64_t> first() const {
        return events_.empty() ? std::nullopt : std::optional(events_.front().number);
    }
    // Those with a higher number, the oldest first, at most `count_max`.
    std::vector<PoolEvent> since(std::uint64_t number, std::size_t count_max) const {
        const auto from = std::ranges::upper_bound(events_, number, {}, &PoolEvent::number);
        const auto count = std::min(count_max, static_cast<std::size_t>(events_.end() - from));
        return {from, from + static_cast<std::ptrdiff_t>(count)};
    }
    std::vector<PoolEvent> newest(std::size_t count_max) const {
        const auto count = static_cast<std::ptrdiff_t>(std::min(count_max, events_.size()));
        return {events_.end() - count, events_.end()};
    }
    const std::deque<PoolEvent>& all() const { return events_; }

  private:
    std::deque<PoolEvent> events_;
    std::size_t moves_ = 0;  // of these
    std::uint64_t last_ = 0;
    std::array<std::uint64_t, kEventKindLast + 1> noted_{};
};

}  // namespace xsan::pool
