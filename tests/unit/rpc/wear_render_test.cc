// Properties of what people see of wear: tables, CSV, the verdict of a check.
#include "xsanctl/wear/render.h"

#include <string>

#include "rpc/methods.h"
#include "support/catch.h"
#include "unit/rpc/wear_answers.h"
#include "xsanctl/render.h"
#include "xsanctl/wear/csv.h"
#include "xsanctl/wear/export.h"
#include "xsanctl/wear/words.h"

using namespace xsan;
using namespace xsan::ctl;
using nlohmann::json;
using xsan::test::answer_of;

namespace {

bool has(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    UNSCOPED_INFO("no '" << part << "' in:\n" << text);
    return false;
}

}  // namespace

TEST_CASE("cells have units and a dash for what is not known", "[xsanctl][wear][render]") {
    using namespace xsan::ctl::wear;
    CHECK(time_text(0) == "1970-01-01T00:00:00Z");
    CHECK(time_text(1709210096) == "2024-02-29T12:34:56Z");
    CHECK(time_text(253402300799) == "9999-12-31T23:59:59Z");
    CHECK(time_text(253402300800) == "253402300800");
    CHECK(time_text(-1) == "-1");
    const json numbers = {{"zero", 0},    {"small", 1000},    {"k", 1536},       {"big", 1.9791209299968e15},
                          {"minus", -1},  {"null", nullptr},  {"text", "1"},     {"latency", 210400},
                          {"slow", 3.4e6}, {"part", 0.123},   {"huge", UINT64_MAX}};
    CHECK(amount_of(numbers, "zero") == "0");
    CHECK(amount_of(numbers, "small") == "1000");
    CHECK(amount_of(numbers, "k") == "1.5K");
    CHECK(amount_of(numbers, "big") == "1800T");
    CHECK(amount_of(numbers, "minus") == "-");
    CHECK(amount_of(numbers, "text") == "-");
    CHECK(time_of(numbers, "huge") == "9000000000000000");
    CHECK(latency_of(numbers, "latency") == "210 us");
    CHECK(latency_of(numbers, "slow") == "3.4 ms");
    CHECK(percent_of(numbers, "part") == "12");
    for (const char* key : {"null", "absent", "text"}) {
        CHECK(time_of(numbers, key) == "-");
        CHECK(points_of(numbers, key, 1) == "-");
        CHECK(percent_of(numbers, key) == "-");
        CHECK(latency_of(numbers, key) == "-");
    }
    CHECK(days_text(0.25) == "0.2 d");
    CHECK(days_text(120.4) == "120 d");
    CHECK(days_text(9000) == "25 y");
}

TEST_CASE("wear show tells what is in force and has a line for each member",
          "[xsanctl][wear][render]") {
    View view;
    const std::string text = ctl::render("wear.show", answer_of(test::kShown), view);
    CHECK(has(text, "pool tank  wear at 2026-11-25T09:46:40Z\n  policy       adaptive\n"));
    CHECK(has(text, "waiting, schedule 22:00-06:00, last plan 2026-11-25T09:46:40Z, levels wear\n"));
    CHECK(has(text, "3 waiting, 2 running, 120 done, 1 failed; 120G moved, at most 200M/s\n"));
    CHECK(has(text, "210 us, - while nothing moves\n"));
    CHECK(has(text, "12.3 to 94.5 points, mean 53.4, deviation 41.1, cv 0.770, max/min 7.68\n"));
    CHECK(has(text, "0.0 to 85.0 %, mean 50.0, deviation 40.0, cv 0.800, max/min -\n"));
    CHECK(has(text, "90G by users, 1.52 times as much to members\n"));
    CHECK(has(text, "hot groups   17 (1M/s), 3 (1K/s)\n"));
    CHECK(has(text, "  0  /dev/nvme0n1  xsan0   in_sync  12.3  own       1800T?     100G  1.50  1M/s        -"
                    "             -       0    1T\n"));
    CHECK(has(text, "  3  /dev/nvme3n1  xsan3   in_sync  94.5  drive         1T     1.5K     -     -    0.021"
                    "  100 in 258 d      85    1T  not healthy, slow, spare 5 %, 2 media errors\n"));
    CHECK(text.find('#') == text.find("#  PATH"));
    view.chart = true;
    CHECK(has(ctl::render("wear.show", answer_of(test::kShown), view), "94.5  over 90\n"));
}

TEST_CASE("settings are wrapped where the terminal ends", "[xsanctl][wear][render]") {
    View view;
    view.width = 50;
    const std::string text = ctl::render("wear.show", answer_of(test::kShown), view);
    CHECK(has(text, "  settings     rate_max 209715200,\n"
                    "               schedule 22:00-06:00,\n"
                    "               spread_start 3, warn_at 80,90\n"));
}

TEST_CASE("history is a column for each member, or a line for each point where those do not fit",
          "[xsanctl][wear][render]") {
    const json history = answer_of(test::kHistory);
    CHECK(ctl::render("wear.history", history) ==
          "TIME                    #0    #3\n"
          "2026-11-25T09:46:40Z  12.2     -\n"
          "2026-11-26T09:46:40Z  12.5  94.5\n");
    View narrow;
    narrow.width = 30;
    CHECK(ctl::render("wear.history", history, narrow) ==
          "#  SERIAL  TIME                  WEAR\n"
          "0  xsan0   2026-11-25T09:46:40Z  12.2\n"
          "0  xsan0   2026-11-26T09:46:40Z  12.5\n"
          "3  a,\"b\"   2026-11-26T09:46:40Z  94.5\n");
    CHECK(ctl::render("wear.history", answer_of(R"({"members":[{"index":0,"points":[]}]})")) ==
          "no history yet\n");
}

TEST_CASE("a plan lists its moves and what they write", "[xsanctl][wear][render]") {
    const json plan = answer_of(test::kPlan);
    CHECK(ctl::render("wear.plan", plan) ==
          "spread 12.4, predicted 9.1; wear is to be levelled\n"
          "GROUP  SLOT  FROM  TO  REASON    GAIN\n"
          "   17     1     3   6  wear       3.2\n"
          " 1017     0     3  16  capacity   0.0\n"
          "2 moves would write 1G\n");
    CHECK(has(ctl::render("wear.balance", plan), "2 moves have begun and write 1G\n"));
    CHECK(
        ctl::render("wear.plan", answer_of(R"({"levels_wear":false,"spread":1,"spread_predicted":1,
                                            "moves":[],"bytes":0})")) ==
        "spread 1.0, predicted 1.0; wear is level enough\nnothing to move\n");
}

TEST_CASE("a prediction has days with their bounds, and tells never from not known",
          "[xsanctl][wear][render]") {
    const std::string text = ctl::render("wear.predict", test::prediction(0));
    CHECK(has(text, "80 POINTS"));
    CHECK(has(text, "0.020 (0.010 to 0.030)  475 d (317 d to 950 d)  975 d (650 d to never)\n"));
    CHECK(has(text, "0  /dev/nvme0n1  xsan0   12.3                       -                       -"
                    "                       -\n"));
    CHECK(has(ctl::render("wear.predict", test::prediction(80)), "reached"));
    CHECK(
        has(ctl::render("wear.predict", test::prediction(80)), "a member has reached 80 points\n"));
    json still = test::prediction(0);
    for (auto& one : still["members"][1]["thresholds"]) {
        one["days"] = nullptr;
        one["days_latest"] = nullptr;
    }
    CHECK(has(ctl::render("wear.predict", still), "never (317 d at the earliest)"));
    for (auto& one : still["members"][1]["thresholds"]) one["days_earliest"] = nullptr;
    CHECK(has(ctl::render("wear.predict", still), "  never      never\n"));
}

TEST_CASE("a check tells the first threshold from the last", "[xsanctl][wear][render]") {
    using wear::Check;
    using wear::check_prediction;
    CHECK(check_prediction(test::prediction(0)) == Check::none);
    CHECK(check_prediction(test::prediction(80)) == Check::first);
    CHECK(check_prediction(test::prediction(90)) == Check::last);
    const auto check_of = [](const char* text) { return check_prediction(answer_of(text)); };
    CHECK(check_of(R"({"thresholds":[60,70,80],"worst_reached":70})") == Check::first);
    CHECK(check_of(R"({"thresholds":[60],"worst_reached":60})") == Check::last);
    CHECK(check_of(R"({"thresholds":[60],"worst_reached":null})") == Check::none);
    CHECK(check_of(R"({"thresholds":[],"worst_reached":90})") == Check::none);
    // What a member says is believed also where the sum is absent.
    CHECK(check_of(R"({"thresholds":[60,70],"members":[{"thresholds":[
                       {"threshold":60,"reached":true}]}]})") == Check::first);
}

TEST_CASE("a check for what is foreseen looks at the first threshold that comes", "[xsanctl][wear][render]") {
    using wear::Check;
    using wear::check_prediction;
    const json calm = test::prediction(0);  // 80 points in 475 days, 90 in 975
    const auto next = wear::next_foreseen(calm);
    REQUIRE(next);
    CHECK(next->member == "3 (xsan3)");
    CHECK(next->threshold == 80);
    CHECK(next->days == 475);
    CHECK(check_prediction(calm, 474.9) == Check::none);
    CHECK(check_prediction(calm, 475) == Check::foreseen);
    // What is reached comes first, and is not foreseen any more.
    CHECK(check_prediction(test::prediction(80), 1000) == Check::first);
    CHECK(check_prediction(test::prediction(90), 1000) == Check::last);
    CHECK(!wear::next_foreseen(test::prediction(90)));
    json silent = calm;
    for (auto& one : silent["members"][1]["thresholds"]) one["days"] = nullptr;
    CHECK(check_prediction(silent, 36500) == Check::none);
    CHECK(!wear::next_foreseen(answer_of("{}")));
}

TEST_CASE("what changes something says what holds now", "[xsanctl][wear][render]") {
    CHECK(
        ctl::render("wear.policy", answer_of(R"({"policy":"load","policies":["load","mixed"]})")) ==
        "policy load (others: mixed)\n");
    CHECK(ctl::render("wear.set", answer_of(R"({"settings":{"gap":5,"warn_at":"80,90"}})")) ==
          "SETTING  VALUE\ngap      5\nwarn_at  80,90\n");
    CHECK(ctl::render("wear.endurance", answer_of(R"({"index":3,"endurance_bytes":1099511627776,
              "endurance_origin":"configured"})")) == "member 3 is rated for 1T (configured)\n");
    CHECK(ctl::render("wear.reset", answer_of(R"({"members":[0,3]})")) ==
          "the accounts of members 0 3 begin anew\n");
    for (const char* method : {"wear.start", "wear.stop", "wear.pause", "wear.resume"}) {
        CHECK(ctl::render(method, answer_of(R"({"task":{"state":"paused","schedule":"always",
                  "moves_waiting":3,"moves_running":0}})")) ==
              "wear leveling is paused, schedule always; 3 moves waiting, 0 running\n");
    }
}

TEST_CASE("an export is one document of all answers", "[xsanctl][wear][render]") {
    const std::string text = wear::export_json(1, 2, 3, 4);
    CHECK(text.ends_with("}\n"));
    CHECK(answer_of(text.c_str()) ==
          answer_of(R"({"show":1,"history":2,"predict":3,"events":4})"));
}

TEST_CASE("answers of unexpected shape are shown as far as they go", "[xsanctl][wear][render]") {
    View view;
    view.chart = true;
    for (const auto& method : rpc::methods()) {
        if (!method.name.starts_with("wear.") && method.name != "events") continue;
        for (const char* result :
             {"null", "[]", "{}", "7", R"({"members":7,"task":[],"settings":"x","moves":{}})",
              R"({"members":[null,{},[],{"index":"x","wear":"y","reading":7,"points":[1,{}]}],
                  "moves":[3],"events":[{},null,{"number":"x","time":1e300}],"hottest":[0],
                  "thresholds":[null,"x",80],"policies":[1],"wear":3,"settings":{"warn_at":{}}})"}) {
            CAPTURE(method.name, result);
            CHECK_NOTHROW(ctl::render(method.name, answer_of(result), view));
            CHECK_NOTHROW(wear::history_csv(answer_of(result)));
            CHECK_NOTHROW(wear::history_svg(answer_of(result)));
            CHECK_NOTHROW(wear::members_csv(answer_of(result)));
            CHECK_NOTHROW(wear::events_csv(answer_of(result)));
            CHECK_NOTHROW(wear::check_prediction(answer_of(result), 30));
        }
    }
}
