// CRC32C by ISA-L, which chooses the CPU's fastest instructions.
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>

namespace xsan {

// ISA-L's takes a pointer to non-const, but does not write; its length is an int; and it inverts neither its start
// nor its end.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed) {
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
