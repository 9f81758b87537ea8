// What is true of every State, whatever bytes it came from. Broken is XSAN_ASSERT.
#pragma once

#include "meta/state.h"

namespace xsan::fuzz {

// Counts and tables agree with each other; nothing names what is not there.
void check_state(const meta::State& state);

// A checkpoint of the state gives the same state, and is no larger than was foretold.
void check_checkpoint(const meta::State& state);

}  // namespace xsan::fuzz
