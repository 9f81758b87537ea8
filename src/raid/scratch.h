// Scratch: page-aligned working memory from the reactor's buffer pool, given back when its owner
// ends. The first few buffers are listed in place, so that the common operations allocate nothing.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "dev/aligned_buffer.h"

namespace xsan::raid {

class Scratch {
  public:
    explicit Scratch(dev::BufferPool& pool) : pool_(pool) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    // Undefined contents; stays until the Scratch ends.
    std::byte* take(std::size_t bytes) {
        if (count_ == inline_.size()) {
            more_.push_back(pool_.acquire(bytes));
            return more_.back().data();
        }
        dev::PoolBuffer& buffer = inline_[count_++];
        buffer = pool_.acquire(bytes);
        return buffer.data();
    }

  private:
    dev::BufferPool& pool_;
    std::array<dev::PoolBuffer, 12> inline_;
    std::size_t count_ = 0;
    std::vector<dev::PoolBuffer> more_;
};

}  // namespace xsan::raid
