// The scores of the policies that look at wear.
#include "wl/wear_policies.h"

#include <fmt/format.h>

#include <cmath>

namespace xsan::wl {
namespace {

constexpr double kFullPenalty = 1000;
constexpr double kLoadWearWeight = 0.5;

std::string wear_text(const MemberCandidate& c) {
    return fmt::format(", wear {:.2f}", c.wear);
}

}  // namespace

double full_penalty(const MemberCandidate& candidate) {
    return fill_of(candidate) < kFillHigh ? 0 : kFullPenalty;
}

double load_of(const MemberCandidate& candidate) {
    return candidate.outstanding / (candidate.outstanding + kOutstandingHalf);
}

double LeastWorn::score(const MemberCandidate& candidate) {
    return std::floor(candidate.wear) + fill_of(candidate) + full_penalty(candidate);
}

std::string LeastWorn::explain(const MemberCandidate& candidate) const {
    return wear_text(candidate);
}

double Mixed::score(const MemberCandidate& candidate) {
    return fill_of(candidate) + candidate.wear / kWearMax + full_penalty(candidate);
}

std::string Mixed::explain(const MemberCandidate& candidate) const {
    return wear_text(candidate);
}

double LoadBalance::score(const MemberCandidate& candidate) {
    return fill_of(candidate) + load_of(candidate) + kLoadWearWeight * candidate.wear / kWearMax +
           full_penalty(candidate);
}

std::string LoadBalance::explain(const MemberCandidate& candidate) const {
    return fmt::format("{}, {} in flight", wear_text(candidate), candidate.outstanding);
}

double Staggered::offset(MemberIndex member) const {
    return member.get() < offsets_.size() ? offsets_[member.get()] : 0;
}

double Staggered::score(const MemberCandidate& candidate) {
    return fill_of(candidate) + (candidate.wear + offset(candidate.member)) / kWearMax +
           full_penalty(candidate);
}

bool Staggered::members_changed(const MemberTable& table) {
    std::vector<double> wear;
    std::vector<MemberIndex> members;
    table.each([&](const MemberCandidate& c) {
        // A spare holds nothing and would only move the ranks of the others.
        if (!c.healthy || c.spare) return;
        wear.push_back(c.wear);
        members.push_back(c.member);
    });
    const std::vector<double> found = stagger_offsets(wear, settings_);
    std::vector<double> offsets;
    for (std::size_t i = 0; i < members.size(); i++) {
        if (offsets.size() <= members[i].get()) offsets.resize(members[i].get() + std::size_t{1});
        offsets[members[i].get()] = found[i];
    }
    const bool changed = offsets != offsets_;
    offsets_ = std::move(offsets);
    return changed;
}

std::string Staggered::explain(const MemberCandidate& candidate) const {
    return fmt::format("{}, offset {:.1f}", wear_text(candidate), offset(candidate.member));
}

}  // namespace xsan::wl
