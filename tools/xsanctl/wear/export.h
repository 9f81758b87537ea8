// What `wear export` writes. Functions of values.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace xsan::ctl::wear {

// "json" or "csv": what was asked for, or by the file's ending where `format` is empty.
// Errors: invalid_argument (usage), one line.
Outcome<std::string> export_format(const std::string& format, const std::string& file);

// What of it a CSV has: "history", "members" or "events", as was asked for, "history" where nothing was. JSON has
// everything: to ask for a part of it is refused. Errors: invalid_argument (usage), one line.
Outcome<std::string> export_part(const std::optional<std::string>& part, const std::string& format);

// The document {"show", "history", "predict", "events"}, with its newline.
std::string export_json(const nlohmann::json& show, const nlohmann::json& history,
                        const nlohmann::json& predict, const nlohmann::json& events);

}  // namespace xsan::ctl::wear
