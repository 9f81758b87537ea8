// Values of answers that may be absent: null instead.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace xsan::daemon {

template <class T>
nlohmann::json value_or_null(const std::optional<T>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

inline nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

}  // namespace xsan::daemon
