// What the tests compare with: GF(2^8)/0x11d by its definition, one bit at a time, and codes
// computed byte by byte from it. Shares nothing with src/ec but the Scheme.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "ec/matrix.h"
#include "ec/scheme.h"

namespace xsan::ec::reference {

using Bytes = std::vector<std::byte>;
using Strips = std::vector<Bytes>;

// Schoolbook multiplication of polynomials over GF(2), reduced by x^8 + x^4 + x^3 + x^2 + 1.
constexpr std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
    unsigned product = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
        if ((b >> bit & 1) != 0) product ^= unsigned{a} << bit;
    }
    for (unsigned bit = 15; bit >= 8; --bit) {
        if ((product >> bit & 1) != 0) product ^= 0x11du << (bit - 8);
    }
    return static_cast<std::uint8_t>(product);
}

// All 65,536 products, so that exhaustive tests are quick.
struct ProductTable {
    std::uint8_t of[256][256];
    ProductTable() {
        for (unsigned a = 0; a < 256; ++a) {
            for (unsigned b = 0; b < 256; ++b) {
                of[a][b] = multiply(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b));
            }
        }
    }
};
inline const ProductTable& products() {
    static const ProductTable table;
    return table;
}

// The coefficient that design.md's list of matrices gives parity (or copy) j of data strip i.
inline std::uint8_t coefficient(const Scheme& s, unsigned j, unsigned i) {
    if (s.kind == CodeKind::mirror) return 1;
    if (s.kind == CodeKind::mirror_pairs) return i == j ? 1 : 0;
    if (j == 0) return 1;
    std::uint8_t c = 1;
    if (s.parity_strips == 2) {
        for (unsigned n = 0; n < i; ++n)
            c = multiply(c, 2);
        return c;
    }
    while (multiply(c, static_cast<std::uint8_t>((32 + j) ^ i)) != (32 ^ i))
        ++c;  // a division
    return c;
}

inline Bytes random_bytes(Rng& rng, std::size_t bytes) {
    Bytes out(bytes);
    for (auto& b : out)
        b = static_cast<std::byte>(rng.next());
    return out;
}

// All strips of a stripe with random data.
inline Strips random_stripe(const Scheme& s, Rng& rng, std::size_t bytes) {
    Strips strips;
    for (unsigned i = 0; i < s.data_strips; ++i)
        strips.push_back(random_bytes(rng, bytes));
    for (unsigned j = 0; j < s.parity_strips; ++j) {
        Bytes parity(bytes);
        for (unsigned i = 0; i < s.data_strips; ++i) {
            const auto& row = products().of[coefficient(s, j, i)];
            for (std::size_t b = 0; b < bytes; ++b) {
                parity[b] ^= static_cast<std::byte>(row[std::to_integer<unsigned>(strips[i][b])]);
            }
        }
        strips.push_back(parity);
    }
    return strips;
}

inline Scheme scheme(std::string_view text, unsigned members = 64) {
    return *parse_scheme(text, members, 65536);
}

// Every K+P within the limits, in the form parse_scheme gives it.
inline std::vector<Scheme> all_k_plus_p() {
    std::vector<Scheme> all;
    for (unsigned k = 1; k <= kDataStripsMax; ++k) {
        for (unsigned p = 0; p <= kParityStripsMax; ++p) {
            all.push_back(scheme(std::to_string(k) + "+" + std::to_string(p)));
        }
    }
    return all;
}

// The shapes that design.md measures, and wider ones.
inline std::vector<Scheme> design_shapes() {
    return {scheme("4+0"),       scheme("linear"),     scheme("1+1"),      scheme("raid1", 4),
            scheme("raid10", 8), scheme("raid4", 5),   scheme("raid5", 3), scheme("raid6", 4),
            scheme("4+1"),       scheme("4+2"),        scheme("8+3"),      scheme("2+2"),
            scheme("3+3"),       scheme("22+4"),       scheme("32+1"),     scheme("32+2"),
            scheme("32+8"),      scheme("raid10", 64), scheme("raid1", 33)};
}

}  // namespace xsan::ec::reference
