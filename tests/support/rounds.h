// How often long random tests go round. The address sanitizer is slow, and what it looks for shows early.
#pragma once

#include <algorithm>

namespace xsan::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr unsigned kFewerRounds = 4;
#else
inline constexpr unsigned kFewerRounds = 1;
#endif

constexpr unsigned rounds(unsigned n) {
    return std::max(1u, n / kFewerRounds);
}

}  // namespace xsan::test
