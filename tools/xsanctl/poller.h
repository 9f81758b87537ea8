// Poller: one method called again and again, over one connection while it holds.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "rpc/client.h"

namespace xsan::ctl {

inline constexpr std::chrono::milliseconds kPoll{500};

class Poller {
  public:
    explicit Poller(std::string socket) : socket_(std::move(socket)) {}

    // The first call fails as it comes. Later ones sit out a restart of the daemon, up to 30 s.
    Result<nlohmann::json, rpc::CallError> call(const std::string& method,
                                                const nlohmann::json& params);

  private:
    Result<nlohmann::json, rpc::CallError> call_once(const std::string& method,
                                                     const nlohmann::json& params);

    std::string socket_;
    std::optional<rpc::Client> client_;
    bool has_answered_ = false;
};

}  // namespace xsan::ctl
