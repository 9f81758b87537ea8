// Where groups go: members in order, failure domains, capacity, groups that cannot be read again, and the
// order of a rebuild.
#include <bit>
#include <ranges>

#include "meta/checkpoint.h"
#include "meta/layout.h"
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

// The number of strips that each group lacks.
std::map<std::uint32_t, unsigned> damage_of(Rig& rig) {
    std::map<std::uint32_t, unsigned> damage;
    const auto& state = rig.pool->state();
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupRow* row = state.row(GroupIndex{g});
        if (row == nullptr) continue;
        const unsigned lost = static_cast<unsigned>(std::popcount(rig.pool->groups().lost_slots(*row)));
        if (lost > 0) damage[g] = lost;
    }
    return damage;
}

// No group has two strips in one domain.
void check_domains(Rig& rig) {
    const auto& state = rig.pool->state();
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        if (state.row(GroupIndex{g}) == nullptr) continue;
        std::set<std::string> domains;
        const auto members = rig.members_of(GroupIndex{g});
        for (const unsigned member : members) domains.insert(state.members()[member]->domain);
        CHECK(domains.size() == members.size());
    }
}

}  // namespace

TEST_CASE("linear fills its members one after another") {
    RigOptions options;
    options.scheme = "linear";
    options.members = 3;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 0);
    const std::uint64_t bytes = round_down(v.limits().size_bytes, kMiB);
    REQUIRE(bytes > 100 * kMiB);
    for (std::uint64_t at = 0; at < bytes; at += kMiB) {
        REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
        const auto status = rig.pool->member_status();
        for (unsigned i = 1; i < 3; i++) {
            if (status[i].used_bytes == 0) continue;
            REQUIRE(status[i - 1].used_bytes == status[i - 1].member.layout.extent_count * kMiB);
        }
    }
    CHECK(rig.pool->member_status()[2].used_bytes > 0);
    CHECK(rig.holds(v, 0, kMiB));
    CHECK(rig.holds(v, bytes - kMiB, kMiB));
    rig.stop();
}

TEST_CASE("no two strips of a group share a failure domain, also after a rebuild") {
    RigOptions options;
    options.scheme = "2+2";
    options.members = 10;
    options.domains = 5;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 32 * kMiB);
    for (std::uint64_t at = 0; at < 32 * kMiB; at += kMiB) REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    check_domains(rig);
    rig.require(rig.fail_drive(3));
    rig.require(rig.fail_drive(7));
    REQUIRE(rig.wait_for_rebuild());
    CHECK(damage_of(rig).empty());
    check_domains(rig);
    for (std::uint64_t at = 0; at < 32 * kMiB; at += kMiB) REQUIRE(rig.holds(v, at, kMiB));
    rig.stop();
}

TEST_CASE("a rebuild takes the groups with most losses first") {
    RigOptions options;
    options.members = 10;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 80 * kMiB);
    for (std::uint64_t at = 0; at < 80 * kMiB; at += kMiB) REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    rig.require(rig.world.run(rig.pool->set_rebuild(true, std::nullopt)));
    rig.require(rig.fail_drive(2));
    rig.require(rig.fail_drive(6));
    auto damage = damage_of(rig);
    const auto with_two = [&] { return std::ranges::count(damage | std::views::values, 2u); };
    REQUIRE(with_two() >= 4);
    REQUIRE(std::ranges::count(damage | std::views::values, 1u) >= 4);
    rig.require(rig.world.run(rig.pool->set_rebuild(false, std::nullopt)));
    while (!damage.empty()) {
        rig.world.step();
        const auto now = damage_of(rig);
        for (const auto& [group, lost] : damage) {
            // One with fewer losses is done: of those with more none waits, they are all being moved.
            if (lost == 1 && !now.contains(group)) CHECK(with_two() <= 3);
        }
        damage = now;
    }
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("a lost member takes its space along, but for the groups that need it") {
    RigOptions options;
    options.members = GENERATE(6u, 8u);
    Rig rig(options);
    rig.create();
    const auto total = [&] { return rig.pool->data_bytes_total(rig.scheme()); };
    const std::uint64_t extents = rig.pool->state().members()[0]->layout.extent_count;
    // The spare space of one drive is left out where there are more drives than strips.
    const auto of_members = [&](std::uint64_t n) { return n * extents / 6 * 4 * kMiB; };
    CHECK(total() == of_members(options.members == 6 ? 6 : 7));
    rig.require(rig.fail_drive(1));
    CHECK(total() == of_members(6));
    rig.require(rig.fail_drive(2));
    CHECK(total() == of_members(6));
    rig.stop();
}

TEST_CASE("a volume that was promised its size can be filled after a loss that the spare space makes up for") {
    RigOptions options;
    options.members = 8;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 0);
    const std::uint64_t bytes = round_down(v.limits().size_bytes, kMiB);
    REQUIRE(rig.fill(v, 0, kMiB) == Errc::ok);
    rig.require(rig.fail_drive(3));
    REQUIRE(rig.wait_for_rebuild());
    for (std::uint64_t at = kMiB; at < bytes; at += kMiB) REQUIRE(rig.fill(v, at, kMiB) == Errc::ok);
    REQUIRE(rig.wait_for_rebuild());
    CHECK(rig.pool->rebuild_status().unplaced_groups == 0);
    for (std::uint64_t at = 0; at < bytes; at += kMiB) REQUIRE(rig.holds(v, at, kMiB));
    rig.stop();
}

TEST_CASE("nothing is written into a group that has lost too much") {
    RigOptions options;
    options.members = 10;
    Rig rig(options);
    rig.create();
    pool::Volume& v = rig.create_volume("data", 24 * kMiB);
    // Groups that are open and empty.
    REQUIRE(rig.fill(v, 0, kMiB) == Errc::ok);
    REQUIRE(rig.group_count() > 4);
    REQUIRE(rig.discard(v, 0, kMiB) == Errc::ok);
    rig.require(rig.world.run(rig.pool->set_rebuild(true, std::nullopt)));
    for (unsigned i = 0; i < 4; i++) rig.require(rig.fail_drive(i));
    unsigned beyond = 0;
    for (const auto& [group, lost] : damage_of(rig)) beyond += lost > 2;
    REQUIRE(beyond > 0);
    const auto write_all = [&](std::uint64_t seed) {
        for (std::uint64_t at = 0; at < 24 * kMiB; at += kMiB) {
            INFO(rig.log.text());
            REQUIRE(rig.fill(v, at, kMiB, seed) == Errc::ok);
        }
        for (std::uint64_t at = 0; at < 24 * kMiB; at += kMiB) REQUIRE(rig.holds(v, at, kMiB, seed));
    };
    write_all(1);
    CHECK(rig.pool->health() == pool::PoolHealth::degraded);
    // Once they are rebuilt they are used again.
    rig.require(rig.world.run(rig.pool->set_rebuild(false, std::nullopt)));
    REQUIRE(rig.wait_for_rebuild());
    CHECK(damage_of(rig).empty());
    write_all(2);
    rig.require_clean_scrub();
    rig.stop();
}

TEST_CASE("zeroing of extents counts as written") {
    Rig rig;
    for (auto& drive : rig.drives) {
        sim::FaultRule rule;
        rule.on = dev::IoKind::discard;
        drive->faults().add(rule);
    }
    rig.create();
    pool::Volume& v = rig.create_volume("data", 8 * kMiB);
    REQUIRE(rig.fill(v, 0, 4096) == Errc::ok);
    for (const auto& status : rig.pool->member_status()) {
        CHECK(status.used_bytes > 0);
        CHECK(status.member.counters.written_bytes >= status.used_bytes);
    }
    rig.stop();
}

TEST_CASE("a pool filled to the last cluster has room for its metadata, whatever the scheme") {
    for (const std::uint64_t extent : {kMiB, 16 * kMiB}) {
        for (unsigned data = 1; data <= 32; data++) {
            for (unsigned parity = 0; parity <= 3; parity++) {
                for (std::uint32_t strip = 4096; strip <= kMiB; strip *= 2) {
                    const auto name = std::to_string(data) + "+" + std::to_string(parity);
                    if (data + parity < 2) continue;
                    const ec::Scheme scheme = scheme_of(name, data + parity, strip);
                    const std::uint64_t groups = meta::kExtentsDefault / scheme.total_strips();
                    const std::uint32_t cluster = pool::cluster_bytes_of(scheme, extent);
                    meta::StateTally tally;
                    tally.member_bytes = 16 * 300;
                    tally.scheme_count = 1;
                    tally.group_limit = groups;
                    tally.row_bytes = groups * meta::stored_row_bytes(scheme.total_strips());
                    tally.volume_count = 8;
                    tally.mapped_count = groups * (extent * data / cluster);
                    CAPTURE(name, strip, extent, cluster);
                    REQUIRE(cluster > meta::kClusterBytesMin);
                    REQUIRE(meta::checkpoint_bytes_max(tally) + meta::kPageBytesMax <=
                            meta::checkpoint_slot_bytes(extent, meta::kExtentsDefault));
                }
            }
        }
    }
}

}  // namespace xsan::test
