// The block layer knows few errors; everything that a filesystem cannot act on is EIO.
#include "ublk/errno_map.h"

#include <cerrno>

#include "base/assert.h"

namespace xsan::ublk {

std::int32_t commit_errno(Error error) {
    switch (error.code) {
        case Errc::no_space:
            return -ENOSPC;  // filesystems treat it as such, thin volumes need it
        case Errc::unsupported:
            return -EOPNOTSUPP;  // for write zeroes the kernel then writes zeros
        case Errc::ok:
            break;
        case Errc::io_error:
        case Errc::media_error:
        case Errc::device_gone:
        case Errc::timed_out:
        case Errc::checksum_mismatch:
        case Errc::too_many_failures:
        case Errc::in_doubt:
        case Errc::read_only:
        case Errc::invalid_argument:
        case Errc::not_found:
        case Errc::exists:
        case Errc::busy:
        case Errc::aborted:
        case Errc::version_mismatch:
        case Errc::corrupt:
        case Errc::permission:
            return -EIO;
    }
    XSAN_UNREACHABLE("commit_errno of a success");
}

}  // namespace xsan::ublk
