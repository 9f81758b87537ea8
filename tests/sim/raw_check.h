// Checks a pool at rest on the bytes of its drives, without the engine.
//
// Exact: every row of every mapped stripe that is not wholly zeros on all members is checked to be a
// codeword over the strips that the table calls ok, and its data to be what was read through the
// engine. Every code that xsan admits is proved (tests/unit/ec) to decode all losses that it
// promises, so a codeword gives the same data under every loss set: nothing is sampled here. What
// is sampled is that the engine really decodes so (crash_check.h).
#pragma once

#include <map>
#include <string>

#include "sim/bed.h"
#include "sim/model.h"
#include "sim/report.h"

namespace xsan::simtest {

// What each volume was read as, by its name.
using Observed = std::map<std::string, Words>;

// No I/O may be under way that changes data. Volumes that `observed` does not name, and granules
// that it calls unreadable, are checked for parity only.
MaybeFinding check_raw(Bed& bed, const Observed& observed, Stats& stats);

// The drive that holds a member; serials name drives in the simulator.
unsigned drive_of(const meta::Member& member);

}  // namespace xsan::simtest
