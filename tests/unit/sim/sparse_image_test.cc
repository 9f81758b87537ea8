// Sparse images: like a plain array of bytes, but cheap to copy.
#include "sim/sparse_image.h"

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "support/catch.h"

using namespace xsan;
using sim::SparseImage;

TEST_CASE("an image behaves like an array of bytes and its copies do not change with it",
          "[sim][image]") {
    constexpr std::size_t kBytes = 600'000;
    Rng rng(4);
    SparseImage image;
    std::vector<std::byte> model(kBytes);
    std::vector<std::pair<SparseImage, std::vector<std::byte>>> copies;
    for (int round = 0; round < 400; round++) {
        const std::size_t offset = rng.below(kBytes);
        const std::size_t length = 1 + rng.below(std::min<std::size_t>(kBytes - offset, 9000));
        const auto at = model.begin() + static_cast<std::ptrdiff_t>(offset);
        if (rng.chance_percent(30)) {
            image.zero(offset, length);
            std::fill_n(at, length, std::byte{0});
        } else {
            std::vector<std::byte> data(length, static_cast<std::byte>(rng.next()));
            image.write(offset, data);
            std::copy(data.begin(), data.end(), at);
        }
        if (round % 50 == 0) copies.emplace_back(image, model);
    }
    copies.emplace_back(image, model);
    for (const auto& [copy, expected] : copies) {
        std::vector<std::byte> got(kBytes);
        copy.read(0, got);
        REQUIRE(got == expected);
    }
    REQUIRE(copies.front().first != image);
    REQUIRE(copies.back().first == image);
    REQUIRE(copies.back().first.hash() == image.hash());
}

TEST_CASE("a huge device costs what was written to it", "[sim][image]") {
    SparseImage image;
    const std::vector<std::byte> data(512, std::byte{7});
    for (std::uint64_t i = 0; i < 10; i++)
        image.write(i << 40, data);
    REQUIRE(image.page_count() == 10);
    image.zero(0, UINT64_MAX >> 1);
    REQUIRE(image == SparseImage());
    REQUIRE(image.hash() == SparseImage().hash());
}

TEST_CASE("a copied range equals its source, holes included", "[sim][image]") {
    SparseImage from;
    SparseImage to;
    from.write(5000, std::vector<std::byte>(100, std::byte{1}));
    to.write(0, std::vector<std::byte>(20'000, std::byte{2}));
    to.copy_range(from, 4096, 8192);
    std::vector<std::byte> got(20'000);
    to.read(0, got);
    REQUIRE(got[4095] == std::byte{2});
    REQUIRE(got[4096] == std::byte{0});
    REQUIRE(got[5000] == std::byte{1});
    REQUIRE(got[5100] == std::byte{0});
    REQUIRE(got[12'287] == std::byte{0});
    REQUIRE(got[12'288] == std::byte{2});
}
