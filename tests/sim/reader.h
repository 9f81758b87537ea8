// Reads volumes back through the engine and judges what comes.
#pragma once

#include "sim/bed.h"
#include "sim/model.h"
#include "sim/raw_check.h"
#include "sim/report.h"

namespace xsan::simtest {

struct Judge {
    const Model* model = nullptr;
    const Observed* before = nullptr;  // exactly this, where it is given
    bool errors_allowed = false;
    // Blocks whose write was under way may be given up: a cut and a loss met, and not all payload is logged.
    bool may_give_up = false;
};

// Everything that was ever written. Volumes that should be there and are not, or the other way, are
// findings too.
Task<MaybeFinding> read_back(Bed& bed, Judge judge, Observed& observed);

}  // namespace xsan::simtest
