// Server: the control socket of a daemon.
//
// Owned by the main program; open() on any thread (it blocks), everything else on one UringReactor.
// A connection's requests are answered one after the other, in order; connections do not wait for
// each other, so a handler may take as long as it likes. stop() ends accepting and reading at once
// and returns when the handlers that run have ended; whoever owns them makes them end. Then the
// socket's file is gone and the lock released.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/result.h"
#include "reactor/reactor.h"
#include "reactor/task.h"
#include "reactor/task_group.h"
#include "rpc/credentials.h"
#include "rpc/dispatcher.h"
#include "rpc/unix_socket.h"

namespace xsan::rpc {

class SocketOp;

inline constexpr const char* kDefaultSocketPath = "/run/xsan/xsand.sock";

struct ServerOptions {
    std::string path = kDefaultSocketPath;
    std::string group = "xsan";  // its members may read; "" or unknown: root alone may connect
    std::size_t connections_max = 64;
    std::size_t admin_reserve = 8;       // of these, kept for the admin
    uid_t admin_uid = 0;
};

class Server {
  public:
    // Binds and listens; clients that connect before start() wait.
    static Outcome<std::unique_ptr<Server>> open(const ServerOptions& options,
                                                 Dispatcher& dispatcher);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    void start();
    Task<void> stop();

    std::size_t connections() const { return connections_.size(); }

  private:
    Server(const ServerOptions& options, Dispatcher& dispatcher, ListenSocket socket,
           AccessPolicy policy);
    Task<void> accept_loop();
    void admit(Fd socket);
    Task<void> serve(Fd socket, Caller caller);
    Task<bool> answer_lines(int fd, Caller caller, class LineFramer& framer);
    Task<void> refuse(Fd socket, std::string reason);

    ServerOptions options_;
    Dispatcher& dispatcher_;
    ListenSocket listener_;
    AccessPolicy policy_;
    TaskGroup tasks_;
    std::set<int> connections_;  // descriptors of those that are served
    SocketOp* accepting_ = nullptr;
    bool started_ = false;
    bool stopping_ = false;
    bool stopped_ = false;
};

}  // namespace xsan::rpc
