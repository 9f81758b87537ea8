// One blocking call over the control socket.
#include "rpc/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "rpc/framing.h"
#include "rpc/json_guard.h"
#include "rpc/message.h"

namespace xsan::rpc {
namespace {

using nlohmann::json;

// Answers may be longer than requests: `show` of a pool with thousands of volumes.
constexpr std::size_t kReplyBytesMax = std::size_t{64} << 20;

CallError lost(std::string message) {
    return {CallError::Kind::lost, "lost", std::move(message)};
}

std::string text_at(const json& object, std::string_view key) {
    if (!object.is_object()) return {};
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

CallError refusal(const json& error) {
    CallError result{CallError::Kind::refused, {}, text_at(error, "message")};
    if (error.is_object() && error.contains("data")) result.code = text_at(error["data"], "code");
    if (result.code.empty()) result.code = "internal_error";
    if (result.message.empty()) result.message = "the daemon refused without a reason";
    return result;
}

}  // namespace

Result<Client, CallError> Client::connect(const std::string& path) {
    auto socket = connect_unix(path);
    if (socket) return Client(std::move(socket).value());
    const Failure& failure = socket.error();
    if (failure.code == Errc::not_found) {
        return CallError{CallError::Kind::no_daemon, "no_daemon", failure.message};
    }
    return CallError{CallError::Kind::refused, std::string(errc_name(failure.code)),
                     failure.message};
}

bool Client::wait_for(short events, int timeout_ms) const {
    pollfd entry{socket_.get(), events, 0};
    int ready = 0;
    do {
        ready = ::poll(&entry, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

Result<std::string, CallError> Client::exchange(std::string_view request, int timeout_ms) {
    const auto timed_out = [&] {
        return lost(
            fmt::format("xsand gave no answer for {} s: see its log; whether it was done is "
                        "not known",
                        timeout_ms / 1000));
    };
    while (!request.empty()) {
        if (!wait_for(POLLOUT, timeout_ms)) return timed_out();
        const ssize_t sent = ::send(socket_.get(), request.data(), request.size(),
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        // A daemon that refuses a connection answers and closes without reading: look for that
        // answer.
        if (sent < 0) break;
        request.remove_prefix(static_cast<std::size_t>(sent));
    }
    LineFramer framer(kReplyBytesMax);
    std::array<char, 65536> buffer;
    for (;;) {
        auto next = framer.next();
        if (next.event == LineFramer::Event::line) return std::move(next.line);
        if (next.event == LineFramer::Event::too_long) return lost("xsand's answer is too long");
        if (!wait_for(POLLIN, timeout_ms)) return timed_out();
        const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (received < 0 && errno == EINTR) continue;
        if (received <= 0) {
            return lost("xsand ended before it answered: whether it was done is not known");
        }
        framer.feed(std::string_view(buffer.data(), static_cast<std::size_t>(received)));
    }
}

Result<json, CallError> Client::call(std::string_view method, json params, int timeout_ms) {
    const std::int64_t id = next_id_++;
    const std::string request = request_line(id, method, std::move(params));
    auto line = exchange(request, timeout_ms);
    if (!line) return line.error();
    auto parsed = parse_json(*line);
    if (!parsed || !parsed->is_object()) return lost("xsand's answer is not a JSON object");
    json& reply = *parsed;
    if (reply.contains("error")) return refusal(reply["error"]);
    if (!reply.contains("result") || !reply.contains("id") || reply["id"] != id) {
        return lost("xsand's answer does not belong to the request");
    }
    return std::move(reply["result"]);
}

}  // namespace xsan::rpc
