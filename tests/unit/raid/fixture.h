// Rig: an engine over simulated drives, and the few calls that tests of it need.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "raid/engine.h"
#include "reactor/task_group.h"
#include "sim/sim_device.h"
#include "support/catch.h"
#include "support/fake_pool.h"
#include "unit/raid/model.h"

namespace xsan::test {

inline ec::Scheme scheme_of(const std::string& text, unsigned members, std::uint32_t strip_bytes) {
    auto scheme = ec::parse_scheme(text, members, strip_bytes);
    XSAN_ASSERT(scheme.has_value());
    return *scheme;
}

struct Shape {
    const char* text;
    unsigned members;
};
inline const std::vector<Shape> kShapes = {{"4+0", 4}, {"1+1", 2}, {"raid10", 4}, {"raid10", 8},
                                           {"4+1", 5}, {"4+2", 6}, {"8+3", 11}};
inline const std::vector<Shape> kMoreShapes = {
    {"4+0", 4},  {"1+1", 2}, {"1+2", 3}, {"raid10", 4}, {"raid10", 8}, {"4+1", 5},  {"4+2", 6},
    {"8+3", 11}, {"2+2", 4}, {"3+3", 6}, {"raid4", 4},  {"raid5", 5},  {"raid6", 5}};

inline constexpr std::uint32_t kBlock = 4096;

struct RigOptions {
    std::uint32_t strip_bytes = 64 * 1024;
    std::uint32_t block_bytes = 4096;
    std::uint32_t stripes = 12;
    unsigned spare_members = 0;
    unsigned reactors = 1;
    std::uint64_t seed = 1;
    bool random_order = false;
    bool volatile_cache = true;
    TimeNs spread = 0;
};

// Few stripes, for tests that go through all of them.
inline RigOptions small_rig(std::uint32_t strip_bytes) {
    RigOptions o;
    o.strip_bytes = strip_bytes;
    o.stripes = 6;
    return o;
}

struct Rig {
    sim::World world;
    std::vector<std::unique_ptr<sim::SimDevice>> devices;
    FakePool pool;
    raid::Engine engine;
    GroupIndex group;
    RigOptions options;

    Rig(const Shape& shape, const RigOptions& o = {})
        : world(o.seed, world_options(o)),
          pool(scheme_of(shape.text, shape.members, o.strip_bytes),
               std::uint64_t{o.stripes} * o.strip_bytes, shape.members + o.spare_members),
          engine(pool, pool, engine_options(o)),
          options(o) {
        std::vector<unsigned> slots;
        for (unsigned i = 0; i < shape.members + o.spare_members; i++) {
            sim::SimDeviceOptions d;
            d.size_bytes = 64 * kMiB;
            d.block_bytes = o.block_bytes;
            d.volatile_cache = o.volatile_cache;
            d.latency.spread = o.spread;
            d.instance = static_cast<std::uint16_t>(i);
            devices.push_back(std::make_unique<sim::SimDevice>(world, d));
            pool.add_member(i, *devices[i]);
            if (i < shape.members) slots.push_back(i);
        }
        group = pool.add_group(slots);
    }
    static sim::WorldOptions world_options(const RigOptions& o) {
        sim::WorldOptions w;
        w.reactors = o.reactors;
        w.order = o.random_order ? sim::Order::random : sim::Order::fifo;
        return w;
    }
    static raid::EngineOptions engine_options(const RigOptions& o) {
        raid::EngineOptions e;
        e.reactors = o.reactors;
        e.members_max = 64;
        return e;
    }

    const ec::Scheme& scheme() const { return pool.scheme(); }
    unsigned data_strips() const { return scheme().data_strips; }
    unsigned parity_strips() const { return scheme().parity_strips; }
    unsigned total_strips() const { return scheme().total_strips(); }
    raid::GroupRange range(std::uint64_t offset, std::uint64_t length) const {
        return {group, offset, length};
    }

    // --- one request, to its end ---
    Errc read(std::uint64_t offset, std::span<std::byte> out) {
        return world.run(scoped_read(offset, out)).error().code;
    }
    Errc write(std::uint64_t offset, std::span<const std::byte> data, raid::WriteFlags flags = {}) {
        return world.run(scoped_write(offset, data.size(), data.data(), flags)).error().code;
    }
    Errc zero(std::uint64_t offset, std::uint64_t length) {
        return world.run(scoped_write(offset, length, nullptr, {})).error().code;
    }
    Errc flush() { return world.run(engine.flush()).error().code; }
    Errc resync(std::uint32_t stripe) {
        return world.run(engine.resync_stripe(group, StripeIndex{stripe})).error().code;
    }
    raid::StripeCheck check(std::uint32_t stripe) {
        const auto checked = world.run(engine.check_stripe(group, StripeIndex{stripe}));
        REQUIRE(checked.has_value());
        return *checked;
    }
    Task<Result<void>> scoped_read(std::uint64_t offset, std::span<std::byte> out) {
        Quiescence::Scope scope(engine.quiescence());
        const auto done = co_await engine.read(range(offset, out.size()), out.data());
        co_return done;
    }
    Task<Result<void>> scoped_write(std::uint64_t offset, std::uint64_t length,
                                    const std::byte* data, raid::WriteFlags flags) {
        Quiescence::Scope scope(engine.quiescence());
        const auto done = co_await engine.write(range(offset, length), data, flags);
        co_return done;
    }

    // --- content by pattern ---
    static std::vector<std::byte> pattern(std::uint64_t bytes, std::uint64_t seed) {
        std::vector<std::byte> data(bytes);
        Rng rng(seed);
        for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
            const std::uint64_t word = rng.next();
            std::memcpy(&data[i], &word, 8);
        }
        return data;
    }
    // Fills the whole group and gives its content.
    std::vector<std::byte> fill(std::uint64_t seed = 1) {
        auto data = pattern(pool.data_bytes(), seed);
        REQUIRE(write(0, data) == Errc::ok);
        return data;
    }
    bool reads_as(std::span<const std::byte> content, std::uint64_t offset = 0) {
        std::vector<std::byte> found(content.size());
        if (read(offset, found) != Errc::ok) return false;
        return std::memcmp(found.data(), content.data(), content.size()) == 0;
    }
    void require_parity_agrees() {
        for (std::uint32_t s = 0; s < options.stripes; s++) {
            const auto checked = check(s);
            CAPTURE(s);
            REQUIRE(checked.agrees);
        }
    }

    // --- counting ---
    void reset_counters() {
        for (auto& d : devices)
            d->reset_counters();
    }
    sim::IoCount total(dev::IoKind kind) const {
        sim::IoCount sum;
        for (const auto& d : devices) {
            sum.count += d->counters().of(kind).count;
            sum.bytes += d->counters().of(kind).bytes;
        }
        return sum;
    }
    std::uint64_t reads() const { return total(dev::IoKind::read).count; }
    std::uint64_t writes() const { return total(dev::IoKind::write).count; }

    // --- where things are, by the first row ---
    unsigned member_of(std::uint64_t data_offset) const {
        return member_of_strip(stripe_of(data_offset), strip_of(data_offset));
    }
    std::uint32_t stripe_of(std::uint64_t data_offset) const {
        return static_cast<std::uint32_t>(data_offset / scheme().stripe_data_bytes());
    }
    unsigned strip_of(std::uint64_t data_offset) const {
        return static_cast<unsigned>(data_offset % scheme().stripe_data_bytes() /
                                     scheme().strip_bytes);
    }
    unsigned member_of_strip(std::uint32_t stripe, unsigned strip) const {
        const auto slot = ec::slot_of(scheme(), StripeIndex{stripe}, ec::StripIndex{strip});
        return pool.row(group)->strips()[slot.get()].member().get();
    }
    std::uint64_t place_on_member(std::uint32_t stripe, std::uint32_t row) const {
        return pool.data_start + std::uint64_t{stripe} * scheme().strip_bytes + row;
    }
    std::uint64_t place_on_member(std::uint64_t data_offset) const {
        return place_on_member(stripe_of(data_offset),
                               static_cast<std::uint32_t>(data_offset % scheme().strip_bytes));
    }
    sim::SimDevice& device_of(std::uint64_t data_offset) {
        return *devices[member_of(data_offset)];
    }
    // Damages the strip behind the engine's back.
    void damage(std::uint32_t stripe, unsigned strip, std::uint32_t row = 0) {
        const std::vector<std::byte> noise =
            pattern(options.block_bytes, 12345 + stripe * 64 + strip);
        devices[member_of_strip(stripe, strip)]->poke(place_on_member(stripe, row), noise);
    }

    // Sets of up to `most` members of the group that may be lost together.
    template <class Fn>
    void for_each_loss(unsigned most, Fn&& fn) {
        for (std::uint64_t lost = 1; lost < std::uint64_t{1} << total_strips(); lost++) {
            if (static_cast<unsigned>(std::popcount(lost)) <= most) fn(lost);
        }
    }
};

}  // namespace xsan::test
