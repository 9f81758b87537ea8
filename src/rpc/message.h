// Requests and replies of JSON-RPC 2.0, as values. No I/O.
//
// What xsan narrows: batches are refused, params is an object, id is a string or an integer, and a
// field that JSON-RPC does not define is refused. A request without an id is a notification: it is
// carried out and not answered, not even when it fails.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/result.h"

namespace xsan::rpc {

// The numbers of the specification; every failure of xsan itself is kApplication and carries the
// name of its Errc in data.code.
enum class ErrorCode : int {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    application = -32000,
};

// The `data.code` of an error that is not the application's, such as "invalid_params".
std::string_view error_code_name(ErrorCode code);

struct RpcError {
    ErrorCode code = ErrorCode::internal_error;
    std::string name;  // data.code: stable, for programs
    std::string message;  // one line, for people

    RpcError(ErrorCode c, std::string m)
        : code(c), name(error_code_name(c)), message(std::move(m)) {}
    explicit RpcError(const Failure& failure)
        : code(ErrorCode::application), name(errc_name(failure.code)), message(failure.message) {}
};

struct Request {
    std::string method;
    nlohmann::json params;  // always an object
    nlohmann::json id;      // null in a notification
    bool notification = false;
};

// A refused request, with the id to answer to: the request's where it could be read, else null.
struct BadRequest {
    RpcError error;
    nlohmann::json id;
};

Result<Request, BadRequest> parse_request(std::string_view line);

// One line with its newline.
std::string result_reply(const nlohmann::json& id, nlohmann::json result);
std::string error_reply(const nlohmann::json& id, const RpcError& error);
std::string request_line(std::int64_t id, std::string_view method, nlohmann::json params);

}  // namespace xsan::rpc
