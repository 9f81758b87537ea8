// Rig: a pool over simulated drives that outlive it, so that it can be stopped, cut off and assembled again.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/byte_span.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/units.h"
#include "meta/examine.h"
#include "pool/pool.h"
#include "pool/volume.h"
#include "sim/sim_device.h"
#include "support/catch.h"
#include "support/rounds.h"
#include "support/volume_io.h"

namespace xsan::test {

// Keeps the last lines that were logged, for the message of a test that fails.
class LastLines final : public LogSink {
  public:
    LastLines() { set_log_sink(this); }
    ~LastLines() override { set_log_sink(nullptr); }
    bool wants(LogLevel) const override { return true; }
    void write(LogLevel, std::string_view line) override {
        text_ += "\n  " + std::string(line);
        if (text_.size() > 8000) text_.erase(0, text_.size() - 6000);
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

// A Plug that asserts that nothing is in flight when it is closed.
class SimPlug final : public dev::BlockDevice {
  public:
    // `open`: how many plugs of the drive are not closed yet.
    SimPlug(sim::SimDevice& drive, unsigned& open) : drive_(drive), open_(open) { open_++; }
    const dev::DeviceIdentity& identity() const override { return drive_.identity(); }
    const dev::DeviceLimits& limits() const override { return drive_.limits(); }
    void submit(dev::IoRequest& request) override {
        XSAN_ASSERT(!closed_);
        drive_.submit(request);
    }
    unsigned in_flight() const override { return drive_.in_flight(); }
    Task<void> close() override {
        closed_ = true;
        open_--;
        XSAN_ASSERT(drive_.outstanding() == 0);
        co_return;
    }

  private:
    sim::SimDevice& drive_;
    unsigned& open_;
    bool closed_ = false;
};

inline ec::Scheme scheme_of(const std::string& text, unsigned members, std::uint32_t strip_bytes) {
    auto scheme = ec::parse_scheme(text, members, strip_bytes);
    XSAN_ASSERT(scheme.has_value());
    return *scheme;
}

inline MemberIndex member(unsigned index) {
    return MemberIndex{static_cast<std::uint16_t>(index)};
}

struct RigOptions {
    std::string scheme = "4+2";
    unsigned members = 6;
    unsigned spares = 0;
    unsigned domains = 0;  // failure domains that the drives are in, in turn; 0: each in its own
    std::uint64_t member_bytes = 64 * kMiB;
    std::uint32_t strip_bytes = 16 * 1024;
    unsigned reactors = 3;
    std::uint64_t seed = 1;
    TimeNs spread = 60 * kMicrosecond;
    meta::Consistency consistency = meta::Consistency::resync;
    std::uint64_t log_payload_bytes_max = pool::Environment{}.log_payload_bytes_max;
};

class Rig {
  public:
    sim::World world;
    std::vector<std::unique_ptr<sim::SimDevice>> drives;
    std::map<unsigned, unsigned> open_plugs;  // by drive
    std::unique_ptr<pool::Pool> pool;
    RigOptions options;
    std::uint64_t rebuild_rate_max = 0;
    std::uint64_t scrub_rate_max = 0;
    pool::WearOptions wear{};
    LastLines log;

    explicit Rig(const RigOptions& o = {}) : world(o.seed, world_options(o)), options(o) {
        for (unsigned i = 0; i < o.members + o.spares; i++) add_drive(o.member_bytes);
    }
    ~Rig() {
        if (pool != nullptr) abandon();
    }
    static sim::WorldOptions world_options(const RigOptions& o) {
        sim::WorldOptions w;
        w.reactors = o.reactors;
        w.order = sim::Order::random;
        return w;
    }
    sim::SimDevice& add_drive(std::uint64_t bytes) {
        sim::SimDeviceOptions d;
        d.size_bytes = bytes;
        d.volatile_cache = true;
        d.latency.spread = options.spread;
        d.instance = static_cast<std::uint16_t>(drives.size());
        drives.push_back(std::make_unique<sim::SimDevice>(world, d));
        return *drives.back();
    }
    unsigned drive_count() const { return static_cast<unsigned>(drives.size()); }

    pool::Environment environment() {
        pool::Environment e;
        for (unsigned i = 0; i < world.reactor_count(); i++) e.reactors.push_back(&world.reactor(i));
        e.seed = options.seed * 977 + world.now();
        e.log_payload_bytes_max = options.log_payload_bytes_max;
        e.rebuild_rate_max = rebuild_rate_max;
        e.scrub_rate_max = scrub_rate_max;
        e.wear = wear;
        return e;
    }
    pool::NewDevice plug(unsigned drive, bool spare = false) {
        const unsigned domains = options.domains;
        std::string domain = domains == 0 ? "" : "shelf" + std::to_string(drive % domains);
        return {std::make_unique<SimPlug>(*drives[drive], open_plugs[drive]), std::move(domain), spare};
    }
    ec::Scheme scheme() const { return scheme_of(options.scheme, options.members, options.strip_bytes); }

    Outcome<void> try_create() {
        std::vector<pool::NewDevice> devices;
        for (unsigned i = 0; i < drive_count(); i++) devices.push_back(plug(i, i >= options.members));
        pool::CreateOptions o;
        o.name = "tank";
        o.scheme = scheme();
        o.extent_bytes = kMiB;
        o.consistency = options.consistency;
        auto made = world.run(pool::Pool::create(environment(), std::move(o), devices));
        if (!made) return made.error();
        pool = std::move(*made);
        return {};
    }
    void create() { require(try_create()); }

    pool::Volume& create_volume(const std::string& name, std::uint64_t bytes) {
        return create_volume(name, bytes, scheme());
    }
    pool::Volume& create_volume(const std::string& name, std::uint64_t bytes, const ec::Scheme& scheme) {
        pool::VolumeOptions o{name, scheme, bytes, 4096};
        auto made = world.run(pool->create_volume(std::move(o)));
        if (!made) FAIL(made.error().message);
        return **made;
    }
    pool::Volume& volume(const std::string& name = "data") {
        pool::Volume* found = pool->find_volume(name);
        REQUIRE(found != nullptr);
        return *found;
    }

    // Plugged in again, and looked at.
    Outcome<pool::Pool::Found> find_drive(unsigned drive) {
        pool::Pool::Found found;
        found.device = std::make_unique<SimPlug>(*drives[drive], open_plugs[drive]);
        auto examined = world.run(meta::examine(*found.device));
        if (!examined) return examined.error();
        found.examined = std::move(*examined);
        return found;
    }
    Outcome<void> readmit(unsigned drive) {
        auto found = find_drive(drive);
        if (!found) return found.error();
        return world.run(pool->readmit(*found));
    }
    // From these drives, in this order; those that are pulled are not found.
    Outcome<void> assemble(const std::vector<unsigned>& from, bool accept_missing = false) {
        std::vector<pool::Pool::Found> found;
        for (const unsigned i : from) {
            if (drives[i]->is_gone()) continue;
            auto f = find_drive(i);
            if (!f) return f.error();
            found.push_back(std::move(*f));
        }
        auto made = world.run(pool::Pool::assemble(environment(), found, accept_missing));
        if (!made) return made.error();
        pool = std::move(*made);
        return {};
    }
    Outcome<void> assemble() {
        std::vector<unsigned> all;
        for (unsigned i = 0; i < drive_count(); i++) all.push_back(i);
        return assemble(all);
    }
    void stop() {
        require(world.run(pool->stop()));
        pool.reset();
    }
    void abandon() {
        world.run(pool->abandon());
        pool.reset();
    }
    template <class T>
    void require(const Outcome<T>& outcome) {
        if (outcome) return;
        INFO(log.text());
        FAIL(outcome.error().message);
    }

    // --- one request on one reactor, to its end ---
    static Task<Errc> request(dev::BlockDevice& device, dev::IoKind kind, std::uint64_t offset,
                              std::span<std::byte> data, std::uint64_t length, bool fua = false) {
        return test::request(device, kind, offset, data, length, fua);
    }
    Errc write(pool::Volume& v, std::uint64_t offset, std::span<std::byte> data, unsigned on = 0) {
        return world.run(request(v, dev::IoKind::write, offset, data, 0), on);
    }
    Errc read(pool::Volume& v, std::uint64_t offset, std::span<std::byte> out, unsigned on = 0) {
        return world.run(request(v, dev::IoKind::read, offset, out, 0), on);
    }
    Errc discard(pool::Volume& v, std::uint64_t offset, std::uint64_t length, unsigned on = 0) {
        return world.run(request(v, dev::IoKind::discard, offset, {}, length), on);
    }
    Errc flush(pool::Volume& v) { return world.run(request(v, dev::IoKind::flush, 0, {}, 0)); }
    // Fills [offset, offset + length) with words that depend on their place and `seed`.
    Errc fill(pool::Volume& v, std::uint64_t offset, std::uint64_t length, std::uint64_t seed = 1) {
        auto data = pattern(offset, length, seed);
        return write(v, offset, data);
    }
    bool holds(pool::Volume& v, std::uint64_t offset, std::uint64_t length, std::uint64_t seed = 1) {
        std::vector<std::byte> found(length);
        return read(v, offset, found) == Errc::ok && same_bytes(found, pattern(offset, length, seed));
    }
    bool is_zero(pool::Volume& v, std::uint64_t offset, std::uint64_t length) {
        std::vector<std::byte> found(length, std::byte{1});
        return read(v, offset, found) == Errc::ok && all_zero(found);
    }
    static std::vector<std::byte> pattern(std::uint64_t offset, std::uint64_t length, std::uint64_t seed) {
        std::vector<std::byte> data(length);
        for (std::uint64_t i = 0; i < length; i += 8) {
            const std::uint64_t word = ((offset + i) / 8 + 1) * 0x9E3779B97F4A7C15ull ^ seed;
            std::memcpy(&data[i], &word, 8);
        }
        return data;
    }

    // --- waiting in virtual time ---
    template <class P>
    bool wait_until(P pred, TimeNs most = 600 * kSecond) {
        const TimeNs end = world.now() + most;
        while (!pred()) {
            if (world.now() > end) return false;
            world.run_for(kMillisecond);
        }
        return true;
    }
    bool has_job(pool::JobKind kind) {
        for (const auto& job : pool->job_status()) {
            if (job.kind == kind && job.state == pool::JobState::running) return true;
        }
        return false;
    }
    bool wait_for_rebuild() {
        return wait_until([&] {
            const auto status = pool->rebuild_status();
            return status.pending_groups == 0 && !has_job(pool::JobKind::rebuild);
        });
    }
    bool wait_for_resync() {
        return wait_until([&] { return !has_job(pool::JobKind::resync); });
    }
    // A whole scrub check.
    pool::ScrubStatus scrub() {
        require(world.run(pool->start_scrub()));
        REQUIRE(wait_until([&] { return pool->scrub_status().state != pool::JobState::running; }));
        return pool->scrub_status();
    }
    void require_clean_scrub() {
        const auto status = scrub();
        INFO(log.text());
        CHECK(status.mismatches == 0);
        CHECK(status.incomplete == 0);
        CHECK(status.errors == 0);
    }
    Outcome<void> fail_drive(unsigned member) {
        return world.run(pool->fail(MemberIndex{static_cast<std::uint16_t>(member)}));
    }
    meta::MemberState state_of(unsigned member) const { return pool->state().members()[member]->state; }
    struct Place {
        unsigned drive;  // drives are numbered as members here
        std::uint64_t offset;
    };
    // Where a strip of the stripe with this byte of the volume begins.
    Place place_of_strip(pool::Volume& v, std::uint64_t offset, unsigned strip) {
        const auto entry = pool->state().volumes().at(v.id()).map->get(ClusterIndex{offset / v.cluster_bytes()});
        REQUIRE(entry.is_mapped());
        const std::uint64_t at = std::uint64_t{entry.place()} * v.cluster_bytes() + offset % v.cluster_bytes();
        const StripeIndex stripe{static_cast<std::uint32_t>(at / v.scheme().stripe_data_bytes())};
        const GroupRow* row = pool->state().row(entry.group());
        const auto where = raid::locate(pool->groups(), *row, v.scheme(), stripe, strip);
        return {where.member.get(), where.offset};
    }
    // Where this byte of the volume lies.
    Place place_of(pool::Volume& v, std::uint64_t offset) {
        const ec::Scheme& s = v.scheme();
        const auto strip = static_cast<unsigned>(offset % s.stripe_data_bytes() / s.strip_bytes);
        const Place begin = place_of_strip(v, offset, strip);
        return {begin.drive, begin.offset + offset % s.strip_bytes};
    }
    std::set<unsigned> members_of(GroupIndex group) const {
        std::set<unsigned> members;
        for (const StripRef& strip : pool->state().row(group)->strips()) {
            if (strip.state() == StripState::ok) members.insert(strip.member().get());
        }
        return members;
    }
    std::uint32_t group_count() const {
        std::uint32_t count = 0;
        for (std::uint32_t g = 0; g < pool->state().group_limit(); g++) {
            if (pool->state().row(GroupIndex{g}) != nullptr) count++;
        }
        return count;
    }
};

}  // namespace xsan::test
