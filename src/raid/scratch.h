// Scratch: page-aligned working memory of one stripe operation, from the reactor's buffer pool, given back
// when the operation ends.
#pragma once

#include <cstddef>
#include <vector>

#include "dev/aligned_buffer.h"

namespace xsan::raid {

class Scratch {
  public:
    explicit Scratch(dev::BufferPool& pool) : pool_(pool) {}
    std::byte* take(std::size_t bytes) {
        buffers_.push_back(pool_.acquire(bytes));
        return buffers_.back().data();
    }

  private:
    dev::BufferPool& pool_;
    std::vector<dev::PoolBuffer> buffers_;
};

}  // namespace xsan::raid
