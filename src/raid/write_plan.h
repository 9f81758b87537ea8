// The write plan: what must be read before, and what is written, when some strips of a stripe
// change over the same rows. Pure: a function of masks.
//
// All plans write the same strips (the touched data and the parities that are present), so the
// cheapest plan is the one that reads least. With d touched strips, nothing lost:
//   delta        reads d old strips and P parities
//   reconstruct  reads the K - d untouched strips; preferred when equal, since it does not trust
//   old parity full stripe  reads nothing (d = K)
// so a write costs min(2(d+P), K+P) device I/Os.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ec/codec.h"

namespace xsan::raid {

enum class PlanKind : std::uint8_t {
    copy,         // no parity to keep: striping, mirrors, or all parities are lost
    full_stripe,  // parity from new data alone
    delta,        // parity += coefficient * (old ^ new)
    reconstruct,  // parity from new data and the untouched strips
    decode,       // as reconstruct, but some untouched strips are lost and are decoded first
};

struct WritePlan {
    PlanKind kind = PlanKind::copy;
    ec::StripMask reads = 0;    // strips whose old content is needed
    ec::StripMask decoded = 0;  // lost untouched data strips to compute from `reads` (decode only)
    ec::StripMask writes = 0;   // strips that are written: touched data and parities, present ones
};

struct PlanInput {
    ec::StripMask present = 0;   // strips that can be written
    ec::StripMask readable = 0;  // those of them whose old content can be read
    ec::StripMask touched = 0;   // data strips that get new content over all of the rows
    bool delta_allowed = true;   // false for a stripe that may be torn
    ec::StripMask doubtful = 0;  // strips that must not be computed from parity
};

// too_many_failures when the stripe has lost more than the code decodes and the write cannot be
// carried by what is left (a striped or mirrored strip whose every copy is lost; parity beyond P);
// media_error when old content that every legal plan needs cannot be read (or, in a stripe that may be
// torn, could only be computed from its parity).
Result<WritePlan> choose_plan(const ec::Codec& codec, const PlanInput& input);

}  // namespace xsan::raid
