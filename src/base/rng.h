// Rng: the interface through which all randomness comes, and the seeded generator behind it.
// Nothing below tools/ seeds itself: the main program passes entropy in, a test passes its seed.
#pragma once

#include <cstdint>

#include "base/assert.h"
#include "base/wide.h"

namespace xsan {

// xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Not for secrets.
class Rng {
  public:
    explicit Rng(std::uint64_t seed) {
        for (auto& word : state_) {
            seed += 0x9E3779B97F4A7C15ull;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
            word = z ^ (z >> 31);
        }
    }

    std::uint64_t next() {
        const std::uint64_t result = rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = rotl(state_[3], 45);
        return result;
    }

    // Uniform in [0, bound); bound > 0. The bias of the multiply-shift is below 2^-32 for small bounds.
    std::uint64_t below(std::uint64_t bound) {
        XSAN_ASSERT(bound > 0);
        return static_cast<std::uint64_t>((static_cast<Uint128>(next()) * bound) >> 64);
    }

    bool chance_percent(unsigned percent) { return below(100) < percent; }

  private:
    static std::uint64_t rotl(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
    std::uint64_t state_[4];
};

}  // namespace xsan
