// The columns of each.
#include "xsanctl/wear/csv.h"

#include <fmt/format.h>

#include <span>
#include <vector>

#include "xsanctl/status.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;

// A column, and where an object of the answer has it: `inner` below `outer` where that is given.
struct CsvColumn {
    const char* title;
    const char* key;
    const char* outer = nullptr;
};

constexpr CsvColumn kMemberColumns[] = {
    {"member", "index"},
    {"serial", "serial"},
    {"uuid", "uuid"},
    {"path", "path"},
    {"model", "model"},
    {"state", "state"},
    {"wear", "wear"},
    {"source", "source"},
    {"endurance_bytes", "endurance_bytes"},
    {"endurance_origin", "endurance_origin"},
    {"bytes_per_point", "bytes_per_point"},
    {"since", "since"},
    {"writes", "writes"},
    {"written_bytes", "written_bytes"},
    {"reads", "reads"},
    {"read_bytes", "read_bytes"},
    {"write_amplification", "write_amplification"},
    {"rate_bytes", "rate_bytes"},
    {"rate_points_per_day", "rate_points_per_day"},
    {"threshold", "threshold"},
    {"days_to_threshold", "days_to_threshold"},
    {"days_earliest", "days_earliest"},
    {"days_latest", "days_latest"},
    {"fill", "fill"},
    {"used_bytes", "used_bytes"},
    {"size_bytes", "size_bytes"},
    {"reading_time", "time", "reading"},
    {"percentage_used", "percentage_used", "reading"},
    {"drive_written_bytes", "written_bytes", "reading"},
    {"spare_percent", "spare_percent", "reading"},
    {"spare_threshold_percent", "spare_threshold_percent", "reading"},
    {"media_errors", "media_errors", "reading"},
    {"temperature_celsius", "temperature_celsius", "reading"},
};
// Of an account, as wear.show has them; each gives two columns.
constexpr const char* kAccountKinds[] = {"data", "parity", "rebuild", "relocation", "zeros", "log", "metadata"};

constexpr CsvColumn kEventColumns[] = {{"number", "number"}, {"time", "time"}, {"kind", "kind"}, {"text", "text"}};

std::string value_text(const json& object, const char* key) {
    if (!object.is_object()) return {};
    const auto at = object.find(key);
    if (at == object.end() || at->is_null()) return {};
    return csv_field(text_of(object, key));
}

std::string titles_of(std::span<const CsvColumn> columns) {
    std::string line;
    for (const CsvColumn& column : columns) line += (line.empty() ? "" : ",") + std::string(column.title);
    return line;
}

std::string fields_of(const json& object, std::span<const CsvColumn> columns) {
    std::string line;
    for (const CsvColumn& column : columns) {
        if (&column != &columns.front()) line += ',';
        line += value_text(column.outer == nullptr ? object : object_of(object, column.outer), column.key);
    }
    return line;
}

}  // namespace

std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string members_csv(const json& shown) {
    std::string text = titles_of(kMemberColumns);
    for (const char* kind : kAccountKinds) text += fmt::format(",{0}_writes,{0}_bytes", kind);
    text += "\n";
    for (const auto& member : list_of(shown, "members")) {
        text += fields_of(member, kMemberColumns);
        const json& written = object_of(member, "written");
        for (const char* kind : kAccountKinds) {
            const json& of_kind = object_of(written, kind);
            text += "," + value_text(of_kind, "count") + "," + value_text(of_kind, "bytes");
        }
        text += "\n";
    }
    return text;
}

std::string events_csv(const json& events) {
    std::string text = titles_of(kEventColumns) + "\n";
    for (const auto& event : list_of(events, "events")) text += fields_of(event, kEventColumns) + "\n";
    return text;
}

}  // namespace xsan::ctl::wear
