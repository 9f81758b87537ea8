// What is checked before anything is written: volumes by their sizes and blocks, drives that join or return.
#include <algorithm>

#include <fmt/format.h>

#include "base/units.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "wl/capacity.h"

namespace xsan::pool {
namespace {

// Blocks of a volume cannot be smaller than those of a member.
Outcome<void> check_blocks(const dev::BlockDevice& device, std::uint32_t block_bytes) {
    const std::uint32_t needs = device.limits().logical_block_bytes;
    if (needs <= block_bytes) return {};
    return Failure(Errc::invalid_argument,
                   fmt::format("{} has blocks of {} bytes: a volume with --block {} is not possible on it",
                               device.identity().path, needs, block_bytes));
}

// That volumes of the scheme may use on new members: a failure domain is one entry, since a group takes one strip
// of it at most.
std::uint64_t data_bytes_of(std::span<const meta::Member* const> members, const ec::Scheme& scheme,
                            std::uint64_t extent_bytes) {
    std::vector<std::uint64_t> extents;
    std::map<std::string, std::uint64_t> domains;
    for (const meta::Member* member : members) {
        if (member->spare) continue;
        if (member->domain.empty()) {
            extents.push_back(member->layout.extent_count);
        } else {
            domains[member->domain] += member->layout.extent_count;
        }
    }
    for (const auto& [domain, sum] : domains) extents.push_back(sum);
    const std::uint64_t groups =
        wl::group_capacity(extents, scheme.total_strips(), scheme.losses_promised() > 0);
    return groups * raid::group_data_bytes(scheme, extent_bytes);
}

}  // namespace

Outcome<void> check_size_bounds(std::uint64_t size_bytes, std::uint32_t cluster_bytes) {
    if (size_bytes < cluster_bytes) {
        return Failure(Errc::invalid_argument,
                       fmt::format("size {} is too small: with this scheme a volume has at least {}",
                                   format_size(size_bytes), format_size(cluster_bytes)));
    }
    const std::uint64_t most = std::min<std::uint64_t>(
        meta::kClustersMax * cluster_bytes, round_down(std::uint64_t{INT64_MAX}, cluster_bytes));
    if (size_bytes > most) {
        return Failure(Errc::invalid_argument,
                       fmt::format("size {} is too large: with this scheme a volume has at most {}",
                                   format_size(size_bytes), format_size(most)));
    }
    return {};
}

Outcome<void> check_first_volume(const VolumeOptions& volume, std::span<const NewDevice> devices,
                                 std::span<const meta::Member* const> members, std::uint64_t extent_bytes) {
    for (const NewDevice& one : devices) XSAN_TRY_VOID(check_blocks(*one.device, volume.block_bytes));
    const std::uint32_t cluster = cluster_bytes_of(volume.scheme, extent_bytes);
    if (volume.size_bytes != 0) {
        return check_size_bounds(volume.size_bytes, cluster);
    }
    if (data_bytes_of(members, volume.scheme, extent_bytes) >= cluster) return {};
    return Failure(Errc::no_space,
                   fmt::format("these drives have no room for a volume with scheme {}: it needs {} drives of {} "
                               "at least, in as many failure domains where some are given",
                               volume.scheme.name(), volume.scheme.members_min(), format_size(extent_bytes)));
}

Outcome<void> Pool::check_volume_blocks(std::uint32_t block_bytes) const {
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        const dev::BlockDevice* device = members_.live(MemberIndex{static_cast<std::uint16_t>(i)});
        if (device != nullptr) XSAN_TRY_VOID(check_blocks(*device, block_bytes));
    }
    return {};
}

// That every volume can be on the device.
Outcome<void> Pool::check_device_blocks(const dev::BlockDevice& device) const {
    for (const auto& [id, volume] : state().volumes()) {
        const std::uint32_t needs = device.limits().logical_block_bytes;
        if (needs <= volume.info.block_bytes) continue;
        return Failure(Errc::invalid_argument,
                       fmt::format("{} has blocks of {} bytes, volume '{}' of {}: it cannot be a member",
                                   device.identity().path, needs, volume.info.name, volume.info.block_bytes));
    }
    return {};
}

Outcome<void> Pool::check_add(std::span<const NewDevice> devices) const {
    const auto& pool = state().pool();
    std::uint64_t extents = 0;
    for (const auto& member : state().members()) {
        if (member && member->state != meta::MemberState::removed) extents += member->layout.extent_count;
    }
    Rng rng(1);  // for identifiers that nobody keeps
    for (const NewDevice& device : devices) {
        XSAN_TRY(const auto member, make_member(device, store_->layout_sizes(), rng));
        XSAN_TRY_VOID(check_device_blocks(*device.device));
        if (stripe_log_ != nullptr && !stripe_log_->has_room(member.layout)) {
            return Failure(Errc::no_space,
                           fmt::format("{}: too small for the stripe log of pool '{}', which has {} lanes since it "
                                       "was started (one for each reactor): add a larger drive, or start with "
                                       "fewer reactors",
                                       member.path, name(), stripe_log_->lane_count()));
        }
        extents += member.layout.extent_count;
        if (extents <= pool.extents_max) continue;
        return Failure(Errc::no_space,
                       fmt::format("{}: pool '{}' may grow to {} extents of {}, and would have {}: that was fixed "
                                   "when it was made",
                                   member.path, name(), pool.extents_max, format_size(pool.extent_bytes), extents));
    }
    if (state().members().size() + devices.size() > kMembersMax) {
        return Failure(Errc::no_space, fmt::format("a pool has at most {} drives", kMembersMax));
    }
    return {};
}

Outcome<void> Pool::check_readmit(const Found& found, bool gives_up) const {
    const std::string& path = found.device->identity().path;
    const MemberIndex index = found.examined.superblock.member_index;
    if (!is_known(found.examined.superblock)) {
        return Failure(Errc::invalid_argument,
                       fmt::format("{} is no member of pool '{}' any more: add it with --force", path, name()));
    }
    const meta::Member& member = *state().members()[index.get()];
    if (member.state == meta::MemberState::in_sync) {
        return Failure(Errc::exists, fmt::format("{} is a member of pool '{}' already", path, name()));
    }
    if (found.device->limits().size_bytes < member.layout.size_bytes) {
        return Failure(Errc::invalid_argument, fmt::format("{} is smaller than it was", path));
    }
    if (path.size() > meta::kTextBytesMax) {
        return Failure(Errc::invalid_argument,
                       fmt::format("{}: a path has at most {} bytes", path, meta::kTextBytesMax));
    }
    if (!gives_up && is_needed(index)) {
        return Failure(
            Errc::too_many_failures,
            fmt::format("{} stays out: it missed changes, so all that is on it would count as stale, and pool '{}' "
                        "holds data that cannot be read without it; 'add --force' takes it back and gives "
                        "these data up",
                        path, name()));
    }
    return check_device_blocks(*found.device);
}

}  // namespace xsan::pool
