// Parameters of a device, as ublk can express them.
#include "ublk/params.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::ublk;

namespace {

dev::DeviceLimits limits_of(std::uint64_t size, std::uint32_t block,
                            std::uint32_t physical = 4096) {
    dev::DeviceLimits limits;
    limits.size_bytes = size;
    limits.logical_block_bytes = block;
    limits.physical_block_bytes = physical;
    return limits;
}

uapi::Params params_of(const TargetOptions& options) {
    auto params = compute_params(limits_of(kGiB, 4096), options);
    REQUIRE(params.has_value());
    return *params;
}

TargetOptions striped(unsigned data_strips, std::uint32_t strip) {
    TargetOptions options;
    options.io_min_bytes = strip;
    options.io_opt_bytes = std::uint64_t{data_strips} * strip;
    options.chunk_bytes = options.io_opt_bytes;
    return options;
}

}  // namespace

TEST_CASE("the optimal size is the largest power of two that divides the stripe") {
    for (unsigned k = 1; k <= 32; k++) {
        for (std::uint32_t strip : {4096u, 65536u, 131072u}) {
            const auto params = params_of(striped(k, strip));
            const std::uint64_t optimal = 1ull << params.basic.io_opt_shift;
            const std::uint64_t stripe = std::uint64_t{k} * strip;
            CHECK(stripe % optimal == 0);
            CHECK((stripe / optimal) % 2 == 1);
            CHECK(1u << params.basic.io_min_shift == strip);
        }
    }
}

TEST_CASE("requests are split at stripes only where the stripe is a power of two") {
    CHECK(params_of(striped(4, 65536)).basic.chunk_sectors == 512);
    CHECK(params_of(striped(8, 65536)).basic.chunk_sectors == 1024);
    CHECK(params_of(striped(3, 65536)).basic.chunk_sectors == 0);
    CHECK(params_of(striped(6, 65536)).basic.chunk_sectors == 0);
    CHECK(params_of(TargetOptions{}).basic.chunk_sectors == 0);
}

TEST_CASE("a volatile cache and FUA are always advertised") {
    const auto params = params_of(TargetOptions{});
    CHECK((params.basic.attributes & uapi::kAttributeVolatileCache) != 0);
    CHECK((params.basic.attributes & uapi::kAttributeFua) != 0);
    CHECK((params.basic.attributes & uapi::kAttributeReadOnly) == 0);
}

TEST_CASE("without hints, sizes are the physical block") {
    const auto params = params_of(TargetOptions{});
    CHECK(params.basic.io_min_shift == 12);
    CHECK(params.basic.io_opt_shift == 12);
    CHECK(params.basic.device_sectors == kGiB / 512);
}

TEST_CASE("the physical block is a power of two and no smaller than the logical one") {
    const auto small = compute_params(limits_of(kGiB, 4096, 512), TargetOptions{});
    REQUIRE(small.has_value());
    CHECK(small->basic.physical_block_shift == 12);
    const auto odd = compute_params(limits_of(kGiB, 512, 3 * 4096), TargetOptions{});
    REQUIRE(odd.has_value());
    CHECK(odd->basic.logical_block_shift == 9);
    CHECK(odd->basic.physical_block_shift == 12);
}

TEST_CASE("discards come in whole clusters, also where a cluster is no power of two") {
    TargetOptions options;
    options.discard_granularity_bytes = 960 * 1024;
    const auto params = params_of(options);
    CHECK(params.discard.granularity_bytes == 960 * 1024);
    CHECK(params.discard.segments_max == 1);
    CHECK(params.discard.sectors_max > 0);
    CHECK(params.discard.sectors_max * 512ull % (960 * 1024) == 0);
    CHECK(params.discard.write_zeroes_sectors_max * 512ull % (960 * 1024) == 0);
}

TEST_CASE("a cluster larger than the limits still has discards of one cluster") {
    TargetOptions options;
    options.discard_granularity_bytes = 1u << 31;
    const auto params = params_of(options);
    CHECK(params.discard.sectors_max == (1u << 31) / 512);
}

TEST_CASE("without discard, zeroes can still be written by number") {
    const auto params = params_of(TargetOptions{});
    CHECK(params.discard.sectors_max == 0);
    CHECK(params.discard.segments_max == 0);
    CHECK(params.discard.granularity_bytes == 4096);
    CHECK(params.discard.write_zeroes_sectors_max == 64 * kMiB / 512);
}

TEST_CASE("what ublk cannot express is refused with a sentence") {
    TargetOptions options;
    CHECK_FALSE(compute_params(limits_of(kGiB, 8192), options).has_value());
    CHECK_FALSE(compute_params(limits_of(kGiB, 520), options).has_value());
    CHECK_FALSE(compute_params(limits_of(0, 4096), options).has_value());
    CHECK_FALSE(compute_params(limits_of(kGiB + 512, 4096), options).has_value());
    options.depth = 4097;
    CHECK_FALSE(compute_params(limits_of(kGiB, 4096), options).has_value());
    options.depth = 128;
    options.io_bytes_max = 6000;
    const auto refused = compute_params(limits_of(kGiB, 4096), options);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::invalid_argument);
    CHECK(refused.error().message.find('\n') == std::string::npos);
}

TEST_CASE("the largest power of two that divides") {
    CHECK(largest_power_dividing(0) == 0);
    CHECK(largest_power_dividing(1) == 1);
    CHECK(largest_power_dividing(192 * 1024) == 64 * 1024);
    CHECK(largest_power_dividing(1ull << 63) == 1ull << 63);
}
