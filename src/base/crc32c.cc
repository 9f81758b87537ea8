// Table-driven CRC32C with the SSE4.2 instruction where the CPU has it.
#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace xsan {
namespace {

constexpr std::uint32_t kPolynomialReflected = 0x82F63B78u;

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> t{};
    for (std::uint32_t i = 0; i < 256; i++) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = (c & 1) ? (c >> 1) ^ kPolynomialReflected : c >> 1;
        t[0][i] = c;
    }
    for (std::size_t k = 1; k < 8; k++) {
        for (std::size_t i = 0; i < 256; i++) {
            t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
        }
    }
    return t;
}
constexpr auto kTables = make_tables();

// Slicing by eight (Kounavis and Berry, 2005): eight table look-ups per eight bytes.
std::uint32_t crc_portable(const std::byte* p, std::size_t n, std::uint32_t crc) {
    for (; n >= 8; p += 8, n -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        word ^= crc;
        crc = kTables[7][word & 0xff] ^ kTables[6][(word >> 8) & 0xff] ^
              kTables[5][(word >> 16) & 0xff] ^ kTables[4][(word >> 24) & 0xff] ^
              kTables[3][(word >> 32) & 0xff] ^ kTables[2][(word >> 40) & 0xff] ^
              kTables[1][(word >> 48) & 0xff] ^ kTables[0][word >> 56];
    }
    for (; n > 0; p++, n--) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint32_t>(*p)) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)
// The instruction takes three cycles, but one may start in each: three runs of this many bytes go beside
// each other, and are put together by what follows them (Gopal et al., 2011).
constexpr std::size_t kRunBytes = 512;

// What a CRC becomes by kRunBytes zeros, by its bytes.
using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;
ShiftTable make_shift_table() {
    ShiftTable table{};
    const std::array<std::byte, kRunBytes> zeros{};
    for (unsigned byte = 0; byte < 4; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            const std::uint32_t moved =
                crc_portable(zeros.data(), zeros.size(), 1u << (8 * byte + bit));
            for (std::uint32_t value = 0; value < 256; value++) {
                if ((value >> bit & 1) != 0) table[byte][value] ^= moved;
            }
        }
    }
    return table;
}
std::uint64_t shift(const ShiftTable& table, std::uint64_t crc) {
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) std::uint32_t crc_sse42(const std::byte* p, std::size_t n,
                                                          std::uint32_t crc) {
    static const ShiftTable table = make_shift_table();
    std::uint64_t wide = crc;
    for (; n >= 3 * kRunBytes; p += 3 * kRunBytes, n -= 3 * kRunBytes) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (std::size_t i = 0; i < kRunBytes; i += 8) {
            std::uint64_t words[3];
            std::memcpy(&words[0], p + i, 8);
            std::memcpy(&words[1], p + kRunBytes + i, 8);
            std::memcpy(&words[2], p + 2 * kRunBytes + i, 8);
            wide = __builtin_ia32_crc32di(wide, words[0]);
            second = __builtin_ia32_crc32di(second, words[1]);
            third = __builtin_ia32_crc32di(third, words[2]);
        }
        wide = shift(table, shift(table, wide) ^ second) ^ third;
    }
    for (; n >= 8; p += 8, n -= 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; n > 0; p++, n--) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(*p));
    return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed) {
    const std::uint32_t start = ~seed;
#if defined(__x86_64__)
    static const bool has_sse42 = __builtin_cpu_supports("sse4.2");
    if (has_sse42) return ~crc_sse42(data.data(), data.size(), start);
#endif
    return ~crc_portable(data.data(), data.size(), start);
}

}  // namespace xsan
