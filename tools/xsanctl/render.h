// Results as text for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace xsan::ctl {

// What the text is shown on.
struct View {
    std::size_t width = 80;  // columns
    bool unicode = false;    // block characters may be used
    bool chart = false;      // bars are wanted where there are some (wear.show)
};

// The text of a method's result, with its newlines; empty when there is nothing to say.
std::string render(std::string_view method, const nlohmann::json& result, const View& view = {});

}  // namespace xsan::ctl
