// Proof that every admitted matrix is MDS, and proof that the proof would notice one that is not.
// A systematic code is MDS exactly when all square submatrices of its parity rows are nonsingular
// (MacWilliams and Sloane, ch. 11, theorem 8).
#include "ec/matrix.h"

#include <isa-l.h>

#include <bit>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;

namespace {

// Computes every minor of a matrix, each from the minors one smaller (Laplace expansion along the
// last column), depth first over sets of columns. A 32 x 8 matrix has C(40, 8) - 1 = 76.9 million
// of them.
class MinorCount {
  public:
    explicit MinorCount(const ParityMatrix& matrix) : matrix_(matrix), rows_(matrix.parity_strips) {
        for (unsigned set = 1; set < 1u << rows_; ++set) {
            row_sets_[static_cast<unsigned>(std::popcount(set))].push_back(set);
        }
        minors_[0][0] = 1;
        descend(0, 0);
    }
    std::uint64_t total = 0;
    std::uint64_t singular = 0;

  private:
    void descend(unsigned size, unsigned first_column) {
        if (size == rows_) return;
        const std::uint8_t* smaller = minors_[size];
        std::uint8_t* out = minors_[size + 1];
        for (unsigned column = first_column; column < matrix_.data_strips; ++column) {
            const std::uint8_t* products[kParityStripsMax];
            for (unsigned r = 0; r < rows_; ++r) {
                products[r] = reference::products().of[matrix_.row[r][column]];
            }
            for (const unsigned set : row_sets_[size + 1]) {
                std::uint8_t sum = 0;
                for (unsigned left = set; left != 0; left &= left - 1) {
                    const unsigned r = static_cast<unsigned>(std::countr_zero(left));
                    sum ^= products[r][smaller[set ^ (1u << r)]];
                }
                out[set] = sum;
                ++total;
                if (sum == 0) ++singular;
            }
            descend(size + 1, column + 1);
        }
    }

    const ParityMatrix& matrix_;
    unsigned rows_;
    std::vector<unsigned> row_sets_[kParityStripsMax + 1];
    std::uint8_t minors_[kParityStripsMax + 1][1u << kParityStripsMax]{};  // [size][set of rows]
};

// Is the matrix a Cauchy matrix 1/(x_j + y_i), x_j = 32 + j, y_i = i, with columns scaled? Checked
// by m[j][i] (x_j + y_i) being the same nonzero value for all rows j of column i.
bool is_column_scaled_cauchy(const ParityMatrix& m) {
    bool used[256] = {};
    for (unsigned v = 0; v < m.data_strips; ++v)
        used[v] = true;
    for (unsigned j = 0; j < m.parity_strips; ++j) {
        if (std::exchange(used[kDataStripsMax + j], true))
            return false;  // x and y are all distinct
    }
    for (unsigned i = 0; i < m.data_strips; ++i) {
        const auto scale = [&](unsigned j) {
            return reference::multiply(m.row[j][i], static_cast<std::uint8_t>((32 + j) ^ i));
        };
        for (unsigned j = 0; j < m.parity_strips; ++j) {
            if (scale(j) == 0 || scale(j) != scale(0)) return false;
        }
    }
    return true;
}

// The matrix that is NOT used.
ParityMatrix vandermonde_of_isal(unsigned k, unsigned p) {
    std::vector<unsigned char> whole(std::size_t{k + p} * k);
    gf_gen_rs_matrix(whole.data(), static_cast<int>(k + p), static_cast<int>(k));
    ParityMatrix m;
    m.data_strips = k;
    m.parity_strips = p;
    for (unsigned j = 0; j < p; ++j) {
        for (unsigned i = 0; i < k; ++i)
            m.row[j][i] = whole[std::size_t{k + j} * k + i];
    }
    return m;
}

}  // namespace

TEST_CASE("the field agrees with its definition and with ISA-L", "[ec]") {
    unsigned wrong = 0;
    for (unsigned a = 0; a < 256; ++a) {
        for (unsigned b = 0; b < 256; ++b) {
            const auto x = static_cast<std::uint8_t>(a), y = static_cast<std::uint8_t>(b);
            const std::uint8_t product = gf256::multiply(x, y);
            if (product != reference::multiply(x, y) || product != gf_mul(x, y)) ++wrong;
        }
        const auto x = static_cast<std::uint8_t>(a);
        if (a != 0 && reference::multiply(x, gf256::inverse(x)) != 1) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("the coefficients are those that the format defines", "[ec]") {
    for (const Scheme& s : reference::all_k_plus_p()) {
        if (s.kind != CodeKind::parity) continue;
        const ParityMatrix m = make_parity_matrix(s.data_strips, s.parity_strips);
        INFO(s.shape());
        unsigned wrong = 0;
        for (unsigned j = 0; j < s.parity_strips; ++j) {
            for (unsigned i = 0; i < s.data_strips; ++i) {
                if (m.row[j][i] != reference::coefficient(s, j, i)) ++wrong;
            }
        }
        CHECK(wrong == 0);
    }
    // Written down, so that no change of code and reference together goes unseen.
    const ParityMatrix m = make_parity_matrix(4, 3);
    const std::vector<std::vector<unsigned>> golden = {
        {m.row[0][0], m.row[0][1], m.row[0][2], m.row[0][3]},
        {m.row[1][0], m.row[1][1], m.row[1][2], m.row[1][3]},
        {m.row[2][0], m.row[2][1], m.row[2][2], m.row[2][3]}};
    CHECK(golden == std::vector<std::vector<unsigned>>{
                        {1, 1, 1, 1}, {236, 109, 80, 56}, {115, 163, 217, 198}});
    const ParityMatrix largest = make_parity_matrix(kDataStripsMax, kParityStripsMax);
    CHECK(largest.row[7][0] == 144);
    CHECK(largest.row[7][31] == 172);
}

TEST_CASE("one parity is XOR, two are the P and Q of RAID-6", "[ec]") {
    for (unsigned k = 1; k <= kDataStripsMax; ++k) {
        for (unsigned p = 1; p <= kParityStripsMax; ++p) {
            const ParityMatrix m = make_parity_matrix(k, p);
            for (unsigned i = 0; i < k; ++i) {
                if (m.row[0][i] != 1) FAIL("the first row of " << k << "+" << p);
            }
        }
        const ParityMatrix m = make_parity_matrix(k, 2);
        for (unsigned i = 1; i < k; ++i) {
            if (m.row[1][i] != reference::multiply(m.row[1][i - 1], 2)) FAIL("Q of " << k);
        }
        CHECK(m.row[1][0] == 1);
    }
}

TEST_CASE("codes with at most two parities have no singular submatrix", "[ec]") {
    for (unsigned k = 1; k <= kDataStripsMax; ++k) {
        for (unsigned p = 0; p <= 2; ++p) {
            const MinorCount minors(make_parity_matrix(k, p));
            INFO(k << "+" << p);
            CHECK(minors.total == (p == 0 ? 0 : p == 1 ? k : 2 * k + k * (k - 1) / 2));
            CHECK(minors.singular == 0);
        }
    }
}

TEST_CASE("codes with three parities and more are Cauchy with scaled columns", "[ec]") {
    for (unsigned k = 1; k <= kDataStripsMax; ++k) {
        for (unsigned p = 3; p <= kParityStripsMax; ++p) {
            INFO(k << "+" << p);
            CHECK(is_column_scaled_cauchy(make_parity_matrix(k, p)));
        }
    }
}

TEST_CASE("codes with three parities and more have no singular submatrix", "[ec]") {
    // Every such matrix is the corner of the largest, so its submatrices are among that one's.
    const ParityMatrix largest = make_parity_matrix(kDataStripsMax, kParityStripsMax);
    for (unsigned k = 1; k <= kDataStripsMax; ++k) {
        for (unsigned p = 3; p <= kParityStripsMax; ++p) {
            const ParityMatrix m = make_parity_matrix(k, p);
            for (unsigned j = 0; j < p; ++j) {
                for (unsigned i = 0; i < k; ++i) {
                    if (m.row[j][i] != largest.row[j][i]) FAIL(k << "+" << p << " is no corner");
                }
            }
        }
    }
    const MinorCount minors(largest);
    CHECK(minors.total == 76904684);  // C(40, 8) - 1
    CHECK(minors.singular == 0);
}

TEST_CASE("both proofs notice a matrix that is not MDS", "[ec]") {
    const ParityMatrix bad = vandermonde_of_isal(22, 4);
    CHECK_FALSE(is_column_scaled_cauchy(bad));
    CHECK(MinorCount(bad).singular > 0);
    CHECK(MinorCount(vandermonde_of_isal(21, 4)).singular ==
          0);  // so it is not refused for its form

    // The submatrix that decodes the loss of data 0, 10, 21 and parity 2.
    ParityMatrix part;
    part.data_strips = part.parity_strips = 3;
    const unsigned rows[] = {0, 1, 3}, columns[] = {0, 10, 21};
    for (unsigned j = 0; j < 3; ++j) {
        for (unsigned i = 0; i < 3; ++i)
            part.row[j][i] = bad.row[rows[j]][columns[i]];
    }
    CHECK(MinorCount(part).singular == 1);

    ParityMatrix flipped = make_parity_matrix(8, 3);
    flipped.row[2][5] ^= 1;
    CHECK_FALSE(is_column_scaled_cauchy(flipped));
}
