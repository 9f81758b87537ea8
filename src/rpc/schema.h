// The declared shape of every method's parameters, and the check of a request against it. No I/O.
// One line names the parameter that is wrong; nothing is guessed or converted. What is absent and
// has a default is filled in, so that a handler finds it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace xsan::rpc {

// What a caller may do; each role may do all of the one before it.
enum class Role : std::uint8_t { none, viewer, admin };
std::string_view role_name(Role role);

enum class ParamType : std::uint8_t {
    name,     // of a pool or volume: [A-Za-z0-9][A-Za-z0-9._-]{0,31}
    text,     // a string of `least` to `most` bytes without control characters
    integer,  // least <= value <= most
    boolean,  //
    texts,    // `least` to `most` strings of 1 to kTextBytesMax bytes
};
std::string_view param_type_name(ParamType type);

inline constexpr std::int64_t kTextBytesMax = 4096;

struct ParamSpec {
    std::string_view name;
    ParamType type = ParamType::text;
    bool required = false;
    std::int64_t least = 1;
    std::int64_t most = kTextBytesMax;
    std::string_view choices = {};   // "a|b|c": the only values; empty: any
    std::string_view fallback = {};  // JSON that stands in for an absent one; empty: stays absent
};

struct MethodSpec {
    std::string_view name;
    Role role = Role::admin;  // the least that may call it
    std::span<const ParamSpec> params;
    std::string_view summary;
};

// [A-Za-z0-9][A-Za-z0-9._-]{0,31}
bool is_valid_name(std::string_view name);

// Checks `params` (an object) and fills in defaults. The failure's message is one line.
Outcome<void> check_params(const MethodSpec& method, nlohmann::json& params);

// The allowed values in words, as docs/rpc.md has them: "512..4096", "log|resync|none", "1..1024
// items".
std::string describe_range(const ParamSpec& param);

}  // namespace xsan::rpc
