// Properties of exports as CSV.
#include "xsanctl/wear/csv.h"

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/rpc/wear_answers.h"

using namespace xsan;
using namespace xsan::ctl;
using nlohmann::json;
using xsan::test::answer_of;

namespace {

// Of a line of CSV without quotes.
std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == ',') {
            fields.emplace_back();
        } else {
            fields.back() += c;
        }
    }
    return fields;
}

}  // namespace

TEST_CASE("CSV has a header, a line for each point, and quotes what needs it",
          "[xsanctl][wear][csv]") {
    CHECK(wear::history_csv(answer_of(test::kHistory)) == "time,member,serial,wear\n"
                                                          "1795600000,0,xsan0,12.25\n"
                                                          "1795686400,0,xsan0,12.5\n"
                                                          "1795686400,3,\"a,\"\"b\"\"\",94.5\n");
    CHECK(wear::history_csv(answer_of("{}")) == "time,member,serial,wear\n");
}

TEST_CASE("members as CSV have a line each, as many fields as titles, and nothing for what is not known",
          "[xsanctl][wear][csv]") {
    const std::string text = wear::members_csv(answer_of(test::kShown));
    std::vector<std::map<std::string, std::string>> rows;
    std::istringstream lines(text);
    std::string line;
    REQUIRE(std::getline(lines, line));
    const std::vector<std::string> titles = fields_of(line);
    CHECK(titles[0] == "member");
    CHECK(std::set<std::string>(titles.begin(), titles.end()).size() == titles.size());
    while (std::getline(lines, line)) {
        const std::vector<std::string> fields = fields_of(line);
        REQUIRE(fields.size() == titles.size());
        auto& row = rows.emplace_back();
        for (std::size_t i = 0; i < fields.size(); i++) row[titles[i]] = fields[i];
    }
    REQUIRE(rows.size() == 2);
    auto& own = rows[0];
    CHECK(own["member"] == "0");
    CHECK(own["serial"] == "xsan0");
    CHECK(own["wear"] == "12.3");
    CHECK(own["source"] == "own");
    CHECK(std::stod(own["endurance_bytes"]) == 1.9791209299968e15);
    CHECK(own["endurance_origin"] == "assumed");
    CHECK(own["written_bytes"] == "107374182400");
    CHECK(own["write_amplification"] == "1.5");
    CHECK(own["data_writes"] == "1");
    CHECK(own["data_bytes"] == "4096");
    CHECK(own["metadata_bytes"] == "8192");
    CHECK(own["parity_bytes"].empty());
    CHECK(own["rate_points_per_day"].empty());
    CHECK(own["threshold"] == "80");
    CHECK(own["days_to_threshold"].empty());
    CHECK(own["percentage_used"].empty());
    auto& drive = rows[1];
    CHECK(drive["days_to_threshold"] == "258.2");
    CHECK(drive["percentage_used"] == "94");
    CHECK(drive["drive_written_bytes"].empty());
    CHECK(drive["media_errors"] == "2");
    CHECK(drive["write_amplification"].empty());
    CHECK(wear::members_csv(answer_of("{}")) == text.substr(0, text.find('\n') + 1));
}

TEST_CASE("events as CSV have a line each, and quotes what needs it", "[xsanctl][wear][csv]") {
    CHECK(wear::events_csv(answer_of(R"({"events":[
              {"number":41,"time":1795600000,"kind":"wear_settings","text":"gap=1, growth=2"},
              {"number":42,"time":1795600001,"kind":"wear_task","text":"say \"on\""}]})")) ==
          "number,time,kind,text\n"
          "41,1795600000,wear_settings,\"gap=1, growth=2\"\n"
          "42,1795600001,wear_task,\"say \"\"on\"\"\"\n");
    CHECK(wear::events_csv(answer_of("{}")) == "number,time,kind,text\n");
}
