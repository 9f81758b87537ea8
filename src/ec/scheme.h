// Scheme: how a stripe is coded, as an administrator names it and as the disk records it.
// Invariant: every Scheme that parse_scheme() returned or validate() passed is canonical: level, K,
// P and strip size determine kind, matrix and layout, so two equal codes compare equal.
// k and p stand for data_strips and parity_strips inside src/ec only.
//
// The numbers of all enumerations here are on disk and never change their meaning. Zero is no kind,
// no level and no layout, so that a zeroed descriptor is not taken for a scheme.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/strong.h"

namespace xsan::ec {

using StripIndex = Strong<struct StripIndexTag, unsigned>;  // in a stripe: data 0..K-1, parity K..
using SlotIndex = Strong<struct SlotIndexTag, unsigned>;    // in a group's list of extents

using StripMask = std::uint64_t;  // bit i stands for strip i of one stripe
using SlotMask = std::uint64_t;   // bit i stands for slot i of one group

inline constexpr unsigned kDataStripsMax = 32;
inline constexpr unsigned kParityStripsMax = 8;  // of a parity code
inline constexpr unsigned kCopyStripsMax = 32;   // of a mirror; they count as parity strips
inline constexpr unsigned kStripsMax = kDataStripsMax + kCopyStripsMax;
inline constexpr std::uint32_t kStripBytesMin = 4u << 10;
inline constexpr std::uint32_t kStripBytesMax = 1u << 20;
static_assert(kStripsMax <= 64, "a StripMask has a bit per strip");

// What arithmetic relates the strips of a stripe; decides the codec.
enum class CodeKind : std::uint8_t {
    striping = 1,      // K data strips, nothing else
    mirror = 2,        // one data strip, P copies of it
    mirror_pairs = 3,  // K data strips, strip i copied on strip K+i
    parity = 4,        // K data strips, P parity strips over GF(2^8)
    linear = 5,        // one data strip; members are filled one after another
};

// The word the administrator used.
enum class Level : std::uint8_t {
    k_plus_p = 1,
    linear = 2,
    raid0 = 3,
    raid1 = 4,
    raid4 = 5,
    raid5 = 6,
    raid6 = 7,
    raid10 = 8,
};

// Which coefficients a parity code uses; matrix.h defines them.
enum class MatrixId : std::uint8_t {
    none = 0,             // not a parity code
    ones = 1,             // P = 1
    ones_and_powers = 2,  // P = 2
    scaled_cauchy = 3,    // P >= 3
};

// Which slot holds which strip; geometry.h defines them.
enum class Layout : std::uint8_t {
    fixed = 1,
    rotating = 2,
    swapped_pairs = 3,
};

struct Scheme {
    CodeKind kind{};
    Level level{};
    std::uint8_t data_strips = 0;
    std::uint8_t parity_strips = 0;  // copies count as parity strips
    MatrixId matrix{};
    Layout layout{};
    std::uint32_t strip_bytes = 0;  // a power of two, kStripBytesMin..kStripBytesMax

    unsigned total_strips() const { return unsigned{data_strips} + parity_strips; }
    std::uint64_t stripe_data_bytes() const { return std::uint64_t{data_strips} * strip_bytes; }
    // Parity always on the last members of a group: these take a write for each small write to any of the others.
    bool has_fixed_parity() const { return layout == Layout::fixed && kind == CodeKind::parity; }
    bool is_mirror() const { return kind == CodeKind::mirror || kind == CodeKind::mirror_pairs; }

    StripMask data_mask() const { return low_bits(data_strips); }
    StripMask parity_mask() const { return low_bits(total_strips()) & ~data_mask(); }
    StripMask all_mask() const { return low_bits(total_strips()); }

    // How many lost strips every stripe survives, whichever they are.
    unsigned losses_promised() const;
    // How many members a pool needs for it; with members_exact() it must hold data on no more.
    unsigned members_min() const { return total_strips(); }
    bool members_exact() const { return level == Level::raid4; }

    // What the user typed: "raid5", "4+2". On as many members, parse_scheme() reads it back.
    std::string name() const;
    // K+P in figures, whatever the level: "4+1" for raid5 on five members.
    std::string shape() const;

    friend bool operator==(const Scheme&, const Scheme&) = default;

  private:
    static constexpr StripMask low_bits(unsigned count) {
        return count >= 64 ? ~StripMask{0} : (StripMask{1} << count) - 1;
    }
};

constexpr StripMask strip_bit(StripIndex strip) {
    return StripMask{1} << strip.get();
}

// Reads a level's name or K+P for a pool of `member_count` members that hold data.
// Levels take their width from member_count and keep it; K+P only needs enough members.
// "1+P" gives a mirror, "K+0" gives striping. Strip size in bytes.
// Fails with invalid_argument and a sentence: unknown scheme, too few or an odd number of members,
// more data or parity strips than there can be, a strip size out of range.
Outcome<Scheme> parse_scheme(std::string_view text, unsigned member_count,
                             std::uint32_t strip_bytes);

// Checks one that was read from disk. unsupported: a number that a newer xsan may have defined;
// corrupt: fields that contradict each other or a limit.
Outcome<void> validate(const Scheme& scheme);

}  // namespace xsan::ec
