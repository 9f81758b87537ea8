// Codec: the arithmetic of one Scheme on the bytes of a stripe's strips, all codes behind one
// interface.
//
// Strips are numbered 0..K-1 (data) and K..K+P-1 (parity or copies); where they lie is geometry.h's
// business. A codec is made once, never changes, holds no pointer and may be used by any number of
// threads at once. Nothing here allocates, blocks or does I/O. It is 16 KiB large: keep it in an
// object, not on the stack. Any alignment and any length up to 1 GiB are right; 32-byte alignment
// is fastest. Buffers may not overlap unless a function says so. The codec works byte by byte: any
// range that is the same in all strips may be coded alone.
//
// Misuse (a wrong number of pointers, a null source) is a broken invariant and stops the process; a
// loss that the code does not survive is too_many_failures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "ec/kernels.h"
#include "ec/matrix.h"
#include "ec/scheme.h"

namespace xsan::ec {

class Codec {
  public:
    // The scheme is one that parse_scheme() returned or validate() passed.
    explicit Codec(const Scheme& scheme);

    const Scheme& scheme() const { return scheme_; }

    // Can all of `lost` be computed from the strips not in it? Mirror: any loss but all copies;
    // pairs: no pair lost whole; parity: at most P; striping and linear: nothing lost.
    bool can_decode(StripMask lost) const { return can_decode(lost, lost); }
    // Can the strips `wanted`, a subset of `lost`? Differs from the above only for pairs, where one
    // pair that is gone does not hide the others, and where nothing is wanted, which is always
    // possible.
    bool can_decode(StripMask lost, StripMask wanted) const;

    // The present strips that decode() reads to compute `wanted`, a subset of `lost`;
    // can_decode(lost, wanted) holds. Minimal: K strips for parity, one for each wanted strip (or
    // all copies) of mirrors, none when nothing is wanted. Prefers data strips, then low parities:
    // the XOR path.
    // A present strip that should not be read (a slow member) may be counted as lost.
    StripMask sources(StripMask lost, StripMask wanted) const;

    // Computes parity from all K data strips. Null entries of `parity` (size P) are not computed.
    void encode(SourceSpan data, OutputSpan parity, std::size_t bytes) const;

    // Adds a change of one data strip to the parities: parity j += coefficient * delta, where delta
    // is old ^ new (xor_blocks). Null entries of `parity` (size P) are skipped. Copies of mirrors
    // turn from old into new by the same rule.
    void update(StripIndex data_strip, const std::byte* delta, OutputSpan parity,
                std::size_t bytes) const;

    // Computes lost strips. `strips` has K+P entries: those of sources(lost, wanted) are read;
    // those in `lost` that are not null are the wanted ones and are written; all others are
    // ignored.
    // too_many_failures when can_decode(lost, wanted) is false; then nothing was written.
    Result<void> decode(StripMask lost, OutputSpan strips, std::size_t bytes) const;

  private:
    using Tables = std::array<unsigned char, kTableBytes * kDataStripsMax * kParityStripsMax>;

    void encode_parity(SourceSpan data, OutputSpan parity, std::size_t bytes) const;
    void update_parity(StripIndex data_strip, const std::byte* delta, OutputSpan parity,
                       std::size_t bytes) const;
    void decode_mirror(StripMask source, StripMask wanted, OutputSpan strips,
                       std::size_t bytes) const;
    void decode_parity(StripMask sources, StripMask wanted, OutputSpan strips,
                       std::size_t bytes) const;

    Scheme scheme_;
    unsigned k_;
    unsigned p_;
    ParityMatrix matrix_;               // parity codes only
    alignas(64) Tables encode_tables_;  // all P rows over all K columns
    alignas(64) Tables update_tables_;  // for each column, P outputs of one source
};

}  // namespace xsan::ec
