// Binding without a moment of wrong permissions, stale sockets, connecting.
#include "rpc/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace xsan::rpc {
namespace {

Failure os_failure(const std::string& what, int os_errno) {
    Errc code = error_from_errno(os_errno).code;
    return {code, fmt::format("{}: {}", what, std::strerror(os_errno))};
}

Outcome<sockaddr_un> make_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // An empty path or one that begins with NUL would be an abstract socket, which has no
    // permissions.
    if (path.empty() || path.front() == '\0' || path.size() >= sizeof address.sun_path) {
        return Failure(Errc::invalid_argument,
                       fmt::format("socket path '{}' must have 1 to {} bytes", path,
                                   sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

// `owned`: what the lock stands for, with the option that chooses another one.
Outcome<Fd> take_lock(const std::string& path, const std::string& owned, const char* option) {
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock.is_open()) return os_failure(path, errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return os_failure(path, errno);
        return Failure(Errc::busy, fmt::format("another xsand runs on {}: stop it first, or give "
                                               "this one another {}",
                                               owned, option));
    }
    return lock;
}

// We hold the lock, so no xsand lives; but the ring of one that was just killed may keep its socket
// open for a moment longer. Only who goes on answering is somebody.
bool somebody_answers(const std::string& path) {
    constexpr int kTries = 20;
    constexpr int kPauseMs = 50;
    for (int i = 0; i < kTries; i++) {
        // A backlog that is full (timed_out) is somebody too.
        const auto answer = connect_unix(path, 1);
        if (!answer && answer.error().code == Errc::not_found) return false;
        ::poll(nullptr, 0, kPauseMs);
    }
    return true;
}

// Removes a socket that nobody listens on. Anything else at that path stays.
Outcome<void> remove_stale(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return os_failure(path, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return Failure(Errc::exists, fmt::format("{} exists and is not a socket: remove it", path));
    }
    if (somebody_answers(path)) {
        return Failure(Errc::busy, fmt::format("another program answers on {}", path));
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os_failure(path, errno);
    return {};
}

}  // namespace

void Fd::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Outcome<void> make_run_folder(const std::string& folder, std::optional<gid_t> group) {
    std::error_code error;
    if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
    const std::filesystem::path parent = std::filesystem::path(folder).parent_path();
    std::filesystem::create_directories(parent, error);
    if (error) return os_failure(parent.string(), error.value());
    if (::mkdir(folder.c_str(), 0700) != 0) {
        if (errno == EEXIST && std::filesystem::is_directory(folder, error)) return {};
        return os_failure(folder, errno);
    }
    if (!group) return {};
    if (::chown(folder.c_str(), static_cast<uid_t>(-1), *group) != 0 ||
        ::chmod(folder.c_str(), 0750) != 0) {
        return os_failure(folder, errno);
    }
    return {};
}

Outcome<Fd> lock_run_folder(const std::string& folder) {
    return take_lock(folder + "/lock", "the state in " + folder, "--run-folder");
}

Outcome<ListenSocket> listen_unix(const std::string& path, std::optional<gid_t> group,
                                  int backlog) {
    XSAN_TRY(const auto address, make_address(path));
    ListenSocket result;
    XSAN_TRY_VOID(make_run_folder(std::filesystem::path(path).parent_path().string(), group));
    XSAN_TRY(result.lock, take_lock(path + ".lock", path, "--socket"));
    XSAN_TRY_VOID(remove_stale(path));
    result.socket = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!result.socket.is_open()) return os_failure("socket", errno);

    const mode_t old_mask = ::umask(0177);
    const int bound = ::bind(result.socket.get(), generic(address), sizeof address);
    const int bind_errno = errno;
    ::umask(old_mask);
    if (bound != 0) return os_failure(path, bind_errno);
    // Nobody can connect before listen(): the right owner and mode are there when the first one
    // may.
    if (group) {
        if (::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0 ||
            ::chmod(path.c_str(), 0660) != 0) {
            const int os_errno = errno;
            ::unlink(path.c_str());
            return os_failure(path, os_errno);
        }
    }
    if (::listen(result.socket.get(), backlog) != 0) {
        const int os_errno = errno;
        ::unlink(path.c_str());
        return os_failure(path, os_errno);
    }
    return result;
}

Outcome<Fd> connect_unix(const std::string& path, int timeout_ms) {
    XSAN_TRY(const auto address, make_address(path));
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return os_failure("socket", errno);
    // The kernel bounds a connect by the time limit of sends.
    timeval limit{};
    limit.tv_sec = timeout_ms / 1000;
    limit.tv_usec = timeout_ms % 1000 * 1000;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        return os_failure("SO_SNDTIMEO", errno);
    }
    int result = 0;
    do {
        result = ::connect(socket.get(), generic(address), sizeof address);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return socket;
    const int os_errno = errno;
    if (os_errno == ENOENT || os_errno == ECONNREFUSED) {
        return Failure(Errc::not_found, fmt::format("no xsand answers on {}: is xsand.service "
                                                    "running?",
                                                    path));
    }
    if (os_errno == EAGAIN) {
        return Failure(Errc::timed_out, fmt::format("the daemon behind {} takes no connections: "
                                                    "see its log",
                                                    path));
    }
    if (os_errno == EACCES || os_errno == EPERM) {
        return Failure(Errc::permission,
                       fmt::format("no access to {}: be root or in the group xsan", path));
    }
    return os_failure(path, os_errno);
}

}  // namespace xsan::rpc
