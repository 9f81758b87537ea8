// Strong<Tag, Rep>: an integer that mixes with no other integer.
// Indices, identifiers and offsets of different things are different types, so that passing one for
// the other does not compile.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace xsan {

template <class Tag, class Rep>
class Strong {
  public:
    using rep = Rep;
    constexpr Strong() = default;
    constexpr explicit Strong(Rep value) : value_(value) {}
    constexpr Rep get() const { return value_; }
    friend constexpr auto operator<=>(const Strong&, const Strong&) = default;

  private:
    Rep value_{};
};

using MemberIndex = Strong<struct MemberIndexTag, std::uint16_t>;   // place in a pool's member list
using ExtentIndex = Strong<struct ExtentIndexTag, std::uint32_t>;   // place in a member's extents
using GroupIndex = Strong<struct GroupIndexTag, std::uint32_t>;     // row of the placement table
using StripeIndex = Strong<struct StripeIndexTag, std::uint32_t>;   // stripe inside a group
using ClusterIndex = Strong<struct ClusterIndexTag, std::uint64_t>; // place in a volume's map
using SchemeId = Strong<struct SchemeIdTag, std::uint16_t>;         // place in a pool's scheme list

}  // namespace xsan

template <class Tag, class Rep>
struct std::hash<xsan::Strong<Tag, Rep>> {
    std::size_t operator()(const xsan::Strong<Tag, Rep>& s) const noexcept {
        return std::hash<Rep>{}(s.get());
    }
};
