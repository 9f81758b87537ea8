// XSAN_ASSERT: a broken invariant stops the process, in every build type.
// An operating error (a drive, a peer, an administrator) is never an assertion: it is a Result.
#pragma once

namespace xsan::detail {
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);
}  // namespace xsan::detail

#define XSAN_ASSERT(condition)                                                \
    (static_cast<bool>(condition) ? static_cast<void>(0)                      \
                                  : ::xsan::detail::assert_failed(#condition, __FILE__, __LINE__))

#define XSAN_UNREACHABLE(why) ::xsan::detail::assert_failed(why, __FILE__, __LINE__)
