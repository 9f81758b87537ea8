// Names and errno mapping of the closed error set.
#include "base/error.h"

#include <cerrno>

namespace xsan {

std::string_view errc_name(Errc code) {
    switch (code) {
        case Errc::ok: return "ok";
        case Errc::io_error: return "io_error";
        case Errc::media_error: return "media_error";
        case Errc::device_gone: return "device_gone";
        case Errc::timed_out: return "timed_out";
        case Errc::checksum_mismatch: return "checksum_mismatch";
        case Errc::too_many_failures: return "too_many_failures";
        case Errc::in_doubt: return "in_doubt";
        case Errc::no_space: return "no_space";
        case Errc::read_only: return "read_only";
        case Errc::invalid_argument: return "invalid_argument";
        case Errc::not_found: return "not_found";
        case Errc::exists: return "exists";
        case Errc::busy: return "busy";
        case Errc::aborted: return "aborted";
        case Errc::unsupported: return "unsupported";
        case Errc::version_mismatch: return "version_mismatch";
        case Errc::corrupt: return "corrupt";
        case Errc::permission: return "permission";
    }
    return "unknown";
}

Error error_from_errno(int os_errno) {
    switch (os_errno) {
        case 0: return {};
        case ENODEV:
        case ENXIO:
        case ESHUTDOWN: return {Errc::device_gone, os_errno};
        case ENODATA:
        case EILSEQ: return {Errc::media_error, os_errno};
        case ETIMEDOUT:
        case ETIME: return {Errc::timed_out, os_errno};
        case ENOSPC: return {Errc::no_space, os_errno};
        case EROFS: return {Errc::read_only, os_errno};
        case EINVAL: return {Errc::invalid_argument, os_errno};
        case ENOENT: return {Errc::not_found, os_errno};
        case EEXIST: return {Errc::exists, os_errno};
        case EBUSY: return {Errc::busy, os_errno};
        case ECANCELED: return {Errc::aborted, os_errno};
        case EOPNOTSUPP:
        case ENOSYS:
        case ENOTTY: return {Errc::unsupported, os_errno};
        case EACCES:
        case EPERM: return {Errc::permission, os_errno};
        default: return {Errc::io_error, os_errno};
    }
}

}  // namespace xsan
