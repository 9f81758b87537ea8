// SharedTable<T>: values by index that one thread writes and all threads read without a lock, while
// the table grows. Chunks are made when something is first stored in them and never move; a
// directory that was outgrown is kept until the table dies (all of them together are smaller than
// the newest one).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"

namespace xsan::meta {

template <class T>
class SharedTable {
  public:
    SharedTable() = default;
    SharedTable(const SharedTable&) = delete;
    SharedTable& operator=(const SharedTable&) = delete;

    std::uint64_t limit() const { return limit_.load(std::memory_order_acquire); }

    // T{} where nothing was stored, also beyond the limit.
    T get(std::uint64_t index) const {
        if (index >= limit()) return T{};
        // A directory that is read after the limit covers at least that limit.
        const auto* directory = directory_.load(std::memory_order_acquire);
        const Chunk* chunk = directory[index / kChunk].load(std::memory_order_acquire);
        return chunk == nullptr ? T{} : (*chunk)[index % kChunk].load(std::memory_order_acquire);
    }

    // The writer's thread only; index < limit().
    void set(std::uint64_t index, T value) {
        XSAN_ASSERT(index < limit_.load(std::memory_order_relaxed));
        auto& place = directory_.load(std::memory_order_relaxed)[index / kChunk];
        Chunk* chunk = place.load(std::memory_order_relaxed);
        if (chunk == nullptr) {
            if (value == T{}) return;
            chunks_.push_back(std::make_unique<Chunk>());
            chunk = chunks_.back().get();
            place.store(chunk, std::memory_order_release);
        }
        (*chunk)[index % kChunk].store(value, std::memory_order_release);
    }

    // Makes indices below `limit` valid; never shrinks.
    void grow(std::uint64_t limit) {
        const std::uint64_t needed = (limit + kChunk - 1) / kChunk;
        if (needed > directory_size_) {
            const std::uint64_t size = std::max(needed, directory_size_ * 2);
            auto larger = std::make_unique<Place[]>(size);
            const auto* old = directory_.load(std::memory_order_relaxed);
            for (std::uint64_t i = 0; i < directory_size_; i++) {
                larger[i].store(old[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
            }
            directory_.store(larger.get(), std::memory_order_release);
            directories_.push_back(std::move(larger));
            directory_size_ = size;
        }
        if (limit > limit_.load(std::memory_order_relaxed)) {
            limit_.store(limit, std::memory_order_release);
        }
    }

    // The first index from `from` on where something is stored; limit() when there is none. The
    // writer's thread.
    std::uint64_t next_stored(std::uint64_t from) const {
        const auto* directory = directory_.load(std::memory_order_relaxed);
        for (std::uint64_t i = from; i < limit();) {
            const Chunk* chunk = directory[i / kChunk].load(std::memory_order_relaxed);
            if (chunk == nullptr) {
                i = (i / kChunk + 1) * kChunk;
            } else if (!((*chunk)[i % kChunk].load(std::memory_order_relaxed) == T{})) {
                return i;
            } else {
                i++;
            }
        }
        return limit();
    }

    // Calls f(index, value) for every stored value that is not T{}, in order. The writer's thread.
    template <class F>
    void for_each(F&& f) const {
        const auto* directory = directory_.load(std::memory_order_relaxed);
        for (std::uint64_t d = 0; d < directory_size_; d++) {
            const Chunk* chunk = directory[d].load(std::memory_order_relaxed);
            if (chunk == nullptr) continue;
            for (std::uint64_t i = 0; i < kChunk; i++) {
                const T value = (*chunk)[i].load(std::memory_order_relaxed);
                if (!(value == T{})) f(d * kChunk + i, value);
            }
        }
    }

  private:
    static constexpr std::uint64_t kChunk = 4096;
    using Chunk = std::array<std::atomic<T>, kChunk>;
    using Place = std::atomic<Chunk*>;

    std::atomic<Place*> directory_{nullptr};
    std::atomic<std::uint64_t> limit_{0};
    std::uint64_t directory_size_ = 0;
    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::vector<std::unique_ptr<Place[]>> directories_;
};

}  // namespace xsan::meta
