// Desk: a service without block devices, and who calls its verbs as xsanctl does.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "daemon/service.h"
#include "unit/dev/temp_dir.h"
#include "unit/reactor/run_task.h"

namespace xsan::test {

using nlohmann::json;

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
        auto reactors = make_pool(1);
        daemon::ServiceOptions options;
        options.config = config;
        options.run_folder = folder.file("run");
        options.seed = ++seed_;
        rpc::Dispatcher dispatcher;
        InlineOffload offload;
        auto service = std::make_unique<daemon::Service>(*reactors, offload, std::move(options));
        service->register_methods(dispatcher);
        dispatcher_ = &dispatcher;
        service_ = service.get();
        run_task(*reactors, [&]() -> Task<void> {
            co_await service->start();
            co_await body();
            co_await service->stop();
        });
        service.reset();
        reactors.reset();
    }
    daemon::Service& service() { return *service_; }  // during run()
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

    TempDir folder;
    daemon::Config config;

  private:
    rpc::Dispatcher* dispatcher_ = nullptr;
    daemon::Service* service_ = nullptr;
    std::uint64_t seed_ = 0;
};

}  // namespace xsan::test
