// Properties of the dispatcher: order of the checks, roles, notifications.
#include "rpc/dispatcher.h"

#include <string>

#include "rpc/json_guard.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;
using nlohmann::json;

namespace {

const Caller kAdmin{Role::admin, 0, 1};
const Caller kViewer{Role::viewer, 1000, 1};
const Caller kStranger{Role::none, 1001, 1};

int stops_seen = 0;

Task<Outcome<json>> echo(Caller, json params) { co_return params; }
Task<Outcome<json>> refuse(Caller, json params) {
    co_return Failure(Errc::not_found, "no pool '" + params["pool"].get<std::string>() + "'");
}
Task<Outcome<json>> count_stop(Caller, json) {
    stops_seen++;
    co_return json::object();
}

// Handlers here never suspend, so no reactor is needed.
std::string dispatch(Dispatcher& dispatcher, const Caller& caller, const std::string& line) {
    auto task = dispatcher.dispatch(caller, line);
    task.start();
    REQUIRE(task.finished());
    return task.take();
}

json call(Dispatcher& dispatcher, const Caller& caller, const std::string& method, json params) {
    return *parse_json(dispatch(dispatcher, caller, request_line(1, method, std::move(params))));
}

std::string error_code(const json& reply) {
    return reply.contains("error") ? reply["error"]["data"]["code"].get<std::string>() : "";
}

void fill_handlers(Dispatcher& dispatcher) {
    dispatcher.handle("list", echo);
    dispatcher.handle("destroy", echo);
    dispatcher.handle("show", refuse);
    dispatcher.handle("stop", count_stop);
}

}  // namespace

TEST_CASE("a handler gets checked parameters and its result comes back", "[rpc][dispatcher]") {
    Dispatcher dispatcher;
    fill_handlers(dispatcher);
    CHECK(call(dispatcher, kAdmin, "destroy", {{"pool", "a"}})["result"] ==
          json({{"pool", "a"}, {"yes", false}}));
}

TEST_CASE("failures carry the name of their error and its sentence", "[rpc][dispatcher]") {
    Dispatcher dispatcher;
    fill_handlers(dispatcher);
    const json reply = call(dispatcher, kViewer, "show", {{"pool", "a"}});
    CHECK(error_code(reply) == "not_found");
    CHECK(reply["error"]["message"] == "no pool 'a'");
}

TEST_CASE("a caller does what its role allows and learns nothing beyond", "[rpc][dispatcher]") {
    Dispatcher dispatcher;
    fill_handlers(dispatcher);
    CHECK(error_code(call(dispatcher, kViewer, "list", json::object())).empty());
    CHECK(error_code(call(dispatcher, kViewer, "stop", {{"pool", "a"}})) == "permission");
    // The right is checked before the parameters: a viewer cannot probe an admin's methods.
    CHECK(error_code(call(dispatcher, kViewer, "stop", {{"x", 1}})) == "permission");
    CHECK(error_code(call(dispatcher, kStranger, "list", json::object())) == "permission");
    CHECK(error_code(call(dispatcher, kStranger, "no-such", json::object())) == "permission");
}

TEST_CASE("unknown methods, wrong parameters and what does not exist yet are told apart",
          "[rpc][dispatcher]") {
    Dispatcher dispatcher;
    fill_handlers(dispatcher);
    const json unknown = call(dispatcher, kAdmin, "nosuch", json::object());
    CHECK(unknown["error"]["code"] == -32601);
    const json wrong = call(dispatcher, kAdmin, "stop", {{"pool", 7}});
    CHECK(wrong["error"]["code"] == -32602);
    CHECK(wrong["error"]["message"] == "stop: pool: must be a string");
    const json later = call(dispatcher, kAdmin, "remove", {{"pool", "a"}, {"device", "/dev/x"}});
    CHECK(error_code(later) == "unsupported");
    CHECK(later["error"]["message"] == "this version of xsand cannot do 'remove' yet");
}

TEST_CASE("a notification is carried out and never answered", "[rpc][dispatcher]") {
    Dispatcher dispatcher;
    fill_handlers(dispatcher);
    const int before = stops_seen;
    CHECK(dispatch(dispatcher, kAdmin,
                   R"({"jsonrpc":"2.0","method":"stop","params":{"pool":"a"}})").empty());
    CHECK(stops_seen == before + 1);
    CHECK(dispatch(dispatcher, kViewer,
                   R"({"jsonrpc":"2.0","method":"stop","params":{"pool":"a"}})").empty());
    CHECK(stops_seen == before + 1);
    CHECK(dispatch(dispatcher, kAdmin, R"({"jsonrpc":"2.0","method":"nosuch"})").empty());
}

TEST_CASE("the role follows from uid and groups as the kernel reports them", "[rpc][dispatcher]") {
    AccessPolicy policy;
    PeerCredentials peer;
    peer.uid = 1000;
    peer.gid = 1000;
    peer.groups = {1000, 77};
    CHECK(role_of(peer, policy) == Role::none);
    policy.viewer_gid = 77;
    CHECK(role_of(peer, policy) == Role::viewer);
    policy.viewer_gid = 1000;
    CHECK(role_of(peer, policy) == Role::viewer);
    policy.viewer_gid = 78;
    CHECK(role_of(peer, policy) == Role::none);
    peer.gid = 0;  // root's group is not root
    peer.groups = {0};
    CHECK(role_of(peer, policy) == Role::none);
    peer.uid = 0;
    CHECK(role_of(peer, policy) == Role::admin);
}
