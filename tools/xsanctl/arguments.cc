// Device names.
#include "xsanctl/arguments.h"

#include <algorithm>

#include "base/uuid.h"

namespace xsan::ctl {
namespace {

bool is_virtual(std::string_view device) {
    return device.starts_with("mem:") || device.starts_with("null:");
}

}  // namespace

std::string absolute_device(std::string_view device, std::string_view directory) {
    // An empty one stays empty: the check of the parameters names it.
    if (device.empty() || device.front() == '/' || is_virtual(device)) return std::string(device);
    while (device.starts_with("./")) device.remove_prefix(2);
    std::string path(directory);
    if (!path.ends_with('/')) path += '/';
    // A failure domain behind '@' stays where it is: the path in front of it becomes absolute.
    return path.append(device);
}

std::string absolute_member(std::string_view member, std::string_view directory) {
    const bool is_index = !member.empty() && std::all_of(member.begin(), member.end(), [](char c) {
        return c >= '0' && c <= '9';
    });
    if (is_index || Uuid::parse(member)) return std::string(member);
    return absolute_device(member, directory);
}

bool looks_like_device(std::string_view argument) {
    return is_virtual(argument) || argument.find('/') != std::string_view::npos;
}

}  // namespace xsan::ctl
