// Which losses the stored groups survive, and whether a stored pool can be used at all: pure functions of a pool's
// durable state, asked before there is a pool at run time. Groups without a mapped cluster hold nothing that could
// be lost.
#pragma once

#include <span>

#include "ec/codec.h"
#include "meta/state.h"

namespace xsan::pool {

// Can every stripe of a group be decoded with these slots lost?
bool can_decode_all(const ec::Codec& codec, ec::SlotMask lost);

// Can this library serve what the state describes? It may come from hostile bytes.
Outcome<void> check_usable(const meta::State& state);

// Would no group with data lose any if `gone` were recorded as lost too, beside the members that are not in
// sync already? A group that cannot be decoded as it is may lose nothing more.
bool survives_loss(const meta::State& state, std::span<const MemberIndex> gone);

}  // namespace xsan::pool
