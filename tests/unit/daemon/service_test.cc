// The verbs over sparse files, without block devices: what they refuse, and what they leave behind.
#include "daemon/service.h"

#include "support/catch.h"
#include "unit/daemon/desk.h"

using namespace xsan;
using nlohmann::json;
using test::Desk;

TEST_CASE("a volume that is refused leaves no pool and no byte behind", "[service]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        for (const std::int64_t size : {std::int64_t{4096}, std::int64_t{INT64_MAX}}) {
            json params = desk.create_params(0, 3);
            params["size_bytes"] = size;
            const json answer = co_await desk.call("create", params);
            CHECK(answer["error"]["code"] == "invalid_argument");
            json none = json::object();
            const json list = co_await desk.call("list", none);
            CHECK(list["pools"].empty());
        }
    });
    for (const auto& path : desk.devices(0, 3)) CHECK(desk.is_blank(path.get<std::string>()));
}

TEST_CASE("a member is failed by any name of its drive", "[service]") {
    Desk desk;
    const std::string link = desk.folder.file("by-id");
    std::filesystem::create_symlink(desk.folder.file("d1"), link);
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 4);
        const json made = co_await desk.call("create", params);
        CHECK(made.contains("pool"));
        json by_link = {{"pool", "tank"}, {"device", link}};
        const json failed = co_await desk.call("fail", by_link);
        CHECK(failed["members"][1]["state"] == "faulty");
        json other = {{"pool", "tank"}, {"device", desk.folder.file("d7")}};
        const json unknown = co_await desk.call("fail", other);
        CHECK(unknown["error"]["code"] == "not_found");
    });
}

TEST_CASE("several drives are added all or none", "[service]") {
    Desk desk;
    desk.folder.make_file("small", 4 * kMiB);
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 4);
        co_await desk.call("create", params);
        json fail = {{"pool", "tank"}, {"device", "1"}};
        co_await desk.call("fail", fail);
        json list = desk.devices(1, 1);
        list.push_back(desk.folder.file("small"));
        json add = {{"pool", "tank"}, {"devices", list}};
        const json refused = co_await desk.call("add", add);
        CHECK(refused["error"]["code"] == "invalid_argument");
        json show = {{"pool", "tank"}};
        const json pool = co_await desk.call("show", show);
        CHECK(pool["members"][1]["state"] == "faulty");
        CHECK(pool["members"].size() == 4);
        CHECK(pool["unplaced_groups"] == 0);
        json alone = {{"pool", "tank"}, {"devices", desk.devices(1, 1)}};
        const json back = co_await desk.call("add", alone);
        CHECK(back["members"][1]["state"] == "in_sync");
    });
}

TEST_CASE("assembly tells what it refused, with its code", "[service]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 3);
        co_await desk.call("create", params);
        json other = desk.create_params(3, 3);
        other["name"] = "other";
        co_await desk.call("create", other);
        for (const char* name : {"tank", "other"}) {
            json stop = {{"pool", name}};
            co_await desk.call("stop", stop);
        }
        // Of `other` one drive of three is left: it cannot be read.
        json named = {{"devices", desk.devices(0, 4)}};
        const json answer = co_await desk.call("assemble", named);
        CHECK(answer["pools"] == json::array({"tank"}));
        CHECK(answer["refused"].size() == 1);
        CHECK(answer["refused"][0]["pool"] == "other");
        CHECK(answer["refused"][0]["code"] == "too_many_failures");
    });
}

TEST_CASE("the state of a clean stop names the members for the next start", "[service]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 3);
        co_await desk.call("create", params);
    });
    CHECK(desk.state()["pools"][0]["devices"] == desk.devices(0, 3));
    CHECK(desk.state()["pools"][0]["ublk"].empty());
    desk.run([&]() -> Task<void> {
        json none = json::object();
        const json list = co_await desk.call("list", none);
        CHECK(list["pools"][0]["name"] == "tank");
    });
}
