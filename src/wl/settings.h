// Settings of wear leveling in a pool: what people may change, each by a key and a value in text. The same text is what
// is kept, so that a setting that a version does not know is passed over and nothing else is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "wl/planner.h"

namespace xsan::wl {

// A part of each day, in UTC, to the minute; it may span midnight. Begin and end alike: always.
struct Schedule {
    std::uint16_t begin_minute = 0;  // 0..1439
    std::uint16_t end_minute = 0;    // 0..1439, the first that is outside

    bool contains(std::int64_t unix_seconds) const;
    std::string text() const;  // "always" or "22:00-06:30"
    static Outcome<Schedule> parse(std::string_view text);
    friend bool operator==(const Schedule&, const Schedule&) = default;
};

struct WearSettings {
    PlannerSettings planner;            // its goal and extent size are the policy's and the pool's
    double interval_seconds = 600;      // between two plans of the background task
    std::uint64_t rate_max_bytes = 0;   // that its moves write a second; 0: no limit
    double latency_factor = 2;          // users' latency may grow by that before moves slow down; 0: not looked at
    Schedule schedule;                  // when the background task plans and moves
    std::vector<double> warn_at{80, 90};  // points, ascending
    double prevent_days = 30;           // before a member reaches the first of them it is relieved; 0: not
};

// Changes one. Errors: invalid_argument with one line that names the key and what it takes; nothing has changed.
// Rules that bind several (spread_stop below spread_start) are checked by check_wear_settings().
Outcome<void> change_setting(WearSettings& settings, std::string_view key, std::string_view value);
Outcome<void> check_wear_settings(const WearSettings& settings);

// "KEY=VALUE", several; all or nothing.
Outcome<WearSettings> with_changes(WearSettings settings, const std::vector<std::string>& changes);

struct SettingValue {
    std::string_view key;
    std::variant<double, std::uint64_t, std::string> value;
};
// All of them, in the order of the documentation.
std::vector<SettingValue> list_settings(const WearSettings& settings);
// As change_setting() reads it.
std::string setting_text(const SettingValue& setting);

}  // namespace xsan::wl
