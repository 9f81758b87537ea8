// What an administrator types, made independent of the current directory before it is sent.
#pragma once

#include <string>
#include <string_view>

namespace xsan::ctl {

// DEV[@DOMAIN] with an absolute path: links keep their names (/dev/disk/by-id/...), the daemon
// resolves them. `mem:` and `null:` stay as they are. `directory` is the current directory.
std::string absolute_device(std::string_view device, std::string_view directory);

// The same for a member of a pool, which may also be given by its UUID or its index in `show`.
std::string absolute_member(std::string_view member, std::string_view directory);

// `assemble` takes a pool or drives: what has a slash or a `mem:` or `null:` in front is a drive.
bool looks_like_device(std::string_view argument);

}  // namespace xsan::ctl
