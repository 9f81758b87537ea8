// Reading JSON that a stranger wrote: parsed without exceptions, at most 32 levels deep, no key
// twice in one object, UTF-8 only, no number beyond the range of a double.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace xsan::rpc {

inline constexpr std::size_t kJsonDepthMax = 32;

// Fails with invalid_argument and one line that says what is wrong and at which byte.
Outcome<nlohmann::json> parse_json(std::string_view text);

// On one line. Bytes that are not UTF-8 (a drive's serial number, say) become U+FFFD instead of an
// exception.
std::string print_json(const nlohmann::json& value);

}  // namespace xsan::rpc
