// GroupRow: one row of the placement table, as memory holds it: which member and extent carry each strip
// of a stripe group. A value that raid reads, meta stores, wl chooses and pool publishes.
//
// Invariants: a row is immutable once published; a change is a new row with a higher generation. Strips
// whose state is `none` name no member. The members of the other strips are distinct.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "base/assert.h"
#include "base/strong.h"

namespace xsan {

enum class StripState : std::uint8_t {
    ok = 0,     // agrees with the group, as long as its member is in sync
    stale = 1,  // on a member that missed writes: to be rebuilt, never read
    none = 2,   // on no member: counts as lost
};

// Six bytes: 14 bits of member, 2 bits of state, 32 bits of extent.
class StripRef {
  public:
    static constexpr std::uint16_t kMembersMax = 1u << 14;

    StripRef() : StripRef(MemberIndex{}, ExtentIndex{}, StripState::none) {}
    StripRef(MemberIndex member, ExtentIndex extent, StripState state)
        : member_and_state_(static_cast<std::uint16_t>(
              member.get() | (static_cast<unsigned>(state) << 14))),
          extent_low_(static_cast<std::uint16_t>(extent.get())),
          extent_high_(static_cast<std::uint16_t>(extent.get() >> 16)) {
        XSAN_ASSERT(member.get() < kMembersMax);
    }

    MemberIndex member() const {
        return MemberIndex{static_cast<std::uint16_t>(member_and_state_ & (kMembersMax - 1))};
    }
    ExtentIndex extent() const {
        return ExtentIndex{extent_low_ | (static_cast<std::uint32_t>(extent_high_) << 16)};
    }
    StripState state() const { return static_cast<StripState>(member_and_state_ >> 14); }
    StripRef with_state(StripState s) const { return StripRef(member(), extent(), s); }
    friend bool operator==(const StripRef&, const StripRef&) = default;

  private:
    std::uint16_t member_and_state_;
    std::uint16_t extent_low_;
    std::uint16_t extent_high_;
};
static_assert(sizeof(StripRef) == 6);

// Header of eight bytes, then one StripRef per slot, in one allocation.
class GroupRow {
  public:
    struct Deleter {
        void operator()(GroupRow* row) const { std::free(row); }
    };
    using Ptr = std::unique_ptr<GroupRow, Deleter>;

    static Ptr make(SchemeId scheme, std::uint32_t generation, std::span<const StripRef> strips) {
        XSAN_ASSERT(!strips.empty() && strips.size() <= 255);
        void* memory = std::malloc(sizeof(GroupRow) + strips.size_bytes());
        if (memory == nullptr) throw std::bad_alloc();
        auto* row = new (memory) GroupRow(scheme, generation, static_cast<std::uint8_t>(strips.size()));
        auto* out = reinterpret_cast<StripRef*>(row + 1);
        for (std::size_t i = 0; i < strips.size(); i++) new (out + i) StripRef(strips[i]);
        return Ptr(row);
    }

    SchemeId scheme() const { return SchemeId{scheme_}; }
    std::uint32_t generation() const { return generation_; }
    std::span<const StripRef> strips() const {
        return {reinterpret_cast<const StripRef*>(this + 1), strip_count_};
    }

  private:
    GroupRow(SchemeId scheme, std::uint32_t generation, std::uint8_t strip_count)
        : generation_(generation), scheme_(scheme.get()), strip_count_(strip_count) {}

    std::uint32_t generation_;
    std::uint16_t scheme_;
    std::uint8_t strip_count_;
    std::uint8_t reserved_ = 0;
};
static_assert(sizeof(GroupRow) == 8);

}  // namespace xsan
