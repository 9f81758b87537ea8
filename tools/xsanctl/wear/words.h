// Numbers of a result as cells of a table: what is absent, null or of another type is "-".
// Functions of values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace xsan::ctl::wear {

// Unix seconds as "2026-11-20T08:41:07Z"; a number outside of the years 1970 to 9999 as it is.
std::string time_text(std::int64_t seconds);
std::string time_of(const nlohmann::json& object, const char* key);
// A number with so many decimals.
std::string points_of(const nlohmann::json& object, const char* key, int decimals);
// Bytes, which may be a fraction here: "1.5T".
std::string amount_of(const nlohmann::json& object, const char* key);
// A part of 1 as percent, without its sign: 0.123 is "12".
std::string percent_of(const nlohmann::json& object, const char* key);
// Nanoseconds as "210 us" or "3.4 ms".
std::string latency_of(const nlohmann::json& object, const char* key);
// "0.5 d", "120 d"; from ten years on "12 y".
std::string days_text(double days);
// One line, without what a terminal would obey.
std::string printable(std::string text);

}  // namespace xsan::ctl::wear
