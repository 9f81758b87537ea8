// What the engine needs from the pool, declared here and implemented there: where strips are, whom
// to tell about faults, which parts of a group hold data.
//
// GroupMap is read on every reactor without a lock, inside a Quiescence token: a row that was seen
// stays valid until the token is left.
#pragma once

#include <cstdint>

#include "base/group_row.h"
#include "base/result.h"
#include "dev/block_device.h"
#include "ec/codec.h"
#include "reactor/task.h"

namespace xsan::raid {

class GroupMap {
  public:
    virtual ~GroupMap() = default;

    // nullptr: there is no such group.
    virtual const GroupRow* row(GroupIndex group) const = 0;
    virtual const ec::Codec& codec(SchemeId scheme) const = 0;
    // The member's device when it is in sync and present; nullptr when its strips count as lost.
    virtual dev::BlockDevice* live_device(MemberIndex member) const = 0;
    // Where an extent begins on its member, bytes.
    virtual std::uint64_t extent_offset(MemberIndex member, ExtentIndex extent) const = 0;
    virtual std::uint64_t extent_bytes() const = 0;
    virtual unsigned member_limit() const = 0;  // every MemberIndex in use is below it

    // May parity of this stripe disagree with data, because a write to it was cut off? Then the
    // delta is forbidden: it would carry the disagreement on.
    virtual bool may_be_torn(GroupIndex group, StripeIndex stripe) const = 0;
    // Does the cluster that holds this data offset of the group belong to a volume? Control reactor
    // only.
    virtual bool is_mapped(GroupIndex group, std::uint64_t data_offset) const = 0;
    // Are some data bytes of the group lost until rewritten?
    virtual bool has_bad_ranges(GroupIndex group) const = 0;
    // False: of a change of the group's row, or of what maps to it, nobody knows whether the next
    // start will find it. Nothing may be written then. Asked under the group's gate.
    virtual bool takes_writes(GroupIndex group) const = 0;
};

// Each call returns once what it says is durable on all members in sync.
class FaultSink {
  public:
    virtual ~FaultSink() = default;

    // A write or flush of this member failed, or it has vanished. Success: it is recorded as lost
    // and its strips are no longer read. Failure: recording would lose data (or cannot be made
    // durable); the member stays, and the caller answers the user with an I/O error.
    virtual Task<Result<void>> member_failed(MemberIndex member, Error why) = 0;

    // A read failed at this place of the member; `corrected` when the content was reconstructed and
    // rewritten. The sink counts and may fail the member.
    virtual Task<void> read_failed(MemberIndex member, std::uint64_t offset, Error why,
                                   bool corrected) = 0;

    // These data bytes of the group cannot be reconstructed any more: EIO until rewritten.
    virtual Task<Result<void>> range_lost(GroupIndex group, std::uint64_t offset,
                                          std::uint64_t length) = 0;

    // These data bytes of the group were rewritten: what was lost of them is good again. Told under
    // the stripe's interlock, so that no later loss of the same bytes is taken back.
    virtual Task<Result<void>> range_rewritten(GroupIndex group, std::uint64_t offset,
                                               std::uint64_t length) = 0;

    // The strips of this stripe may not fit together any more, and could not be made to: from when
    // this returns may_be_torn() holds for it, until a resync has mended it. Durable where possible.
    virtual Task<void> stripe_torn(GroupIndex group, StripeIndex stripe) = 0;
};

}  // namespace xsan::raid
