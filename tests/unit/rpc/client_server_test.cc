// Server and client over a real socket and a real ring.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "rpc/client.h"
#include "rpc/json_guard.h"
#include "support/catch.h"
#include "unit/rpc/running_server.h"

using namespace xsan;
using namespace xsan::rpc;
using xsan::test::admin_here;
using xsan::test::RunningServer;
using nlohmann::json;
using std::chrono::steady_clock;

namespace {

constexpr int kTimeoutMs = 60'000;

Task<Outcome<json>> answer(Caller, json params) { co_return params; }
Task<Outcome<json>> answer_late(Caller, json) {
    co_await sleep_for(400 * kMillisecond);
    co_return json("late");
}
Task<Outcome<json>> answer_long(Caller, json) { co_return json(std::string(2 << 20, 'x')); }

void fill_served(Dispatcher& dispatcher) {
    dispatcher.handle("ping", answer);
    dispatcher.handle("show", answer);
    dispatcher.handle("stop", answer);
    dispatcher.handle("list", answer_late);
    dispatcher.handle("version", answer_long);
}

Client connect(const RunningServer& running) {
    auto client = Client::connect(running.path());
    REQUIRE(client);
    return std::move(client).value();
}

std::string send_and_receive(int fd, const std::string& text) {
    // The server stops reading a line that is too long: then a part of it stays unsent, and the answer is there.
    for (std::size_t sent = 0; sent < text.size();) {
        const auto n = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
    }
    std::string line;
    char byte = 0;
    while (::recv(fd, &byte, 1, 0) == 1 && byte != '\n') line += byte;
    return line;
}

}  // namespace

TEST_CASE("calls over one connection are answered in order", "[rpc][server]") {
    const RunningServer running(admin_here(), fill_served);
    Client client = connect(running);
    for (int i = 0; i < 100; i++) {
        const std::string name = "pool" + std::to_string(i);
        auto result = client.call("show", {{"pool", name}}, kTimeoutMs);
        REQUIRE(result);
        CHECK((*result)["pool"] == name);
    }
    auto refused = client.call("show", {{"pool", "a b"}}, kTimeoutMs);
    REQUIRE(!refused);
    CHECK(refused.error().kind == CallError::Kind::refused);
    CHECK(refused.error().code == "invalid_params");
    CHECK(client.call("ping", json::object(), kTimeoutMs));
}

TEST_CASE("a long-running handler keeps nobody else waiting", "[rpc][server]") {
    const RunningServer running(admin_here(), fill_served);
    std::atomic<bool> late_done{false};
    std::thread late([&] {
        auto client = Client::connect(running.path());
        if (client && client->call("list", json::object(), kTimeoutMs)) late_done = true;
    });
    Client client = connect(running);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (int i = 0; i < 20; i++) CHECK(client.call("ping", json::object(), kTimeoutMs));
    CHECK(!late_done);
    late.join();
    CHECK(late_done);
}

TEST_CASE("an answer larger than any socket buffer arrives whole", "[rpc][server]") {
    const RunningServer running(admin_here(), fill_served);
    Client client = connect(running);
    auto result = client.call("version", json::object(), kTimeoutMs);
    REQUIRE(result);
    CHECK(result->get_ref<const std::string&>().size() == 2u << 20);
}

TEST_CASE("hostile lines get one error each and the connection goes on", "[rpc][server]") {
    const RunningServer running(admin_here(), fill_served);
    auto socket = connect_unix(running.path());
    REQUIRE(socket);
    const int fd = socket->get();
    const auto code_of = [&](const std::string& text) {
        const json reply = *parse_json(send_and_receive(fd, text));
        CHECK(reply["id"].is_null());
        return reply["error"]["code"].get<int>();
    };
    CHECK(code_of("GET / HTTP/1.1\n") == -32700);
    CHECK(code_of(std::string(5000, '[') + "\n") == -32700);
    CHECK(code_of("[]\n") == -32600);
    CHECK(code_of("{}\n") == -32600);
    CHECK(code_of(std::string((1 << 20) + 1, ' ')) == -32600);  // answered before its line ends
    const json pong = *parse_json(
        send_and_receive(fd, "rest of the long line\n" + request_line(5, "ping", json::object())));
    CHECK(pong["id"] == 5);
    // Two requests in one packet, the second cut in two; a notification between them says nothing.
    const std::string both = request_line(6, "ping", json::object()) +
                             "{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\n" +
                             request_line(7, "ping", json::object());
    CHECK((*parse_json(send_and_receive(fd, both.substr(0, both.size() - 9))))["id"] == 6);
    CHECK((*parse_json(send_and_receive(fd, both.substr(both.size() - 9))))["id"] == 7);
}

TEST_CASE("who is not the admin reads at most, as the kernel names the peer", "[rpc][server]") {
    ServerOptions options;
    options.group = "";
    options.admin_uid = ::geteuid() + 1;
    const RunningServer running(options, fill_served);
    Client client = connect(running);
    auto refused = client.call("show", {{"pool", "a"}}, kTimeoutMs);
    REQUIRE(!refused);
    CHECK(refused.error().code == "permission");
}

TEST_CASE("a member of the group may read and nothing else", "[rpc][server]") {
    if (::geteuid() != 0 || !find_group("root")) return;  // needs a group that this process is in
    ServerOptions options;
    options.group = "root";
    options.admin_uid = 12345;
    const RunningServer running(options, fill_served);
    Client client = connect(running);
    CHECK(client.call("show", {{"pool", "a"}}, kTimeoutMs));
    auto refused = client.call("stop", {{"pool", "a"}}, kTimeoutMs);
    REQUIRE(!refused);
    CHECK(refused.error().code == "permission");
}

TEST_CASE("connections beyond the limit are told so, and freed ones can be used again",
          "[rpc][server]") {
    ServerOptions options = admin_here();
    options.connections_max = 4;
    RunningServer running(options, fill_served);
    std::vector<Client> clients;
    for (int i = 0; i < 4; i++) {
        clients.push_back(connect(running));
        REQUIRE(clients.back().call("ping", json::object(), kTimeoutMs));
    }
    Client extra = connect(running);
    auto refused = extra.call("ping", json::object(), kTimeoutMs);
    REQUIRE(!refused);
    CHECK(refused.error().code == "busy");
    clients.clear();
    const auto deadline = steady_clock::now() + std::chrono::seconds(60);
    while (running.connections() > 0 && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    Client again = connect(running);
    CHECK(again.call("ping", json::object(), kTimeoutMs));
}

TEST_CASE("the last connections are the admin's", "[rpc][server]") {
    if (::geteuid() != 0 || !find_group("root")) return;
    ServerOptions options;
    options.group = "root";
    options.admin_uid = 12345;
    options.connections_max = 4;
    options.admin_reserve = 3;
    const RunningServer running(options, fill_served);
    Client first = connect(running);
    CHECK(first.call("ping", json::object(), kTimeoutMs));
    Client second = connect(running);
    CHECK(second.call("ping", json::object(), kTimeoutMs).error().code == "busy");
}

TEST_CASE("stop waits for the handlers that run, and drops idle and waiting clients",
          "[rpc][server]") {
    RunningServer running(admin_here(), fill_served);
    Client idle = connect(running);
    REQUIRE(idle.call("ping", json::object(), kTimeoutMs));
    auto busy = connect_unix(running.path());
    REQUIRE(busy);
    const std::string request = request_line(1, "list", json::object());
    REQUIRE(::send(busy->get(), request.data(), request.size(), 0) ==
            static_cast<ssize_t>(request.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto before = steady_clock::now();
    running.stop();
    CHECK(steady_clock::now() - before > std::chrono::milliseconds(100));
    auto lost = idle.call("ping", json::object(), kTimeoutMs);
    REQUIRE(!lost);
    CHECK(lost.error().kind == CallError::Kind::lost);
    auto nobody = Client::connect(running.path());
    REQUIRE(!nobody);
    CHECK(nobody.error().kind == CallError::Kind::no_daemon);
}

TEST_CASE("clients that vanish in the middle of anything leave the server well", "[rpc][server]") {
    RunningServer running(admin_here(), fill_served);
    for (int i = 0; i < 100; i++) {
        auto socket = connect_unix(running.path());
        REQUIRE(socket);
        const std::string text = i % 10 == 0  ? request_line(1, "version", json::object())
                                 : i % 10 <= 5 ? std::string("{\"jsonrpc\":")
                                              : std::string();
        (void)::send(socket->get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    // Until the server has noticed that they are gone, they may count as open connections.
    const auto deadline = steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
        Client client = connect(running);
        const auto result = client.call("ping", json::object(), kTimeoutMs);
        if (!result && result.error().code == "busy" && steady_clock::now() < deadline) continue;
        if (!result) FAIL(result.error().code + ": " + result.error().message);
        break;
    }
}

TEST_CASE("a daemon that does not answer is reported as lost after the timeout", "[rpc][client]") {
    char directory[] = "/tmp/xsan-test-XXXXXX";
    REQUIRE(::mkdtemp(directory) != nullptr);
    const std::string path = std::string(directory) + "/s";
    {
        const auto silent = listen_unix(path, std::nullopt, 4);
        REQUIRE(silent);
        auto client = Client::connect(path);
        REQUIRE(client);
        auto result = client->call("ping", json::object(), 50);
        REQUIRE(!result);
        CHECK(result.error().kind == CallError::Kind::lost);
    }
    ::unlink(path.c_str());
    ::unlink((path + ".lock").c_str());
    ::rmdir(directory);
}
