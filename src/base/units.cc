// Parsing and printing of sizes.
#include "base/units.h"

#include <fmt/format.h>

#include <limits>

#include "base/wide.h"

namespace xsan {
namespace {

// Index of the unit in "KMGT" plus one, 0 for plain bytes, -1 when it is no unit.
int unit_power(std::string_view unit) {
    if (unit.empty() || unit == "B") return 0;
    static constexpr std::string_view kLetters = "KMGT";
    const char letter = static_cast<char>(unit[0] >= 'a' && unit[0] <= 'z' ? unit[0] - 32 : unit[0]);
    const auto at = kLetters.find(letter);
    if (at == std::string_view::npos) return -1;
    const auto rest = unit.substr(1);
    if (!(rest.empty() || rest == "iB" || rest == "i")) return -1;
    return static_cast<int>(at) + 1;
}

Failure bad_size(std::string_view text) {
    return {Errc::invalid_argument,
            fmt::format("'{}' is not a size: give a number with K, M, G or T, such as 64K or 1.5G",
                        text.substr(0, 64))};
}

}  // namespace

Outcome<std::uint64_t> parse_size(std::string_view text) {
    std::size_t at = 0;
    Uint128 digits = 0;
    Uint128 scale = 1;
    bool in_fraction = false;
    std::size_t digit_count = 0;
    for (; at < text.size(); at++) {
        const char c = text[at];
        if (c == '.' && !in_fraction) {
            in_fraction = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        digits = digits * 10 + static_cast<unsigned>(c - '0');
        if (in_fraction) scale *= 10;
        if (++digit_count > 20) return bad_size(text);
    }
    const int power = unit_power(text.substr(at));
    if (digit_count == 0 || power < 0) return bad_size(text);
    const Uint128 scaled = digits << (10 * power);
    if (scaled % scale != 0) return bad_size(text);
    const Uint128 bytes = scaled / scale;
    if (bytes > std::numeric_limits<std::int64_t>::max()) return bad_size(text);
    return static_cast<std::uint64_t>(bytes);
}

std::string format_size(std::uint64_t bytes) {
    static constexpr std::string_view kLetters = "KMGT";
    for (int power = 4; power >= 1; power--) {
        const std::uint64_t unit = 1ull << (10 * power);
        if (bytes < unit) continue;
        const char letter = kLetters[static_cast<std::size_t>(power - 1)];
        if (bytes % unit == 0) return fmt::format("{}{}", bytes / unit, letter);
        return fmt::format("{:.1f}{}", static_cast<double>(bytes) / static_cast<double>(unit), letter);
    }
    return fmt::format("{}", bytes);
}

}  // namespace xsan
