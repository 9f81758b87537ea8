// One list of fields serves both directions, as for metadata records.
#include "pool/wear_book.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"
#include "meta/bytes.h"
#include "meta/records.h"

namespace xsan::pool {
namespace {

using meta::ByteReader;
using meta::ByteWriter;

constexpr std::uint16_t kWearBookVersion = 2;
constexpr std::uint16_t kWearBookVersionOldest = 1;  // without heat
constexpr std::size_t kSettingsMax = 64;
constexpr std::size_t kEventBytesLeast = 8 + 8 + 2 + 2;
constexpr std::size_t kPointBytes = 16;
constexpr std::size_t kHeatBytes = 4 + 8;
constexpr double kHeatRateMost = 1e15;  // bytes a second: no drive comes near it

template <class A>
void number(A& a, double& value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    a(bits);
    if constexpr (A::kReads) {
        value = std::bit_cast<double>(bits);
        if (!std::isfinite(value)) a.fail();
    }
}

// Unix times are kept as they are; before 1970 nothing was written.
template <class A>
void time(A& a, std::int64_t& seconds) {
    auto raw = static_cast<std::uint64_t>(seconds);
    a(raw);
    if constexpr (A::kReads) {
        seconds = static_cast<std::int64_t>(raw);
        if (seconds < 0) a.fail();
    }
}

template <class A, class T, class F>
void maybe(A& a, std::optional<T>& value, F each) {
    bool is_there = value.has_value();
    a(is_there);
    if constexpr (A::kReads) {
        if (is_there) value.emplace();
    }
    if (is_there) each(*value);
}

template <class A>
void fields(A& a, wl::WearReading& r) {
    const auto as_number = [&a](double& value) { number(a, value); };
    const auto as_percent = [&a](unsigned& value) {
        auto raw = static_cast<std::uint32_t>(value);
        a(raw);
        if constexpr (A::kReads) value = raw;
    };
    maybe(a, r.percentage_used, as_number);
    maybe(a, r.bytes_written, as_number);
    maybe(a, r.spare_percent, as_percent);
    maybe(a, r.spare_threshold_percent, as_percent);
    maybe(a, r.media_errors, [&a](std::uint64_t& value) { a(value); });
    maybe(a, r.temperature_celsius, as_number);
}

template <class A>
void fields(A& a, wl::WearMeter::State& s) {
    number(a, s.bytes), number(a, s.bytes_per_point), number(a, s.bytes_at_percent);
    maybe(a, s.percent, [&a](double& value) { number(a, value); });
    a(s.has_seen_step);
}

template <class A>
void fields(A& a, wl::WearHistory::State& s) {
    number(a, s.interval_seconds);
    a(s.last_is_provisional);
    auto count = static_cast<std::uint32_t>(s.points.size());
    a(count);
    if constexpr (A::kReads) {
        if (count > a.left() / kPointBytes) return a.fail();
        s.points.resize(count);
    }
    for (wl::WearPoint& point : s.points) number(a, point.time_seconds), number(a, point.wear);
}

template <class A>
void account_fields(A& a, wl::Account& account) {
    time(a, account.since_seconds);
    for (wl::IoTotal& kind : account.totals.written) a(kind.count), a(kind.bytes);
    a(account.totals.reads.count), a(account.totals.reads.bytes);
    number(a, account.own_bytes), number(a, account.endurance_by_command), number(a, account.warned_at);
    maybe(a, account.reading, [&a](wl::WearReading& reading) { fields(a, reading); });
    time(a, account.reading_seconds);
    a(account.origin);
    wl::WearMeter::State meter = account.meter.state();
    wl::WearHistory::State history = account.history.state();
    fields(a, meter), fields(a, history);
    if constexpr (A::kReads) {
        const bool is_sane = account.own_bytes >= 0 && account.endurance_by_command >= 0 && account.warned_at >= 0 &&
                             account.origin <= wl::WearOrigin::file;
        if (!a.ok() || !is_sane || !account.meter.restore(meter) || !account.history.restore(std::move(history)))
            a.fail();
    }
}

template <class A>
void event_fields(A& a, PoolEvent& event) {
    a(event.number), time(a, event.unix_seconds), a(event.kind), a(event.text);
}

template <class A>
void pool_fields(A& a, WearBook& book) {
    a(book.policy), a(book.task_is_on);
    auto count = static_cast<std::uint16_t>(book.settings.size());
    a(count);
    if constexpr (A::kReads) {
        if (count > kSettingsMax) return a.fail();
        book.settings.resize(count);
    }
    for (std::string& setting : book.settings) a(setting);
    number(a, book.user_bytes), number(a, book.device_bytes), a(book.last_event);
}

template <class A>
void heat_fields(A& a, WearBook& book) {
    time(a, book.heat_seconds);
    auto count = static_cast<std::uint16_t>(book.heat.size());
    a(count);
    if constexpr (A::kReads) {
        if (count > WearBook::kHeatMax || count > a.left() / kHeatBytes) return a.fail();
        book.heat.resize(count);
    }
    for (WearBook::Heat& heat : book.heat) a(heat.group), number(a, heat.rate_bytes);
    if constexpr (A::kReads) {
        const auto is_bad = [](const auto& h) { return h.rate_bytes < 0 || h.rate_bytes > kHeatRateMost; };
        const auto not_above = [](const auto& before, const auto& next) { return next.group <= before.group; };
        const bool is_ascending = std::ranges::adjacent_find(book.heat, not_above) == book.heat.end();
        if (!is_ascending || std::ranges::any_of(book.heat, is_bad)) a.fail();
    }
}

// Of the newest events as many as there is room for, but moves in half of it at most: by place, ascending.
std::vector<std::size_t> events_for(const WearBook& book, std::size_t room) {
    std::size_t room_of_moves = room / 2;
    std::vector<std::size_t> chosen;
    for (std::size_t i = book.events.size(); i-- > 0;) {
        const PoolEvent& event = book.events[i];
        const std::size_t bytes = event.text.size() + kEventBytesLeast;
        if (bytes > room) break;
        if (is_of_move(event.kind)) {
            if (bytes > room_of_moves) continue;
            room_of_moves -= bytes;
        }
        room -= bytes;
        chosen.push_back(i);
    }
    std::ranges::reverse(chosen);
    return chosen;
}

bool are_sane(const WearBook& book) {
    std::uint64_t before = 0;
    for (const PoolEvent& event : book.events) {
        const auto kind = static_cast<std::uint16_t>(event.kind);
        if (event.number <= before || event.text.size() > EventLog::kTextBytesMax || kind == 0) return false;
        before = event.number;
    }
    return before <= book.last_event && book.user_bytes >= 0 && book.device_bytes >= 0 &&
           book.last_event < meta::kSequenceEnd / 2 &&
           book.policy.size() <= meta::kTextBytesMax;
}

}  // namespace

std::vector<std::byte> encode_wear_book(WearBook book, std::size_t bytes_max) {
    std::vector<std::byte> bytes;
    ByteWriter writer(bytes);
    writer(kWearBookVersion);
    pool_fields(writer, book);
    bool has_account = book.account.has_value();
    writer(has_account);
    if (has_account) account_fields(writer, *book.account);
    heat_fields(writer, book);
    const std::size_t room = bytes_max - std::min(bytes_max, bytes.size() + sizeof(std::uint32_t));
    const std::vector<std::size_t> chosen = events_for(book, room);
    writer(static_cast<std::uint32_t>(chosen.size()));
    for (const std::size_t i : chosen) event_fields(writer, book.events[i]);
    XSAN_ASSERT(bytes.size() <= bytes_max);
    return bytes;
}

std::optional<WearBook> decode_wear_book(std::span<const std::byte> bytes, const wl::Endurance& rated) {
    ByteReader reader(bytes);
    std::uint16_t version = 0;
    reader(version);
    if (version < kWearBookVersionOldest || version > kWearBookVersion) return std::nullopt;
    WearBook book;
    pool_fields(reader, book);
    bool has_account = false;
    reader(has_account);
    if (has_account && reader.ok()) account_fields(reader, book.account.emplace(rated, 0));
    if (version > kWearBookVersionOldest && reader.ok()) heat_fields(reader, book);
    std::uint32_t count = 0;
    reader(count);
    if (count > reader.left() / kEventBytesLeast) return std::nullopt;
    book.events.resize(count);
    for (PoolEvent& event : book.events) event_fields(reader, event);
    if (!reader.at_end() || !are_sane(book)) return std::nullopt;
    return book;
}

}  // namespace xsan::pool
