// run_words(): xsanctl's command line carried out in this process, with what it prints.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/catch.h"
#include "xsanctl/session.h"

namespace xsan::test {

// What a stream of this process is given, while this lives, goes to a file.
class Captured {
  public:
    Captured(FILE* stream, int fd) : stream_(stream), fd_(fd) {
        std::fflush(stream_);
        saved_ = ::dup(fd_);
        file_ = ::mkstemp(path_);
        REQUIRE(file_ >= 0);
        ::unlink(path_);
        ::dup2(file_, fd_);
    }
    ~Captured() {
        ::close(saved_);
        ::close(file_);
    }
    std::string end() {
        std::fflush(stream_);
        ::dup2(saved_, fd_);
        std::string text(65536, '\0');
        const ssize_t bytes = ::pread(file_, text.data(), text.size(), 0);
        text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
        return text;
    }

  private:
    FILE* stream_;
    int fd_;
    int saved_ = -1;
    int file_ = -1;
    char path_[32] = "/tmp/xsan-test-XXXXXX";
};

struct Ran {
    int code;
    std::string out;
    std::string err;
};

inline Ran run_words(const std::string& socket, std::vector<const char*> words) {
    words.insert(words.begin(), {"xsanctl", "--socket", socket.c_str()});
    ctl::CommandLine command_line("/");
    const auto parsed = command_line.parse(static_cast<int>(words.size()), words.data());
    REQUIRE(parsed);
    Captured out(stdout, STDOUT_FILENO);
    Captured err(stderr, STDERR_FILENO);
    const int code = ctl::run(*parsed->invocation);
    Ran ran{code, out.end(), err.end()};
    return ran;
}

}  // namespace xsan::test
