// Engine: reads and writes of a group's data space, through lost members, and the steps of which
// rebuild, resync and scrub are made.
//
// Who owns it: the pool. Where it runs: on whichever reactor calls; a request runs to completion
// there. How it stops: it has no tasks of its own; the pool awaits its users.
//
// Invariants:
//  - The caller holds a token of quiescence() from before it looked up where its data is until it
//  is answered.
//  - A read whose strips are all present takes no lock. Everything else holds the group's gate
//  shared and the
//    stripe's interlock exclusively, in this order, one stripe at a time.
//  - A write is answered when all present strips are written, and when each member that it missed
//  is durably
//    recorded as lost.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "raid/doubt.h"
#include "raid/geometry.h"
#include "raid/group_map.h"
#include "raid/group_traffic.h"
#include "raid/mover.h"
#include "raid/replay.h"
#include "raid/stripe_log.h"
#include "raid/stripe_op.h"
#include "raid/stripe_write.h"
#include "raid/traffic.h"
#include "reactor/cross.h"

namespace xsan::raid {

struct EngineOptions {
    unsigned reactors = 1;
    unsigned members_max = 1024;
    std::uint32_t groups_max = 131072;
    dev::BufferPool::Options buffers{};  // of each reactor
    // Slots of the lock table of stripes, as a power of two: stripes that share one wait for each other.
    unsigned interlock_slots_log2 = 14;
    StripeLog* log = nullptr;            // nullptr: none is kept
    // Overwrites of whole stripes up to so many bytes of data are logged with their payload: they
    // are never given up when a power cut and a member's loss meet.
    std::uint64_t log_payload_bytes_max = 32 * 1024;
};

struct WriteFlags {
    bool fua = false;
    bool stable_buffer = false;  // nobody changes the data until the write is answered
    bool may_be_torn = false;    // a repetition of a write that was cut off: never the delta
};

// What the engine did, counted per reactor and summed on demand.
struct EngineCounters {
    std::uint64_t full_stripe_writes = 0;
    std::uint64_t delta_writes = 0;
    std::uint64_t reconstruct_writes = 0;
    std::uint64_t merged_writes = 0;
    std::uint64_t degraded_reads = 0;
};

struct StripeCheck {
    bool complete = false;  // all strips could be read
    bool agrees = false;    // parity (or the copies) agree with data
};

struct StripeScrub {
    struct Wrong {
        MemberIndex member;
        std::uint64_t bytes;
    };
    std::vector<Wrong> wrong;        // strips that were found to be wrong
    std::uint64_t untold_bytes = 0;  // rows where something is wrong and nobody can tell what
};

class Engine {
  public:
    Engine(GroupMap& map, FaultSink& faults, const EngineOptions& options);
    ~Engine();

    Quiescence& quiescence() { return quiescence_; }
    Traffic& traffic() { return traffic_; }
    const GroupTraffic& group_traffic() const { return group_traffic_; }
    EngineCounters counters() const;

    // Offsets and lengths in bytes, multiples of the members' logical block, inside the group.
    // Errors: too_many_failures or media_error when what is asked for is lost.
    Task<Result<void>> read(GroupRange range, std::byte* out);
    // `data` == nullptr writes zeros.
    Task<Result<void>> write(GroupRange range, const std::byte* data, WriteFlags flags);
    // Makes every completed write durable: flushes the members that have completed writes since
    // their last flush. A member whose flush fails is recorded as lost; while that is not possible,
    // every flush fails.
    Task<Result<void>> flush();

    // Makes parity agree with data; what is lost stays lost. Success also where nothing can be done
    // because data strips are lost.
    Task<Result<void>> resync_stripe(GroupIndex group, StripeIndex stripe);
    // Reads all strips and compares; changes nothing but strips that could not be read (they are
    // healed).
    Task<Result<StripeCheck>> check_stripe(GroupIndex group, StripeIndex stripe);

    // Of a stripe that does not agree with itself and has lost nothing: says whose strips are wrong,
    // and puts them right when `repair` is set. Where that cannot be known data is trusted.
    Task<Result<StripeScrub>> scrub_stripe(GroupIndex group, StripeIndex stripe, bool repair);

    // Before anything is served: brings one stripe to where its records say. `records` are those of
    // the row's generation, in the order of their sequences, at least one, each is_possible().
    Task<Result<void>> replay_stripe(GroupIndex group, StripeIndex stripe,
                                     std::span<const ReplayRecord> records);

    // Registers the mover: from now on writers see it. busy: another mover's slot; try later.
    Task<Result<void>> start_mover(Mover& mover);
    // Copies (or reconstructs) one stripe to the targets and marks it done. Targets that hold an older
    // state are written only where they differ. Stripes without mapped data are zero on all members:
    // nothing is copied, and older targets are zeroed there. Where present strips
    // say media_error and nothing else gives their content, the fault sink is told the range
    // (range_lost) and zeros take its place, so that a latent error costs no more than itself; a mover that gives
    // nothing up answers media_error instead.
    // Errors: aborted when the mover has failed; io_error when reads failed in a way that may pass;
    // too_many_failures when the group has lost too much to move.
    Task<Result<void>> move_stripe(Mover& mover, StripeIndex stripe);
    // Holds the gate while `commit` runs: no write of the group is in flight, and the targets hold
    // all of them durably. Every stripe is done. Unregisters the mover in any case; a null `commit`
    // gives it up.
    using Commit = Task<Result<void>> (*)(void* argument);
    Task<Result<void>> finish_mover(Mover& mover, Commit commit, void* argument);

    // Runs `body` while no write of the group is in flight. For commits that change a group
    // otherwise.
    Task<Result<void>> with_group_closed(GroupIndex group, Commit body, void* argument);

  private:
    struct Pending;  // writes to one stripe that go together
    // Only the own reactor counts; anybody may look.
    class Counter {
      public:
        void operator++(int) { value_.store(get() + 1, std::memory_order_relaxed); }
        std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

      private:
        std::atomic<std::uint64_t> value_{0};
    };
    // A write on its way through the log; kept per reactor, so that the lists keep their memory.
    struct LoggedWrite {
        std::vector<Segment> pieces;  // what one append carries
        std::vector<LogRecord> records;
        std::size_t next = 0;   // the segment that comes after them
        std::uint32_t row = 0;  // the row in it; 0: its first
        LoggedWrite* next_free = nullptr;
    };
    struct Logging {
        GroupIndex group;
        StripeIndex stripe;
        const GroupRow* row = nullptr;
        std::uint32_t generation = 0;
        bool fua = false;
    };
    struct PerReactor {
        explicit PerReactor(const dev::BufferPool::Options& options) : buffers(options) {}
        dev::BufferPool buffers;
        StripeBodies bodies;
        dev::OpPool<LoggedWrite> logged;
        // Writes that can still be joined, by hash of their stripe; a collision only means no
        // merging.
        std::array<Pending*, 1024> pending{};
        Counter full_stripe_writes, delta_writes, reconstruct_writes, merged_writes, degraded_reads;
    };

    static std::uint64_t key(GroupIndex group, StripeIndex stripe) {
        return DoubtTable::key(group, stripe);
    }
    PerReactor& here() { return *per_reactor_[Reactor::current().index()]; }
    StripeOp::Context context() { return {map_, faults_, traffic_, here().buffers, here().bodies, doubts_}; }

    // Read path (engine_read.cc).
    Task<Result<void>> read_stripe(GroupIndex group, StripePart part, std::byte* out);
    Task<Result<void>> read_stripe_locked(GroupIndex group, StripePart part, std::byte* out);

    // Write path (engine_write.cc).
    Task<Result<void>> write_part(GroupIndex group, StripePart part, const std::byte* data,
                                  WriteFlags flags);
    Task<Result<void>> write_locked(Pending& pending);
    Task<Result<void>> tell_rewritten(GroupIndex group, StripeIndex stripe,
                                      const WriteFragment& first);

    // Through the log (engine_log.cc).
    Task<Result<void>> write_logged(StripeOp& op, const StripeWrite& write, Logging logging);
    void take_logged(const Logging& logging, const StripeOp& op, const StripeWrite& write,
                     LoggedWrite& out);
    static void fill_record(LogRecord& record, const StripeOp& op, const StripeWrite& write);
    Task<void> end_failed(const Logging& logging, LogTicket& ticket, std::size_t records, bool is_settled);

    // After a failed write (engine_settle.cc).
    Task<bool> settle(StripeOp& op, const StripeWrite& write, std::span<const Segment> segments,
                      const GroupRow& row, GroupIndex group, StripeIndex stripe);
    Task<bool> put_back(StripeOp& op, StripeOp& found, const StripeWrite& write,
                        const Segment& segment, ec::StripMask& failed);
    Task<bool> fit_to_failed(StripeOp& found, GroupIndex group, StripeIndex stripe,
                             const StripeWrite& write, const Segment& segment,
                             ec::StripMask failed, ec::StripMask lost);
    Task<bool> fit_copies(StripeOp& found, const Segment& segment, ec::StripMask failed);
    Task<bool> give_up(GroupIndex group, StripeIndex stripe, const ec::Scheme& scheme, Rows rows,
                       ec::StripMask lost);
    Task<Result<void>> clear_doubt(GroupIndex group, StripeIndex stripe);
    void doubt_is_settled(GroupIndex group, StripeIndex stripe);
    Task<Result<void>> flush_member(MemberIndex member, dev::BlockDevice& device);
    Task<Result<void>> flush_device(MemberIndex member, dev::BlockDevice& device);

    // Movers (mover_steps.cc, mover_targets.cc).
    Task<Result<void>> salvage(StripeOp& op, GroupIndex group, StripeIndex stripe, Rows slice);
    Task<Rows> differing_rows(Mover& mover, const MoveTarget& target, std::uint64_t offset,
                              std::span<const std::byte> content);
    Task<Result<void>> zero_targets(Mover& mover, StripeIndex stripe, const ec::Scheme& scheme);
    Task<Result<void>> write_targets(Mover& mover, StripeIndex stripe, StripeOp& op);
    Task<Result<void>> take_target_errors(Mover& mover, std::span<dev::IoRequest> writes);
    Task<Result<void>> flush_targets(Mover& mover);

    GroupMap& map_;
    FaultSink& faults_;
    StripeLog* log_;
    std::uint64_t log_payload_bytes_max_;
    Quiescence quiescence_;
    Traffic traffic_;
    GroupTraffic group_traffic_;
    KeyedLock gate_{10};
    KeyedLock interlock_;
    MoverTable movers_;
    DoubtTable doubts_;
    std::vector<std::unique_ptr<PerReactor>> per_reactor_;
};

}  // namespace xsan::raid
