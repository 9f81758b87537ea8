// CRC32C (Castagnoli), the checksum of all metadata and logs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace xsan {

// CRC of `data`, continued from `seed` (0 to start). The value is the usual finalised one, so that
// crc32c("123456789") == 0xE3069283 (RFC 3720, appendix B.4).
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed = 0);

}  // namespace xsan
