// Every error has an answer for the kernel, and never one that it takes for a passing condition.
#include <cerrno>

#include "support/catch.h"
#include "ublk/errno_map.h"

using namespace xsan;

TEST_CASE("a full thin volume is ENOSPC, a lost one EIO") {
    CHECK(ublk::commit_errno({Errc::no_space}) == -ENOSPC);
    CHECK(ublk::commit_errno({Errc::unsupported}) == -EOPNOTSUPP);
    CHECK(ublk::commit_errno({Errc::too_many_failures}) == -EIO);
    CHECK(ublk::commit_errno({Errc::media_error, ENODATA}) == -EIO);
}

TEST_CASE("no error is answered with a retryable errno or with success") {
    for (int code = 1; code <= static_cast<int>(Errc::permission); code++) {
        const int result = ublk::commit_errno({static_cast<Errc>(code), EAGAIN});
        CHECK(result < 0);
        CHECK(result != -EAGAIN);
        CHECK(result != -EBUSY);
        CHECK(result != -ENOMEM);
    }
}
