// CRC32C by ISA-L, which chooses the CPU's fastest instructions.
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>

#if defined(__has_feature)
#define XSAN_IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XSAN_IS_SANITIZED 1
#else
#define XSAN_IS_SANITIZED 0
#endif

namespace xsan {
namespace {

// Sanitizers do not see what ISA-L's assembler reads: they are shown both ends of each cache line.
[[maybe_unused]] void read_for_sanitizers(std::span<const std::byte> data) {
    constexpr std::size_t kLine = 64;
    for (std::size_t at = 0; at < data.size(); at += kLine) {
        static_cast<void>(*static_cast<const volatile std::byte*>(&data[at]));
        static_cast<void>(*static_cast<const volatile std::byte*>(&data[std::min(at + kLine, data.size()) - 1]));
    }
}

}  // namespace

// ISA-L's takes a pointer to non-const, but does not write; its length is an int; and it inverts neither its start
// nor its end.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed) {
#if XSAN_IS_SANITIZED
    read_for_sanitizers(data);
#endif
    std::uint32_t crc = ~seed;
    while (!data.empty()) {
        const std::size_t length = std::min<std::size_t>(data.size(), INT_MAX);
        auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(data.data()));
        crc = crc32_iscsi(bytes, static_cast<int>(length), crc);
        data = data.subspan(length);
    }
    return ~crc;
}

}  // namespace xsan
