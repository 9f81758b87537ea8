// How far a scrub has come, so that it goes on after a restart; and the result of the last one.
//
// It lies in an attribute of the superblocks and not in the metadata log: it may be some time old or
// be lost without harm, and an xsan that does not know it passes over it and keeps it. Each member
// has the record that was written to it last; the one with the highest number counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong.h"
#include "meta/records.h"

namespace xsan::meta {

inline constexpr std::size_t kScrubWrongMax = 64;  // members that one record can name

struct ScrubProgress {
    enum class Phase : std::uint8_t { running = 1, paused = 2, done = 3 };
    struct Wrong {
        MemberIndex member;
        std::uint64_t bytes = 0;
        friend bool operator==(const Wrong&, const Wrong&) = default;
    };

    std::uint64_t number = 0;  // grows with each record of the pool
    Phase phase = Phase::running;
    bool repairs = false;
    std::uint64_t rate_max = 0;  // bytes a second that it may read; 0: as configured
    // Every mapped stripe before this one has been checked.
    GroupIndex next_group;
    StripeIndex next_stripe;
    // Counters as of that place.
    std::uint64_t stripes_total = 0;
    std::uint64_t stripes_checked = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t incomplete = 0;
    std::uint64_t errors = 0;
    std::uint64_t repaired = 0;
    std::uint64_t untold = 0;
    std::vector<Wrong> wrong;  // at most kScrubWrongMax
    friend bool operator==(const ScrubProgress&, const ScrubProgress&) = default;
};

// The attribute's value, and back; nullopt: it is none that this version understands.
std::string encode_scrub_progress(const ScrubProgress& progress);
std::optional<ScrubProgress> decode_scrub_progress(const std::string& value);

}  // namespace xsan::meta
