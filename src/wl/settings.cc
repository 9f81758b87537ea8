// One table of keys serves reading, listing and the messages.
#include "wl/settings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "base/units.h"

namespace xsan::wl {
namespace {

constexpr unsigned kMinutesOfDay = 24 * 60;
constexpr std::size_t kWarningsMax = 8;

// A number with a range; `scale` is how many of what is stored make one of what is written.
struct NumberKey {
    std::string_view key;
    double least;
    double most;
    double scale;
    double& (*place)(WearSettings&);
};
constexpr std::array kNumbers = {
    NumberKey{"spread_start", 0, 100, 1, [](WearSettings& s) -> double& { return s.planner.spread_start; }},
    NumberKey{"spread_stop", 0, 100, 1, [](WearSettings& s) -> double& { return s.planner.spread_stop; }},
    NumberKey{"outlook_days", 1, 3650, kDaySeconds,
              [](WearSettings& s) -> double& { return s.planner.outlook_seconds; }},
    NumberKey{"horizon_days", 1, 3650, kDaySeconds,
              [](WearSettings& s) -> double& { return s.planner.horizon_seconds; }},
    NumberKey{"growth", 0.1, 100, 1, [](WearSettings& s) -> double& { return s.planner.growth; }},
    NumberKey{"gain_min", 1, 1000, 1, [](WearSettings& s) -> double& { return s.planner.gain_min; }},
    NumberKey{"fill_max", 0.01, 0.95, 1, [](WearSettings& s) -> double& { return s.planner.fill_max; }},
    NumberKey{"fill_slack", 0, 1, 1, [](WearSettings& s) -> double& { return s.planner.fill_slack; }},
    NumberKey{"gap", 0, 50, 1, [](WearSettings& s) -> double& { return s.planner.stagger.gap; }},
    NumberKey{"interval_seconds", 10, kDaySeconds, 1, [](WearSettings& s) -> double& { return s.interval_seconds; }},
    NumberKey{"latency_factor", 0, 100, 1, [](WearSettings& s) -> double& { return s.latency_factor; }},
    NumberKey{"prevent_days", 0, 3650, 1, [](WearSettings& s) -> double& { return s.prevent_days; }},
};

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

Failure refuse(std::string_view key, std::string_view range, std::string_view value) {
    return {Errc::invalid_argument, fmt::format("{} must be {}, not '{}'", key, range, quotable(value))};
}

std::optional<std::uint16_t> parse_minute(std::string_view text) {
    const auto digit = [&text](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 99; };
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const int hour = digit(0) * 10 + digit(1);
    const int minute = digit(3) * 10 + digit(4);
    if (hour > 23 || minute > 59) return std::nullopt;
    return static_cast<std::uint16_t>(hour * 60 + minute);
}

Outcome<std::vector<double>> parse_warnings(std::string_view text) {
    std::vector<double> all;
    for (std::string_view rest = text;;) {
        const std::size_t comma = rest.find(',');
        const auto value = parse_number(rest.substr(0, comma));
        const bool fits = value && *value >= 1 && *value <= kWearMax && (all.empty() || *value > all.back());
        if (!fits || all.size() == kWarningsMax) {
            return refuse("warn_at", fmt::format("1 to {} ascending numbers from 1 to 100", kWarningsMax), text);
        }
        all.push_back(*value);
        if (comma == std::string_view::npos) return all;
        rest.remove_prefix(comma + 1);
    }
}

std::string known_keys() {
    std::string list;
    for (const SettingValue& one : list_settings({})) list += fmt::format("{}{}", list.empty() ? "" : ", ", one.key);
    return list;
}

}  // namespace

bool Schedule::contains(std::int64_t unix_seconds) const {
    if (begin_minute == end_minute) return true;
    const std::int64_t of_day = (unix_seconds / 60) % kMinutesOfDay;
    const auto minute = static_cast<unsigned>(of_day < 0 ? of_day + kMinutesOfDay : of_day);
    if (begin_minute < end_minute) return minute >= begin_minute && minute < end_minute;
    return minute >= begin_minute || minute < end_minute;
}

std::string Schedule::text() const {
    if (begin_minute == end_minute) return "always";
    return fmt::format("{:02}:{:02}-{:02}:{:02}", begin_minute / 60, begin_minute % 60, end_minute / 60,
                       end_minute % 60);
}

Outcome<Schedule> Schedule::parse(std::string_view text) {
    if (text == "always") return Schedule{};
    if (text.size() == 11 && text[5] == '-') {
        const auto begin = parse_minute(text.substr(0, 5));
        const auto end = parse_minute(text.substr(6));
        if (begin && end && *begin != *end) return Schedule{*begin, *end};
    }
    return refuse("schedule", "'always' or a part of the day in UTC like 22:00-06:00", text);
}

Outcome<void> change_setting(WearSettings& settings, std::string_view key, std::string_view value) {
    for (const NumberKey& number : kNumbers) {
        if (number.key != key) continue;
        const auto parsed = parse_number(value);
        if (!parsed || *parsed < number.least || *parsed > number.most) {
            return refuse(key, fmt::format("a number from {} to {}", number.least, number.most), value);
        }
        number.place(settings) = *parsed * number.scale;
        return {};
    }
    if (key == "moves_max") {
        const auto parsed = parse_number(value);
        if (!parsed || *parsed < 1 || *parsed > 1024 || *parsed != std::floor(*parsed)) {
            return refuse(key, "a whole number from 1 to 1024", value);
        }
        settings.planner.moves_max = static_cast<std::size_t>(*parsed);
    } else if (key == "rate_max") {
        const auto parsed = parse_size(value);
        if (!parsed) return refuse(key, "a size like 100M, 0 for no limit", value);
        settings.rate_max_bytes = *parsed;
    } else if (key == "schedule") {
        XSAN_TRY(settings.schedule, Schedule::parse(value));
    } else if (key == "warn_at") {
        XSAN_TRY(settings.warn_at, parse_warnings(value));
    } else {
        return Failure(Errc::invalid_argument,
                       fmt::format("there is no setting '{}': use {}", quotable(key), known_keys()));
    }
    return {};
}

Outcome<void> check_wear_settings(const WearSettings& settings) {
    if (settings.latency_factor > 0 && settings.latency_factor < 1) {
        return Failure(Errc::invalid_argument, fmt::format("latency_factor must be 0 or 1 to 100, not '{}'",
                                                           settings.latency_factor));
    }
    PlannerSettings planner = settings.planner;
    if (planner.extent_bytes == 0) planner.extent_bytes = kMiB;
    return check_settings(planner);
}

Outcome<WearSettings> with_changes(WearSettings settings, const std::vector<std::string>& changes) {
    for (const std::string& change : changes) {
        const std::size_t equals = change.find('=');
        if (equals == std::string::npos || equals == 0) {
            return Failure(Errc::invalid_argument,
                           fmt::format("'{}' is no setting: write KEY=VALUE", quotable(change)));
        }
        const std::string_view text = change;
        XSAN_TRY_VOID(change_setting(settings, text.substr(0, equals), text.substr(equals + 1)));
    }
    XSAN_TRY_VOID(check_wear_settings(settings));
    return settings;
}

std::vector<SettingValue> list_settings(const WearSettings& settings) {
    WearSettings copy = settings;
    std::vector<SettingValue> all;
    for (const NumberKey& number : kNumbers) all.push_back({number.key, number.place(copy) / number.scale});
    all.push_back({"moves_max", static_cast<double>(settings.planner.moves_max)});
    all.push_back({"rate_max", settings.rate_max_bytes});
    all.push_back({"schedule", settings.schedule.text()});
    std::string warnings;
    for (const double at : settings.warn_at) warnings += fmt::format("{}{}", warnings.empty() ? "" : ",", at);
    all.push_back({"warn_at", warnings});
    return all;
}

std::string setting_text(const SettingValue& setting) {
    return fmt::format("{}={}", setting.key,
                       std::visit([](const auto& value) { return fmt::format("{}", value); }, setting.value));
}

}  // namespace xsan::wl
