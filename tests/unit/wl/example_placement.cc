// The example placement: a score, and where it takes its bearings.
#include "example_placement.h"

#include <fmt/format.h>

namespace xsan::wl::example {

// Nothing is ranked here: reports come often, and members are ranked anew when their wear or load has
// changed (members_changed).
void Coldest::on_io(const IoReport& report) {
    ScoredPlacement::on_io(report);
    for (const MemberIo& io : report.members) {
        written_all_ += static_cast<double>(io.written_bytes);
    }
}

double Coldest::part_of_writes(MemberIndex member) const {
    if (written_all_ == 0) return 0;
    return static_cast<double>(totals(member).written_bytes) / written_all_;
}

// Fill is in it as well, or all groups between two reports would go to the same members.
double Coldest::score(const MemberCandidate& candidate) {
    return part_of_writes(candidate.member) + fill_of(candidate);
}

std::string Coldest::explain(const MemberCandidate& candidate) const {
    return fmt::format(", {:.1f} % of all writes", 100 * part_of_writes(candidate.member));
}

// Scores depend on what all members have written, so that all are ranked anew.
bool Coldest::members_changed(const MemberTable&) {
    return true;
}

Outcome<void> add_coldest(Registry& registry) {
    return registry.add(std::string(Coldest::kName), [] { return std::make_unique<Coldest>(); });
}

}  // namespace xsan::wl::example
