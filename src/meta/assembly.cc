// Sorting out what was found: pools, clones, forks, who is current, who votes.
// What assembly.h promises is tested by table and by power cuts in tests/unit/meta.
#include "meta/assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/mutant.h"

namespace xsan::meta {
namespace {

bool is_newer(const Examined& a, const Examined& b) {
    if (mutant(Mutant::epoch_oldest)) return a.end.sequence < b.end.sequence;
    return a.end.epoch != b.end.epoch ? a.end.epoch > b.end.epoch : a.end.sequence > b.end.sequence;
}

// Whether the history of `old` is a beginning of that of `next`, as the superblock of `next`
// records it.
bool is_ancestor(const Examined& old, const Examined& next) {
    if (old.lineage() == next.lineage()) return true;
    return std::ranges::any_of(next.superblock.ancestors, [&](const Ancestor& a) {
        return a.lineage == old.lineage() && old.end.epoch <= a.epoch &&
               old.end.sequence <= a.sequence;
    });
}

Failure forked(const Examined& a, const Examined& b) {
    return Failure(
        Errc::corrupt,
        fmt::format(
            "{} and {} hold two histories of pool '{}' that went apart (lineages {} and {}, "
            "entries {} and {}); assemble it from the devices of one of them only",
            a.name(), b.name(), a.superblock.pool_name, a.lineage().to_string(),
            b.lineage().to_string(), a.end.sequence, b.end.sequence));
}

// How a device whose member is in sync in the newest state stands to that state.
enum class Standing { current, behind, rolled_back, contradicts };

Standing standing_of(const Examined& device, const Examined& newest) {
    if (device.is_log_damaged) {
        const auto seen = std::max(device.end.sequence, device.unreachable_sequence);
        return seen + 1 >= newest.end.sequence ? Standing::behind : Standing::rolled_back;
    }
    if (device.end.same_point(newest.end)) return Standing::current;
    if (device.end.sequence >= newest.end.sequence) return Standing::contradicts;
    // An entry is written only when the one before is durable on every member in sync: such a
    // member lacks one entry at most. With more, somebody has put old contents back, and its data
    // is as old.
    if (device.end.sequence + 1 < newest.end.sequence) return Standing::rolled_back;
    if (newest.has_entries && newest.previous_crc != device.end.crc) return Standing::contradicts;
    return Standing::behind;
}

}  // namespace

std::string describe_member(MemberIndex index, const Member& member) {
    std::string text = fmt::format("member {} ({}", index.get(), member.uuid.to_string());
    if (!member.path.empty()) text += fmt::format(", last seen as {}", member.path);
    if (!member.serial.empty()) text += fmt::format(", serial {}", member.serial);
    return text + ")";
}

Outcome<void> check_candidates(std::span<const Examined> found) {
    if (found.empty()) return Failure(Errc::not_found, "no device of the pool was found");
    for (std::size_t i = 0; i < found.size(); i++) {
        const auto& a = found[i];
        if (a.superblock.pool_uuid != found[0].superblock.pool_uuid) {
            return Failure(
                Errc::invalid_argument,
                fmt::format("{} and {} belong to different pools", found[0].name(), a.name()));
        }
        if (a.superblock.pool_name != found[0].superblock.pool_name) {
            return Failure(
                Errc::corrupt,
                fmt::format("{} and {} carry two names of one pool: '{}' and '{}'", found[0].name(),
                            a.name(), found[0].superblock.pool_name, a.superblock.pool_name));
        }
        for (std::size_t j = 0; j < i; j++) {
            if (found[j].superblock.member_uuid != a.superblock.member_uuid) continue;
            return Failure(
                Errc::exists,
                fmt::format("{} and {} are the same member of pool '{}' (one is a copy of the "
                            "other); detach one of them",
                            found[j].name(), a.name(), a.superblock.pool_name));
        }
    }
    return {};
}

Outcome<std::size_t> pick_newest(std::span<const Examined> found,
                                 const std::vector<bool>& is_source_bad) {
    // The youngest lineage is the one that all others are ancestors of.
    const auto leads = [found](const Examined& candidate) {
        return std::ranges::all_of(found,
                                   [&](const Examined& f) { return is_ancestor(f, candidate); });
    };
    std::size_t newest = found.size();
    bool any_leads = false;
    for (std::size_t i = 0; i < found.size(); i++) {
        if (!leads(found[i])) continue;
        any_leads = true;
        if (is_source_bad[i] || found[i].is_log_damaged) continue;
        if (newest == found.size() || is_newer(found[i], found[newest])) newest = i;
    }
    if (!any_leads) {
        const auto other = std::ranges::find_if(
            found, [&](const Examined& f) { return f.lineage() != found[0].lineage(); });
        return forked(found[0], other == found.end() ? found[0] : *other);
    }
    if (newest == found.size()) {
        return Failure(Errc::corrupt,
                       fmt::format("no device of pool '{}' holds metadata that is whole",
                                   found[0].superblock.pool_name));
    }
    for (const auto& f : found) {
        const auto& best = found[newest];
        if (!f.is_log_damaged && f.lineage() == best.lineage() && f.end.epoch == best.end.epoch &&
            f.end.sequence == best.end.sequence && f.end.crc != best.end.crc) {
            return forked(best, f);
        }
    }
    return newest;
}

Outcome<AssemblyPlan> plan_assembly(std::span<const Examined> found, std::size_t newest,
                                    const State& state, const std::vector<bool>& is_source_bad,
                                    bool accept_missing) {
    XSAN_ASSERT(newest < found.size() && !is_source_bad[newest]);
    AssemblyPlan plan;
    const Examined& best = found[newest];
    const std::string& pool = state.pool().name;
    std::size_t votes = 0;
    std::string unread;  // devices that know more than the newest that can be loaded
    std::set<MemberIndex> present;
    for (std::size_t i = 0; i < found.size(); i++) {
        const Examined& f = found[i];
        const MemberIndex index = f.superblock.member_index;
        const Member* member = state.find_member(index);
        if (member == nullptr || member->uuid != f.superblock.member_uuid ||
            member->state == MemberState::removed) {
            plan.foreign.push_back(i);
            plan.notes.push_back(
                fmt::format("{} is not a member of pool '{}' any more", f.name(), pool));
            continue;
        }
        if (member->state != MemberState::in_sync) {
            plan.stale.push_back(i);
            continue;
        }
        if (f.superblock.layout != member->layout) {
            return Failure(
                Errc::corrupt,
                fmt::format("{}: its layout is not the one that pool '{}' knows", f.name(), pool));
        }
        if (is_source_bad[i] && f.lineage() == best.lineage() && is_newer(f, best)) {
            unread += (unread.empty() ? "" : ", ") + f.name();
            plan.stale.push_back(i);
            continue;
        }
        const Standing standing = standing_of(f, best);
        if (standing == Standing::contradicts) return forked(best, f);
        if (standing == Standing::rolled_back) {
            plan.stale.push_back(i);
            plan.notes.push_back(
                fmt::format("{} holds older contents than it once had (entry {} of {}): it "
                            "counts as missing",
                            f.name(), f.end.sequence, best.end.sequence));
            continue;
        }
        // It votes also when it cannot be written: what it knows is known.
        if (!f.is_log_damaged) votes++;
        if (!f.write_error.is_ok()) continue;
        present.insert(index);
        const bool is_whole = standing == Standing::current && !is_source_bad[i];
        (is_whole ? plan.current : plan.lagging).push_back(i);
    }

    std::size_t in_sync = 0;
    std::string missing;
    for (std::size_t i = 0; i < state.members().size(); i++) {
        const auto& member = state.members()[i];
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        if (!member || member->state != MemberState::in_sync) continue;
        in_sync++;
        if (present.contains(index)) continue;
        plan.absent.push_back(index);
        missing += (missing.empty() ? "" : ", ") + describe_member(index, *member);
    }
    if (!unread.empty() && !accept_missing) {
        return Failure(
            Errc::too_many_failures,
            fmt::format("pool '{}' cannot start: {} may know more than the others, but its "
                        "metadata cannot be loaded; try again, or accept the loss of what only it "
                        "knows with 'assemble --accept-missing'",
                        pool, unread));
    }
    const bool is_half = mutant(Mutant::stale_half_is_enough) && votes * 2 == in_sync;
    // Those that do not learn of this start must not be able to outvote it later.
    const bool is_outvoted = present.size() * 2 < in_sync;
    if ((votes * 2 > in_sync || is_half) && !is_outvoted && unread.empty()) return plan;
    if (accept_missing) {
        plan.starts_new_lineage = true;
        return plan;
    }
    if (missing.empty()) missing = "nobody, but metadata logs are damaged";
    return Failure(
        Errc::too_many_failures,
        fmt::format("pool '{}' cannot start: only {} of the {} members that were in sync are here "
                    "and can be written, and the others may know more; missing: {}; bring them "
                    "back, or accept the loss of what only they know with 'assemble "
                    "--accept-missing'",
                    pool, std::min(votes, present.size()), in_sync, missing));
}

}  // namespace xsan::meta
