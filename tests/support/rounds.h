// How often long random tests go round. Sanitizers are slow, and what they look for shows early. A
// simulated world has one thread, so the thread sanitizer has little to find in it: tests with real
// threads are for that one.
#pragma once

#include <algorithm>

namespace xsan::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr unsigned kFewerRounds = 20;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr unsigned kFewerRounds = 4;
#else
inline constexpr unsigned kFewerRounds = 1;
#endif

constexpr unsigned rounds(unsigned n) {
    return std::max(1u, n / kFewerRounds);
}

}  // namespace xsan::test
