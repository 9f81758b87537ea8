// Dispatcher: from one line of text to one line of answer. Checks, in this order: JSON, request,
// the caller's right, the method's name, its parameters; then runs the handler.
//
// Owned by the main program, outlives the servers that use it. handle() before the first dispatch;
// after that it is only read. A method of the table without a handler answers `unsupported`.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "reactor/task.h"
#include "rpc/credentials.h"
#include "rpc/message.h"

namespace xsan::rpc {

// The parameters have passed check_params(); see params.h for typed access. Runs on the server's
// reactor and must end there. A plain function or an object's method behind a lambda that only
// calls it: a lambda that is itself a coroutine loses its captures (style.md).
using Handler = std::function<Task<Outcome<nlohmann::json>>(Caller, nlohmann::json)>;

class Dispatcher {
  public:
    Dispatcher() = default;
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // Asserts that the table (methods.h) has the method and that it has no handler yet.
    void handle(std::string_view method, Handler handler);

    // The answer with its newline; empty for a notification.
    Task<std::string> dispatch(Caller caller, std::string line);

  private:
    Task<Result<nlohmann::json, RpcError>> run(Caller caller, Request request);

    std::map<std::string, Handler, std::less<>> handlers_;
};

}  // namespace xsan::rpc
