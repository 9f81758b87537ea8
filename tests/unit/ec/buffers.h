// Buffers of a chosen alignment between guard bytes, for tests of kernels and codecs.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "unit/ec/reference.h"

namespace xsan::ec::reference {

// `count` buffers of `bytes` random bytes, each starting `offset` behind a multiple of 64.
class Buffers {
  public:
    Buffers(std::size_t count, std::size_t bytes, std::size_t offset, Rng& rng)
        : bytes_(bytes),
          stride_((bytes + offset + 2 * kGuard) / 64 * 64 + 64),
          memory_(count * stride_ + 128, kGuardByte) {
        void* start = memory_.data();
        std::size_t space = memory_.size();
        start = std::align(64, 1, start, space);
        for (std::size_t i = 0; i < count; ++i) {
            at_.push_back(static_cast<std::byte*>(start) + i * stride_ + kGuard + offset);
            for (std::size_t b = 0; b < bytes; ++b)
                at_[i][b] = static_cast<std::byte>(rng.next());
        }
    }
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    std::byte* at(std::size_t i) const { return at_[i]; }
    const std::vector<std::byte*>& pointers() const { return at_; }
    std::vector<const std::byte*> sources() const { return {at_.begin(), at_.end()}; }

    Bytes copy(std::size_t i) const { return {at_[i], at_[i] + bytes_}; }
    std::vector<Bytes> copies() const {
        std::vector<Bytes> all;
        for (std::size_t i = 0; i < at_.size(); ++i)
            all.push_back(copy(i));
        return all;
    }
    void set(std::size_t i, const Bytes& content) {
        if (bytes_ != 0) std::memcpy(at_[i], content.data(), bytes_);
    }
    bool equals(std::size_t i, const Bytes& content) const {
        return bytes_ == 0 || std::memcmp(at_[i], content.data(), bytes_) == 0;
    }

    // Nothing was written around any buffer.
    bool frame_is_intact() const {
        for (const std::byte* p : at_) {
            for (std::size_t g = 1; g <= kGuard; ++g) {
                if (*(p - g) != kGuardByte || p[bytes_ + g - 1] != kGuardByte) return false;
            }
        }
        return true;
    }

  private:
    static constexpr std::size_t kGuard = 64;
    static constexpr std::byte kGuardByte{0xA5};
    std::size_t bytes_;
    std::size_t stride_;
    std::vector<std::byte> memory_;
    std::vector<std::byte*> at_;
};

}  // namespace xsan::ec::reference
