// Seeds that once failed, with what they failed on. The test runs each of them; nothing is ever
// taken out. Seeds name runs of generate() as it is now: when it changes, what they found is kept by
// the shrunk plan in tests/sim/plans.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "meta/records.h"

namespace xsan::simtest {

struct KeptSeed {
    std::uint64_t seed;
    meta::Consistency policy;
    std::string_view why;
};

inline constexpr std::array kKeptSeeds{
    KeptSeed{53, meta::Consistency::resync,
             "the simulator cut the power while a loss was being recorded, which resync does not "
             "promise to survive"},
    KeptSeed{67, meta::Consistency::resync,
             "the simulator failed both members of a mirror that held no groups yet"},
    KeptSeed{1009, meta::Consistency::resync,
             "the simulator let three superblock copies of one member rot"},
    KeptSeed{3015, meta::Consistency::resync,
             "the simulator took a pool for whole between the record of a loss and the tables' change"},
    KeptSeed{920003, meta::Consistency::resync,
             "a mirror did not start when one of its members could be read, but not written"},
};

}  // namespace xsan::simtest
