// IovCursor: walks a list of buffers and cuts it into pieces of limited size. Pure.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xsan::dev {

class IovCursor {
  public:
    IovCursor(const iovec* iov, std::uint32_t count) : iov_(iov), left_(count) {}

    struct Limits {
        std::uint64_t bytes = UINT64_MAX;
        std::uint32_t pieces = UINT32_MAX;
        std::uint32_t pages = UINT32_MAX;  // 4096-byte pages that the pieces touch
        std::uint32_t multiple = 1;        // what is taken is a multiple of this
    };

    void skip(std::uint64_t bytes) {
        while (bytes > 0) {
            const std::uint64_t step = std::min<std::uint64_t>(bytes, iov_->iov_len - offset_);
            advance(step);
            bytes -= step;
        }
    }

    // Appends the next pieces to `out` within the limits and returns their bytes; 0 at the end.
    std::uint64_t take(const Limits& limits, std::vector<iovec>& out) {
        std::uint64_t taken = 0;
        std::uint32_t pages = 0;
        while (left_ > 0 && taken < limits.bytes && out.size() < limits.pieces) {
            if (iov_->iov_len == offset_) {
                advance(0);
                continue;
            }
            auto* base = static_cast<std::byte*>(iov_->iov_base) + offset_;
            const auto address = reinterpret_cast<std::uintptr_t>(base);
            std::uint64_t step =
                std::min<std::uint64_t>(iov_->iov_len - offset_, limits.bytes - taken);
            if (pages >= limits.pages) break;
            // The end of the last page that may still be touched.
            const std::uint64_t room =
                (std::uint64_t{limits.pages} - pages) * kPage - address % kPage;
            step = std::min(step, room);
            step -= (taken + step) % limits.multiple;
            if (step == 0 || step > limits.bytes) break;
            out.push_back({base, static_cast<std::size_t>(step)});
            pages += static_cast<std::uint32_t>((address % kPage + step + kPage - 1) / kPage);
            taken += step;
            advance(step);
        }
        return taken;
    }

  private:
    static constexpr std::uint64_t kPage = 4096;
    void advance(std::uint64_t bytes) {
        offset_ += bytes;
        if (offset_ == iov_->iov_len) {
            iov_++;
            left_--;
            offset_ = 0;
        }
    }

    const iovec* iov_;
    std::uint32_t left_;
    std::uint64_t offset_ = 0;
};

}  // namespace xsan::dev
