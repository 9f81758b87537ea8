// GroupTraffic: what users read from and wrote to each group, which is its heat. Counted per reactor
// without sharing a cache line; summed by whoever asks. Memory comes with the groups that are used: 16
// bytes each, on each reactor, a thousand at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/strong.h"
#include "raid/traffic.h"

namespace xsan::raid {

struct GroupSum {
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
    friend bool operator==(const GroupSum&, const GroupSum&) = default;
};

class GroupTraffic {
  public:
    GroupTraffic(unsigned reactors, std::uint32_t groups_max) : chunks_((groups_max + kChunk - 1) / kChunk) {
        for (unsigned i = 0; i < reactors; i++) {
            per_reactor_.push_back(std::make_unique<std::atomic<Chunk*>[]>(chunks_));
            owned_.emplace_back();
        }
    }

    // `reactor`: the current one.
    void count_read(unsigned reactor, GroupIndex group, std::uint64_t bytes) {
        if (kCountsAll) add(mine(reactor, group).read_bytes, bytes);
    }
    void count_write(unsigned reactor, GroupIndex group, std::uint64_t bytes) {
        if (kCountsAll) add(mine(reactor, group).written_bytes, bytes);
    }

    GroupSum total(GroupIndex group) const {
        GroupSum sum;
        for (const auto& chunks : per_reactor_) {
            const Chunk* chunk = chunks[group.get() / kChunk].load(std::memory_order_acquire);
            if (chunk == nullptr) continue;
            const Counters& c = (*chunk)[group.get() % kChunk];
            sum.read_bytes += c.read_bytes.load(std::memory_order_relaxed);
            sum.written_bytes += c.written_bytes.load(std::memory_order_relaxed);
        }
        return sum;
    }

  private:
    static constexpr std::uint32_t kChunk = 1024;
    struct Counters {
        std::atomic<std::uint64_t> read_bytes{0};
        std::atomic<std::uint64_t> written_bytes{0};
    };
    using Chunk = std::array<Counters, kChunk>;

    // Only the own reactor writes its counters, so a load and a store make an increment.
    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t more) {
        counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    Counters& mine(unsigned reactor, GroupIndex group) {
        std::atomic<Chunk*>& place = per_reactor_[reactor][group.get() / kChunk];
        Chunk* chunk = place.load(std::memory_order_relaxed);
        if (chunk == nullptr) chunk = make(reactor, place);
        return (*chunk)[group.get() % kChunk];
    }
    Chunk* make(unsigned reactor, std::atomic<Chunk*>& place) {
        owned_[reactor].push_back(std::make_unique<Chunk>());
        Chunk* chunk = owned_[reactor].back().get();
        place.store(chunk, std::memory_order_release);
        return chunk;
    }

    std::uint32_t chunks_;
    std::vector<std::unique_ptr<std::atomic<Chunk*>[]>> per_reactor_;
    std::vector<std::vector<std::unique_ptr<Chunk>>> owned_;  // by reactor
};

}  // namespace xsan::raid
