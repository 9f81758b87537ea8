// Where the regions of a member lie. Pure; docs/on-disk-format.md, "Layout of a member", has the
// formulas.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/units.h"
#include "meta/records.h"

namespace xsan::meta {

inline constexpr std::uint64_t kMemberBytesMin = 64 * kMiB;
inline constexpr std::uint64_t kHeadBytes = 128 * kKiB;  // superblock copies 0 and 1
inline constexpr std::uint64_t kTailBytes = 128 * kKiB;  // superblock copies 2 and 3

// A commit may take an eighth of the log: enough for all that is committed at once.
inline constexpr std::uint64_t kMetadataLogBytesMin = 64 * kKiB;
inline constexpr std::uint64_t kMetadataLogBytesMax = 64 * kMiB;

// Clusters are larger: a power of two of stripes, as near below 1 MiB as they come.
inline constexpr std::uint64_t kClusterBytesMin = 512 * kKiB;

struct LayoutInput {
    std::uint64_t device_bytes = 0;
    std::uint64_t extent_bytes = 0;
    std::uint32_t pool_extents_max = kExtentsDefault;
    // 0: by the formula. A member that joins takes that of the others; a multiple of 4096 within the
    // limits above.
    std::uint64_t metadata_log_bytes = 0;
    // 0: by the formula. Each member has its own: whole MiB, at most a sixteenth of it.
    std::uint64_t stripe_log_bytes = 0;
};

// The same for all members of a pool: they depend on extent size and growth limit only, so that an
// entry of the metadata log has the same place on each.
std::uint64_t checkpoint_slot_bytes(std::uint64_t extent_bytes, std::uint32_t extents_max);
std::uint64_t metadata_log_bytes(std::uint64_t extent_bytes, std::uint32_t extents_max);

// invalid_argument when the device is too small for one extent.
Outcome<MemberLayout> member_layout(const LayoutInput& input);

}  // namespace xsan::meta
