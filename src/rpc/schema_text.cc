// A method's declaration in words, for `help` and docs/rpc.md.
#include <fmt/format.h>

#include "rpc/schema.h"

namespace xsan::rpc {

std::string_view role_name(Role role) {
    switch (role) {
        case Role::none: return "none";
        case Role::viewer: return "viewer";
        case Role::admin: return "admin";
    }
    return "unknown";
}

std::string_view param_type_name(ParamType type) {
    switch (type) {
        case ParamType::name: return "name";
        case ParamType::text: return "string";
        case ParamType::integer: return "integer";
        case ParamType::boolean: return "boolean";
        case ParamType::texts: return "array of strings";
    }
    return "unknown";
}

std::string describe_range(const ParamSpec& param) {
    switch (param.type) {
        case ParamType::name: return "[A-Za-z0-9][A-Za-z0-9._-]{0,31}";
        case ParamType::boolean: return "true, false";
        case ParamType::texts: return fmt::format("{} to {} items", param.least, param.most);
        case ParamType::text:
            if (param.choices.empty())
                return fmt::format("{} to {} bytes", param.least, param.most);
            break;
        case ParamType::integer:
            if (param.choices.empty()) return fmt::format("{} to {}", param.least, param.most);
            break;
    }
    std::string words;
    for (const char c : param.choices) words += c == '|' ? std::string(", ") : std::string(1, c);
    return words;
}

}  // namespace xsan::rpc
