// Geometry of a group's data space: which bytes of a request fall on which strip of which stripe.
// Pure. A group's data is numbered from 0 in stripe order; a stripe is K consecutive strips of
// data.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/strong.h"
#include "ec/geometry.h"
#include "ec/scheme.h"

namespace xsan::raid {

// A range of one group's data space, bytes.
struct GroupRange {
    GroupIndex group;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// The part of a request that falls on one strip: rows [begin, end) of the strip, in bytes from its
// start, and where the part lies in the request's buffer.
struct Piece {
    unsigned strip = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint64_t buffer_offset = 0;
    std::uint32_t length() const { return end - begin; }
};

// The part of a request that falls on one stripe.
struct StripePart {
    StripeIndex stripe;
    std::uint64_t offset = 0;         // bytes from the start of the stripe's data
    std::uint64_t length = 0;         // at most stripe_data_bytes
    std::uint64_t buffer_offset = 0;  // in the request's buffer
};

// Calls fn(StripePart) for each stripe that [offset, offset + length) touches, in order.
template <class Fn>
void for_each_stripe(const ec::Scheme& scheme, std::uint64_t offset, std::uint64_t length,
                     Fn&& fn) {
    const std::uint64_t stripe_bytes = scheme.stripe_data_bytes();
    std::uint64_t done = 0;
    while (done < length) {
        const std::uint64_t at = offset + done;
        const std::uint64_t inside = at % stripe_bytes;
        const std::uint64_t part = std::min(length - done, stripe_bytes - inside);
        fn(StripePart{StripeIndex{static_cast<std::uint32_t>(at / stripe_bytes)}, inside, part,
                      done});
        done += part;
    }
}

// Calls fn(Piece) for each strip that the part touches, in order.
template <class Fn>
void for_each_piece(const ec::Scheme& scheme, const StripePart& part, Fn&& fn) {
    std::uint64_t done = 0;
    while (done < part.length) {
        const std::uint64_t at = part.offset + done;
        const auto strip = static_cast<unsigned>(at / scheme.strip_bytes);
        const auto begin = static_cast<std::uint32_t>(at % scheme.strip_bytes);
        const std::uint64_t length =
            std::min<std::uint64_t>(part.length - done, scheme.strip_bytes - begin);
        fn(Piece{strip, begin, static_cast<std::uint32_t>(begin + length),
                 part.buffer_offset + done});
        done += length;
    }
}

// Where rows of a data strip lie in the group's data space; `row` in bytes from the strip's start.
inline std::uint64_t data_offset(const ec::Scheme& scheme, StripeIndex stripe, unsigned strip,
                                 std::uint32_t row) {
    return stripe.get() * scheme.stripe_data_bytes() + std::uint64_t{strip} * scheme.strip_bytes +
           row;
}

inline std::uint32_t stripes_per_group(const ec::Scheme& scheme, std::uint64_t extent_bytes) {
    return static_cast<std::uint32_t>(extent_bytes / scheme.strip_bytes);
}
inline std::uint64_t group_data_bytes(const ec::Scheme& scheme, std::uint64_t extent_bytes) {
    return extent_bytes * scheme.data_strips;
}

}  // namespace xsan::raid
