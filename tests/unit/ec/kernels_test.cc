// Properties of the kernels at every alignment and short length, against arithmetic byte by byte.
#include "ec/kernels.h"

#include <array>
#include <vector>

#include "support/catch.h"
#include "unit/ec/buffers.h"
#include "unit/ec/reference.h"

using namespace xsan;
using namespace xsan::ec;
using reference::Buffers;
using reference::Bytes;

namespace {

constexpr std::array<std::size_t, 12> kLengths = {0, 1, 7, 15, 16, 31, 32, 33, 63, 64, 100, 4096};
constexpr std::array<std::size_t, 5> kOffsets = {0, 32, 16, 8, 1};

Bytes weighted_sum(const std::vector<Bytes>& sources, const std::vector<std::uint8_t>& weights) {
    Bytes sum(sources[0].size());
    for (std::size_t s = 0; s < sources.size(); ++s) {
        for (std::size_t b = 0; b < sum.size(); ++b) {
            const auto x = std::to_integer<std::uint8_t>(sources[s][b]);
            sum[b] ^= static_cast<std::byte>(reference::products().of[weights[s]][x]);
        }
    }
    return sum;
}

}  // namespace

TEST_CASE("XOR of two blocks is right at every alignment, in place too", "[ec]") {
    Rng rng(1);
    for (const std::size_t bytes : kLengths) {
        for (const std::size_t offset : kOffsets) {
            INFO(bytes << " bytes at " << offset);
            Buffers in(2, bytes, offset, rng), out(1, bytes, offset / 2, rng);
            const Bytes a = in.copy(0), sum = weighted_sum({a, in.copy(1)}, {1, 1});
            xor_blocks(out.at(0), in.at(0), in.at(1), bytes);
            CHECK(out.copy(0) == sum);
            xor_blocks(in.at(0), in.at(0), in.at(1), bytes);
            CHECK(in.copy(0) == sum);
            xor_blocks(in.at(1), in.at(0), in.at(1), bytes);
            CHECK(in.copy(1) == a);
            CHECK((in.frame_is_intact() && out.frame_is_intact()));
        }
    }
}

TEST_CASE("XOR of many blocks is right at every alignment", "[ec]") {
    Rng rng(2);
    for (const unsigned count : {1u, 2u, 3u, 8u, 32u}) {
        for (const std::size_t bytes : kLengths) {
            for (const std::size_t offset : kOffsets) {
                INFO(count << " of " << bytes << " bytes at " << offset);
                Buffers in(count, bytes, offset, rng), out(1, bytes, offset, rng);
                xor_many(in.sources(), out.at(0), bytes);
                CHECK(out.copy(0) ==
                      weighted_sum(in.copies(), std::vector<std::uint8_t>(count, 1)));
                CHECK(out.frame_is_intact());
            }
        }
    }
}

TEST_CASE("multiplication by tables is right for up to eight outputs", "[ec]") {
    Rng rng(3);
    for (unsigned outputs = 1; outputs <= kParityStripsMax; ++outputs) {
        for (const unsigned count : {1u, 2u, 5u, 32u}) {
            std::vector<std::uint8_t> weights(std::size_t{outputs} * count);
            for (auto& w : weights)
                w = static_cast<std::uint8_t>(rng.next());
            std::vector<unsigned char> tables(kTableBytes * weights.size());
            expand_tables(weights, count, outputs, tables.data());
            for (const std::size_t bytes : kLengths) {
                const std::size_t offset = kOffsets[rng.below(kOffsets.size())];
                Buffers in(count, bytes, offset, rng), out(outputs, bytes, offset / 2, rng);
                multiply(tables.data(), in.sources(), out.pointers(), bytes);
                for (unsigned o = 0; o < outputs; ++o) {
                    const auto row = weights.begin() + o * count;
                    INFO(count << " to " << outputs << ", " << bytes << " bytes at " << offset);
                    CHECK(out.copy(o) == weighted_sum(in.copies(), {row, row + count}));
                }
                CHECK(out.frame_is_intact());
            }
        }
    }
}

TEST_CASE("adding a product is right for up to eight outputs", "[ec]") {
    Rng rng(4);
    for (unsigned outputs = 1; outputs <= kParityStripsMax; ++outputs) {
        std::vector<std::uint8_t> weights(outputs);
        for (auto& w : weights)
            w = static_cast<std::uint8_t>(rng.next());
        std::vector<unsigned char> tables(kTableBytes * outputs);
        expand_tables(weights, 1, outputs, tables.data());
        for (const std::size_t bytes : kLengths) {
            for (const std::size_t offset : kOffsets) {
                Buffers in(1, bytes, offset, rng), out(outputs, bytes, offset / 2, rng);
                const std::vector<Bytes> before = out.copies();
                multiply_add(tables.data(), in.at(0), out.pointers(), bytes);
                for (unsigned o = 0; o < outputs; ++o) {
                    INFO(outputs << " outputs, " << bytes << " bytes at " << offset);
                    CHECK(out.copy(o) == weighted_sum({before[o], in.copy(0)}, {1, weights[o]}));
                }
                CHECK(out.frame_is_intact());
            }
        }
    }
}
