// Which of the devices that were found make up a pool, and whether it may start. Pure functions of
// what examine() returned; the store does what they say. docs/on-disk-format.md, "Assembly", has
// the rules.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/examine.h"
#include "meta/state.h"

namespace xsan::meta {

// Refuses devices of several pools or with several names of one, and one member twice (a clone).
Outcome<void> check_candidates(std::span<const Examined> found);

// The device with the newest (epoch, sequence) of the history that all devices belong to.
// `is_source_bad` names devices whose state could not be loaded. Refuses forks; corrupt when no
// device is left.
Outcome<std::size_t> pick_newest(std::span<const Examined> found,
                                 const std::vector<bool>& is_source_bad);

// The member for a person: index, UUID, where it was last seen, serial number.
std::string describe_member(MemberIndex index, const Member& member);

// Positions in `found`, sorted out by the newest state.
struct AssemblyPlan {
    std::vector<std::size_t> current;  // in sync, with the whole newest log
    std::vector<std::size_t> lagging;  // in sync, but their metadata has to be written anew
    std::vector<std::size_t> stale;    // of the pool, not in sync
    std::vector<std::size_t> foreign;  // not (any more) of the pool
    std::vector<MemberIndex> absent;   // in sync in the newest state, and not there or not writable
    bool starts_new_lineage = false;   // allowed only because the administrator accepts the loss
    std::vector<std::string> notes;    // for the log
};
Outcome<AssemblyPlan> plan_assembly(std::span<const Examined> found, std::size_t newest,
                                    const State& state, const std::vector<bool>& is_source_bad,
                                    bool accept_missing);

}  // namespace xsan::meta
