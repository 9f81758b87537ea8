// Calling, and calling again where the daemon was restarted.
#include "xsanctl/poller.h"

#include <thread>

namespace xsan::ctl {
namespace {

constexpr int kCallTimeoutMs = 600'000;  // a daemon that stops a pool first flushes everything
// A daemon that is being restarted answers again within this many polls (30 s).
constexpr int kPollsWithoutDaemon = 60;

}  // namespace

using nlohmann::json;

Result<json, rpc::CallError> Poller::call(const std::string& method, const json& params) {
    for (int polls = 0;; polls++) {
        auto result = call_once(method, params);
        if (result) {
            has_answered_ = true;
            return result;
        }
        client_.reset();
        const bool is_refusal = result.error().kind == rpc::CallError::Kind::refused;
        if (!has_answered_ || is_refusal || polls == kPollsWithoutDaemon) return result;
        std::this_thread::sleep_for(kPoll);
    }
}

Result<json, rpc::CallError> Poller::call_once(const std::string& method, const json& params) {
    if (!client_) {
        auto client = rpc::Client::connect(socket_);
        if (!client) return client.error();
        client_.emplace(std::move(client).value());
    }
    return client_->call(method, params, kCallTimeoutMs);
}

}  // namespace xsan::ctl
