// StripeView: one stripe as an operation sees it at one moment, by strip index: where each strip
// is, which strips are present, and which strips have a second place that must be written too (a
// mover's target).
#pragma once

#include <array>
#include <cstdint>

#include "base/mutant.h"
#include "dev/block_device.h"
#include "ec/geometry.h"
#include "raid/group_map.h"
#include "raid/mover.h"

namespace xsan::raid {

struct StripPlace {
    dev::BlockDevice* device;
    std::uint64_t offset;  // of the strip's first byte on the device
    MemberIndex member;
    bool is_target;  // of a mover: its failure fails the mover
};

struct StripeView {
    const ec::Codec* codec = nullptr;
    ec::StripMask present = 0;
    ec::StripMask doubled = 0;  // present strips that also have second[]
    Mover* mover = nullptr;
    // Entries of strips that are not in the masks are not initialised.
    std::array<StripPlace, ec::kStripsMax> at;
    std::array<StripPlace, ec::kStripsMax> second;

    const ec::Scheme& scheme() const { return codec->scheme(); }
    ec::StripMask lost() const { return scheme().all_mask() & ~present; }
};

// Where one strip is now, by the table alone; device == nullptr when it is lost.
inline StripPlace locate(const GroupMap& map, const GroupRow& row, const ec::Scheme& scheme,
                         StripeIndex stripe, unsigned strip) {
    const unsigned slot = ec::slot_of(scheme, stripe, ec::StripIndex{strip}).get();
    const StripRef ref = row.strips()[slot];
    const bool stale_counts = mutant(Mutant::stale_strip_read) && ref.state() == StripState::stale;
    const bool counts = ref.state() == StripState::ok || stale_counts;
    dev::BlockDevice* device = counts ? map.live_device(ref.member()) : nullptr;
    const std::uint64_t offset = device == nullptr
                                     ? 0
                                     : map.extent_offset(ref.member(), ref.extent()) +
                                           std::uint64_t{stripe.get()} * scheme.strip_bytes;
    return {device, offset, ref.member(), false};
}

// The caller holds the stripe's interlock and the group's gate.
inline void look_at(StripeView& view, const GroupMap& map, const GroupRow& row, Mover* mover,
                    StripeIndex stripe) {
    view.codec = &map.codec(row.scheme());
    const ec::Scheme& scheme = view.scheme();
    view.present = 0;
    view.doubled = 0;
    view.mover = mover;
    for (unsigned strip = 0; strip < scheme.total_strips(); strip++) {
        const StripPlace place = locate(map, row, scheme, stripe, strip);
        if (place.device == nullptr) continue;
        view.at[strip] = place;
        view.present |= ec::strip_bit(ec::StripIndex{strip});
    }
    if (mover == nullptr || mover->has_failed() || !mover->is_done(stripe)) return;
    if (mutant(Mutant::mover_misses_writes)) return;
    for (const MoveTarget& target : mover->targets()) {
        const auto strip = ec::strip_in(scheme, stripe, ec::SlotIndex{target.slot});
        const ec::StripMask bit = ec::strip_bit(strip);
        const StripPlace place{target.device,
                               target.offset + std::uint64_t{stripe.get()} * scheme.strip_bytes,
                               target.member, true};
        if ((view.present & bit) != 0) {
            view.second[strip.get()] = place;
            view.doubled |= bit;
        } else {
            view.at[strip.get()] = place;
            view.present |= bit;
        }
    }
}

}  // namespace xsan::raid
