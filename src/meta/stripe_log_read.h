// Reading a member's stripe log at assembly: its newest tail, and the batches that follow it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dev/aligned_buffer.h"
#include "dev/block_device.h"
#include "meta/records.h"
#include "meta/stripe_log.h"
#include "reactor/task.h"

namespace xsan::meta {

struct MemberStripeLog {
    bool has_tail = false;
    bool is_damaged = false;  // some of it could not be read: what is missing may have been there
    StripeLogTail tail;
    std::vector<StripeLogBatch> batches;  // by lane, in the order of the ring
    std::uint64_t read_bytes = 0;
    std::vector<dev::AlignedBuffer> memory;  // what the batches' contents lie in
};

// Reads on from the newest tail as long as batches are whole: what it costs grows with what is in
// the log. What cannot be read is tried once more.
Task<MemberStripeLog> read_stripe_log(dev::BlockDevice& device, MemberLayout layout,
                                      StripeLogIdentity identity);

// The newest tail of the region; nullopt in it: none is there. Errors: a tail cannot be read.
Task<Result<std::optional<StripeLogTail>>> read_stripe_log_tail(dev::BlockDevice& device,
                                                                MemberLayout layout,
                                                                StripeLogIdentity identity);

}  // namespace xsan::meta
