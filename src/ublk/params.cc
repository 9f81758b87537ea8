// Computes ublk's parameter block.
#include "ublk/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

namespace xsan::ublk {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kHintBytesMax = kGiB;  // the kernel's limits are 32-bit numbers of bytes

std::uint8_t shift_of(std::uint64_t power_of_two) {
    return static_cast<std::uint8_t>(std::countr_zero(power_of_two));
}

std::uint32_t sectors_of(std::uint64_t bytes) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(bytes / uapi::kSectorBytes, UINT32_MAX));
}

// A hint as the kernel takes it: a power of two, at least `least`, which also stands for "none".
std::uint8_t hint_shift(std::uint64_t bytes, std::uint64_t least) {
    const std::uint64_t power = std::min(largest_power_dividing(bytes), kHintBytesMax);
    return shift_of(std::max(power, least));
}

// At most `most`, a whole number of granules, at least one.
std::uint64_t whole_granules(std::uint64_t most, std::uint64_t granularity) {
    return std::max(round_down(most, granularity), granularity);
}

Outcome<void> check(const dev::DeviceLimits& limits, const TargetOptions& options) {
    const std::uint64_t block = limits.logical_block_bytes;
    const auto refuse = [](std::string message) {
        return Outcome<void>(Failure(Errc::invalid_argument, std::move(message)));
    };
    if (!std::has_single_bit(block) || block < uapi::kSectorBytes || block > kPageBytes) {
        return refuse(
            fmt::format("ublk exports logical blocks of 512 to 4096 bytes, not of {}", block));
    }
    if (limits.size_bytes == 0 || limits.size_bytes % block != 0) {
        return refuse(fmt::format("a size of {} bytes is no number of {}-byte blocks",
                                  limits.size_bytes, block));
    }
    if (options.depth == 0 || options.depth > uapi::kQueueDepthMax) {
        return refuse(fmt::format("a ublk queue holds 1 to {} requests, not {}",
                                  uapi::kQueueDepthMax, options.depth));
    }
    if (options.io_bytes_max < kPageBytes || options.io_bytes_max % kPageBytes != 0 ||
        options.io_bytes_max > 32 * kMiB) {
        return refuse(
            fmt::format("the largest ublk request is a multiple of 4K up to 32M, not {} bytes",
                        options.io_bytes_max));
    }
    if (options.discard_granularity_bytes % block != 0) {
        return refuse(
            fmt::format("a discard granularity of {} bytes is no number of {}-byte blocks",
                        options.discard_granularity_bytes, block));
    }
    return {};
}

}  // namespace

Outcome<uapi::Params> compute_params(const dev::DeviceLimits& limits,
                                     const TargetOptions& options) {
    XSAN_TRY_VOID(check(limits, options));
    const std::uint64_t block = limits.logical_block_bytes;
    const std::uint64_t physical = std::max(
        block, std::min(largest_power_dividing(limits.physical_block_bytes), kHintBytesMax));

    uapi::Params params{};
    params.length = uapi::kParamsLength;
    params.types = uapi::kParamBasic | uapi::kParamDiscard;

    // Always: without a volatile cache the kernel sends no flush, without FUA it sends flushes
    // instead.
    params.basic.attributes = uapi::kAttributeVolatileCache | uapi::kAttributeFua;
    if (options.read_only) params.basic.attributes |= uapi::kAttributeReadOnly;
    params.basic.logical_block_shift = shift_of(block);
    params.basic.physical_block_shift = shift_of(physical);
    params.basic.io_min_shift = hint_shift(options.io_min_bytes, physical);
    params.basic.io_opt_shift = hint_shift(options.io_opt_bytes, physical);
    params.basic.sectors_max = sectors_of(options.io_bytes_max);
    if (std::has_single_bit(options.chunk_bytes) && options.chunk_bytes >= kPageBytes &&
        options.chunk_bytes <= kHintBytesMax) {
        params.basic.chunk_sectors = sectors_of(options.chunk_bytes);
    }
    params.basic.device_sectors = limits.size_bytes / uapi::kSectorBytes;

    // The block carries the limit of write zeroes too, so it is there without discard as well; the
    // kernel wants a granularity in any case.
    const std::uint64_t granularity =
        options.discard_granularity_bytes != 0 ? options.discard_granularity_bytes : block;
    params.discard.granularity_bytes = static_cast<std::uint32_t>(granularity);
    if (options.discard_granularity_bytes != 0) {
        params.discard.sectors_max =
            sectors_of(whole_granules(options.discard_bytes_max, granularity));
        params.discard.segments_max = 1;
    }
    if (options.write_zeroes_bytes_max != 0) {
        params.discard.write_zeroes_sectors_max =
            sectors_of(whole_granules(options.write_zeroes_bytes_max, granularity));
    }
    return params;
}

}  // namespace xsan::ublk
