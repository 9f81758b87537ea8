// The formulas of docs/on-disk-format.md, "Layout of a member".
#include "meta/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace xsan::meta {

std::uint64_t checkpoint_slot_bytes(std::uint64_t extent_bytes, std::uint32_t extents_max) {
    const std::uint64_t extents = extents_max;
    const std::uint64_t clusters = extents * divide_up(extent_bytes, kClusterBytesMin);
    // A row of one strip per extent, a dirty bit each, and every cluster in a run of its own.
    const std::uint64_t tables = extents * 18 + extents / 8 + clusters * 16;
    return round_up(512 * kKiB + tables + tables / 64, kMiB);
}

std::uint64_t metadata_log_bytes(std::uint64_t extent_bytes, std::uint32_t extents_max) {
    const auto slot = checkpoint_slot_bytes(extent_bytes, extents_max);
    return std::clamp(round_up(slot / 4, kMiB), 2 * kMiB, kMetadataLogBytesMax);
}

Outcome<MemberLayout> member_layout(const LayoutInput& input) {
    if (input.device_bytes < kMemberBytesMin) {
        return Failure(Errc::invalid_argument,
                       fmt::format("a device of {} is too small: members have at least {}",
                                   format_size(input.device_bytes), format_size(kMemberBytesMin)));
    }
    if (input.extent_bytes < kMiB || !std::has_single_bit(input.extent_bytes) ||
        input.extent_bytes > kTiB || input.pool_extents_max == 0 ||
        input.pool_extents_max > kExtentsMax) {
        return Failure(Errc::invalid_argument,
                       fmt::format("extents of {} bytes, {} of them, are not possible",
                                   input.extent_bytes, input.pool_extents_max));
    }
    const std::uint64_t log = input.metadata_log_bytes;
    if (log != 0 && (log < kMetadataLogBytesMin || log > kMetadataLogBytesMax || log % 4096 != 0)) {
        return Failure(
            Errc::invalid_argument,
            fmt::format("a metadata log of {} bytes is not possible: it has from {} to {}, in "
                        "blocks of 4096 bytes",
                        log, format_size(kMetadataLogBytesMin), format_size(kMetadataLogBytesMax)));
    }
    MemberLayout l;
    l.size_bytes = round_down(input.device_bytes, 64 * kKiB);
    l.metadata_offset = kHeadBytes;
    l.checkpoint_slot_bytes = checkpoint_slot_bytes(input.extent_bytes, input.pool_extents_max);
    l.metadata_log_bytes =
        log != 0 ? log : metadata_log_bytes(input.extent_bytes, input.pool_extents_max);
    const std::uint64_t size = l.size_bytes;
    const auto wanted = std::clamp(size / 1024, 8 * kMiB, 256 * kMiB);
    const std::uint64_t most = std::max(round_down(size / 16, kMiB), kMiB);
    l.stripe_log_bytes = std::min(round_down(wanted, kMiB), most);
    if (input.stripe_log_bytes != 0) {
        if (input.stripe_log_bytes % kMiB != 0 || input.stripe_log_bytes > most) {
            return Failure(
                Errc::invalid_argument,
                fmt::format("a stripe log of {} bytes is not possible: whole MiB, at most {}",
                            input.stripe_log_bytes, format_size(most)));
        }
        l.stripe_log_bytes = input.stripe_log_bytes;
    }
    l.stripe_log_offset = round_up(l.log_offset() + l.metadata_log_bytes, kMiB);
    l.data_offset = l.stripe_log_offset + l.stripe_log_bytes;
    const std::uint64_t end = size - kTailBytes;
    if (l.data_offset >= end || end - l.data_offset < input.extent_bytes) {
        return Failure(
            Errc::invalid_argument,
            fmt::format("a device of {} is too small for a pool with extents of {}: metadata "
                        "takes {} of it",
                        format_size(input.device_bytes), format_size(input.extent_bytes),
                        format_size(l.data_offset)));
    }
    l.extent_count = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        (end - l.data_offset) / input.extent_bytes, input.pool_extents_max));
    return l;
}

}  // namespace xsan::meta
