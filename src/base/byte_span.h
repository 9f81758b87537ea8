// Questions about whole spans of bytes, answered by the C library: it looks at many at a time, and
// a sanitizer checks the range once, where a loop over std::byte costs a call for each.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace xsan {

inline bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline bool all_zero(std::span<const std::byte> bytes) {
    return bytes.empty() || (bytes[0] == std::byte{0} &&
                             same_bytes(bytes.first(bytes.size() - 1), bytes.subspan(1)));
}

}  // namespace xsan
