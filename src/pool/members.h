// MemberTable: the drives of a pool at run time: who is live, and which extents are free.
//
// Invariants:
//  - live(i) is set on the control reactor and read on all; it becomes null when the member's loss is
//    durable (or the drive has vanished), and the device object stays until retire() after a grace period.
//  - An extent is free, or belongs to a row of the placement table, or is reserved by a running group
//    creation or mover. Reservations live in memory only: a restart drops them with what they were for.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/strong.h"
#include "dev/block_device.h"
#include "meta/state.h"
#include "raid/traffic.h"

namespace xsan::pool {

inline constexpr unsigned kMembersMax = meta::kMembersMax;

// Free extents of one member. Control reactor.
class ExtentAllocator {
  public:
    void reset(std::uint32_t extents) {
        used_.assign(extents, false);
        free_ = extents;
        cursor_ = 0;
    }
    std::uint32_t total() const { return static_cast<std::uint32_t>(used_.size()); }
    std::uint32_t free() const { return free_; }
    void take(ExtentIndex extent) {
        XSAN_ASSERT(extent.get() < used_.size() && !used_[extent.get()]);
        used_[extent.get()] = true;
        free_--;
    }
    void give_back(ExtentIndex extent) {
        XSAN_ASSERT(extent.get() < used_.size() && used_[extent.get()]);
        used_[extent.get()] = false;
        free_++;
        if (extent.get() < cursor_) cursor_ = extent.get();
    }
    // The lowest free extent, taken; nullopt when there is none.
    std::optional<ExtentIndex> allocate() {
        for (; cursor_ < used_.size(); cursor_++) {
            if (used_[cursor_]) continue;
            const ExtentIndex extent{static_cast<std::uint32_t>(cursor_)};
            take(extent);
            return extent;
        }
        return std::nullopt;
    }

  private:
    std::vector<bool> used_;
    std::uint32_t free_ = 0;
    std::size_t cursor_ = 0;  // every extent below it is used
};

class MemberTable {
  public:
    struct Slot {
        std::unique_ptr<dev::BlockDevice> owned;
        std::atomic<dev::BlockDevice*> live{nullptr};
        std::atomic<std::uint64_t> data_offset{0};
        ExtentAllocator extents;
        // Read errors that were corrected: when and where (a ring of the last 21). What the member had
        // before it left and came back is counted, but not held against it.
        std::array<TimeNs, 21> corrected_at{};
        std::array<std::uint64_t, 21> corrected_offset = nowhere();
        std::uint64_t corrected_count = 0;
        std::uint64_t corrected_before = 0;
        meta::MemberCounters counters_at_start;      // as stored when the pool was opened
        raid::MemberTraffic traffic_reported;        // to the placement extension
        raid::MemberTraffic traffic_at_start;        // of a member that joined while the pool ran
        bool vanished = false;       // the drive is gone, also where its loss may not be recorded
        bool kept_reported = false;  // that it stays in spite of its errors was logged

        static constexpr std::array<std::uint64_t, 21> nowhere() {
            std::array<std::uint64_t, 21> offsets{};
            offsets.fill(UINT64_MAX);
            return offsets;
        }
        // It failed a write or a flush, or gave too many read errors, since the pool came up. What it answers may come
        // from its cache alone: when it is back all is written anew, as often as it goes and comes.
        std::atomic<bool> has_misbehaved{false};
        // It was failed by command.
        bool was_dismissed = false;
        // It came back and has done nothing wrong before: its stale strips are compared with what they must be.
        bool is_sound = false;
        // The member comes back after it was away: its errors are forgiven.
        void forgive() {
            was_dismissed = false;
            vanished = false;
            kept_reported = false;
            corrected_offset = nowhere();
            corrected_before = corrected_count;
        }
    };

    // Slots are made on the control reactor, when a member is first spoken of, and never move.
    Slot& slot(MemberIndex member) {
        auto& place = chunks_.at(member.get() / kChunk);
        Chunk* chunk = place.load(std::memory_order_acquire);
        if (chunk == nullptr) {
            owned_.push_back(std::make_unique<Chunk>());
            chunk = owned_.back().get();
            place.store(chunk, std::memory_order_release);
        }
        return (*chunk)[member.get() % kChunk];
    }
    const Slot& slot(MemberIndex member) const {
        const Chunk* chunk = chunks_.at(member.get() / kChunk).load(std::memory_order_acquire);
        XSAN_ASSERT(chunk != nullptr);
        return (*chunk)[member.get() % kChunk];
    }
    // nullptr also for a member that nobody spoke of.
    dev::BlockDevice* live(MemberIndex member) const {
        const Chunk* chunk = chunks_.at(member.get() / kChunk).load(std::memory_order_acquire);
        if (chunk == nullptr) return nullptr;
        return (*chunk)[member.get() % kChunk].live.load(std::memory_order_acquire);
    }

    // Gives the slot a device and the geometry of its member; it is not live yet.
    void attach(MemberIndex member, std::unique_ptr<dev::BlockDevice> device,
                const meta::MemberLayout& layout) {
        Slot& s = slot(member);
        s.owned = std::move(device);
        s.data_offset.store(layout.data_offset, std::memory_order_release);
        if (s.extents.total() != layout.extent_count) s.extents.reset(layout.extent_count);
    }
    void set_live(MemberIndex member, bool live) {
        Slot& s = slot(member);
        s.live.store(live ? s.owned.get() : nullptr, std::memory_order_release);
    }
    // Takes the device out; destroy it after a grace period.
    std::unique_ptr<dev::BlockDevice> detach(MemberIndex member) {
        set_live(member, false);
        return std::move(slot(member).owned);
    }

  private:
    static constexpr std::size_t kChunk = 32;
    using Chunk = std::array<Slot, kChunk>;
    std::array<std::atomic<Chunk*>, kMembersMax / kChunk> chunks_{};
    std::vector<std::unique_ptr<Chunk>> owned_;
};

}  // namespace xsan::pool
