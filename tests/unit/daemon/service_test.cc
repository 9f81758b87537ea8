// The verbs over sparse files, without block devices: what they refuse, and what they leave behind.
#include "daemon/service.h"

#include <fstream>
#include <sstream>

#include "support/catch.h"
#include "unit/dev/temp_dir.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using nlohmann::json;

namespace {

// A service over a folder with files d0..d7 of 64 MiB; its life is one run().
class Desk {
  public:
    Desk() {
        for (int i = 0; i < 8; i++) folder.make_file("d" + std::to_string(i), 64 * kMiB);
    }
    json devices(int first, int count) const {
        json list = json::array();
        for (int i = first; i < first + count; i++) list.push_back(folder.file("d" + std::to_string(i)));
        return list;
    }
    // body(desk) between start() and stop() of a service.
    template <class F>
    void run(F body) {
        auto reactors = test::make_pool(1);
        daemon::ServiceOptions options;
        options.config = config;
        options.run_folder = folder.file("run");
        options.seed = ++seed_;
        rpc::Dispatcher dispatcher;
        InlineOffload offload;
        auto service = std::make_unique<daemon::Service>(*reactors, offload, std::move(options));
        service->register_methods(dispatcher);
        dispatcher_ = &dispatcher;
        test::run_task(*reactors, [&]() -> Task<void> {
            co_await service->start();
            co_await body();
            co_await service->stop();
        });
        service.reset();
        reactors.reset();
    }
    // The result of a call, or {"error": its data.code and message}.
    Task<json> call(std::string method, json params) {
        const json request = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}};
        rpc::Caller caller;
        caller.role = rpc::Role::admin;
        const std::string answer = co_await dispatcher_->dispatch(caller, request.dump());
        const json parsed = json::parse(answer);
        if (parsed.contains("result")) co_return parsed["result"];
        json failed = {{"code", parsed["error"]["data"]["code"]}, {"message", parsed["error"]["message"]}};
        co_return json{{"error", failed}};
    }
    json create_params(int first, int count) const {
        return {{"name", "tank"}, {"scheme", "2+1"}, {"devices", devices(first, count)}, {"attach", false}};
    }
    bool is_blank(const std::string& path) const {
        std::ifstream in(path, std::ios::binary);
        std::stringstream text;
        text << in.rdbuf();
        return text.str().find_first_not_of('\0') == std::string::npos;
    }
    json state() const {
        std::ifstream in(folder.file("run/state.json"));
        return json::parse(in);
    }

    test::TempDir folder;
    daemon::Config config;

  private:
    rpc::Dispatcher* dispatcher_ = nullptr;
    std::uint64_t seed_ = 0;
};

}  // namespace

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
