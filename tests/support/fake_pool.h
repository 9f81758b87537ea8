// FakePool: what the engine needs from a pool, without one: a table of groups over given devices,
// which members are live, and a fault sink that records what it is told and takes its time to
// answer.
//
// It follows the pool's rules: a failed member is recorded unless some group would lose data; its
// device is not live from then on. Tests may refuse everything, change rows, tear stripes and unmap
// them.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ec/geometry.h"
#include "raid/engine.h"
#include "raid/group_map.h"
#include "support/catch.h"

namespace xsan::test {

struct FaultEvent {
    enum Kind { member_failed, member_refused, read_failed, range_lost, range_rewritten };
    Kind kind;
    unsigned member = 0;
    std::uint64_t offset = 0;  // of a read on its member, of a range in its group
    std::uint64_t length = 0;
    bool corrected = false;
};

class FakePool final : public raid::GroupMap, public raid::FaultSink {
  public:
    FakePool(const ec::Scheme& scheme, std::uint64_t extent_bytes, std::size_t members)
        : codec_(scheme), extent_bytes_(extent_bytes), live_(members), devices_(members) {}

    // --- building ---
    void add_member(unsigned member, dev::BlockDevice& device) {
        devices_[member] = &device;
        live_[member].store(&device);
    }
    // A group whose slot i lies on members[i], in that member's next free extent.
    GroupIndex add_group(const std::vector<unsigned>& members) {
        std::vector<StripRef> strips;
        for (const unsigned m : members)
            strips.push_back(ref(m, extents_used_[m]++));
        groups_.push_back(std::make_unique<Group>());
        const GroupIndex group{static_cast<std::uint32_t>(groups_.size() - 1)};
        publish(group, strips);
        return group;
    }
    std::uint32_t take_extent(unsigned member) { return extents_used_[member]++; }
    static StripRef ref(unsigned member, std::uint32_t extent, StripState state = StripState::ok) {
        return StripRef(MemberIndex{static_cast<std::uint16_t>(member)}, ExtentIndex{extent},
                        state);
    }
    // A new row for the group; the old ones stay until the pool ends.
    void publish(GroupIndex group, const std::vector<StripRef>& strips) {
        Group& g = *groups_[group.get()];
        g.rows.push_back(
            GroupRow::make(SchemeId{0}, static_cast<std::uint32_t>(g.rows.size() + 1), strips));
        g.row.store(g.rows.back().get());
    }
    std::vector<StripRef> strips(GroupIndex group) const {
        const auto now = row(group)->strips();
        return {now.begin(), now.end()};
    }
    // Moves the mover's slots to its targets: what a pool commits.
    void adopt(const raid::Mover& mover) {
        auto now = strips(mover.group());
        for (const raid::MoveTarget& t : mover.targets()) {
            now[t.slot] = StripRef(t.member, t.extent, StripState::ok);
        }
        publish(mover.group(), now);
    }
    raid::MoveTarget target(unsigned slot, unsigned member) {
        const ExtentIndex extent{take_extent(member)};
        const MemberIndex index{static_cast<std::uint16_t>(member)};
        return {slot, index, extent, devices_[member], extent_offset(index, extent)};
    }
    // The slot's member is back after it was away: its strip is stale, and to be brought up to date where it lies.
    raid::MoveTarget older_target(GroupIndex group, unsigned slot) {
        auto now = strips(group);
        const StripRef strip = now[slot];
        now[slot] = StripRef(strip.member(), strip.extent(), StripState::stale);
        publish(group, now);
        set_live(strip.member().get(), true);
        return {slot, strip.member(), strip.extent(), devices_[strip.member().get()],
                extent_offset(strip.member(), strip.extent()), true};
    }

    void set_live(unsigned member, bool live) {
        live_[member].store(live ? devices_[member] : nullptr);
    }
    bool is_live(unsigned member) const { return live_[member].load() != nullptr; }
    void set_lost(std::uint64_t members) {  // bit i: member i is not live
        for (unsigned m = 0; m < live_.size(); m++)
            set_live(m, (members >> m & 1) == 0);
    }
    const ec::Codec& codec() const { return codec_; }
    const ec::Scheme& scheme() const { return codec_.scheme(); }
    std::uint32_t stripes() const { return raid::stripes_per_group(scheme(), extent_bytes_); }
    std::uint64_t data_bytes() const { return raid::group_data_bytes(scheme(), extent_bytes_); }

    // --- raid::GroupMap ---
    const GroupRow* row(GroupIndex group) const override {
        return group.get() < groups_.size() ? groups_[group.get()]->row.load() : nullptr;
    }
    const ec::Codec& codec(SchemeId) const override { return codec_; }
    dev::BlockDevice* live_device(MemberIndex member) const override {
        return live_[member.get()].load();
    }
    std::uint64_t extent_offset(MemberIndex, ExtentIndex extent) const override {
        return data_start + extent_bytes_ * extent.get();
    }
    std::uint64_t extent_bytes() const override { return extent_bytes_; }
    unsigned member_limit() const override { return static_cast<unsigned>(live_.size()); }
    bool may_be_torn(GroupIndex group, StripeIndex stripe) const override {
        return torn.contains({group.get(), stripe.get()});
    }
    bool is_mapped(GroupIndex group, std::uint64_t data_offset) const override {
        return !unmapped.contains(
            {group.get(), static_cast<std::uint32_t>(data_offset / scheme().stripe_data_bytes())});
    }

    bool takes_writes(GroupIndex) const override { return !is_frozen; }
    bool is_frozen = false;
    bool has_bad_ranges(GroupIndex) const override { return count(FaultEvent::range_lost) > 0; }

    // --- raid::FaultSink ---
    Task<Result<void>> member_failed(MemberIndex member, Error) override {
        if (commit_time > 0) co_await sleep_for(commit_time);
        const unsigned m = member.get();
        if (on_member_failed) on_member_failed(m);
        if (refuse_failures || (is_live(m) && would_lose_data(m))) {
            record({FaultEvent::member_refused, m, 0, 0, false});
            co_return Error{Errc::too_many_failures};
        }
        set_live(m, false);
        record({FaultEvent::member_failed, m, 0, 0, false});
        co_return Result<void>{};
    }
    Task<void> read_failed(MemberIndex member, std::uint64_t offset, Error,
                           bool corrected) override {
        if (commit_time > 0) co_await sleep_for(commit_time);
        record({FaultEvent::read_failed, member.get(), offset, 0, corrected});
        if (on_read_failed) on_read_failed(member.get(), corrected);
    }
    Task<Result<void>> range_lost(GroupIndex group, std::uint64_t offset,
                                  std::uint64_t length) override {
        if (commit_time > 0) co_await sleep_for(commit_time);
        if (refuse_ranges) co_return Error{Errc::io_error};
        record({FaultEvent::range_lost, group.get(), offset, length, false});
        co_return Result<void>{};
    }

    Task<Result<void>> range_rewritten(GroupIndex group, std::uint64_t offset,
                                       std::uint64_t length) override {
        if (commit_time > 0) co_await sleep_for(commit_time);
        record({FaultEvent::range_rewritten, group.get(), offset, length, false});
        co_return Result<void>{};
    }

    Task<void> stripe_torn(GroupIndex group, StripeIndex stripe) override {
        if (commit_time > 0) co_await sleep_for(commit_time);
        torn.insert({group.get(), stripe.get()});
    }

    // --- what was recorded ---
    std::vector<FaultEvent> events() const {
        std::scoped_lock guard(lock_);
        return events_;
    }
    std::size_t count(FaultEvent::Kind kind) const {
        std::size_t n = 0;
        for (const FaultEvent& e : events())
            n += e.kind == kind ? 1 : 0;
        return n;
    }
    bool is_bad(std::uint64_t offset) const {  // inside a lost range of group 0
        bool bad = false;
        for (const FaultEvent& e : events()) {
            if (offset < e.offset || offset >= e.offset + e.length) continue;
            if (e.kind == FaultEvent::range_lost) bad = true;
            if (e.kind == FaultEvent::range_rewritten) bad = false;
        }
        return bad;
    }
    void clear_events() {
        std::scoped_lock guard(lock_);
        events_.clear();
    }

    // --- knobs; set while nothing runs (the engine adds to `torn`, in tests with one reactor) ---
    bool refuse_failures = false;
    bool refuse_ranges = false;
    TimeNs commit_time = 0;
    std::uint64_t data_start = 64 * 1024;
    std::set<std::pair<std::uint32_t, std::uint32_t>> torn;      // (group, stripe)
    std::set<std::pair<std::uint32_t, std::uint32_t>> unmapped;  // (group, stripe)
    std::function<void(unsigned member)> on_member_failed;
    std::function<void(unsigned member, bool corrected)> on_read_failed;

  private:
    struct Group {
        std::atomic<const GroupRow*> row{nullptr};
        std::vector<GroupRow::Ptr> rows;
    };

    bool would_lose_data(unsigned member) const {
        for (const auto& group : groups_) {
            ec::SlotMask lost = 0;
            const auto strips = group->row.load()->strips();
            for (std::size_t i = 0; i < strips.size(); i++) {
                const bool gone = strips[i].state() != StripState::ok ||
                                  strips[i].member().get() == member ||
                                  !is_live(strips[i].member().get());
                if (gone) lost |= ec::SlotMask{1} << i;
            }
            for (unsigned s = 0; s < ec::layout_period(scheme()); s++) {
                if (!codec_.can_decode(ec::strips_in(scheme(), StripeIndex{s}, lost))) return true;
            }
        }
        return false;
    }
    void record(const FaultEvent& event) {
        std::scoped_lock guard(lock_);
        events_.push_back(event);
    }

    ec::Codec codec_;
    std::uint64_t extent_bytes_;
    std::vector<std::atomic<dev::BlockDevice*>> live_;
    std::vector<dev::BlockDevice*> devices_;
    std::map<unsigned, std::uint32_t> extents_used_;
    std::vector<std::unique_ptr<Group>> groups_;
    mutable std::mutex lock_;
    std::vector<FaultEvent> events_;
};

}  // namespace xsan::test
