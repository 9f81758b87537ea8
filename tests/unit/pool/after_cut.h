// A second world over what a power cut left of the drives of a first, which runs on.
#pragma once

#include "unit/pool/rig.h"

namespace xsan::test {

struct AfterCut {
    Rig rig;
    AfterCut(const Rig& before, std::uint64_t seed) : rig(with_seed(before.options, seed)) {
        // Drives that were added later, too.
        while (rig.drives.size() < before.drives.size()) rig.add_drive(before.options.member_bytes);
        for (std::size_t i = 0; i < before.drives.size(); i++) {
            rig.drives[i]->restore(before.drives[i]->cut_image(rig.world.choices()));
        }
    }
    static RigOptions with_seed(RigOptions options, std::uint64_t seed) {
        options.seed = seed;
        options.reactors = 2;
        return options;
    }
};

}  // namespace xsan::test
