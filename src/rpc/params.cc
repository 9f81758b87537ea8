// Typed access to checked parameters.
#include "rpc/params.h"

#include "base/assert.h"

namespace xsan::rpc {

using nlohmann::json;

const json* Params::find(std::string_view name) const {
    const auto at = object_->find(name);
    return at == object_->end() ? nullptr : &*at;
}

const json& Params::require(std::string_view name) const {
    const json* value = find(name);
    XSAN_ASSERT(value != nullptr);
    return *value;
}

std::string Params::text(std::string_view name) const {
    const json& value = require(name);
    XSAN_ASSERT(value.is_string());
    return value.get<std::string>();
}

std::uint64_t Params::size(std::string_view name) const {
    const json& value = require(name);
    XSAN_ASSERT(value.is_number_integer() && value.get<std::int64_t>() >= 0);
    return value.get<std::uint64_t>();
}

bool Params::flag(std::string_view name) const {
    const json& value = require(name);
    XSAN_ASSERT(value.is_boolean());
    return value.get<bool>();
}

std::vector<std::string> Params::texts(std::string_view name) const {
    const json& value = require(name);
    XSAN_ASSERT(value.is_array());
    std::vector<std::string> items;
    for (const auto& item : value) {
        XSAN_ASSERT(item.is_string());
        items.push_back(item.get<std::string>());
    }
    return items;
}

std::optional<std::string> Params::maybe_text(std::string_view name) const {
    if (!has(name)) return std::nullopt;
    return text(name);
}

std::optional<std::uint64_t> Params::maybe_size(std::string_view name) const {
    if (!has(name)) return std::nullopt;
    return size(name);
}

}  // namespace xsan::rpc
