// Builds the coding matrices and inverts what a decode needs of them.
#include "ec/matrix.h"

#include <bit>

#include "base/assert.h"

namespace xsan::ec {
namespace {

using gf256::Element;
using Square = std::array<std::array<Element, kParityStripsMax>, kParityStripsMax>;

// Indices of the set bits, ascending.
struct StripList {
    unsigned count = 0;
    std::array<std::uint8_t, kDataStripsMax + kParityStripsMax> at;

    explicit StripList(StripMask mask) {
        for (; mask != 0; mask &= mask - 1) {
            at[count++] = static_cast<std::uint8_t>(std::countr_zero(mask));
        }
    }
};

// Gauss-Jordan over GF(2^8). `a` is destroyed. No pivot search: `a` is a submatrix of an MDS code's
// parity rows, so its leading minors are nonzero, and no pivot becomes zero.
Square invert(Square& a, unsigned size) {
    Square inverse{};
    for (unsigned i = 0; i < size; ++i)
        inverse[i][i] = 1;
    for (unsigned column = 0; column < size; ++column) {
        XSAN_ASSERT(a[column][column] != 0);
        const Element scale = gf256::inverse(a[column][column]);
        for (unsigned i = 0; i < size; ++i) {
            a[column][i] = gf256::multiply(a[column][i], scale);
            inverse[column][i] = gf256::multiply(inverse[column][i], scale);
        }
        for (unsigned r = 0; r < size; ++r) {
            const Element factor = a[r][column];
            if (r == column || factor == 0) continue;
            for (unsigned i = 0; i < size; ++i) {
                a[r][i] ^= gf256::multiply(factor, a[column][i]);
                inverse[r][i] ^= gf256::multiply(factor, inverse[column][i]);
            }
        }
    }
    return inverse;
}

}  // namespace

ParityMatrix make_parity_matrix(unsigned data_strips, unsigned parity_strips) {
    XSAN_ASSERT(data_strips >= 1 && data_strips <= kDataStripsMax);
    XSAN_ASSERT(parity_strips <= kParityStripsMax);
    ParityMatrix m;
    m.data_strips = data_strips;
    m.parity_strips = parity_strips;
    for (unsigned j = 0; j < parity_strips; ++j) {
        for (unsigned i = 0; i < data_strips; ++i) {
            if (j == 0) {
                m.row[j][i] = 1;
            } else if (parity_strips == 2) {
                m.row[j][i] = gf256::power_of_two(i);
            } else {
                const auto x_0 = static_cast<Element>(kDataStripsMax);
                const auto x_j = static_cast<Element>(kDataStripsMax + j);
                const auto y = static_cast<Element>(i);
                m.row[j][i] = gf256::multiply(x_0 ^ y, gf256::inverse(x_j ^ y));
            }
        }
    }
    return m;
}

// With D' the present data, X the missing data and S the chosen parities, S = A X + C D', where A
// and C are columns of the matrix. So X = A^-1 S + A^-1 C D', and a wanted parity is its row
// applied to X, D'.
LinearMap make_decode_map(const ParityMatrix& matrix, StripMask sources, StripMask wanted) {
    const unsigned k = matrix.data_strips;
    const StripMask data_mask = (StripMask{1} << k) - 1;
    const StripList missing(~sources & data_mask), present(sources & data_mask);
    const StripList parities(sources >> k), outputs(wanted);
    const unsigned size = missing.count;
    XSAN_ASSERT(present.count + parities.count == k && size == parities.count);
    XSAN_ASSERT((sources & wanted) == 0 && outputs.count <= matrix.parity_strips);

    Square a{};
    for (unsigned s = 0; s < size; ++s) {
        for (unsigned t = 0; t < size; ++t)
            a[s][t] = matrix.row[parities.at[s]][missing.at[t]];
    }
    const Square inverse = invert(a, size);

    // solved[t]: missing data strip t as a combination of the sources, present data before parity.
    // A wanted parity needs them all, wanted data only themselves.
    const bool need_all = (wanted & ~data_mask) != 0;
    std::array<std::array<Element, kDataStripsMax>, kParityStripsMax> solved;
    for (unsigned t = 0; t < size; ++t) {
        if (!need_all && (wanted >> missing.at[t] & 1) == 0) continue;
        for (unsigned i = 0; i < present.count; ++i) {
            Element sum = 0;
            for (unsigned s = 0; s < size; ++s) {
                sum ^= gf256::multiply(inverse[t][s], matrix.row[parities.at[s]][present.at[i]]);
            }
            solved[t][i] = sum;
        }
        for (unsigned s = 0; s < size; ++s)
            solved[t][present.count + s] = inverse[t][s];
    }

    LinearMap map;
    map.sources = k;
    map.outputs = outputs.count;
    for (unsigned o = 0; o < outputs.count; ++o) {
        Element* out = &map.coefficients[std::size_t{o} * k];
        if (outputs.at[o] < k) {
            const auto t = static_cast<unsigned>(
                std::popcount(~sources & ((StripMask{1} << outputs.at[o]) - 1)));
            for (unsigned i = 0; i < k; ++i)
                out[i] = solved[t][i];
            continue;
        }
        const auto& row = matrix.row[outputs.at[o] - k];  // a parity
        for (unsigned i = 0; i < k; ++i) {
            Element sum = i < present.count ? row[present.at[i]] : Element{0};
            for (unsigned t = 0; t < size; ++t) {
                sum ^= gf256::multiply(row[missing.at[t]], solved[t][i]);
            }
            out[i] = sum;
        }
    }
    return map;
}

}  // namespace xsan::ec
