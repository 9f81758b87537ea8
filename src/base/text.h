// Text of strangers in sentences for people: requests, names on drives, keys of files.
#pragma once

#include <string>
#include <string_view>

namespace xsan {

// At most the first 64 bytes, with '?' for control characters: fit to be quoted in a log or on a
// terminal, where a newline would begin another line and an escape would be obeyed.
std::string quotable(std::string_view text);

}  // namespace xsan
