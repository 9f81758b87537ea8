// Input: a fuzzer's bytes, read as choices. One that has come to its end gives zeros, which by
// convention mean "as usual": a short input is a plain case, each byte more makes it odder.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/assert.h"

namespace xsan::fuzz {

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size)
        : left_(std::as_bytes(std::span(data, size))) {}
    explicit Input(std::span<const std::byte> bytes) : left_(bytes) {}

    bool at_end() const { return left_.empty(); }

    std::uint8_t u8() { return fixed<std::uint8_t>(); }
    std::uint16_t u16() { return fixed<std::uint16_t>(); }
    std::uint32_t u32() { return fixed<std::uint32_t>(); }
    std::uint64_t u64() { return fixed<std::uint64_t>(); }
    // In [0, bound); bound > 0.
    std::uint32_t below(std::uint32_t bound) { return (bound <= 256 ? u8() : u32()) % bound; }
    // True for one byte in `of`, never for zero.
    bool one_in(std::uint32_t of) { return u8() % of == of - 1; }

    // Small most of the time, else something at which arithmetic breaks.
    std::uint64_t number() {
        const std::uint8_t choice = u8();
        if (choice < 128) return choice;
        switch (choice % 16) {
            case 0:
                return UINT64_MAX - u8();
            case 1:
                return UINT32_MAX - u8();
            case 2:
                return std::uint64_t{1} << 62;
            case 3:
                return std::uint64_t{1} << 63;
            case 4:
                return u16();
            case 5:
                return u32();
            case 6:
                return u64();
            case 7:
                return std::uint64_t{u8()} << 12;
            case 8:
                return std::uint64_t{u8()} << 20;
            case 9:
                return std::uint64_t{1} << (u8() % 64);
            case 10:
                return (std::uint64_t{1} << (u8() % 64)) - 1;
            case 11:
                return std::uint64_t{u16()} << 12;
            case 12:
                return std::uint64_t{u16()} << 9;
            case 13:
                return UINT16_MAX - u8();
            case 14:
                return (std::uint64_t{1} << 32) + u16();
            default:
                return 0x8000;
        }
    }

    std::span<const std::byte> bytes(std::size_t most) {
        const auto taken = left_.first(std::min(most, left_.size()));
        left_ = left_.subspan(taken.size());
        return taken;
    }
    std::span<const std::byte> rest() { return bytes(left_.size()); }

  private:
    template <class T>
    T fixed() {
        T value = 0;
        const auto taken = bytes(sizeof value);
        if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
        return value;
    }

    std::span<const std::byte> left_;
};

// Overwrites numbers of one to eight bytes, most of them near the front, where the fields are.
// Whether it changed anything.
inline bool patch(Input& in, std::span<std::byte> bytes) {
    const unsigned count = in.u8() % 5;
    if (bytes.empty()) return false;
    for (unsigned i = 0; i < count; i++) {
        const std::uint8_t how = in.u8();
        const std::size_t at = (how & 4) != 0 ? in.u16() : std::size_t{in.u8()} * 2;
        const std::size_t begin = at % bytes.size();
        const std::size_t width =
            std::min<std::size_t>(std::size_t{1} << (how & 3), bytes.size() - begin);
        const std::uint64_t value = in.number();
        std::memcpy(bytes.data() + begin, &value, width);
    }
    return count > 0;
}

template <class T>
void store_at(std::span<std::byte> bytes, std::size_t at, T value) {
    XSAN_ASSERT(at + sizeof value <= bytes.size());
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

inline bool is_equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace xsan::fuzz
