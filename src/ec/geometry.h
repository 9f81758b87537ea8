// Geometry: which slot of a group holds which strip of a stripe. Pure functions; n = K + P slots.
//
// fixed          strip i lies in slot i. Striping, linear, raid4.
// rotating       strip i of stripe r lies in slot (r K + i) mod n, data and parity alike. A
//                sequential stream walks data strips (r, 0..K-1), (r+1, 0..K-1), ..., whose slots
//                are r K, r K + 1, ... : consecutive data strips lie in consecutive slots, so n
//                strips in a row use all n members (md calls this left-symmetric). A mirror has
//                K = 1: its first copy lies in slot r mod n, which spreads reads of it evenly.
// swapped_pairs  strips i and K+i of every stripe lie in slots i and K+i, so that which losses are
//                survived is a property of members and not of stripes. Odd stripes swap the two,
//                which spreads reads of the first copy. Nothing rotates within K: strips i and i+1
//                are in neighbouring slots already, and a rotation would break that walk.
//
// Parity is spread evenly. In the rotating layout parity j of stripe r lies in slot (r K + K + j)
// mod n. With g = gcd(K, n), r K mod n takes each multiple of g once in n / g stripes. The P parity
// strips are consecutive, and g divides P (P = n - K), so they cover each residue class modulo g
// exactly P / g times: over a period of n / g stripes every slot holds parity exactly P / g times.
#pragma once

#include "base/strong.h"
#include "ec/scheme.h"

namespace xsan::ec {

// The slot that holds `strip` (< total_strips) of `stripe`.
SlotIndex slot_of(const Scheme& scheme, StripeIndex stripe, StripIndex strip);

// The strip of `stripe` that `slot` (< total_strips) holds; the inverse of slot_of.
StripIndex strip_in(const Scheme& scheme, StripeIndex stripe, SlotIndex slot);

// The strips of `stripe` that these slots hold: turns a group's lost members into lost strips.
StripMask strips_in(const Scheme& scheme, StripeIndex stripe, SlotMask slots);

// After how many stripes the pattern repeats: at least 1, at most n.
unsigned layout_period(const Scheme& scheme);

}  // namespace xsan::ec
