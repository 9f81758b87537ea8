// Store: the metadata of one pool on its members. It makes commits durable on every member that is
// in sync in the state they create, writes checkpoints, and finds the newest state again at
// assembly.
//
// Runs on the control reactor only. All waiting is co_await; commits are grouped: those that arrive
// while one is being written go out together as the next one.
//
// Invariants:
//  - Entry n+1 is written only when entry n is durable on every member that is in sync in the state
//    that n made, or when n+1 itself records that a member is not.
//  - state() contains durable entries only.
//  - The log before the checkpoint that the superblocks of all members name is never overwritten
//    earlier.
//  - An epoch is used by one assembly only: it is durable in the superblocks of the members that
//    take part before the first entry of that epoch is written.
//
// Stop with close_clean() or close() before destruction. A member's device must stay until the
// store is closed, or until drained() has returned after drop_member().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "dev/block_device.h"
#include "meta/assembly.h"
#include "meta/checkpoint.h"
#include "meta/examine.h"
#include "meta/layout.h"
#include "meta/log.h"
#include "meta/member_io.h"
#include "meta/scrub_progress.h"
#include "meta/state.h"
#include "meta/superblock.h"
#include "reactor/sync.h"
#include "reactor/task.h"
#include "reactor/task_group.h"

namespace xsan::meta {

class Draft;

class Store {
  public:
    struct NewMember {
        MemberIndex index;
        dev::BlockDevice* device = nullptr;
    };

    // Formats the members of a new pool: everything but the superblocks first, superblocks last, so
    // that an interrupted create leaves no pool. `initial` holds the pool, the members with their
    // layouts and the schemes. Existing superblocks of the devices are wiped first.
    static Task<Outcome<std::unique_ptr<Store>>> create(std::vector<Record> initial,
                                                        std::vector<NewMember> members,
                                                        Uuid lineage);

    // Finds the newest state among the examined devices of ONE pool and decides whether it may
    // start (design: a strict majority of that state's in-sync members is present; members that are
    // already recorded as missing, faulty or removed do not count; `accept_missing` overrides and
    // starts a new lineage), and whether data survives without the absent ones. Refuses forks, clones
    // (one member UUID twice) and unknown features.
    // Writes nothing until it has decided; then repairs superblock copies, completes the newest
    // state on all present members that are in sync in it, and commits a raised epoch together with
    // `missing` for absent members. Devices whose member is not in sync in the newest state are
    // returned by stale().
    struct Assembly {
        bool accept_missing = false;
        std::uint64_t random = 0;  // entropy for a new lineage
        // Whether the owner can work with the newest state; asked first. nullptr: yes.
        std::function<Outcome<void>(const State&)> usable;
        // Whether no data is lost when these members are recorded as missing, beside those that
        // are not in sync already. Asked before anything is written: where it says no, the absent
        // members are waited for, unless they were accepted. nullptr: always.
        std::function<bool(const State&, std::span<const MemberIndex>)> survives;
    };
    static Task<Outcome<std::unique_ptr<Store>>> assemble(std::vector<Examined> found,
                                                          Assembly how);

    ~Store();

    State& state() { return state_; }
    const State& state() const { return state_; }
    std::uint64_t epoch() const { return epoch_; }
    std::uint64_t sequence() const { return applied_.sequence; }
    const Uuid& lineage() const { return lineage_; }
    // True when the last stop was not clean (no clean mark): dirty groups need resync.
    bool was_unclean() const { return was_unclean_; }
    std::vector<MemberIndex> stale() const { return stale_; }
    dev::BlockDevice* device(MemberIndex index) const;  // nullptr: commits are not written to it

    // Makes the records durable and applies them to state(), as a whole. Returns when they are
    // durable on every member that is in sync in the resulting state. A member whose write fails is
    // committed as missing/faulty by the store itself before this returns, and `on_member_lost` is
    // told. Errors that change nothing: corrupt (records that do not fit the state: a caller's
    // mistake), no_space (the tables would outgrow a checkpoint slot, or the commit is larger than
    // commit_bytes_max()), aborted (closed), too_many_failures (an earlier one left the store broken). in_doubt:
    // a member can neither be written nor lost. Some have the entry, so that the next start may find it and go by
    // it, while state() stays as it was: what is done from now on must be right either way. The store is broken.
    Task<Result<void>> commit(std::vector<Record> records);
    // Of the encoded records of one commit.
    std::uint64_t commit_bytes_max() const;

    // What this store has written to a member: entries, checkpoints and superblocks.
    struct Written {
        std::uint64_t writes = 0;
        std::uint64_t bytes = 0;
    };
    Written written(MemberIndex member) const;

    // Takes a new or returning member into the set that commits are written to: formats or
    // completes its metadata first (a checkpoint of the current state), then commits `records`
    // (which make it in_sync). After a failure the device is the caller's alone.
    Task<Outcome<void>> add_member(NewMember member, std::vector<Record> records);
    // Stops writing to a member (after a commit that marked it not in sync, or before: then the
    // next entry marks it missing).
    void drop_member(MemberIndex index);
    // Returns when no I/O that was running at the call is running any more.
    Task<void> drained();

    // The store has recorded that a member is lost: it could not be written, or was dropped before its
    // owner's own record of that could be committed. Perhaps told once more after such a record.
    std::function<void(MemberIndex, Error)> on_member_lost;
    // Whether the pool would survive that all of these are recorded as lost; without it, always. What it does
    // not survive is not recorded: the drives may come back with everything. The store is broken then.
    std::function<bool(std::span<const MemberIndex>)> may_lose;
    // Nothing can be committed any more until the pool is assembled anew.
    bool is_broken() const { return is_broken_; }

    // Writes a checkpoint now, beside running commits. They do so by themselves when the log is
    // half full.
    Task<Result<void>> write_checkpoint_now();

    // What was kept last, by this store or before it was assembled; nullopt: nothing yet.
    const std::optional<ScrubProgress>& scrub_progress() const { return scrub_progress_; }
    // Goes into the superblocks whenever they are updated next, at the latest at close_clean(). The store
    // numbers it.
    void keep_scrub_progress(ScrubProgress progress);
    // The same, and returns when it is durable on every member that is in sync.
    Task<Result<void>> write_scrub_progress(ScrubProgress progress);

    // Writes a checkpoint and a clean mark, after which nothing may be committed.
    Task<Result<void>> close_clean();
    // Stops without a mark: waits for running commits only.
    Task<void> close();

    // Erases the superblocks of all present members: destroy.
    Task<Result<void>> wipe();

    // Layout of a member of the given size in a pool of these extents: pure, the same at create and
    // at add. invalid_argument when the device is too small (64 MiB is the smallest member).
    using LayoutInput = meta::LayoutInput;
    static Outcome<MemberLayout> layout(const LayoutInput& input) { return member_layout(input); }
    // The sizes from which the layout of a device follows that is to join this pool.
    LayoutInput layout_sizes() const;

  private:
    // A member that entries are written to.
    struct Slot {
        dev::BlockDevice* device = nullptr;
        SuperblockOnDevice superblock;
        bool is_joining = false;  // not in sync yet; entries go to it all the same
        bool is_ready = false;    // its superblock names a checkpoint
    };
    struct Pending {
        std::vector<Record> records;
        std::vector<std::byte> bytes;
        Error result;
        Event done;
    };
    // What one entry makes durable.
    struct Batch {
        std::vector<Record> records;
        std::vector<std::byte> bytes;
        std::uint16_t flags = 0;

        void add(Record record);
    };
    using Overlay = std::map<MemberIndex, Member>;

    Store();

    // store_commit.cc
    void kick();
    Task<void> pump();
    template <class Pendings>
    static void answer(const Pendings& pendings, Result<void> result);
    std::vector<Pending*> take_batch(Batch& batch);
    bool fits_on_disk(const Draft& draft) const;
    Task<Result<void>> append(Batch batch);
    Task<bool> write_entry(const Batch& batch, const Overlay& overlay);
    static void overlay_records(Overlay& overlay, const State& state,
                                std::span<const Record> records);
    const Member* member_after(const Overlay& overlay, MemberIndex index) const;
    std::vector<Record> loss_records(const Overlay& overlay) const;
    bool has_unrecorded_loss() const;
    bool accept_loss(MemberIndex index, Error error);
    void note_loss(MemberIndex index, Error error);
    void report_losses();
    std::uint64_t log_used() const { return head_.total_bytes - log_start_bytes_; }
    bool has_log_room(std::uint64_t entry_bytes) const;
    void count_written(MemberIndex member, std::uint64_t writes, std::uint64_t bytes);

    // store_checkpoint.cc
    void start_checkpoint();
    Task<void> background_checkpoint();
    Task<Result<void>> checkpoint_members(CheckpointImage image, LogPosition at);
    Task<Result<void>> seed(MemberIndex index, const CheckpointImage& image, LogPosition at);
    CheckpointImage encode_state() const;
    Superblock next_superblock(const Slot& slot) const;
    Task<Outcome<void>> join(NewMember member, Member wanted);
    Task<Outcome<Slot>> prepare_slot(NewMember member, Member wanted);
    Task<Result<void>> update_superblock(MemberIndex index, Superblock next);
    Task<Result<void>> update_superblocks();
    void take_scrub_progress(const Superblock& superblock);

    // store_create.cc, store_assemble.cc
    Outcome<void> set_up(std::vector<Record> initial, std::vector<NewMember> members);
    Task<Outcome<void>> format();
    Task<Outcome<void>> start(std::vector<Examined> found, Assembly how);
    Task<Outcome<std::size_t>> load_newest(std::span<const Examined> found,
                                           std::vector<bool>& is_source_bad);
    Outcome<void> check_absent(const AssemblyPlan& plan, const Assembly& how) const;
    void take_plan(std::span<const Examined> found, std::size_t newest, const AssemblyPlan& plan,
                   Assembly how);
    Task<std::vector<std::size_t>> raise_epoch(std::span<Examined> found, AssemblyPlan plan);

    State state_;
    std::map<MemberIndex, Slot> slots_;
    std::map<MemberIndex, Error> losses_;  // found by the store, not reported yet
    Uuid lineage_;
    std::vector<Ancestor> ancestors_;
    std::uint64_t epoch_ = 0;
    LogPosition applied_;  // of state_
    LogPosition head_;     // of the last entry written; ahead of applied_ only inside append()
    std::uint64_t log_bytes_ = 0;
    std::uint64_t slot_bytes_ = 0;
    std::uint64_t log_start_bytes_ = 0;  // head_.total_bytes at the oldest checkpoint in use
    bool was_unclean_ = false;
    bool is_broken_ = false;
    std::vector<MemberIndex> stale_;
    std::optional<ScrubProgress> scrub_progress_;

    std::map<MemberIndex, Written> written_;

    std::deque<Pending*> queue_;
    bool is_pumping_ = false;
    bool is_checkpointing_ = false;
    Event checkpoint_done_;
    AsyncMutex append_mutex_;  // one entry at a time
    AsyncMutex
        checkpoint_mutex_;  // one change of superblocks at a time; taken before append_mutex_
    Gate gate_;
    TaskGroup tasks_;
};

}  // namespace xsan::meta
