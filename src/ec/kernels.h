// The byte-moving kernels: ISA-L behind spans, with its conditions met or worked around here.
// Pointers of any alignment and any length give right results; 32-byte aligned ones are fastest.
// Sources may not overlap outputs, except where a function says so. No allocation; any thread.
//
// ISA-L's traps, all dealt with in this file: xor_gen and pq_gen want 32-byte alignment, at least
// two sources, and pq_gen lengths that are multiples of 32; on AVX machines they write with
// non-temporal stores and leave the fence to the caller; expanded tables take 32 bytes per
// coefficient, and their content differs between ISA-L's versions, so they never leave memory and
// are never taken apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace xsan::ec {

inline constexpr std::size_t kTableBytes = 32;  // per coefficient
inline constexpr std::size_t kKernelBytesMax = std::size_t{1} << 30;

using SourceSpan = std::span<const std::byte* const>;
using OutputSpan = std::span<std::byte* const>;

// out = a ^ b. `out` may be a or b itself: xor_blocks(p, p, delta, n) adds delta to p.
void xor_blocks(std::byte* out, const std::byte* a, const std::byte* b, std::size_t bytes);

// out = sum of the sources; 1 to 32 of them.
void xor_many(SourceSpan sources, std::byte* out, std::size_t bytes);

// Expands `coefficients` (outputs x sources, row by row) into `tables`, kTableBytes for each.
void expand_tables(std::span<const std::uint8_t> coefficients, unsigned sources, unsigned outputs,
                   unsigned char* tables);

// Each output = sum over sources of its coefficient times the source.
void multiply(const unsigned char* tables, SourceSpan sources, OutputSpan outputs,
              std::size_t bytes);

// Each output += its coefficient times the source; tables of 1 source and outputs.size() outputs.
void multiply_add(const unsigned char* tables, const std::byte* source, OutputSpan outputs,
                  std::size_t bytes);

// outputs[0] = sum of the sources, outputs[1] = sum of 2^i * source i. `tables` are those of just
// these coefficients, for the bytes that pq_gen does not take.
void multiply_pq(const unsigned char* tables, SourceSpan sources, OutputSpan outputs,
                 std::size_t bytes);

}  // namespace xsan::ec
