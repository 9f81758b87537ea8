// Opening Unix sockets: the daemon's listening one with its lock, and xsanctl's end. Blocking
// calls.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace xsan::rpc {

// Owns a file descriptor.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { close(); }

    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }
    void close();

  private:
    int fd_ = -1;
};

// A bound and listening socket, and the lock that says that its daemon lives.
// The lock is a file beside the socket, PATH.lock: the kernel drops it when the process ends,
// however it ends, so a socket whose lock can be taken is stale and is replaced.
struct ListenSocket {
    Fd socket;
    Fd lock;
};

// Makes the folder with its parents where it is missing: mode 0750 with the group, else 0700. One that
// is there stays as it is.
Outcome<void> make_run_folder(const std::string& folder, std::optional<gid_t> group);

// Takes FOLDER/lock, so that two daemons never keep their state in one folder. busy when another has it.
Outcome<Fd> lock_run_folder(const std::string& folder);

// Makes the folder of PATH as make_run_folder() does. Owner root:GROUP and mode 0660, or 0600
// without a group, before the first client can connect.
// Fails with busy when another daemon has the lock or answers, with exists when PATH is not a
// socket, with permission or io_error otherwise. Sets the process's umask for an instant: call it
// before threads start that make files.
Outcome<ListenSocket> listen_unix(const std::string& path, std::optional<gid_t> group, int backlog);

// Connects; the socket is close-on-exec. Fails with not_found when nobody listens there, with
// timed_out when who listens does not accept within timeout_ms (> 0), with permission when the
// caller may not connect, with io_error otherwise.
Outcome<Fd> connect_unix(const std::string& path, int timeout_ms = 30'000);

}  // namespace xsan::rpc
