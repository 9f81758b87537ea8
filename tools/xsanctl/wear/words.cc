// Cells of tables.
#include "xsanctl/wear/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include "xsanctl/status.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

constexpr std::int64_t kTimeEnd = 253'402'300'800;  // the year 10000
constexpr double kDaysPerYear = 365.25;

// A finite number of that name.
const json* number_at(const json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto at = object.find(key);
    if (at == object.end() || !at->is_number() || !std::isfinite(at->get<double>())) return nullptr;
    return &*at;
}

}  // namespace

std::string time_text(std::int64_t seconds) {
    if (seconds < 0 || seconds >= kTimeEnd) return std::to_string(seconds);
    using namespace std::chrono;
    const sys_seconds time{std::chrono::seconds(seconds)};
    const sys_days day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string time_of(const json& object, const char* key) {
    const json* value = number_at(object, key);
    if (value == nullptr) return "-";
    const double seconds = std::clamp(value->get<double>(), -9e15, 9e15);
    return time_text(static_cast<std::int64_t>(seconds));
}

std::string points_of(const json& object, const char* key, int decimals) {
    const json* value = number_at(object, key);
    return value == nullptr ? "-" : fmt::format("{:.{}f}", value->get<double>(), decimals);
}

std::string amount_of(const json& object, const char* key) {
    const json* value = number_at(object, key);
    if (value == nullptr || value->get<double>() < 0) return "-";
    double amount = value->get<double>();
    static constexpr const char* kUnits[] = {"", "K", "M", "G", "T"};
    std::size_t unit = 0;
    while (unit + 1 < std::size(kUnits) && amount >= 1024) {
        amount /= 1024;
        unit++;
    }
    // Three or four digits say enough in a table.
    const double step = amount < 100 ? 10 : 1;
    return fmt::format("{}{}", std::round(amount * step) / step, kUnits[unit]);
}

std::string percent_of(const json& object, const char* key) {
    const json* value = number_at(object, key);
    return value == nullptr ? "-" : fmt::format("{:.0f}", 100 * value->get<double>());
}

std::string latency_of(const json& object, const char* key) {
    const json* value = number_at(object, key);
    if (value == nullptr) return "-";
    const double us = value->get<double>() / 1000;
    return us < 1000 ? fmt::format("{:.0f} us", us) : fmt::format("{:.1f} ms", us / 1000);
}

std::string days_text(double days) {
    if (days >= 10 * kDaysPerYear) return fmt::format("{:.0f} y", days / kDaysPerYear);
    return days < 10 ? fmt::format("{:.1f} d", days) : fmt::format("{:.0f} d", days);
}

std::string printable(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = ' ';
    }
    return text;
}

}  // namespace xsan::ctl::wear
