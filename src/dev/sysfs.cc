// Readers of sysfs and procfs.
#include "dev/sysfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <memory>

namespace xsan::dev {
namespace {

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr),
                                                            &::free);
    return resolved != nullptr ? std::string(resolved.get()) : std::string();
}

}  // namespace

std::optional<std::string> read_text(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    std::string text;
    char piece[4096];
    ssize_t got = 0;
    while ((got = ::read(fd, piece, sizeof(piece))) > 0)
        text.append(piece, static_cast<std::size_t>(got));
    ::close(fd);
    if (got < 0) return std::nullopt;
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.pop_back();
    return text;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
    const auto text = read_text(path);
    if (!text.has_value()) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return value;
}

std::string sysfs_block_dir(dev_t device) {
    return real_path(fmt::format("/sys/dev/block/{}:{}", major(device), minor(device)));
}

std::string sysfs_char_dir(dev_t device) {
    return real_path(fmt::format("/sys/dev/char/{}:{}", major(device), minor(device)));
}

std::string sysfs_whole_device(const std::string& block_dir) {
    if (!read_number(block_dir + "/partition").has_value()) return block_dir;
    return block_dir.substr(0, block_dir.rfind('/'));
}

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace xsan::dev
