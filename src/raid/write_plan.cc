// Choice of the cheapest legal write plan.
#include "raid/write_plan.h"

#include <bit>

#include "base/assert.h"
#include "base/mutant.h"

namespace xsan::raid {
namespace {

// Mirrors and striping: no parity arithmetic; each touched strip needs one place that is present.
Result<WritePlan> plan_copies(const ec::Codec& codec, const PlanInput& in) {
    const ec::Scheme& scheme = codec.scheme();
    ec::StripMask homes = in.touched;
    if (scheme.kind == ec::CodeKind::mirror) homes = scheme.all_mask();
    if (scheme.kind == ec::CodeKind::mirror_pairs) homes |= in.touched << scheme.data_strips;
    const ec::StripMask lost = scheme.all_mask() & ~in.present;
    if (!codec.can_decode(lost, lost & homes)) return Error{Errc::too_many_failures};
    if (mutant(Mutant::copies_of_mirror)) homes &= ~std::bit_floor(homes & scheme.parity_mask());
    return WritePlan{PlanKind::copy, 0, 0, homes & in.present};
}

}  // namespace

Result<WritePlan> choose_plan(const ec::Codec& codec, const PlanInput& in) {
    const ec::Scheme& scheme = codec.scheme();
    XSAN_ASSERT(in.touched != 0 && (in.touched & ~scheme.data_mask()) == 0);
    if (scheme.kind != ec::CodeKind::parity) return plan_copies(codec, in);

    if (!codec.can_decode(scheme.all_mask() & ~in.present)) return Error{Errc::too_many_failures};
    const ec::StripMask unreadable = scheme.all_mask() & ~in.readable;
    const ec::StripMask parity = scheme.parity_mask() & in.present;
    const ec::StripMask untouched = scheme.data_mask() & ~in.touched;
    WritePlan plan;
    plan.writes = (in.touched & in.present) | parity;
    if (parity == 0) return plan;  // all P are lost, so all data is present
    if (untouched == 0) {
        plan.kind = PlanKind::full_stripe;
        return plan;
    }
    const ec::StripMask delta_reads = in.touched | parity;
    const bool delta_possible = in.delta_allowed && (delta_reads & unreadable) == 0;
    // Reconstruct, decoding untouched strips that are lost.
    plan.decoded = untouched & unreadable;
    // Parity that may be torn does not give the content of a strip that merely cannot be read.
    if ((plan.decoded & in.doubtful) != 0) return Error{Errc::media_error};
    if (codec.can_decode(unreadable, plan.decoded)) {
        plan.kind = plan.decoded == 0 ? PlanKind::reconstruct : PlanKind::decode;
        plan.reads = (untouched & in.readable) | codec.sources(unreadable, plan.decoded);
        if (!delta_possible || std::popcount(plan.reads) <= std::popcount(delta_reads)) return plan;
    } else if (!delta_possible) {
        return Error{Errc::media_error};
    }
    return WritePlan{PlanKind::delta, delta_reads, 0, plan.writes};
}

}  // namespace xsan::raid
