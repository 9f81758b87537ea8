// Accepting, reading lines, answering.
#include "rpc/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/framing.h"
#include "rpc/socket_op.h"

namespace xsan::rpc {
namespace {

constexpr std::size_t kReceiveBytes = std::size_t{16} << 10;
constexpr TimeNs kAcceptRetry = 50 * kMillisecond;

// False when the peer is gone.
Task<bool> send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        SocketOp send(SocketOp::Kind::send, fd, text.data(), text.size());
        const int sent = co_await send;
        if (sent == -EINTR || sent == -EAGAIN) continue;
        if (sent <= 0) co_return false;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    co_return true;
}

}  // namespace

Outcome<std::unique_ptr<Server>> Server::open(const ServerOptions& options,
                                              Dispatcher& dispatcher) {
    AccessPolicy policy;
    policy.admin_uid = options.admin_uid;
    if (!options.group.empty()) policy.viewer_gid = find_group(options.group);
    if (!options.group.empty() && !policy.viewer_gid) {
        log(LogLevel::warning, "rpc: there is no group '{}': only root may connect to {}",
            options.group, options.path);
    }
    const int backlog = static_cast<int>(options.connections_max);
    XSAN_TRY(auto socket, listen_unix(options.path, policy.viewer_gid, backlog));
    return std::unique_ptr<Server>(new Server(options, dispatcher, std::move(socket), policy));
}

Server::Server(const ServerOptions& options, Dispatcher& dispatcher, ListenSocket socket,
               AccessPolicy policy)
    : options_(options), dispatcher_(dispatcher), listener_(std::move(socket)), policy_(policy) {}

Server::~Server() {
    XSAN_ASSERT(!started_ || stopped_);
    // While the lock is held, the socket's file is ours.
    if (listener_.socket.is_open()) ::unlink(options_.path.c_str());
}

void Server::start() {
    XSAN_ASSERT(!started_);
    started_ = true;
    tasks_.spawn(accept_loop());
}

Task<void> Server::stop() {
    XSAN_ASSERT(started_ && !stopping_);
    stopping_ = true;
    if (accepting_ != nullptr) accepting_->cancel();
    // Pending reads and writes end; a handler that runs is awaited.
    for (const int fd : connections_) ::shutdown(fd, SHUT_RDWR);
    co_await tasks_.join();
    ::unlink(options_.path.c_str());
    listener_ = ListenSocket();
    stopped_ = true;
}

Task<void> Server::accept_loop() {
    while (!stopping_) {
        int fd = 0;
        {
            SocketOp accept(SocketOp::Kind::accept, listener_.socket.get(), nullptr, 0);
            accepting_ = &accept;
            fd = co_await accept;
            accepting_ = nullptr;
        }
        if (fd >= 0) {
            admit(Fd(fd));
            continue;
        }
        if (stopping_ || fd == -EINTR || fd == -ECONNABORTED || fd == -EAGAIN) continue;
        log(LogLevel::error, "rpc: accept on {}: {}", options_.path, std::strerror(-fd));
        co_await sleep_for(kAcceptRetry);
    }
}

void Server::admit(Fd socket) {
    if (stopping_) return;
    const auto peer = peer_credentials(socket.get());
    if (!peer) {
        log(LogLevel::error, "rpc: {}", peer.error().message);
        return;
    }
    const Caller caller{role_of(*peer, policy_), peer->uid, peer->pid};
    const std::size_t reserve = caller.role == Role::admin ? 0 : options_.admin_reserve;
    if (connections_.size() + reserve >= options_.connections_max) {
        log(LogLevel::warning, "rpc: refused a connection of uid {}: {} are open", caller.uid,
            connections_.size());
        // Counts as none: it is one send into an empty socket buffer, and then closed.
        tasks_.spawn(refuse(std::move(socket), "too many connections: try again"));
        return;
    }
    connections_.insert(socket.get());
    tasks_.spawn(serve(std::move(socket), caller));
}

Task<void> Server::refuse(Fd socket, std::string reason) {
    const std::string reply =
        error_reply(nlohmann::json(), RpcError(Failure(Errc::busy, std::move(reason))));
    auto sending = send_all(socket.get(), reply);
    (void)co_await sending;
}

Task<void> Server::serve(Fd socket, Caller caller) {
    const int fd = socket.get();
    LineFramer framer;
    std::array<char, kReceiveBytes> buffer;
    while (!stopping_) {
        int received = 0;
        {
            SocketOp receive(SocketOp::Kind::recv, fd, buffer.data(), buffer.size());
            received = co_await receive;
        }
        if (received == -EINTR || received == -EAGAIN) continue;
        if (received <= 0) break;
        framer.feed(std::string_view(buffer.data(), static_cast<std::size_t>(received)));
        auto answering = answer_lines(fd, caller, framer);
        const bool alive = co_await answering;
        if (!alive) break;
    }
    connections_.erase(fd);
}

// Answers every complete line; false when the peer is gone.
Task<bool> Server::answer_lines(int fd, Caller caller, LineFramer& framer) {
    while (!stopping_) {
        auto next = framer.next();
        if (next.event == LineFramer::Event::none) co_return true;
        std::string reply;
        if (next.event == LineFramer::Event::too_long) {
            reply = error_reply(nlohmann::json(),
                                RpcError(ErrorCode::invalid_request,
                                         fmt::format("a request is one line of at most {} bytes",
                                                     kRequestBytesMax)));
        } else {
            auto dispatching = dispatcher_.dispatch(caller, std::move(next.line));
            reply = co_await dispatching;
        }
        auto sending = send_all(fd, reply);
        const bool alive = co_await sending;
        if (!alive) co_return false;
        // Requests of one batch of bytes must not keep others from the loop.
        co_await yield();
    }
    co_return false;
}

}  // namespace xsan::rpc
