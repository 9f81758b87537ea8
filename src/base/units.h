// Sizes as people write them: binary K, M, G, T; the few power-of-two helpers that layout needs; the length of a day.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace xsan {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;
inline constexpr std::uint64_t kTiB = 1024 * kGiB;

inline constexpr double kDaySeconds = 86400;

// "64K", "1.5G", "4096", "2TiB" -> bytes. A fraction must come out as whole bytes.
// Fails with invalid_argument and a sentence that quotes the text.
Outcome<std::uint64_t> parse_size(std::string_view text);

// The largest binary unit in which the size has at most one decimal: "64K", "1.5G".
std::string format_size(std::uint64_t bytes);

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t multiple) {
    return value / multiple * multiple;
}
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return round_down(value + multiple - 1, multiple);
}
constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t divisor) {
    return (value + divisor - 1) / divisor;
}

}  // namespace xsan
