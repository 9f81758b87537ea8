// Prints the broken invariant and aborts; kept out of line so that the check costs one branch.
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace xsan::detail {

void assert_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "xsan: broken invariant at %s:%d: %s\n", file, line, condition);
    std::fflush(stderr);
    std::abort();
}

}  // namespace xsan::detail
