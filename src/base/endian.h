// Le<T>: an unsigned integer as it lies on disk, little-endian, alignment 1.
// On-disk structs consist of nothing else (and byte arrays), so they have no padding and no host order.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace xsan {

static_assert(std::endian::native == std::endian::little, "Le<T>::get assumes a little-endian host");

template <std::unsigned_integral T>
class Le {
  public:
    Le() = default;
    constexpr Le(T value) : bytes_(std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value)) {}

    constexpr T get() const { return std::bit_cast<T>(bytes_); }
    constexpr operator T() const { return get(); }
    constexpr Le& operator=(T value) {
        bytes_ = std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
        return *this;
    }

  private:
    std::array<std::uint8_t, sizeof(T)> bytes_{};
};

using Le16 = Le<std::uint16_t>;
using Le32 = Le<std::uint32_t>;
using Le64 = Le<std::uint64_t>;

static_assert(sizeof(Le64) == 8 && alignof(Le64) == 1 && std::is_trivially_copyable_v<Le64>);

}  // namespace xsan
