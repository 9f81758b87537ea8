// What a planned segment of a stripe writes: parity computed from new and old content; and the way
// back, for a write that could neither be finished nor recorded as missed.
#pragma once

#include "raid/stripe_op.h"
#include "raid/stripe_write.h"

namespace xsan::raid {

// Computes the parities that a segment writes into the operation's buffers. Its plan's reads are
// there.
Result<void> encode_segment(StripeOp& op, const StripeWrite& write, const Segment& segment);

// Adds the segments' writes: new data to every present place of the touched strips, and parity.
// `segments`: those of the write, or parts of their rows.
void add_segment_writes(StripeOp& op, const StripeWrite& write, std::span<const Segment> segments,
                        bool fua);

// After encode_segment of a segment whose plan knew all old content that other blocks depend on
// (delta, decode): puts the old content of all strips that were written into the operation's
// buffers. False: unknown.
bool restore_old_content(StripeOp& op, const StripeWrite& write, const Segment& segment);

}  // namespace xsan::raid
