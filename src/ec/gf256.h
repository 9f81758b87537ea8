// Arithmetic of single elements of GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d),
// the field of ISA-L and of Linux md; 2 generates its multiplicative group. Only for the few
// coefficients of a matrix: bytes of strips go through kernels.h.
#pragma once

#include <array>
#include <cstdint>

namespace xsan::ec::gf256 {

using Element = std::uint8_t;  // addition and subtraction are both XOR

struct LogTables {
    std::array<Element, 510> power{};     // power[i] = 2^i; twice round, so sums need no modulo
    std::array<std::uint8_t, 256> log{};  // log[0] is unused
};

constexpr LogTables make_log_tables() {
    LogTables t;
    unsigned value = 1;
    for (unsigned i = 0; i < 255; ++i) {
        t.power[i] = t.power[i + 255] = static_cast<Element>(value);
        t.log[value] = static_cast<std::uint8_t>(i);
        value = (value << 1) ^ ((value & 0x80) != 0 ? 0x11du : 0u);
    }
    return t;
}

inline constexpr LogTables kLog = make_log_tables();

constexpr Element multiply(Element a, Element b) {
    if (a == 0 || b == 0) return 0;
    return kLog.power[unsigned{kLog.log[a]} + kLog.log[b]];
}

// 1/a; a is not 0.
constexpr Element inverse(Element a) {
    return kLog.power[255u - kLog.log[a]];
}

// 2^i, i < 255.
constexpr Element power_of_two(unsigned i) {
    return kLog.power[i];
}

}  // namespace xsan::ec::gf256
