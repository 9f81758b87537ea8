// A worker that sends random requests to its region of a device and knows what the region must hold.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "dev/aligned_buffer.h"
#include "dev/block_device.h"
#include "reactor/task_group.h"

namespace xsan {

using dev::AlignedBuffer;
using dev::BlockDevice;
using dev::IoKind;

inline constexpr std::uint64_t kRegion = 4 * kMiB;  // of one worker
inline constexpr unsigned kWorkers = 8;

[[noreturn]] inline void give_up(const std::string& why) {
    fmt::print(stderr, "{}\n", why);
    std::exit(1);
}

inline std::string name_of(const Error& error) {
    return fmt::format("{} (errno {}, status {:#x})", errc_name(error.code), error.os_errno,
                       error.detail);
}

// One request with up to 16 buffers.
struct Request {
    dev::IoRequest io;
    std::vector<iovec> pieces;
    explicit Request(IoKind kind, std::uint64_t offset, std::uint64_t length) {
        io.kind = kind;
        io.offset = offset;
        io.length = length;
    }
    // Cuts the buffer into `count` pieces of whole blocks.
    void cut(std::byte* data, std::uint64_t block, Rng& rng, std::uint64_t count) {
        std::uint64_t left = io.length;
        while (left > 0) {
            std::uint64_t bytes = left;
            if (pieces.size() + 1 < count) bytes = (1 + rng.below(left / block)) * block;
            pieces.push_back({data, bytes});
            data += bytes;
            left -= bytes;
        }
        io.iov = pieces.data();
        io.iov_count = static_cast<std::uint32_t>(pieces.size());
    }
};

inline Task<Error> submit(BlockDevice& device, Request& request) {
    dev::IoBatch batch;
    batch.submit(device, request.io);
    co_await batch.wait();
    co_return request.io.error;
}

// Random requests on one region, whose contents it knows.
class Worker {
  public:
    Worker(BlockDevice& device, std::uint64_t base, std::uint64_t seed)
        : device_(device),
          base_(base),
          rng_(seed),
          model_(kRegion),
          read_(kRegion + 4096),
          write_(kRegion + 4096) {}

    Task<void> run(TimeNs deadline) {
        auto begin = apply(IoKind::write_zeroes, 0, kRegion);
        co_await begin;
        while (requests_ < 50 || Reactor::current().now() < deadline) {
            const std::uint64_t block = device_.limits().logical_block_bytes;
            const std::uint64_t blocks = kRegion / block;
            const std::uint64_t first = rng_.below(blocks);
            const bool large = rng_.chance_percent(10);
            const std::uint64_t most = std::min<std::uint64_t>(blocks - first, large ? blocks : 64);
            const std::uint64_t count = 1 + rng_.below(most);
            const std::uint64_t dice = rng_.below(100);
            const IoKind kind = dice < 45   ? IoKind::write
                                : dice < 85 ? IoKind::read
                                : dice < 90 ? IoKind::flush
                                : dice < 95 ? IoKind::write_zeroes
                                            : IoKind::discard;
            auto step = apply(kind, first * block, count * block);
            co_await step;
            requests_++;
        }
        auto all = apply(IoKind::read, 0, kRegion);
        co_await all;
    }
    std::uint64_t requests() const { return requests_; }

  private:
    Task<void> apply(IoKind kind, std::uint64_t at, std::uint64_t length) {
        const std::uint64_t block = device_.limits().logical_block_bytes;
        if (kind == IoKind::discard && !device_.limits().discard) co_return;
        Request request(kind, base_ + at, kind == IoKind::flush ? 0 : length);
        request.io.fua = kind != IoKind::read && rng_.chance_percent(20);
        // Memory that is aligned to a block, seldom to a page.
        const std::uint64_t shift = rng_.chance_percent(50) ? 0 : rng_.below(4096 / block) * block;
        if (kind == IoKind::write) {
            for (std::uint64_t i = 0; i < length; i += 8) {
                const std::uint64_t word = rng_.next();
                std::memcpy(write_.data() + shift + i, &word, 8);
            }
            request.cut(write_.data() + shift, block, rng_, 1 + rng_.below(16));
        } else if (kind == IoKind::read) {
            request.cut(read_.data() + shift, block, rng_, 1 + rng_.below(16));
        }
        auto io = submit(device_, request);
        const Error error = co_await io;
        if (!error.is_ok()) {
            give_up(fmt::format("kind {} at {} of {} bytes: {}", static_cast<int>(kind), base_ + at,
                                length, name_of(error)));
        }
        if (kind == IoKind::write) std::memcpy(model_.data() + at, write_.data() + shift, length);
        if (kind == IoKind::write_zeroes) std::memset(model_.data() + at, 0, length);
        if (kind == IoKind::discard) {
            std::memset(model_.data() + at, 0, length);
            if (!device_.limits().discard_zeroes) {
                // Anything may be read there now: make it known again.
                auto known = apply(IoKind::write_zeroes, at, length);
                co_await known;
            }
        }
        if (kind == IoKind::read &&
            std::memcmp(read_.data() + shift, model_.data() + at, length) != 0) {
            give_up(fmt::format("wrong data in {} bytes at {}", length, base_ + at));
        }
    }

    BlockDevice& device_;
    std::uint64_t base_;
    Rng rng_;
    AlignedBuffer model_;
    AlignedBuffer read_;
    AlignedBuffer write_;
    std::uint64_t requests_ = 0;
};

}  // namespace xsan
