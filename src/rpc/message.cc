// Reading requests, writing replies.
#include "rpc/message.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "rpc/json_guard.h"

namespace xsan::rpc {
namespace {

using nlohmann::json;

constexpr std::size_t kIdBytesMax = 256;
constexpr std::size_t kMethodBytesMax = 64;

bool is_valid_id(const json& id) {
    if (id.is_string()) return id.get_ref<const std::string&>().size() <= kIdBytesMax;
    return id.is_number_integer();
}

BadRequest invalid(std::string message, json id) {
    return {RpcError(ErrorCode::invalid_request, std::move(message)), std::move(id)};
}

// The first reason to refuse the object, or nothing.
std::string find_problem(const json& object) {
    static constexpr std::array<std::string_view, 4> kFields = {"jsonrpc", "method", "params",
                                                                "id"};
    for (const auto& [key, value] : object.items()) {
        bool known = false;
        for (const auto field : kFields) known = known || key == field;
        if (!known) return fmt::format("unknown field '{}' in the request", quotable(key));
    }
    const auto version = object.find("jsonrpc");
    if (version == object.end() || *version != "2.0") return "'jsonrpc' must be \"2.0\"";
    const auto method = object.find("method");
    if (method == object.end() || !method->is_string()) return "'method' must be a string";
    if (method->get_ref<const std::string&>().size() > kMethodBytesMax) {
        return fmt::format("'method' is longer than {} bytes", kMethodBytesMax);
    }
    const auto id = object.find("id");
    if (id != object.end() && !is_valid_id(*id)) {
        return fmt::format("'id' must be an integer or a string of at most {} bytes", kIdBytesMax);
    }
    const auto params = object.find("params");
    if (params != object.end() && !params->is_structured()) return "'params' must be an object";
    return {};
}

}  // namespace

std::string_view error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::parse_error: return "parse_error";
        case ErrorCode::invalid_request: return "invalid_request";
        case ErrorCode::method_not_found: return "method_not_found";
        case ErrorCode::invalid_params: return "invalid_params";
        case ErrorCode::internal_error: return "internal_error";
        case ErrorCode::application: return "application";
    }
    return "unknown";
}

Result<Request, BadRequest> parse_request(std::string_view line) {
    auto parsed = parse_json(line);
    if (!parsed) {
        return BadRequest{RpcError(ErrorCode::parse_error, parsed.error().message), json()};
    }
    json object = std::move(parsed).value();
    if (object.is_array())
        return invalid("batches are not supported: send one request per line", {});
    if (!object.is_object()) return invalid("a request must be a JSON object", {});

    const auto id = object.find("id");
    json answer_to = id != object.end() && is_valid_id(*id) ? *id : json();
    std::string problem = find_problem(object);
    if (!problem.empty()) return invalid(std::move(problem), std::move(answer_to));

    Request request;
    request.method = object["method"].get<std::string>();
    request.notification = id == object.end();
    request.params = json::object();
    const auto params = object.find("params");
    if (params != object.end()) {
        if (!params->is_object()) {
            return BadRequest{RpcError(ErrorCode::invalid_params,
                                       "params must be an object with named parameters"),
                              std::move(answer_to)};
        }
        request.params = std::move(*params);
    }
    request.id = std::move(answer_to);
    return request;
}

std::string result_reply(const json& id, json result) {
    json reply = json::object();
    reply["jsonrpc"] = "2.0";
    reply["id"] = id;
    reply["result"] = std::move(result);
    return print_json(reply) + "\n";
}

std::string error_reply(const json& id, const RpcError& error) {
    json reply = json::object();
    reply["jsonrpc"] = "2.0";
    reply["id"] = id;
    json& body = reply["error"];
    body["code"] = static_cast<int>(error.code);
    body["message"] = error.message;
    body["data"]["code"] = error.name;
    return print_json(reply) + "\n";
}

std::string request_line(std::int64_t id, std::string_view method, json params) {
    json request = json::object();
    request["jsonrpc"] = "2.0";
    request["id"] = id;
    request["method"] = method;
    request["params"] = std::move(params);
    return print_json(request) + "\n";
}

}  // namespace xsan::rpc
