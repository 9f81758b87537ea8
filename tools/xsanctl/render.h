// Results as text for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace xsan::ctl {

// The text of a method's result, with its newlines; empty when there is nothing to say.
std::string render(std::string_view method, const nlohmann::json& result);

}  // namespace xsan::ctl
