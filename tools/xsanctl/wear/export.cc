// The format and the document of an export.
#include "xsanctl/wear/export.h"

#include <fmt/format.h>

#include "base/text.h"
#include "rpc/json_guard.h"

namespace xsan::ctl::wear {

using nlohmann::json;

Outcome<std::string> export_format(const std::string& format, const std::string& file) {
    if (file.empty()) return Failure(Errc::invalid_argument, "wear export: the file's name is empty");
    for (const char* known : {"json", "csv"}) {
        if (format == known || (format.empty() && file.ends_with(std::string(".") + known))) {
            return std::string(known);
        }
    }
    if (format.empty()) {
        return Failure(Errc::invalid_argument,
                       fmt::format("wear export: '{}' ends in neither .json nor .csv: say --format",
                                   quotable(file)));
    }
    return Failure(Errc::invalid_argument,
                   fmt::format("wear export: --format '{}' is not json or csv", quotable(format)));
}

Outcome<std::string> export_part(const std::optional<std::string>& part, const std::string& format) {
    if (!part) return std::string("history");
    if (format != "csv") {
        return Failure(Errc::invalid_argument, "wear export: --what is for CSV: as JSON everything is exported");
    }
    for (const char* known : {"history", "members", "events"}) {
        if (*part == known) return *part;
    }
    return Failure(Errc::invalid_argument, fmt::format("wear export: --what '{}' is not history, members or events",
                                                       quotable(*part)));
}

std::string export_json(const json& show, const json& history, const json& predict,
                        const json& events) {
    json document = json::object();
    document["show"] = show;
    document["history"] = history;
    document["predict"] = predict;
    document["events"] = events;
    return rpc::print_json(document) + "\n";
}

}  // namespace xsan::ctl::wear
