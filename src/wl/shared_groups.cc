// Counting the groups that members share.
#include "wl/shared_groups.h"

#include <algorithm>

namespace xsan::wl {

void SharedGroups::clear() {
    width_ = 0;
    counts_.clear();
}

std::uint32_t SharedGroups::count(MemberIndex a, MemberIndex b) const {
    if (a.get() >= width_ || b.get() >= width_) return 0;
    return counts_[a.get() * width_ + b.get()];
}

void SharedGroups::add_within(std::span<const MemberIndex> members, int by) {
    for (std::size_t i = 0; i < members.size(); i++) {
        for (std::size_t j = i + 1; j < members.size(); j++)
            add(members[i], members[j], by);
    }
}

void SharedGroups::add_between(std::span<const MemberIndex> some,
                               std::span<const MemberIndex> others, int by) {
    for (const MemberIndex a : some) {
        for (const MemberIndex b : others)
            add(a, b, by);
    }
}

void SharedGroups::add(MemberIndex a, MemberIndex b, int by) {
    const std::size_t needed = std::size_t{std::max(a.get(), b.get())} + 1;
    if (needed > kMembersMax) return;
    if (needed > width_) {
        const std::size_t width = std::min(kMembersMax, std::max(needed, width_ * 2));
        std::vector<std::uint32_t> wider(width * width);
        for (std::size_t row = 0; row < width_; row++) {
            for (std::size_t column = 0; column < width_; column++) {
                wider[row * width + column] = counts_[row * width_ + column];
            }
        }
        counts_ = std::move(wider);
        width_ = width;
    }
    const auto change = [&](std::uint32_t& count) {
        if (by < 0 && count == 0) return;  // of something placed before start() was told of it
        count += static_cast<std::uint32_t>(by);
    };
    change(counts_[a.get() * width_ + b.get()]);
    if (a != b) change(counts_[b.get() * width_ + a.get()]);
}

}  // namespace xsan::wl
