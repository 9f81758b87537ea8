// See text.h.
#include "base/text.h"

#include <algorithm>

namespace xsan {

std::string quotable(std::string_view text) {
    std::string out(text.substr(0, 64));
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

}  // namespace xsan
