// Properties of the listening socket: permissions, stale files, a living daemon.
#include "rpc/unix_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.h"

using namespace xsan;
using namespace xsan::rpc;

namespace {

// A private directory that vanishes with what is in it.
class Directory {
  public:
    Directory() { REQUIRE(::mkdtemp(path_) != nullptr); }
    ~Directory() {
        ::unlink(file("s").c_str());
        ::unlink(file("s.lock").c_str());
        ::rmdir(path_);
    }
    std::string file(const char* name) const { return std::string(path_) + "/" + name; }

  private:
    char path_[32] = "/tmp/xsan-test-XXXXXX";
};

unsigned mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("the socket is root's alone, or root's and the group's, never the world's",
          "[rpc][socket]") {
    const Directory directory;
    const std::string path = directory.file("s");
    for (const mode_t mask : {mode_t{0}, mode_t{077}}) {
        const mode_t before = ::umask(mask);
        {
            const auto alone = listen_unix(path, std::nullopt, 4);
            REQUIRE(alone);
            CHECK(mode_of(path) == 0600);
        }
        {
            const auto shared = listen_unix(path, ::getegid(), 4);
            REQUIRE(shared);
            CHECK(mode_of(path) == 0660);
        }
        CHECK(mode_of(path + ".lock") == 0600);
        CHECK(::umask(before) == mask);
    }
}

TEST_CASE("a stale socket is replaced and a living daemon's is not", "[rpc][socket]") {
    const Directory directory;
    const std::string path = directory.file("s");
    auto first = listen_unix(path, std::nullopt, 4);
    REQUIRE(first);
    const auto second = listen_unix(path, std::nullopt, 4);
    REQUIRE(!second);
    CHECK(second.error().code == Errc::busy);
    CHECK(connect_unix(path));

    // A listener that holds no lock but answers.
    first->lock.close();
    const auto third = listen_unix(path, std::nullopt, 4);
    REQUIRE(!third);
    CHECK(third.error().code == Errc::busy);

    first->socket.close();  // as after kill -9: the file stays behind
    CHECK(::access(path.c_str(), F_OK) == 0);
    CHECK(connect_unix(path).error().code == Errc::not_found);
    CHECK(listen_unix(path, std::nullopt, 4));
}

TEST_CASE("a listener that accepts nobody does not hang its clients", "[rpc][socket]") {
    const Directory directory;
    const std::string path = directory.file("s");
    const auto listener = listen_unix(path, std::nullopt, 1);
    REQUIRE(listener);
    std::vector<Fd> waiting;
    Errc last = Errc::ok;
    for (int i = 0; i < 8 && last == Errc::ok; i++) {
        auto socket = connect_unix(path, 20);
        last = socket ? Errc::ok : socket.error().code;
        if (socket) waiting.push_back(std::move(socket).value());
    }
    CHECK(last == Errc::timed_out);
    CHECK(waiting.size() <= 2);
}

TEST_CASE("a file that is no socket is left alone", "[rpc][socket]") {
    const Directory directory;
    const std::string path = directory.file("s");
    std::ofstream(path) << "precious";
    const auto result = listen_unix(path, std::nullopt, 4);
    REQUIRE(!result);
    CHECK(result.error().code == Errc::exists);
    std::string content;
    std::ifstream(path) >> content;
    CHECK(content == "precious");
}

TEST_CASE("paths that cannot be sockets are refused", "[rpc][socket]") {
    CHECK(listen_unix("", std::nullopt, 4).error().code == Errc::invalid_argument);
    CHECK(listen_unix(std::string(200, 'a'), std::nullopt, 4).error().code ==
          Errc::invalid_argument);
    CHECK(listen_unix(std::string("\0abstract", 9), std::nullopt, 4).error().code ==
          Errc::invalid_argument);
    CHECK(connect_unix("/nonexistent/s").error().code == Errc::not_found);
}

TEST_CASE("a missing folder of the socket is made, for the group alone", "[rpc][socket]") {
    const Directory directory;
    const std::string folder = directory.file("run");
    const std::string path = folder + "/deeper/s";
    {
        const auto socket = listen_unix(path, ::getegid(), 4);
        REQUIRE(socket);
        CHECK(mode_of(folder + "/deeper") == 0750);
    }
    std::filesystem::remove_all(folder);
    REQUIRE(make_run_folder(folder, std::nullopt));
    CHECK(mode_of(folder) == 0700);
    REQUIRE(make_run_folder(folder, ::getegid()));
    CHECK(mode_of(folder) == 0700);  // what is there stays as it is
    std::filesystem::remove_all(folder);
}

TEST_CASE("two daemons do not share a run folder", "[rpc][socket]") {
    const Directory directory;
    const std::string folder = directory.file("run");
    REQUIRE(make_run_folder(folder, std::nullopt));
    {
        const auto first = lock_run_folder(folder);
        REQUIRE(first);
        const auto second = lock_run_folder(folder);
        REQUIRE(!second);
        CHECK(second.error().code == Errc::busy);
        CHECK(second.error().message.find("--run-folder") != std::string::npos);
    }
    CHECK(lock_run_folder(folder));
    std::filesystem::remove_all(folder);
}
