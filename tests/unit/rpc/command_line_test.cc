// Properties of xsanctl's command line: every command means the call that docs/rpc.md describes.
#include "xsanctl/command_line.h"

#include <string>
#include <vector>

#include "rpc/json_guard.h"
#include "support/catch.h"
#include "unit/rpc/words.h"
#include "xsanctl/arguments.h"

using namespace xsan;
using namespace xsan::ctl;
using namespace xsan::test;
using nlohmann::json;

namespace {

json params_of(const char* text) { return *rpc::parse_json(text); }

}  // namespace

TEST_CASE("create passes every option on, in bytes and with absolute paths", "[rpc][xsanctl]") {
    const auto made =
        invocation_of({"create",  "tank",     "--scheme",    "4+2",     "--strip",       "64K",
                       "--block", "512",      "--extent",    "4M",      "--consistency", "resync",
                       "--spare", "/dev/a",   "--spare",     "b@rack1", "--volume",      "v",
                       "--size",  "1.5T",     "--no-attach", "--force", "/dev/nvme0n1",  "./c",
                       "mem:64M", "null:1G@x"});
    CHECK(made.method == "create");
    CHECK(made.params == params_of(R"({"name":"tank","scheme":"4+2","strip_bytes":65536,
        "block_bytes":512,"extent_bytes":4194304,"consistency":"resync",
        "spares":["/dev/a","/home/me/b@rack1"],"volume":"v","size_bytes":1649267441664,
        "attach":false,"force":true,
        "devices":["/dev/nvme0n1","/home/me/c","mem:64M","null:1G@x"]})"));
    const auto plain = invocation_of({"create", "tank", "--scheme", "raid6", "/dev/a", "/dev/b"});
    CHECK(plain.params == params_of(R"({"name":"tank","scheme":"raid6","spares":[],"volume":"data",
        "attach":true,"force":false,"devices":["/dev/a","/dev/b"]})"));
}

TEST_CASE("a spare takes one drive and leaves the others to be members", "[rpc][xsanctl]") {
    const auto made =
        invocation_of({"create", "t", "--scheme", "2+1", "--spare", "/dev/s", "/dev/a", "/dev/b"});
    CHECK(made.params["spares"] == json::array({"/dev/s"}));
    CHECK(made.params["devices"] == json::array({"/dev/a", "/dev/b"}));
}

TEST_CASE("pools and volumes may be called like commands", "[rpc][xsanctl]") {
    CHECK(invocation_of({"show", "list"}).params["pool"] == "list");
    CHECK(invocation_of({"add", "show", "/dev/a", "stop"}).params["devices"].size() == 2);
    CHECK(invocation_of({"volume", "delete", "volume", "attach"}).params["name"] == "attach");
}

TEST_CASE("assemble tells pools from drives and scans when no drive is given", "[rpc][xsanctl]") {
    CHECK(invocation_of({"assemble"}).params ==
          params_of(R"({"scan":true,"devices":[],"accept_missing":false})"));
    CHECK(invocation_of({"assemble", "tank", "--accept-missing"}).params ==
          params_of(R"({"pool":"tank","scan":true,"devices":[],"accept_missing":true})"));
    CHECK(invocation_of({"assemble", "tank", "/dev/a", "b"}).params ==
          params_of(R"({"pool":"tank","scan":false,"devices":["/dev/a","/home/me/b"],
                        "accept_missing":false})"));
    CHECK(invocation_of({"assemble", "./a"}).params["devices"] == json::array({"/home/me/a"}));
    CHECK(!usage_error({"assemble", "--scan", "/dev/a"}).empty());
}

TEST_CASE("members are named by path, UUID or index", "[rpc][xsanctl]") {
    const std::string uuid = "0b5c3f2e-91d4-4b6a-8a53-0f3b6c1d2e4f";
    CHECK(invocation_of({"fail", "t", "3"}).params["device"] == "3");
    CHECK(invocation_of({"fail", "t", uuid}).params["device"] == uuid);
    CHECK(invocation_of({"fail", "t", "disk3"}).params["device"] == "/home/me/disk3");
    CHECK(invocation_of({"replace", "t", "3", "d"}).params ==
          params_of(R"({"pool":"t","old":"3","new":"/home/me/d","force":false})"));
}

TEST_CASE("relocate and rebuild --group name one group by its number", "[rpc][xsanctl]") {
    const auto moves = invocation_of({"relocate", "t", "12", "3", "d"});
    CHECK(moves.method == "relocate");
    CHECK(moves.params == params_of(R"({"pool":"t","group":12,"from":"3","to":"/home/me/d"})"));
    const auto rebuilds = invocation_of({"rebuild", "t", "--group", "0"});
    CHECK(rebuilds.method == "rebuild.group");
    CHECK(rebuilds.params == params_of(R"({"pool":"t","group":0})"));
    for (const char* group : {"", "x", "-1", "1.5", "4294967296", "0x1"}) {
        CAPTURE(group);
        CHECK(!usage_error({"relocate", "t", group, "3", "4"}).empty());
        CHECK(!usage_error({"rebuild", "t", "--group", group}).empty());
    }
    CHECK(!usage_error({"relocate", "t", "1", "3"}).empty());
    CHECK(!usage_error({"rebuild", "t", "pause", "--group", "1"}).empty());
    CHECK(!usage_error({"rebuild", "t", "--group", "1", "--rate-max", "1M"}).empty());
}

TEST_CASE("jobs default to their start and wait polls the status", "[rpc][xsanctl]") {
    CHECK(invocation_of({"rebuild", "t"}).method == "rebuild.start");
    CHECK(invocation_of({"rebuild", "t", "pause"}).method == "rebuild.pause");
    const auto limited = invocation_of({"rebuild", "t", "--rate-max", "100M"});
    CHECK(limited.params == params_of(R"({"pool":"t","rate_max_bytes":104857600})"));
    const auto waits = invocation_of({"rebuild", "t", "wait"});
    CHECK(waits.method == "rebuild.status");
    CHECK(waits.action == Invocation::Action::wait_rebuild);
    CHECK(invocation_of({"scrub", "t"}).method == "scrub.check");
    CHECK(invocation_of({"scrub", "t", "wait"}).action == Invocation::Action::wait_scrub);
    const std::vector<std::string> rate{"--rate-max", "--rate"};
    for (const auto& option : rate) {
        const auto paced = invocation_of({"scrub", "t", "resume", option, "1M"});
        CHECK(paced.method == "scrub.resume");
        CHECK(paced.params == params_of(R"({"pool":"t","rate_max_bytes":1048576})"));
    }
    CHECK(!usage_error({"rebuild", "t", "wait", "--rate-max", "1M"}).empty());
    CHECK(!usage_error({"scrub", "t", "status", "--rate-max", "1M"}).empty());
    CHECK(!usage_error({"rebuild", "t", "hurry"}).empty());
}

TEST_CASE("volumes are created, resized and listed", "[rpc][xsanctl]") {
    CHECK(invocation_of({"volume", "create", "t", "v", "--size", "10G", "--scheme", "2+1",
                         "--strip", "16K", "--no-attach"})
              .params == params_of(R"({"pool":"t","name":"v","scheme":"2+1","attach":false,
                                       "size_bytes":10737418240,"strip_bytes":16384})"));
    const json resized = params_of(R"({"pool":"t","name":"v","size_bytes":1073741824})");
    CHECK(invocation_of({"volume", "resize", "t", "v", "1G"}).params == resized);
    CHECK(invocation_of({"volume", "resize", "t", "v", "--size", "1G"}).params == resized);
    CHECK(invocation_of({"volume", "list", "t"}).method == "volume.list");
    CHECK(!usage_error({"volume", "resize", "t", "v"}).empty());
}

TEST_CASE("global options stand before or behind the command", "[rpc][xsanctl]") {
    for (const auto& words : {std::vector<std::string>{"--json", "--socket", "/s", "list"},
                              std::vector<std::string>{"list", "--socket", "/s", "--json"},
                              std::vector<std::string>{"volume", "list", "t", "--json", "--socket",
                                                       "/s"}}) {
        const auto made = invocation_of(words);
        CHECK(made.wants_json);
        CHECK(made.socket == "/s");
    }
}

TEST_CASE("usage errors are one line that names the fault", "[rpc][xsanctl]") {
    CHECK(usage_error({}).find("command is missing") != std::string::npos);
    CHECK(usage_error({"volume"}).find("command is missing") != std::string::npos);
    CHECK(usage_error({"frobnicate"}).find("frobnicate") != std::string::npos);
    CHECK(usage_error({"list", "--nosuch"}).find("--nosuch") != std::string::npos);
    CHECK(usage_error({"create", "t", "--scheme", "4+2"}).find("DEV") != std::string::npos);
    CHECK(usage_error({"create", "t", "/dev/a"}).find("--scheme") != std::string::npos);
    CHECK(usage_error({"create", "t", "--scheme", "4+2", "--size", "9Q", "a"}).find("9Q") !=
          std::string::npos);
    CHECK(usage_error({"show", "a/b"}).find("'a/b' is not a name") != std::string::npos);
    CHECK(usage_error({"show", ""}).find("must not be empty") != std::string::npos);
    CHECK(usage_error({"destroy", "t"}).find("--yes") != std::string::npos);
    CHECK(parse({"--help"})->text.find("create") != std::string::npos);
    CHECK(parse({"create", "--help"})->text.find("--scheme") != std::string::npos);
}
