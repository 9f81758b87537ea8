// A temporary file and a rename.
#include "xsanctl/wear/whole_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace xsan::ctl::wear {
namespace {

Failure cannot_write(const std::string& path, int error) {
    return {Errc::io_error, fmt::format("cannot write '{}': {}", quotable(path), std::strerror(error))};
}

mode_t mode_of_new_files() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return 0666 & ~mask;
}

// Where `path` leads to when it is a link; itself otherwise. A link that leads nowhere stays one.
std::string resolved(const std::string& path) {
    char* real = ::realpath(path.c_str(), nullptr);
    if (real == nullptr) return path;
    std::string result = real;
    std::free(real);
    return result;
}

// 0, or the error.
int write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return ::fsync(fd) == 0 ? 0 : errno;
}

// The name is durable when its folder is. Some filesystems cannot sync one: the content is safe.
void sync_folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

}  // namespace

Outcome<void> write_whole_file(const std::string& path, std::string_view content) {
    const std::string target = resolved(path);
    struct stat found {};
    mode_t mode = 0;
    if (::lstat(target.c_str(), &found) == 0) {
        if (!S_ISREG(found.st_mode)) {
            return Failure(Errc::invalid_argument,
                           fmt::format("cannot write '{}': it is no regular file", quotable(path)));
        }
        mode = found.st_mode & 07777;
    } else if (errno == ENOENT && !target.empty() && target.back() != '/') {
        mode = mode_of_new_files();
    } else {
        return cannot_write(path, target.empty() || errno != ENOENT ? errno : EISDIR);
    }
    std::string temporary = target + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return cannot_write(path, errno);
    int error = write_all(fd, content);
    if (error == 0 && ::fchmod(fd, mode) != 0) error = errno;
    if (::close(fd) != 0 && error == 0) error = errno;
    if (error == 0 && ::rename(temporary.c_str(), target.c_str()) != 0) error = errno;
    if (error != 0) {
        ::unlink(temporary.c_str());
        return cannot_write(path, error);
    }
    sync_folder_of(target);
    return {};
}

}  // namespace xsan::ctl::wear
