// Account: what is known of the wear of one member: what we wrote to it and why, what it says of itself, the level
// that follows, and the history of that. Values and arithmetic; who reads drives and clocks feeds it.
//
// Invariant: totals only grow until they are reset, own_bytes only grow until the history is forgotten.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/units.h"
#include "wl/prediction.h"
#include "wl/wear.h"

namespace xsan::wl {

struct IoTotal {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    friend bool operator==(const IoTotal&, const IoTotal&) = default;
};

// Why bytes were written.
enum class AccountKind : std::uint8_t { data, parity, rebuild, relocation, zeros, log, metadata };
inline constexpr std::size_t kAccountKinds = 7;

struct AccountTotals {
    std::array<IoTotal, kAccountKinds> written{};
    IoTotal reads;

    const IoTotal& of(AccountKind kind) const { return written[static_cast<std::size_t>(kind)]; }
    IoTotal writes() const;
    // Bytes written for whatever reason for each byte of users' data; nullopt where none of users' was written.
    std::optional<double> amplification() const;
    // What came on top of `before`; a counter that is lower than it was began anew.
    AccountTotals since(const AccountTotals& before) const;
    void add(const AccountTotals& more);
    friend bool operator==(const AccountTotals&, const AccountTotals&) = default;
};

// Where the newest level comes from.
enum class WearOrigin : std::uint8_t { own = 0, drive = 1, file = 2 };

struct Account {
    explicit Account(const Endurance& rated, std::int64_t now_seconds)
        : since_seconds(now_seconds), endurance(rated), meter(rated.bytes) {}

    std::int64_t since_seconds;  // Unix time at which `totals` began
    AccountTotals totals;
    double own_bytes = 0;         // written by us in all, as far as it is known
    double endurance_by_command = 0;  // bytes; 0: as configured, by the model or assumed
    Endurance endurance;
    WearMeter meter;
    WearHistory history;
    double warned_at = 0;  // the highest threshold that was told of
    // The newest reading that said anything.
    std::optional<WearReading> reading;
    std::int64_t reading_seconds = 0;
    WearOrigin origin = WearOrigin::own;

    double level() const { return meter.level(); }  // points, 0..100
    // Steps of the level as it is known: a drive's percentage has whole points. For wear_trend().
    double resolution() const;

    void wrote(const AccountTotals& more);
    // The meter goes on by `reading` where it says anything, else by the newest one and our own bytes.
    void read(const std::optional<WearReading>& now, WearOrigin from, std::int64_t now_seconds);
    void rate(const Endurance& rated);
    // Who gave the readings takes them back: the level is what follows from our own bytes.
    void forget_reading();
    // Totals begin anew; with `history` all that was known of wear before is forgotten, too.
    void reset(std::int64_t now_seconds, bool with_history);
};

// Whether a reading says anything at all.
bool says_anything(const WearReading& reading);

// A drive that is low on spare blocks, by its own threshold: nothing new is put there.
bool is_worn_out(const Account& account);

// Trends are taken over that much of the history; older wear says little of tomorrow's.
inline constexpr double kTrendSeconds = 90 * kDaySeconds;
std::optional<WearTrend> trend_of(const Account& account);

// What comes next: the lowest of `thresholds` (points, ascending) that was not reached, and when it will be.
struct Outlook {
    std::optional<double> threshold;  // nullopt: all are reached
    std::optional<TimeToWear> time;   // nullopt: too little history, or never as far as the trend tells
};
Outlook outlook_of(const Account& account, std::span<const double> thresholds);

}  // namespace xsan::wl
