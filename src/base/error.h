// The closed set of operating errors.
// Error is eight trivially copyable bytes and is what the data path carries; Failure adds a sentence
// for a person and is what commands, configuration and on-disk validation return.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace xsan {

enum class Errc : std::uint16_t {
    ok = 0,
    io_error,           // the device failed the operation and may serve others
    media_error,        // these blocks cannot be read; others can
    device_gone,        // the device has vanished
    timed_out,          //
    checksum_mismatch,  // bytes that should carry a valid CRC do not
    too_many_failures,  // more strips are lost than the code can decode
    no_space,           //
    read_only,          //
    invalid_argument,   //
    not_found,          //
    exists,             //
    busy,               // in use by someone else
    aborted,            // stopped on request
    unsupported,        // this kernel, drive or build does not offer it
    version_mismatch,   // written by a newer, incompatible xsan
    corrupt,            // metadata that contradicts itself
    permission,         // the caller has no right to do this
    in_doubt,           // it may have happened or not: the next start finds out
};

// Short stable name, used in logs and as `code` in the control protocol.
std::string_view errc_name(Errc code);

struct Error {
    Errc code = Errc::ok;
    std::uint16_t os_errno = 0;  // what the kernel said, 0 where it said nothing
    std::uint32_t detail = 0;    // NVMe status, member index or similar; only for logs

    constexpr Error() = default;
    constexpr Error(Errc c, int os = 0, std::uint32_t d = 0)
        : code(c), os_errno(static_cast<std::uint16_t>(os)), detail(d) {}

    constexpr bool is_ok() const { return code == Errc::ok; }
    friend constexpr bool operator==(const Error&, const Error&) = default;
};
static_assert(sizeof(Error) == 8 && std::is_trivially_copyable_v<Error>);

// Maps an errno of a block device operation; 0 gives Errc::ok.
Error error_from_errno(int os_errno);

struct Failure {
    Errc code = Errc::invalid_argument;
    std::string message;  // one line: what was wrong, with which drive or name, what to do

    Failure(Errc c, std::string m) : code(c), message(std::move(m)) {}
};

}  // namespace xsan
