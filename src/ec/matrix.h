// The coding matrices. Parity j of a stripe is the sum over data strips i of coefficient[j][i] *
// data i in GF(2^8)/0x11d. They define what is on disk and never change.
//
// P = 1   ones: parity is the XOR of the data.
// P = 2   ones, and 2^i (H. P. Anvin, "The mathematics of RAID-6", 2004): md's and ISA-L's P and Q.
// P >= 3  c[j][i] = (x_0 + y_i) / (x_j + y_i), x_j = 32 + j, y_i = i: the Cauchy matrix
//         1 / (x_j + y_i) (Bloemer et al., "An XOR-based erasure-resilient coding scheme", ICSI
//         TR-95-048, 1995) with column i multiplied by x_0 + y_i, which makes the first row ones,
//         so that XOR routines apply. Indices are taken as field elements; + is XOR.
//
// All are MDS: any K of the K+P strips determine the stripe. That holds exactly when every square
// submatrix is nonsingular (MacWilliams and Sloane, "The Theory of Error-Correcting Codes", ch. 11,
// theorem 8). Ones and powers: the 2x2 minors are 2^a + 2^b, nonzero for a != b below 255. Cauchy:
// a square submatrix is again Cauchy, and the determinant of one with distinct x and y, none
// common, is nonzero; scaling a column by a nonzero factor keeps that. ISA-L's gf_gen_rs_matrix has
// no such property: it is singular at 22+4, for instance. For P >= 3 each matrix is the corner of
// that of 32+8.
#pragma once

#include <array>

#include "ec/gf256.h"
#include "ec/scheme.h"

namespace xsan::ec {

struct ParityMatrix {
    unsigned data_strips = 0;
    unsigned parity_strips = 0;
    // row[parity][data]
    std::array<std::array<gf256::Element, kDataStripsMax>, kParityStripsMax> row{};
};

// 1 <= data_strips <= 32, parity_strips <= 8.
ParityMatrix make_parity_matrix(unsigned data_strips, unsigned parity_strips);

// How to compute some strips from K others: output o = sum over s of coefficient[o * K + s] *
// source s.
struct LinearMap {
    unsigned sources = 0;  // K, in ascending order of strips
    unsigned outputs = 0;  // the wanted strips, in ascending order
    std::array<gf256::Element, kDataStripsMax * kParityStripsMax> coefficients;
};

// The map from the K strips `sources` to the strips `wanted`; the two share none, and at most P
// strips are missing from `sources`. Solves for the missing data strips only: a matrix as wide as
// data strips are missing is inverted, at most 8x8, without allocation.
LinearMap make_decode_map(const ParityMatrix& matrix, StripMask sources, StripMask wanted);

}  // namespace xsan::ec
