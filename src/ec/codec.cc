// Chooses for each operation the cheapest kernel: copy, XOR, P+Q, or multiplication by tables.
// Decode maps are computed per call. That is cheap: the usual single loss takes the XOR path and
// needs none, and for two losses of 8+3 the map costs a fifth to a quarter of decoding 4 KiB with
// it.
#include "ec/codec.h"

#include <bit>
#include <cstring>

#include "base/assert.h"

namespace xsan::ec {
namespace {

// Pointers gathered without allocation.
template <class Pointer, std::size_t Max>
class PointerList {
  public:
    void push_back(Pointer p) {
        XSAN_ASSERT(count_ < Max);
        at_[count_++] = p;
    }
    unsigned size() const { return count_; }
    Pointer operator[](unsigned i) const { return at_[i]; }
    std::span<const Pointer> span() const { return {at_.data(), count_}; }

  private:
    std::array<Pointer, Max> at_;
    unsigned count_ = 0;
};
using SourceList = PointerList<const std::byte*, kDataStripsMax>;
using OutputList = PointerList<std::byte*, kParityStripsMax>;

StripMask lowest_bits(StripMask mask, unsigned count) {
    StripMask taken = 0;
    for (; count > 0; --count) {
        XSAN_ASSERT(mask != 0);
        taken |= mask & -mask;
        mask &= mask - 1;
    }
    return taken;
}

unsigned population(StripMask mask) {
    return static_cast<unsigned>(std::popcount(mask));
}

void copy_strip(std::byte* to, const std::byte* from, std::size_t bytes) {
    XSAN_ASSERT(from != nullptr);
    if (bytes != 0) std::memcpy(to, from, bytes);
}

}  // namespace

Codec::Codec(const Scheme& scheme)
    : scheme_(scheme), k_(scheme.data_strips), p_(scheme.parity_strips) {
    XSAN_ASSERT(validate(scheme));
    if (scheme.kind != CodeKind::parity) return;
    matrix_ = make_parity_matrix(k_, p_);
    std::array<std::uint8_t, kDataStripsMax * kParityStripsMax> rows;
    for (unsigned i = 0; i < k_; ++i) {
        std::array<std::uint8_t, kParityStripsMax> column;
        for (unsigned j = 0; j < p_; ++j)
            rows[j * k_ + i] = column[j] = matrix_.row[j][i];
        expand_tables(std::span(column).first(p_), 1, p_, &update_tables_[kTableBytes * p_ * i]);
    }
    expand_tables(std::span(rows).first(std::size_t{k_} * p_), k_, p_, encode_tables_.data());
}

bool Codec::can_decode(StripMask lost, StripMask wanted) const {
    XSAN_ASSERT((lost & ~scheme_.all_mask()) == 0 && (wanted & ~lost) == 0);
    if (wanted == 0) return true;
    switch (scheme_.kind) {
        case CodeKind::striping:
        case CodeKind::linear:
            return false;
        case CodeKind::mirror:
            return lost != scheme_.all_mask();
        case CodeKind::mirror_pairs: {
            const StripMask partners = ((wanted >> k_) | (wanted << k_)) & scheme_.all_mask();
            return (partners & lost) == 0;
        }
        case CodeKind::parity:
            return population(lost) <= p_;
    }
    XSAN_UNREACHABLE("validated at construction");
}

StripMask Codec::sources(StripMask lost, StripMask wanted) const {
    XSAN_ASSERT(can_decode(lost, wanted));
    if (wanted == 0) return 0;
    const StripMask present = scheme_.all_mask() & ~lost;
    switch (scheme_.kind) {
        case CodeKind::mirror:
            return lowest_bits(present, 1);
        case CodeKind::mirror_pairs:
            return ((wanted >> k_) | (wanted << k_)) & scheme_.all_mask();
        case CodeKind::parity:
            return lowest_bits(present, k_);
        case CodeKind::striping:
        case CodeKind::linear:
            break;
    }
    XSAN_UNREACHABLE("a code without redundancy computes nothing");
}

void Codec::encode(SourceSpan data, OutputSpan parity, std::size_t bytes) const {
    XSAN_ASSERT(data.size() == k_ && parity.size() == p_);
    if (scheme_.kind == CodeKind::parity) {
        encode_parity(data, parity, bytes);
        return;
    }
    for (unsigned j = 0; j < p_; ++j) {
        if (parity[j] == nullptr) continue;
        copy_strip(parity[j], data[scheme_.kind == CodeKind::mirror ? 0 : j], bytes);
    }
}

void Codec::encode_parity(SourceSpan data, OutputSpan parity, std::size_t bytes) const {
    OutputList outputs;
    std::array<std::uint8_t, kDataStripsMax * kParityStripsMax> rows;
    for (unsigned j = 0; j < p_; ++j) {
        if (parity[j] == nullptr) continue;
        std::memcpy(&rows[std::size_t{outputs.size()} * k_], matrix_.row[j].data(), k_);
        outputs.push_back(parity[j]);
    }
    if (outputs.size() == 0) return;
    if (outputs.size() == 1 && parity[0] != nullptr) {  // the first row is ones in every matrix
        xor_many(data, parity[0], bytes);
    } else if (outputs.size() < p_) {
        Tables tables;
        expand_tables(std::span(rows).first(std::size_t{outputs.size()} * k_), k_, outputs.size(),
                      tables.data());
        multiply(tables.data(), data, outputs.span(), bytes);
    } else if (scheme_.matrix == MatrixId::ones_and_powers) {
        multiply_pq(encode_tables_.data(), data, outputs.span(), bytes);
    } else {
        multiply(encode_tables_.data(), data, outputs.span(), bytes);
    }
}

void Codec::update(StripIndex data_strip, const std::byte* delta, OutputSpan parity,
                   std::size_t bytes) const {
    XSAN_ASSERT(data_strip.get() < k_ && parity.size() == p_);
    if (bytes == 0) return;
    if (scheme_.kind == CodeKind::parity) {
        update_parity(data_strip, delta, parity, bytes);
        return;
    }
    for (unsigned j = 0; j < p_; ++j) {
        if (parity[j] == nullptr) continue;
        if (scheme_.kind == CodeKind::mirror_pairs && j != data_strip.get()) continue;
        xor_blocks(parity[j], parity[j], delta, bytes);
    }
}

void Codec::update_parity(StripIndex data_strip, const std::byte* delta, OutputSpan parity,
                          std::size_t bytes) const {
    OutputList outputs;
    std::array<std::uint8_t, kParityStripsMax> column;
    for (unsigned j = 0; j < p_; ++j) {
        if (parity[j] == nullptr) continue;
        column[outputs.size()] = matrix_.row[j][data_strip.get()];
        outputs.push_back(parity[j]);
    }
    if (outputs.size() == 0) return;
    if (outputs.size() == 1 && column[0] == 1) {
        xor_blocks(outputs[0], outputs[0], delta, bytes);
    } else if (outputs.size() == p_) {
        multiply_add(&update_tables_[kTableBytes * p_ * data_strip.get()], delta, outputs.span(),
                     bytes);
    } else {
        std::array<unsigned char, kTableBytes * kParityStripsMax> tables;
        expand_tables(std::span(column).first(outputs.size()), 1, outputs.size(), tables.data());
        multiply_add(tables.data(), delta, outputs.span(), bytes);
    }
}

Result<void> Codec::decode(StripMask lost, OutputSpan strips, std::size_t bytes) const {
    XSAN_ASSERT(strips.size() == scheme_.total_strips());
    StripMask wanted = 0;
    for (StripMask left = lost; left != 0; left &= left - 1) {
        if (strips[static_cast<unsigned>(std::countr_zero(left))] != nullptr)
            wanted |= left & -left;
    }
    if (!can_decode(lost, wanted)) return Error(Errc::too_many_failures);
    if (wanted == 0 || bytes == 0) return {};
    const StripMask from = sources(lost, wanted);
    if (scheme_.kind == CodeKind::parity) {
        decode_parity(from, wanted, strips, bytes);
    } else {
        decode_mirror(from, wanted, strips, bytes);
    }
    return {};
}

void Codec::decode_mirror(StripMask source, StripMask wanted, OutputSpan strips,
                          std::size_t bytes) const {
    for (StripMask left = wanted; left != 0; left &= left - 1) {
        const auto strip = static_cast<unsigned>(std::countr_zero(left));
        const unsigned from = scheme_.kind == CodeKind::mirror
                                  ? static_cast<unsigned>(std::countr_zero(source))
                                  : (strip < k_ ? strip + k_ : strip - k_);
        copy_strip(strips[strip], strips[from], bytes);
    }
}

void Codec::decode_parity(StripMask sources, StripMask wanted, OutputSpan strips,
                          std::size_t bytes) const {
    SourceList in;
    for (StripMask left = sources; left != 0; left &= left - 1) {
        in.push_back(strips[static_cast<unsigned>(std::countr_zero(left))]);
    }
    OutputList out;
    for (StripMask left = wanted; left != 0; left &= left - 1) {
        out.push_back(strips[static_cast<unsigned>(std::countr_zero(left))]);
    }
    if (sources == scheme_.data_mask()) {  // nothing but parity is missing
        std::array<std::byte*, kParityStripsMax> parity{};
        for (unsigned j = 0; j < p_; ++j) {
            if ((wanted >> (k_ + j) & 1) != 0) parity[j] = strips[k_ + j];
        }
        encode_parity(in.span(), std::span(parity).first(p_), bytes);
        return;
    }
    // One data strip replaced by the first parity: the strips of that equation add up to zero.
    const StripMask xor_equation = scheme_.data_mask() | (StripMask{1} << k_);
    if (((sources | wanted) & ~xor_equation) == 0) {
        xor_many(in.span(), out[0], bytes);
        return;
    }
    const LinearMap map = make_decode_map(matrix_, sources, wanted);
    Tables tables;
    expand_tables(std::span(map.coefficients).first(std::size_t{map.sources} * map.outputs),
                  map.sources, map.outputs, tables.data());
    multiply(tables.data(), in.span(), out.span(), bytes);
}

}  // namespace xsan::ec
