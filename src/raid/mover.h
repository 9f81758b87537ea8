// Mover: the rebuild or relocation of one group, as the data path sees it.
// It names the targets and knows which stripes are already on them. Writers write the targets of
// stripes that are done as well; readers of a lost strip take a done stripe from its target.
//
// Invariants:
//  - done(stripe) changes from false to true once, under that stripe's exclusive interlock, and is
//  read under
//    the interlock only.
//  - A mover is registered and unregistered under the group's exclusive gate; it is looked up under
//  the shared
//    gate. While registered, its target extents belong to it alone.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/group_row.h"
#include "dev/block_device.h"

namespace xsan::raid {

struct MoveTarget {
    unsigned slot = 0;  // of the group
    MemberIndex member;
    ExtentIndex extent;
    dev::BlockDevice* device = nullptr;
    std::uint64_t offset = 0;  // of the extent on the device
    // The extent is the strip's own, from before its member went away, and holds what it held then or
    // anything else: it is read, compared, and written only where it differs. Else it is all zeros.
    bool holds_older = false;
};

class Mover {
  public:
    // `gives_up`: what cannot be read nor computed becomes a bad range and the mover goes on (a rebuild, of which that
    // is all that is left); else it ends the mover, and the group stays as it is.
    Mover(GroupIndex group, std::vector<MoveTarget> targets, std::uint32_t stripes, bool gives_up = true)
        : group_(group),
          targets_(std::move(targets)),
          stripes_(stripes),
          gives_up_(gives_up),
          done_(std::make_unique<std::uint8_t[]>(stripes)) {}

    GroupIndex group() const { return group_; }
    const std::vector<MoveTarget>& targets() const { return targets_; }
    std::uint32_t stripes() const { return stripes_; }
    bool gives_up() const { return gives_up_; }
    bool is_done(StripeIndex stripe) const { return done_[stripe.get()] != 0; }
    void set_done(StripeIndex stripe) { done_[stripe.get()] = 1; }
    // While no stripe of the group is worked on.
    bool all_done() const {
        return std::all_of(&done_[0], &done_[stripes_], [](auto d) { return d != 0; });
    }

    // Whether comparing with what an older target holds still saves writes. A drive on which many strips on end
    // differ everywhere was written by others, or missed most: it is spared the reads.
    bool compares() const { return different_.load(std::memory_order_relaxed) < kDifferentMax; }
    void compared(bool all_differs) {
        if (!all_differs) {
            different_.store(0, std::memory_order_relaxed);
        } else {
            different_.fetch_add(1, std::memory_order_relaxed);
        }
    }

    // A target could not be written: the mover is given up, its targets are no longer trusted by
    // anyone.
    void fail() { failed_.store(true, std::memory_order_release); }
    bool has_failed() const { return failed_.load(std::memory_order_acquire); }

  private:
    static constexpr unsigned kDifferentMax = 16;  // strips on end

    GroupIndex group_;
    std::vector<MoveTarget> targets_;
    std::uint32_t stripes_;
    bool gives_up_;
    std::unique_ptr<std::uint8_t[]> done_;
    std::atomic<bool> failed_{false};
    std::atomic<unsigned> different_{0};
};

// The movers that run, by group. At most one per hash slot: starting another waits.
// Who looks for a group holds that group's gate, and no claim on the mover of another group in the
// same slot, which may end at any moment: the number is compared, the mover never looked into.
class MoverTable {
  public:
    static constexpr unsigned kSlots = 256;

    Mover* find(GroupIndex group) const {
        if (active_.load(std::memory_order_acquire) == 0) return nullptr;
        const Slot& slot = slots_[group.get() % kSlots];
        if (slot.group.load(std::memory_order_acquire) != group.get()) return nullptr;
        return slot.mover.load(std::memory_order_acquire);
    }
    bool try_add(Mover& mover) {
        Slot& slot = slots_[mover.group().get() % kSlots];
        Mover* expected = nullptr;
        if (!slot.mover.compare_exchange_strong(expected, &mover)) return false;
        slot.group.store(mover.group().get(), std::memory_order_release);
        active_.fetch_add(1, std::memory_order_release);
        return true;
    }
    void remove(Mover& mover) {
        Slot& slot = slots_[mover.group().get() % kSlots];
        slot.group.store(kNoGroup, std::memory_order_release);
        slot.mover.store(nullptr, std::memory_order_release);
        active_.fetch_sub(1, std::memory_order_release);
    }

  private:
    static constexpr std::uint32_t kNoGroup = UINT32_MAX;
    struct Slot {
        std::atomic<Mover*> mover{nullptr};
        std::atomic<std::uint32_t> group{kNoGroup};
    };
    std::array<Slot, kSlots> slots_;
    std::atomic<unsigned> active_{0};
};

}  // namespace xsan::raid
