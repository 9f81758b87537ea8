// Properties of the commands of `wear` and `events`: each means the call that docs/rpc.md describes,
// and what is wrong is refused in one line before anything is sent.
#include <string>
#include <vector>

#include "rpc/json_guard.h"
#include "support/catch.h"
#include "unit/rpc/words.h"
#include "xsanctl/command_line.h"

using namespace xsan;
using namespace xsan::ctl;
using namespace xsan::test;
using nlohmann::json;
using Action = Invocation::Action;

namespace {

Invocation wear_call(std::vector<std::string> words) {
    words.insert(words.begin(), "wear");
    return invocation_of(words);
}

void check_call(const Invocation& made, const char* method, const char* params) {
    CHECK(made.method == method);
    CHECK(made.params == *rpc::parse_json(params));
}

}  // namespace

TEST_CASE("commands of wear that take a pool alone mean the method of their name",
          "[rpc][xsanctl][wear]") {
    for (const char* name : {"show", "history", "policy", "start", "stop", "pause", "resume",
                             "balance", "plan", "predict"}) {
        const auto made = wear_call({name, "tank"});
        check_call(made, (std::string("wear.") + name).c_str(), R"({"pool":"tank"})");
        CHECK(made.action == Action::call);
        CHECK(!made.chart);
        usage_error({"wear", name});
        usage_error({"wear", name, "a/b"});
    }
}

TEST_CASE("wear shows bars on demand and again and again", "[rpc][xsanctl][wear]") {
    CHECK(wear_call({"show", "tank", "--chart"}).chart);
    const auto watch = wear_call({"watch", "tank"});
    check_call(watch, "wear.show", R"({"pool":"tank"})");
    CHECK(watch.action == Action::watch);
    CHECK(watch.chart);
    CHECK(watch.interval_seconds == 2);
    CHECK(watch.count == 0);
    const auto paced = wear_call({"watch", "tank", "--interval", "0.5", "--count", "3"});
    CHECK(paced.interval_seconds == 0.5);
    CHECK(paced.count == 3);
    for (const char* interval : {"0", "0.05", "-1", "nan", "inf", "x", "", "1s", "86401"}) {
        usage_error({"wear", "watch", "tank", "--interval", interval});
    }
    for (const char* count : {"0", "-1", "1.5", "x", "", "18446744073709551616"}) {
        usage_error({"wear", "watch", "tank", "--count", count});
    }
    usage_error({"wear", "show", "tank", "--interval", "1"});
}

TEST_CASE("wear history asks for one member and writes a chart", "[rpc][xsanctl][wear]") {
    check_call(wear_call({"history", "tank", "--member", "3"}), "wear.history",
               R"({"pool":"tank","member":"3"})");
    check_call(wear_call({"history", "tank", "--member", "disk"}), "wear.history",
               R"({"pool":"tank","member":"/home/me/disk"})");
    const auto chart = wear_call({"history", "tank", "--svg", "wear.svg"});
    CHECK(chart.action == Action::chart_history);
    CHECK(chart.file == "wear.svg");
    usage_error({"wear", "history", "tank", "--svg", ""});
    usage_error({"wear", "history", "tank", "--member", ""});
}

TEST_CASE("wear policy and wear reset change what they name", "[rpc][xsanctl][wear]") {
    check_call(wear_call({"policy", "tank", "staggered"}), "wear.policy",
               R"({"pool":"tank","policy":"staggered"})");
    check_call(wear_call({"reset", "tank"}), "wear.reset", R"({"pool":"tank","history":false})");
    check_call(wear_call({"reset", "tank", "--member", "3", "--history"}), "wear.reset",
               R"({"pool":"tank","member":"3","history":true})");
    usage_error({"wear", "policy", "tank", ""});
    usage_error({"wear", "policy", "tank", "a", "b"});
}

TEST_CASE("wear set passes settings on, and a member's endurance as bytes",
          "[rpc][xsanctl][wear]") {
    check_call(wear_call({"set", "tank", "spread_start=12", "schedule=22:00-06:00", "warn_at=80,90"}),
               "wear.set",
               R"({"pool":"tank","settings":["spread_start=12","schedule=22:00-06:00",
                   "warn_at=80,90"]})");
    const char* endurance = R"({"pool":"tank","member":"3","endurance_bytes":1649267441664000})";
    check_call(wear_call({"set", "tank", "--member", "3", "endurance=1500T"}), "wear.endurance",
               endurance);
    check_call(wear_call({"set", "tank", "endurance=1500T", "--member", "3"}), "wear.endurance",
               endurance);
    check_call(wear_call({"set", "tank", "endurance=0", "--member", "3"}), "wear.endurance",
               R"({"pool":"tank","member":"3","endurance_bytes":0})");
    CHECK(usage_error({"wear", "set", "tank", "gap"}) == "wear set: 'gap' is not KEY=VALUE");
    CHECK(usage_error({"wear", "set", "tank", "gap=1", "=2"}) == "wear set: '=2' is not KEY=VALUE");
    CHECK(usage_error({"wear", "set", "tank", "endurance=1T"}) ==
          "wear set: endurance is a member's: say which with --member");
    CHECK(usage_error({"wear", "set", "tank", "gap=1", "--member", "3"}) ==
          "wear set: with --member give endurance=SIZE and nothing else");
    usage_error({"wear", "set", "tank", "endurance=1T", "gap=1", "--member", "3"});
    CHECK(usage_error({"wear", "set", "tank", "endurance=much", "--member", "3"}).find("much") !=
          std::string::npos);
    usage_error({"wear", "set", "tank", "endurance=-1", "--member", "3"});
    usage_error({"wear", "set", "tank", "endurance=", "--member", "3"});
    usage_error({"wear", "set", "tank"});
    usage_error({"wear", "set", "tank", "--member", "3"});
}

TEST_CASE("wear predict asks for one threshold and checks it", "[rpc][xsanctl][wear]") {
    check_call(wear_call({"predict", "tank", "--threshold", "70"}), "wear.predict",
               R"({"pool":"tank","threshold":70})");
    CHECK(wear_call({"predict", "tank", "--check"}).action == Action::check_prediction);
    CHECK(!wear_call({"predict", "tank", "--check"}).within_days);
    const auto within = wear_call({"predict", "tank", "--within", "90"});
    CHECK(within.action == Action::check_prediction);
    CHECK(within.within_days == 90);
    check_call(within, "wear.predict", R"({"pool":"tank"})");
    CHECK(wear_call({"predict", "tank", "--check", "--within", "0.5"}).within_days == 0.5);
    for (const char* days : {"0", "-1", "x", "", "nan", "inf", "36501", "1d"}) {
        usage_error({"wear", "predict", "tank", "--within", days});
    }
    CHECK(usage_error({"wear", "predict", "tank", "--threshold", "101"}) ==
          "wear.predict: threshold: must be 1 to 100");
    for (const char* threshold : {"0", "-1", "80.5", "x", "", "80%"}) {
        usage_error({"wear", "predict", "tank", "--threshold", threshold});
    }
}

TEST_CASE("wear export knows its format by the file's ending", "[rpc][xsanctl][wear]") {
    const auto made = wear_call({"export", "tank", "out/w.json"});
    CHECK(made.action == Action::export_wear);
    CHECK(made.file == "out/w.json");
    CHECK(made.format == "json");
    CHECK(wear_call({"export", "tank", "w.csv"}).format == "csv");
    CHECK(wear_call({"export", "tank", "w.csv", "--format", "json"}).format == "json");
    CHECK(wear_call({"export", "tank", "w", "--format", "csv"}).format == "csv");
    CHECK(usage_error({"wear", "export", "tank", "w"}) ==
          "wear export: 'w' ends in neither .json nor .csv: say --format");
    CHECK(usage_error({"wear", "export", "tank", "w.csv", "--format", "xml"}) ==
          "wear export: --format 'xml' is not json or csv");
    CHECK(wear_call({"export", "tank", "w.csv"}).part == "history");
    for (const char* part : {"history", "members", "events"}) {
        CHECK(wear_call({"export", "tank", "w.csv", "--what", part}).part == part);
    }
    CHECK(usage_error({"wear", "export", "tank", "w.csv", "--what", "all"}) ==
          "wear export: --what 'all' is not history, members or events");
    CHECK(usage_error({"wear", "export", "tank", "w.json", "--what", "members"}) ==
          "wear export: --what is for CSV: as JSON everything is exported");
    usage_error({"wear", "export", "tank", "w.csv", "--what", ""});
    usage_error({"wear", "export", "tank", "w.csv", "--format", ""});
    usage_error({"wear", "export", "tank", ""});
    usage_error({"wear", "export", "tank"});
}

TEST_CASE("events lists the last ones, those since a number, or follows",
          "[rpc][xsanctl][wear]") {
    const auto made = parse({"events", "tank"});
    check_call(*made->invocation, "events", R"({"pool":"tank","count_max":256})");
    CHECK(made->invocation->action == Action::call);
    check_call(*parse({"events", "tank", "--since", "41"})->invocation, "events",
               R"({"pool":"tank","since":41,"count_max":4096})");
    const auto follows = parse({"events", "tank", "--follow", "--since", "0", "--json"});
    CHECK(follows->invocation->action == Action::follow_events);
    CHECK(follows->invocation->params["since"] == 0);
    CHECK(follows->invocation->wants_json);
    for (const char* since : {"-1", "x", "", "1.5", "9223372036854775808"}) {
        usage_error({"events", "tank", "--since", since});
    }
    usage_error({"events"});
}

TEST_CASE("wear needs one of its commands", "[rpc][xsanctl][wear]") {
    CHECK(usage_error({"wear"}).find("command is missing") != std::string::npos);
    CHECK(usage_error({"wear", "level", "tank"}).find("level") != std::string::npos);
}
