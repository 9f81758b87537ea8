// Properties of requests and replies.
#include "rpc/message.h"

#include <string>

#include "rpc/json_guard.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;
using nlohmann::json;

namespace {

BadRequest message_refusal(const std::string& line) {
    auto request = parse_request(line);
    REQUIRE(!request.has_value());
    return request.error();
}

}  // namespace

TEST_CASE("a request is read with its id, method and params", "[rpc][message]") {
    auto request =
        parse_request(R"({"jsonrpc":"2.0","id":"x1","method":"show","params":{"pool":"tank"}})");
    REQUIRE(request);
    CHECK(request->method == "show");
    CHECK(request->id == "x1");
    CHECK(request->params["pool"] == "tank");
    CHECK(!request->notification);
}

TEST_CASE("absent params are an empty object and an absent id makes a notification",
          "[rpc][message]") {
    auto request = parse_request(R"({"jsonrpc":"2.0","method":"list"})");
    REQUIRE(request);
    CHECK(request->notification);
    CHECK(request->params == json::object());
}

TEST_CASE("malformed requests name their fault and keep the id where it can be read",
          "[rpc][message]") {
    CHECK(message_refusal("hello").error.code == ErrorCode::parse_error);
    CHECK(message_refusal("hello").id.is_null());
    CHECK(message_refusal(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"a"})").error.code ==
          ErrorCode::parse_error);
    const struct {
        const char* line;
        const char* words;
    } cases[] = {
        {R"([{"jsonrpc":"2.0","id":7,"method":"list"}])", "batches are not supported"},
        {R"("list")", "must be a JSON object"},
        {R"({"id":7,"method":"list"})", "'jsonrpc' must be"},
        {R"({"jsonrpc":"1.0","id":7,"method":"list"})", "'jsonrpc' must be"},
        {R"({"jsonrpc":2.0,"id":7,"method":"list"})", "'jsonrpc' must be"},
        {R"({"jsonrpc":"2.0","id":7})", "'method' must be a string"},
        {R"({"jsonrpc":"2.0","id":7,"method":["list"]})", "'method' must be a string"},
        {R"({"jsonrpc":"2.0","id":7,"method":"list","extra":1})", "unknown field 'extra'"},
        {R"({"jsonrpc":"2.0","id":7,"method":"list","params":1})", "'params' must be"},
        {R"({"jsonrpc":"2.0","id":1.5,"method":"list"})", "'id' must be"},
        {R"({"jsonrpc":"2.0","id":null,"method":"list"})", "'id' must be"},
        {R"({"jsonrpc":"2.0","id":{},"method":"list"})", "'id' must be"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.line);
        const BadRequest bad = message_refusal(c.line);
        CHECK(bad.error.code == ErrorCode::invalid_request);
        CHECK(bad.error.message.find(c.words) != std::string::npos);
    }
    CHECK(message_refusal(cases[2].line).id == 7);
    CHECK(message_refusal(R"({"jsonrpc":"2.0","id":7,"method":"list","params":[1]})").error.code ==
          ErrorCode::invalid_params);
}

TEST_CASE("replies are one line and carry the error's number and name", "[rpc][message]") {
    const std::string good = result_reply(json("a\nb"), json::parse(R"({"x":"1\n2"})"));
    CHECK(good.find('\n') == good.size() - 1);
    CHECK(parse_json(good)->at("result")["x"] == "1\n2");

    const std::string bad = error_reply(json(3), RpcError(Failure(Errc::not_found, "no pool 'a'")));
    const json reply = *parse_json(bad);
    CHECK(reply["id"] == 3);
    CHECK(reply["error"]["code"] == -32000);
    CHECK(reply["error"]["message"] == "no pool 'a'");
    CHECK(reply["error"]["data"]["code"] == "not_found");
}

TEST_CASE("a request line is read back as the request that it was made of", "[rpc][message]") {
    auto request = parse_request(request_line(9, "stop", json{{"pool", "tank"}}));
    REQUIRE(request);
    CHECK(request->id == 9);
    CHECK(request->method == "stop");
    CHECK(request->params["pool"] == "tank");
}

TEST_CASE("what a message quotes of a request cannot begin another line", "[rpc][message]") {
    const auto refused = parse_request("{\"a\\nb\":1}");
    REQUIRE(!refused);
    CHECK(refused.error().error.message == "unknown field 'a?b' in the request");
}
