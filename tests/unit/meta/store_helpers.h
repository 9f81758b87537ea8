// What the tests of the store's faults and assemblies share.
#pragma once

#include <string>

#include "support/catch.h"
#include "unit/meta/store_fixture.h"

namespace xsan::test {

inline meta::MemberState state_of(const meta::Store& store, unsigned index) {
    return store.state().find_member(MemberIndex{static_cast<std::uint16_t>(index)})->state;
}

// A pool with some commits behind it, stopped without a mark.
inline void fill(StoreFixture& f, int commits, std::uint64_t seed = 3) {
    RandomRecords random(seed);
    random.touches_members = false;
    for (int i = 0; i < commits; i++)
        REQUIRE(f.commit({random.next(f.store->state())}));
}
inline void restart(StoreFixture& f) {
    f.power_down();
    f.power_up();
}

inline meta::Record rate_record(const meta::State& state, std::uint64_t rate) {
    meta::Record r;
    r.kind = meta::RecordKind::pool_set;
    r.pool = state.pool();
    r.pool.rebuild_rate_max = rate;
    return r;
}

// Damages the superblock copies of a device that `mask` names.
inline void damage_copies(DiskImage& image, unsigned mask) {
    for (unsigned i = 0; i < 4; i++) {
        if ((mask >> i & 1) != 0) image.flip_bit(meta::superblock_offset(i, 64 * kMiB) + 700, 3);
    }
}

inline std::string refusal(const Outcome<void>& outcome) {
    return outcome ? "" : outcome.error().message;
}

}  // namespace xsan::test
