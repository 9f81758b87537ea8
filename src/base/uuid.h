// Uuid: 128 bits that name a pool, a member or a volume for ever.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/rng.h"

namespace xsan {

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    // A random (version 4, RFC 9562) identifier.
    static Uuid random(Rng& rng);
    // Reads the 8-4-4-4-12 form; nullopt when it is anything else.
    static std::optional<Uuid> parse(std::string_view text);

    std::string to_string() const;
    bool is_nil() const { return *this == Uuid{}; }
    std::uint64_t low_bits() const;  // the last eight bytes, for tables and for ublk's server flags

    friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

struct UuidHash {
    std::size_t operator()(const Uuid& u) const { return static_cast<std::size_t>(u.low_bits()); }
};

}  // namespace xsan
