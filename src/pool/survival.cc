// Survival of groups by the durable state alone.
#include "pool/survival.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "ec/geometry.h"
#include "pool/groups.h"

namespace xsan::pool {

bool can_decode_all(const ec::Codec& codec, ec::SlotMask lost) {
    const unsigned period = ec::layout_period(codec.scheme());
    for (unsigned stripe = 0; stripe < period; stripe++) {
        if (!codec.can_decode(ec::strips_in(codec.scheme(), StripeIndex{stripe}, lost))) return false;
    }
    return true;
}

Outcome<void> check_usable(const meta::State& state) {
    for (const auto& [id, volume] : state.volumes()) {
        const ec::Scheme& scheme = *state.find_scheme(volume.info.scheme);
        const std::uint32_t cluster = cluster_bytes_of(scheme, state.pool().extent_bytes);
        if (volume.info.cluster_bytes == cluster) continue;
        return Failure(Errc::unsupported,
                       fmt::format("pool '{}' cannot start: volume '{}' has clusters of {} bytes, and this xsan "
                                   "makes those of scheme {} of {}",
                                   state.pool().name, volume.info.name, volume.info.cluster_bytes, scheme.name(),
                                   cluster));
    }
    return {};
}

bool survives_loss(const meta::State& state, std::span<const MemberIndex> gone) {
    std::map<SchemeId, ec::Codec> codecs;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state.row(group);
        if (row == nullptr || state.mapped_in_group(group) == 0) continue;
        ec::SlotMask before = 0;
        ec::SlotMask after = 0;
        const auto strips = row->strips();
        for (std::size_t i = 0; i < strips.size(); i++) {
            const ec::SlotMask slot = ec::SlotMask{1} << i;
            const bool lost = strips[i].state() != StripState::ok ||
                              state.find_member(strips[i].member())->state != meta::MemberState::in_sync;
            if (lost) before |= slot;
            if (lost || std::find(gone.begin(), gone.end(), strips[i].member()) != gone.end()) after |= slot;
        }
        if (after == before) continue;
        const auto codec = codecs.try_emplace(row->scheme(), *state.find_scheme(row->scheme())).first;
        if (!can_decode_all(codec->second, after)) return false;
    }
    return true;
}

}  // namespace xsan::pool
