// RunningServer: the daemon's control socket with handlers of the test's choice, on a reactor of
// its own.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "reactor/task_group.h"
#include "reactor/uring_reactor.h"
#include "rpc/server.h"
#include "support/catch.h"

namespace xsan::test {

using rpc::Dispatcher;
using rpc::Server;
using rpc::ServerOptions;

// A server on a reactor's thread; stops when it goes out of scope.
class RunningServer {
  public:
    RunningServer(ServerOptions options, void (*fill)(Dispatcher&)) : options_(std::move(options)) {
        char directory[] = "/tmp/xsan-test-XXXXXX";
        REQUIRE(::mkdtemp(directory) != nullptr);
        directory_ = directory;
        options_.path = directory_ + "/s";
        fill(dispatcher_);
        auto reactor = UringReactor::create(UringOptions{});
        if (!reactor) FAIL(reactor.error().message);
        reactor_ = std::move(reactor).value();
        auto server = Server::open(options_, dispatcher_);
        if (!server) FAIL(server.error().message);
        server_ = std::move(server).value();
        thread_ = std::thread([this] { reactor_->run(); });
        post([this] { server_->start(); });
    }
    ~RunningServer() {
        stop();
        reactor_->stop();
        thread_.join();
        CHECK(::access(options_.path.c_str(), F_OK) != 0);
        ::unlink((options_.path + ".lock").c_str());
        CHECK(::rmdir(directory_.c_str()) == 0);
    }

    const std::string& path() const { return options_.path; }
    void stop() {
        if (std::exchange(stopped_, true)) return;
        std::promise<void> done;
        post([&] { tasks_.spawn(stop_server(done)); });
        done.get_future().wait();
    }
    std::size_t connections() {
        std::promise<std::size_t> count;
        post([&] { count.set_value(server_->connections()); });
        return count.get_future().get();
    }

  private:
    Task<void> stop_server(std::promise<void>& done) {
        co_await server_->stop();
        done.set_value();
    }
    // Runs a function on the reactor's thread and waits for it.
    template <class F>
    void post(F function) {
        struct Call : RemoteWork {
            F* function = nullptr;
            std::promise<void> done;
        };
        Call call;
        call.function = &function;
        call.run = [](RemoteWork& self) {
            auto& own = static_cast<Call&>(self);
            (*own.function)();
            own.done.set_value();
        };
        reactor_->post(call);
        call.done.get_future().wait();
    }

    ServerOptions options_;
    std::string directory_;
    Dispatcher dispatcher_;
    std::unique_ptr<UringReactor> reactor_;
    std::unique_ptr<Server> server_;
    TaskGroup tasks_;
    std::thread thread_;
    bool stopped_ = false;
};

// This process is the admin.
inline ServerOptions admin_here() {
    ServerOptions options;
    options.group = "";
    options.admin_uid = ::geteuid();
    return options;
}

}  // namespace xsan::test
