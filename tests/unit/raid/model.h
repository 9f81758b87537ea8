// Model: what each block of a group may contain, given the writes that were started and answered so
// far.
//
// A block's content is a stamp (which write) spread over all of its bytes; stamp 0 is zeros. A read
// may return what was possible at any moment between its start and its end: the last answered write
// before it, any write that was in flight meanwhile, and any write that failed. Never a mix, never
// anything else.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/rng.h"

namespace xsan::test {

class Model {
  public:
    Model(std::uint64_t bytes, std::uint32_t block_bytes)
        : block_bytes_(block_bytes), blocks_(bytes / block_bytes, History{{0, 0, 0, kNever}}) {}

    std::uint64_t bytes() const { return blocks_.size() * block_bytes_; }
    std::uint32_t block_bytes() const { return block_bytes_; }

    struct Op {
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        std::uint64_t stamp = 0;
        std::uint64_t begin = 0;
    };
    Op begin_read(std::uint64_t offset, std::uint64_t length) {
        return {offset, length, 0, ++clock_};
    }
    // Fills `data` with the new content; empty data stands for zeros.
    Op begin_write(std::uint64_t offset, std::uint64_t length, std::span<std::byte> data) {
        Op op{offset, length, data.empty() ? 0 : ++stamps_, ++clock_};
        for (std::uint64_t b = first(op); b < last(op); b++) {
            if (!data.empty())
                fill(data.subspan((b - first(op)) * block_bytes_, block_bytes_), op.stamp, b);
            blocks_[b].push_back({op.stamp, op.begin, kNever, kNever});
        }
        return op;
    }
    void end_write(const Op& op, bool succeeded) {
        const std::uint64_t now = ++clock_;
        for (std::uint64_t b = first(op); b < last(op); b++) {
            History& history = blocks_[b];
            for (Candidate& c : history) {
                if (c.stamp == op.stamp && c.begin == op.begin) {
                    c.end = now;
                } else if (succeeded && c.end < op.begin && c.gone == kNever) {
                    c.gone = now;
                }
            }
            if (history.size() > 64) forget(history);
        }
    }
    // The number of the first wrong block, if any.
    std::optional<std::uint64_t> check_read(const Op& op, std::span<const std::byte> data) {
        for (std::uint64_t b = first(op); b < last(op); b++) {
            const auto block = data.subspan((b - first(op)) * block_bytes_, block_bytes_);
            bool right = false;
            for (const Candidate& c : blocks_[b]) {
                if (c.gone < op.begin) continue;
                if (matches(block, c.stamp, b)) {
                    right = true;
                    break;
                }
            }
            if (!right) return b;
        }
        return std::nullopt;
    }

  private:
    static constexpr std::uint64_t kNever = UINT64_MAX;
    struct Candidate {
        std::uint64_t stamp;
        std::uint64_t begin;
        std::uint64_t end;   // when the write was answered
        std::uint64_t gone;  // when a later write replaced it for certain
    };
    using History = std::vector<Candidate>;

    std::uint64_t first(const Op& op) const { return op.offset / block_bytes_; }
    std::uint64_t last(const Op& op) const { return (op.offset + op.length) / block_bytes_; }
    void forget(History& history) {
        // Reads that last this long do not happen.
        std::erase_if(history, [&](const Candidate& c) {
            return c.gone != kNever && c.gone + 5000 < clock_;
        });
    }
    static std::uint64_t word(std::uint64_t stamp, std::uint64_t block, std::uint64_t i) {
        return (stamp << 24 ^ block ^ i << 56) * 0x9E3779B97F4A7C15ull + stamp;
    }
    void fill(std::span<std::byte> block, std::uint64_t stamp, std::uint64_t b) const {
        for (std::size_t i = 0; i < block.size() / 8; i++) {
            const std::uint64_t w = word(stamp, b, i);
            std::memcpy(block.data() + 8 * i, &w, 8);
        }
    }
    bool matches(std::span<const std::byte> block, std::uint64_t stamp, std::uint64_t b) const {
        for (std::size_t i = 0; i < block.size() / 8; i++) {
            const std::uint64_t expected = stamp == 0 ? 0 : word(stamp, b, i);
            std::uint64_t found;
            std::memcpy(&found, block.data() + 8 * i, 8);
            if (found != expected) return false;
        }
        return true;
    }

    std::uint32_t block_bytes_;
    std::uint64_t clock_ = 0;
    std::uint64_t stamps_ = 0;
    std::vector<History> blocks_;
};

}  // namespace xsan::test
