// Client: xsanctl's end of the control socket. Blocking, one call at a time, no reactor.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/unix_socket.h"

namespace xsan::rpc {

// Why a call brought no result.
struct CallError {
    enum class Kind {
        no_daemon,  // nobody listens: nothing was done
        refused,    // the daemon said no: nothing was done, unless the message says otherwise
        lost,       // no answer came: whether it was done is unknown
    };
    Kind kind = Kind::refused;
    std::string code;     // errc_name, an ErrorCode's name, "no_daemon" or "lost"
    std::string message;  // one line
};

class Client {
  public:
    static Result<Client, CallError> connect(const std::string& path);

    // Sends one request and waits for its answer. `timeout_ms` bounds each wait for progress on the
    // socket, not the whole call: a daemon that works answers only at the end. Negative: for ever.
    // After a failure of kind `lost` the client is of no more use.
    Result<nlohmann::json, CallError> call(std::string_view method, nlohmann::json params,
                                           int timeout_ms);

  private:
    explicit Client(Fd socket) : socket_(std::move(socket)) {}
    // Empty when there is no answer.
    Result<std::string, CallError> exchange(std::string_view request, int timeout_ms);
    bool wait_for(short events, int timeout_ms) const;

    Fd socket_;
    std::int64_t next_id_ = 1;
};

}  // namespace xsan::rpc
