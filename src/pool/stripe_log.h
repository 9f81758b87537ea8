// StripeLog: the rings of the stripe log at run time. Implements what raid asks for with the format
// of meta/stripe_log.h.
//
// Who owns it: the pool, when its policy is `log`. Where it runs: append() and retire() on the
// reactor of the writer; what a lane appends is written by a task on the lane's reactor, one batch
// at a time: everything that arrives meanwhile goes into the next one. advance() on the control
// reactor. How it stops: close(), once nobody writes any more.
//
// Invariants:
//  - Room in a ring is given back only when tails that pass it are durable on all members that are
//    live, and in-place writes of everything below their `retired` were flushed before.
//  - `retired` is below the sequence of every open ticket, on all lanes: a record is never forgotten
//    on one member while an older one of its stripe is remembered on another.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "meta/state.h"
#include "meta/stripe_log.h"
#include "meta/stripe_log_read.h"
#include "pool/groups.h"
#include "pool/members.h"
#include "raid/engine.h"
#include "raid/stripe_log.h"
#include "reactor/cross.h"
#include "reactor/sync.h"
#include "reactor/task_group.h"

namespace xsan::pool {

class StripeLog final : public raid::StripeLog {
  public:
    struct Context {
        const meta::State& state;
        MemberTable& members;
        const GroupTable& groups;
        raid::FaultSink& faults;
        std::vector<Reactor*> reactors;  // [0] is the control reactor
        std::uint64_t lane_bytes_max = UINT64_MAX;
    };
    StripeLog(Context context, std::uint64_t seed);
    ~StripeLog() override;
    void set_engine(raid::Engine& engine) { engine_ = &engine; }

    Task<Result<void>> append(raid::LogTicket& ticket,
                              std::span<const raid::LogRecord> records) override;
    void retire(raid::LogTicket& ticket) override;
    Task<Result<void>> pass(raid::LogSpan records) override { return advance_past(records.end); }
    void keep(raid::LogTicket& ticket) override;
    void release(raid::LogSpan records) override;
    std::uint64_t append_bytes_max() const override {
        return append_bytes_max_.load(std::memory_order_relaxed);
    }
    std::uint32_t granule_bytes() const override {
        return granule_bytes_.load(std::memory_order_relaxed);
    }

    // A volume with such blocks is there from now on.
    void use_block(std::uint32_t block_bytes);

    // Records are kept: no tail passes them, so that nothing which needs that is possible, as moving groups.
    bool is_keeping() { return kept_from() != UINT64_MAX; }
    unsigned lane_count() const { return static_cast<unsigned>(lanes_.size()); }
    // Would all lanes that there are find room on such a member?
    bool has_room(const meta::MemberLayout& layout) const {
        return meta::stripe_log_lane_bytes(layout.stripe_log_bytes, lane_count()) > 0;
    }

    // At assembly, before anything is served: makes whole what was under way. Errors: a member can
    // neither be read or written nor be recorded as lost.
    struct Replayed {
        std::uint64_t records = 0;
        std::uint64_t stripes = 0;
        std::uint64_t read_bytes = 0;
    };
    Task<Result<Replayed>> replay(std::uint64_t epoch);
    // Sets up the region of a member for this run, so that it may become live (or is, before
    // anything is served): empty, of a new incarnation.
    Task<Result<void>> open_member(MemberIndex member, dev::BlockDevice& device, std::uint64_t epoch);
    Task<Result<void>> open_live_members(std::uint64_t epoch);

    // Flushes, and moves the tails past all records whose in-place writes have completed.
    Task<Result<void>> advance();
    // The same until everything that has been appended so far is past them. io_error also where
    // records are kept below.
    Task<Result<void>> advance_past(std::uint64_t sequence);
    Task<Result<void>> advance_past_all() { return advance_past(next_sequence_.load()); }
    bool has_records() const {
        return next_sequence_.load(std::memory_order_acquire) !=
               retired_.load(std::memory_order_acquire);
    }
    Task<void> close();

    // Exact counts, for tests and benches.
    struct Counters {
        std::uint64_t records = 0;
        std::uint64_t batches = 0;  // appends, on one member each
        std::uint64_t bytes = 0;
        std::uint64_t tails = 0;
    };
    Counters counters() const;

  private:
    struct Batch {
        std::uint64_t position;
        std::uint64_t sequence_max;
    };
    // A lane's part of one member's region.
    struct Ring {
        std::uint64_t incarnation = 0;
        std::uint64_t offset = 0;  // on the device
        std::uint64_t lane_bytes = 0;
        std::uint64_t head = 0;    // where the next batch is looked for
        std::uint64_t tail = 0;    // durable
        std::uint64_t next_tail = 0;
        std::deque<Batch> batches;  // that no durable tail has passed
        dev::AlignedBuffer buffer;  // of the one batch in flight
    };
    struct Request {
        std::span<const raid::LogRecord> records;
        std::uint64_t sequence = 0;
        Result<void> result;
        Event done;
    };
    // What goes to one member with one batch.
    struct Outgoing {
        MemberIndex member;
        dev::BlockDevice* device = nullptr;
        Ring* ring = nullptr;
        std::vector<meta::StripeLogDescriptor> descriptors;
        std::vector<const raid::LogRecord*> records;  // of the descriptors
        std::uint64_t content_bytes = 0;
        std::uint64_t position = 0;
        std::uint64_t sequence_max = 0;
        dev::IoRequest io;
        std::uint32_t bytes() const {
            return static_cast<std::uint32_t>(
                meta::stripe_log_batch_bytes(descriptors.size(), content_bytes));
        }
    };
    struct Lane {
        unsigned index = 0;
        Reactor* reactor = nullptr;
        // Guards `oldest`, `newest` and the rings' positions and batches.
        SpinLock lock;
        raid::LogTicket* oldest = nullptr;
        raid::LogTicket* newest = nullptr;
        std::map<MemberIndex, std::unique_ptr<Ring>> rings;
        // Of the lane's reactor alone.
        std::deque<Request*> queue;
        bool is_running = false;
        TaskGroup tasks;
    };

    Task<Result<void>> append_on(Lane& lane, raid::LogTicket& ticket,
                                 std::span<const raid::LogRecord> records);
    Task<void> run(Lane& lane);
    std::vector<Request*> take_requests(Lane& lane, std::vector<Outgoing>& out);
    bool add_request(Lane& lane, const Request& request, std::vector<Outgoing>& out) const;
    Task<Result<void>> make_room(Lane& lane, std::vector<Outgoing>& out);
    std::uint64_t kept_from();  // UINT64_MAX: nothing is
    bool place(Lane& lane, std::vector<Outgoing>& out);
    Task<void> write_batches(Lane& lane, std::vector<Outgoing>& out, std::vector<Request*>& requests);
    using Checksums = std::map<const raid::LogRecord*, const std::byte*>;
    void encode(const Lane& lane, Outgoing& out, Checksums& checksums);
    Task<void> write_again(Lane& lane, Outgoing& out);
    bool holds_strips(MemberIndex member) const;
    Task<void> fail_unreadable(std::vector<MemberIndex>& damaged);
    Task<void> advance_from_lane();
    Task<Result<void>> advance_locked();
    Task<Result<void>> write_tail(MemberIndex member, dev::BlockDevice& device, std::uint64_t retired);
    Task<Result<void>> write_tail_or_fail(MemberIndex member, dev::BlockDevice& device,
                                          std::uint64_t retired);

    // stripe_log_replay.cc
    struct StripeKey {
        GroupIndex group;
        StripeIndex stripe;
        friend auto operator<=>(const StripeKey&, const StripeKey&) = default;
    };
    using Stripes = std::map<StripeKey, std::map<std::uint64_t, raid::ReplayRecord>>;
    void collect(const meta::MemberStripeLog& log, MemberIndex member, std::uint64_t retired,
                 Stripes& stripes) const;
    Task<Result<void>> redo(Stripes& stripes, const std::vector<MemberIndex>& unreadable);

    Context context_;
    raid::Engine* engine_ = nullptr;
    Rng rng_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::atomic<std::uint64_t> next_sequence_{1};
    std::atomic<std::uint64_t> retired_{1};
    SpinLock kept_lock_;
    std::set<std::uint64_t> kept_;  // first sequences of what is kept
    std::atomic<std::uint64_t> append_bytes_max_{UINT64_MAX};
    std::atomic<std::uint32_t> granule_bytes_{raid::kLogGranuleMax};
    std::atomic<bool> advance_wanted_{false};
    std::atomic<std::uint64_t> records_{0}, batches_{0}, bytes_{0}, tails_{0};

    // Of the control reactor.
    std::uint64_t epoch_ = 0;
    std::map<MemberIndex, std::uint64_t> tail_number_;
    AsyncMutex advance_mutex_;
};

}  // namespace xsan::pool
