// Answers of the daemon as CSV (RFC 4180, but lines end in LF): a header, then a line for each of what there is.
// Functions of values; what an answer lacks, and null, is an empty field.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace xsan::ctl::wear {

// A field, quoted where it must be.
std::string csv_field(const std::string& text);

// wear.history: "time,member,serial,wear", a line for each point.
std::string history_csv(const nlohmann::json& history);
// wear.show: the members' accounts, a line for each member.
std::string members_csv(const nlohmann::json& shown);
// events: "number,time,kind,text".
std::string events_csv(const nlohmann::json& events);

}  // namespace xsan::ctl::wear
