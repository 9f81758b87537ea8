// From a line to its answer.
#include "rpc/dispatcher.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "rpc/methods.h"

namespace xsan::rpc {

using nlohmann::json;

void Dispatcher::handle(std::string_view method, Handler handler) {
    XSAN_ASSERT(find_method(method) != nullptr);
    const bool is_new = handlers_.emplace(std::string(method), std::move(handler)).second;
    XSAN_ASSERT(is_new);
}

Task<std::string> Dispatcher::dispatch(Caller caller, std::string line) {
    auto parsed = parse_request(line);
    if (!parsed) co_return error_reply(parsed.error().id, parsed.error().error);
    Request request = std::move(parsed).value();
    const bool notification = request.notification;
    const json id = request.id;
    const std::string method = request.method;

    auto outcome = co_await run(caller, std::move(request));
    if (notification) {
        if (!outcome) {
            log(LogLevel::warning, "rpc: notification '{}' of uid {} failed: {}", quotable(method),
                caller.uid, outcome.error().message);
        }
        co_return std::string();
    }
    if (!outcome) co_return error_reply(id, outcome.error());
    co_return result_reply(id, std::move(outcome).value());
}

Task<Result<json, RpcError>> Dispatcher::run(Caller caller, Request request) {
    // Who may do nothing is not told which methods exist either.
    if (caller.role == Role::none) {
        co_return RpcError(Failure(Errc::permission,
                                   fmt::format("uid {} may not use xsan: be root or in its group",
                                               caller.uid)));
    }
    const MethodSpec* method = find_method(request.method);
    if (method == nullptr) {
        co_return RpcError(ErrorCode::method_not_found,
                           fmt::format("there is no method '{}'", quotable(request.method)));
    }
    if (caller.role < method->role) {
        co_return RpcError(Failure(
            Errc::permission, fmt::format("{} needs root; uid {} may only read", method->name,
                                          caller.uid)));
    }
    const auto checked = check_params(*method, request.params);
    if (!checked) co_return RpcError(ErrorCode::invalid_params, checked.error().message);
    const auto handler = handlers_.find(method->name);
    if (handler == handlers_.end()) {
        co_return RpcError(Failure(Errc::unsupported,
                                   fmt::format("this version of xsand cannot do '{}' yet",
                                               method->name)));
    }
    auto task = handler->second(caller, std::move(request.params));
    auto outcome = co_await task;
    if (!outcome) co_return RpcError(outcome.error());
    co_return std::move(outcome).value();
}

}  // namespace xsan::rpc
