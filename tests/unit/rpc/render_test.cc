// Properties of what people see: tables line up, absent fields show as a dash, waits end when they
// should.
#include "xsanctl/render.h"

#include <string>

#include "rpc/json_guard.h"
#include "support/catch.h"
#include "xsanctl/status.h"
#include "xsanctl/table.h"

using namespace xsan;
using namespace xsan::ctl;
using nlohmann::json;
using End = JobView::End;

namespace {

json parsed(const char* text) {
    auto value = rpc::parse_json(text);
    if (!value) FAIL(value.error().message);
    return std::move(value).value();
}

}  // namespace

TEST_CASE("columns line up and numbers stand to the right", "[rpc][xsanctl]") {
    Table table({{"NAME"}, {"SIZE", true}, {"STATE"}});
    table.add_row({"a", "1G", "online"});
    table.add_row({"longer", "512K", "-"});
    CHECK(table.print(" ") == " NAME    SIZE  STATE\n a         1G  online\n longer  512K  -\n");
}

TEST_CASE("bars stay in their frame and times are short", "[rpc][xsanctl]") {
    CHECK(progress_bar(0, 4) == "[----]");
    CHECK(progress_bar(50, 4) == "[##--]");
    CHECK(progress_bar(100, 4) == "[####]");
    CHECK(progress_bar(-5, 4) == "[----]");
    CHECK(progress_bar(1e9, 4) == "[####]");
    CHECK(format_seconds(42) == "0:42");
    CHECK(format_seconds(725) == "12:05");
    CHECK(format_seconds(11'220) == "3:07:00");
}

TEST_CASE("show lists members, volumes and jobs", "[rpc][xsanctl]") {
    const std::string text = render("show", parsed(R"({"name":"tank","uuid":"u","state":"degraded",
        "consistency":"resync","atomic_bytes":4096,
        "members":[{"index":0,"uuid":"m0","path":"/dev/nvme0n1","serial":"xsan0","state":"in_sync",
                    "used_bytes":1073741824,"size_bytes":10737418240},
                   {"index":1,"uuid":"m1","path":null,"serial":"xsan1","state":"missing",
                    "used_bytes":null,"size_bytes":10737418240}],
        "volumes":[{"name":"data","scheme":"4+2","device":"/dev/ublkb0","size_bytes":1073741824,
                    "mapped_bytes":0,"state":"degraded"}],
        "jobs":[{"kind":"rebuild","state":"running","percent":52.4,"rate_bytes":104857600,
                 "eta_seconds":12}]})"));
    CHECK(text.find("pool tank  degraded\n") == 0);
    CHECK(text.find("  0  /dev/nvme0n1  xsan0   in_sync    1G   10G\n") != std::string::npos);
    CHECK(text.find("  1  -             xsan1   missing     -   10G\n") != std::string::npos);
    CHECK(text.find("data  4+2     /dev/ublkb0  degraded") != std::string::npos);
    CHECK(text.find("rebuild  running  [############------------]  52  100M/s  eta 0:12\n") !=
          std::string::npos);
}

TEST_CASE("a group is shown with where it is and where it goes", "[rpc][xsanctl]") {
    const char* group = R"({"group":3,"scheme":"2+1","state":"relocating","strips":[
        {"member":0,"state":"ok","to":null},{"member":2,"state":"ok","to":7},{"member":4,"state":"lost","to":null}]})";
    CHECK(render("relocate", parsed(group)) ==
          "group 3  2+1  relocating  on members 0 2 4(lost)\n  from member 2 to member 7\n");
}

TEST_CASE("create prints the block device and nothing else", "[rpc][xsanctl]") {
    CHECK(render("create", parsed(R"({"pool":{"name":"t"},"device":"/dev/ublkb3"})")) ==
          "/dev/ublkb3\n");
    CHECK(render("create", parsed(R"({"pool":{"name":"t"},"device":null})")).empty());
    CHECK(render("stop", parsed("{}")).empty());
}

TEST_CASE("results of unexpected shape are shown as far as they go", "[rpc][xsanctl]") {
    for (const char* method : {"list", "show", "assemble", "relocate", "rebuild.group", "rebuild.status",
                               "scrub.status", "volume.list", "create", "stop"}) {
        for (const char* result :
             {"null", "[]", "{}", "7", R"({"pools":7,"jobs":{},"members":[1]})",
              R"({"pools":[null,{}],"jobs":[[]],"volumes":[""]})"}) {
            CHECK_NOTHROW(render(method, parsed(result)));
            CHECK_NOTHROW(view_rebuild(parsed(result)));
            CHECK_NOTHROW(view_scrub(parsed(result)));
        }
    }
}

TEST_CASE("a wait for a rebuild ends when nothing is left, or when nothing can go on",
          "[rpc][xsanctl]") {
    const auto end_of = [](const char* text) { return view_rebuild(parsed(text)).end; };
    CHECK(end_of(R"({"jobs":[],"pending_groups":0,"unplaced_groups":0})") == End::done);
    CHECK(end_of(R"({"jobs":[{"kind":"rebuild","state":"running"}],"pending_groups":0,
                     "unplaced_groups":0})") == End::running);
    CHECK(end_of(R"({"jobs":[{"kind":"rebuild","state":"paused"}],"pending_groups":3,
                     "unplaced_groups":3})") == End::running);
    CHECK(end_of(R"({"jobs":[],"pending_groups":5,"unplaced_groups":0})") == End::running);
    CHECK(end_of(R"({"jobs":[],"pending_groups":2,"unplaced_groups":5})") == End::running);
    CHECK(end_of(R"({"jobs":[],"pending_groups":0,"unplaced_groups":0,"failed_groups":1})") ==
          End::failed);
    CHECK(end_of(R"({"jobs":[],"pending_groups":0,"unplaced_groups":2})") == End::failed);
    CHECK(end_of(R"({"jobs":[{"kind":"rebuild","state":"failed"}],"pending_groups":2,
                     "unplaced_groups":0})") == End::failed);
    CHECK(end_of(R"({"jobs":[{"kind":"rebuild","state":"failed"},{"kind":"scrub",
                     "state":"running"}],"pending_groups":0,"unplaced_groups":0})") == End::done);
}

TEST_CASE("a wait for a scrub ends when it no longer runs", "[rpc][xsanctl]") {
    const auto end_of = [](const char* text) { return view_scrub(parsed(text)).end; };
    CHECK(end_of(R"({"state":"running","percent":10})") == End::running);
    CHECK(end_of(R"({"state":"paused","percent":10})") == End::running);
    CHECK(end_of(R"({"state":"done","percent":100,"mismatches":3})") == End::done);
    CHECK(end_of(R"({"state":"idle"})") == End::done);
    CHECK(end_of(R"({"state":"failed"})") == End::failed);
    const auto details_of = [](const char* text) { return view_scrub(parsed(text)).details; };
    CHECK(details_of(R"({"state":"running","resumed":true})").ends_with("begun before a restart"));
    CHECK_FALSE(details_of(R"({"state":"running","resumed":false})").ends_with("restart"));
}

TEST_CASE("what assembly could not use is told, and fails it when nothing was started",
          "[rpc][xsanctl]") {
    const auto of = [](const char* text) { return leftovers_of(json::parse(text)); };
    CHECK_FALSE(of(R"({"pools":[]})").is_failure);
    CHECK_FALSE(of(R"({"pools":["tank"],"refused":[],"notes":[]})").is_failure);
    const auto some = of(R"({"pools":["tank"],"refused":[{"pool":"b","code":"exists","message":"no"}],
                            "notes":[{"code":"version_mismatch","message":"newer"}]})");
    CHECK_FALSE(some.is_failure);
    CHECK(some.lines == std::vector<std::string>{"pool b: no", "newer"});
    CHECK(of(R"({"pools":[],"notes":[{"message":"newer"}]})").is_failure);
    CHECK(of(R"({"pools":[],"notes":7,"refused":[null]})").is_failure);
}
