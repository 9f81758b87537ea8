// Checking parameters against their declaration.
#include "rpc/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/text.h"
#include "rpc/json_guard.h"

namespace xsan::rpc {
namespace {

using nlohmann::json;

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

bool is_choice(std::string_view choices, std::string_view value) {
    while (!choices.empty()) {
        const auto bar = choices.find('|');
        if (choices.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) break;
        choices.remove_prefix(bar + 1);
    }
    return false;
}

// What is wrong with a string of so many bytes, or nothing.
std::string text_problem(const json& value, std::int64_t least, std::int64_t most) {
    if (!value.is_string()) return "must be a string";
    const auto& text = value.get_ref<const std::string&>();
    const auto bytes = static_cast<std::int64_t>(text.size());
    if (bytes == 0 && least > 0) return "must not be empty";
    if (bytes < least || bytes > most) return fmt::format("must have {} to {} bytes", least, most);
    if (has_control_character(text)) return "must not contain control characters";
    return {};
}

std::string name_problem(const json& value) {
    if (!value.is_string()) return "must be a string";
    const auto& name = value.get_ref<const std::string&>();
    if (is_valid_name(name)) return {};
    if (name.empty()) return "a name must not be empty";
    if (name.size() > 32) return "a name has at most 32 characters";
    return fmt::format("'{}' is not a name: use letters, digits, '.', '_' and '-', "
                       "beginning with a letter or digit",
                       has_control_character(name) ? std::string("...") : name);
}

std::string integer_problem(const json& value, const ParamSpec& spec) {
    if (!value.is_number_integer()) return "must be an integer";
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > kMost;
    const std::int64_t number = huge ? 0 : value.get<std::int64_t>();
    if (huge || number < spec.least || number > spec.most) {
        return fmt::format("must be {} to {}", spec.least, spec.most);
    }
    if (!spec.choices.empty() && !is_choice(spec.choices, fmt::format("{}", number))) {
        return fmt::format("must be one of {}", spec.choices);
    }
    return {};
}

std::string texts_problem(const json& value, const ParamSpec& spec) {
    if (!value.is_array()) return "must be an array of strings";
    const auto count = static_cast<std::int64_t>(value.size());
    if (count < spec.least || count > spec.most) {
        return fmt::format("must have {} to {} items", spec.least, spec.most);
    }
    for (std::size_t i = 0; i < value.size(); i++) {
        std::string problem = text_problem(value[i], 1, kTextBytesMax);
        if (!problem.empty()) return fmt::format("item {} {}", i, problem);
    }
    return {};
}

std::string find_problem(const json& value, const ParamSpec& spec) {
    switch (spec.type) {
        case ParamType::name: return name_problem(value);
        case ParamType::integer: return integer_problem(value, spec);
        case ParamType::boolean: return value.is_boolean() ? "" : "must be true or false";
        case ParamType::texts: return texts_problem(value, spec);
        case ParamType::text: {
            std::string problem = text_problem(value, spec.least, spec.most);
            if (!problem.empty() || spec.choices.empty()) return problem;
            if (is_choice(spec.choices, value.get_ref<const std::string&>())) return {};
            return fmt::format("must be one of {}", spec.choices);
        }
    }
    XSAN_UNREACHABLE("parameter type");
}

Failure refuse(const MethodSpec& method, std::string_view param, std::string_view problem) {
    return {Errc::invalid_argument, fmt::format("{}: {}: {}", method.name, param, problem)};
}

}  // namespace

bool is_valid_name(std::string_view name) {
    if (name.empty() || name.size() > 32 || !is_alphanumeric(name.front())) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
    });
}

Outcome<void> check_params(const MethodSpec& method, json& params) {
    XSAN_ASSERT(params.is_object());
    for (const auto& item : params.items()) {
        const std::string& key = item.key();
        const auto spec = std::find_if(method.params.begin(), method.params.end(),
                                       [&](const ParamSpec& p) { return p.name == key; });
        if (spec == method.params.end()) {
            return refuse(method, fmt::format("'{}'", quotable(key)), "unknown parameter");
        }
        const std::string problem = find_problem(item.value(), *spec);
        if (!problem.empty()) return refuse(method, spec->name, problem);
    }
    for (const auto& spec : method.params) {
        if (params.contains(spec.name)) continue;
        if (spec.required) return refuse(method, spec.name, "required and missing");
        if (spec.fallback.empty()) continue;
        auto fallback = parse_json(spec.fallback);
        XSAN_ASSERT(fallback.has_value());
        params[std::string(spec.name)] = std::move(fallback).value();
    }
    return {};
}

}  // namespace xsan::rpc
