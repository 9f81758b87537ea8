// SharedGroups: how many groups any two members share. Placement keeps these counts even, so that
// the rebuild of a lost member reads from and writes to all others alike.
//
// A hint: read from the pool at start and kept up by answers and releases; an error in it costs
// evenness, never safety. Counts never go below 0. Memory is quadratic, hence kMembersMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/strong.h"

namespace xsan::wl {

class SharedGroups {
  public:
    static constexpr std::size_t kMembersMax = 1024;  // beyond, shared groups are not counted

    void clear();
    std::uint32_t count(MemberIndex a, MemberIndex b) const;
    // `by` is +1 or -1. within: each two of `members`; between: each of `some` with each of
    // `others`.
    void add_within(std::span<const MemberIndex> members, int by);
    void add_between(std::span<const MemberIndex> some, std::span<const MemberIndex> others,
                     int by);

  private:
    void add(MemberIndex a, MemberIndex b, int by);

    std::size_t width_ = 0;              // members that counts_ has room for
    std::vector<std::uint32_t> counts_;  // width_ x width_, symmetric
};

}  // namespace xsan::wl
