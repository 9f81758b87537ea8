// How many groups fit on a set of members, and how many groups should be open at once.
#pragma once

#include <cstdint>
#include <span>

namespace xsan::wl {

// The largest G for which sum over members of min(extents_i, G) >= G * total_strips: as many groups
// can be placed with all strips of each on distinct members, and no more (each member serves a
// group once at most; always taking the members with most extents left reaches the bound).
//
// `extents` has one entry per member that may hold data (no spares, no failed ones); entries of 0
// do not count as members. Where failure domains matter an entry is the sum over one domain: a
// group takes one strip of a domain at most, and the same argument holds.
// leave_out_largest_when_more: with more members than strips the largest is left out, which is the
// space that a rebuild may use and volumes may not. Schemes that cannot rebuild (P = 0) pass false.
// total_strips > 0.
std::uint64_t group_capacity(std::span<const std::uint64_t> extents, std::uint32_t total_strips,
                             bool leave_out_largest_when_more);

// Open groups from which neighbouring clusters are taken in turn, so that one stream uses all
// members alike: members / gcd(members, total_strips) groups load each member equally. Bounded by
// kInterleaveMax where fewer already reach every member.
inline constexpr std::uint32_t kInterleaveMax = 32;
std::uint32_t interleave_width(std::uint32_t members, std::uint32_t total_strips);

}  // namespace xsan::wl
