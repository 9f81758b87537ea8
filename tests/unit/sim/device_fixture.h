// A world with one simulated drive of 64-byte blocks, and helpers that read and write whole blocks
// of letters.
#pragma once

#include <string>
#include <vector>

#include "reactor/task.h"
#include "sim/sim_device.h"
#include "support/catch.h"

namespace xsan::sim::test {

inline constexpr std::uint32_t kBlock = 64;

inline std::vector<std::byte> blocks(std::size_t count, char fill) {
    return std::vector<std::byte>(count * kBlock, static_cast<std::byte>(fill));
}

// One letter per block; '.' for zeros.
inline std::string letters(std::span<const std::byte> data) {
    std::string out;
    for (std::size_t i = 0; i < data.size(); i += kBlock) {
        const char c = static_cast<char>(data[i]);
        out += c == 0 ? '.' : c;
    }
    return out;
}

inline std::string letters(const SparseImage& image, std::size_t count) {
    std::vector<std::byte> data(count * kBlock);
    image.read(0, data);
    return letters(data);
}

inline SimDeviceOptions small_blocks(bool volatile_cache = true) {
    SimDeviceOptions o;
    o.size_bytes = 1u << 20;
    o.block_bytes = kBlock;
    o.volatile_cache = volatile_cache;
    return o;
}

inline Task<Errc> write_task(dev::BlockDevice& d, std::size_t block, std::size_t count, char fill,
                             bool fua) {
    const std::vector<std::byte> data = blocks(count, fill);
    const auto done = co_await d.write(block * kBlock, data, fua);
    co_return done.error().code;
}
inline Task<Errc> read_task(dev::BlockDevice& d, std::size_t block, std::size_t count,
                            std::string& out) {
    std::vector<std::byte> data(count * kBlock);
    const auto done = co_await d.read(block * kBlock, data);
    out = letters(data);
    co_return done.error().code;
}
inline Task<Errc> flush_task(dev::BlockDevice& d) {
    const auto done = co_await d.flush();
    co_return done.error().code;
}
inline Task<Errc> discard_task(dev::BlockDevice& d, std::size_t block, std::size_t count) {
    const auto done = co_await d.discard(block * kBlock, count * kBlock);
    co_return done.error().code;
}
inline Task<Errc> zero_task(dev::BlockDevice& d, std::size_t block, std::size_t count) {
    const auto done = co_await d.write_zeroes(block * kBlock, count * kBlock);
    co_return done.error().code;
}
inline Task<void> store(Task<Errc> task, Errc& result) {
    result = co_await task;
}

struct Drive {
    World world;
    SimDevice device;

    explicit Drive(const SimDeviceOptions& options = small_blocks(), std::uint64_t seed = 1,
                   const WorldOptions& world_options = {})
        : world(seed, world_options), device(world, options) {}

    Errc write(std::size_t block, std::size_t count, char fill, bool fua = false) {
        return world.run(write_task(device, block, count, fill, fua));
    }
    Errc flush() { return world.run(flush_task(device)); }
    Errc discard(std::size_t block, std::size_t count) {
        return world.run(discard_task(device, block, count));
    }
    Errc zero(std::size_t block, std::size_t count) {
        return world.run(zero_task(device, block, count));
    }
    Errc read(std::size_t block, std::size_t count, std::string& out) {
        return world.run(read_task(device, block, count, out));
    }
    // The letters of a read that succeeds.
    std::string text(std::size_t block, std::size_t count) {
        std::string out;
        REQUIRE(read(block, count, out) == Errc::ok);
        return out;
    }
    // Starts a request and leaves it running; its result arrives in `result`.
    void start(Task<Errc> task, Errc& result) { world.spawn(store(std::move(task), result)); }
};

}  // namespace xsan::sim::test
