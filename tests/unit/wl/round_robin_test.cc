// Round robin: level, declustered, within domains, never a spare or an unhealthy member,
// repeatable.
#include "wl/round_robin.h"

#include <algorithm>
#include <vector>

#include "fake_pool.h"
#include "wl/capacity.h"

using namespace xsan;
using namespace xsan::wl;
using wl::test::FakePool;
using wl::test::spread;

namespace {
MemberIndex member(std::size_t i) {
    return MemberIndex{static_cast<std::uint16_t>(i)};
}
}  // namespace

TEST_CASE("groups of 4+2 on ten members share members within 1.5x", "[wl][round_robin]") {
    for (const std::size_t groups : {30u, 50u, 100u, 1000u}) {
        for (std::uint64_t seed = 0; seed < 10; seed++) {
            FakePool pool(10, 2000);
            pool.seed = seed;
            RoundRobin policy;
            policy.start(pool);
            for (std::size_t i = 0; i < groups; i++)
                REQUIRE(pool.make_group(policy, 6));
            for (std::size_t lost = 0; lost < 10; lost++) {
                CAPTURE(groups, seed, lost, pool.shared_with(member(lost)));
                REQUIRE(spread(pool.shared_with(member(lost)), member(lost)) <= 1.5);
            }
        }
    }
}

TEST_CASE("the rebuild of one of ten members writes to all others within 1.5x",
          "[wl][round_robin]") {
    for (const std::size_t groups : {50u, 200u, 1000u}) {
        for (std::size_t lost = 0; lost < 10; lost++) {
            FakePool pool(10, 2000);
            pool.seed = lost + groups;
            RoundRobin policy;
            policy.start(pool);
            for (std::size_t i = 0; i < groups; i++)
                REQUIRE(pool.make_group(policy, 6));
            const auto reads = pool.shared_with(member(lost));
            const auto writes = pool.rebuild(policy, member(lost));
            auto both = writes;
            for (std::size_t i = 0; i < both.size(); i++)
                both[i] += reads[i];
            CAPTURE(groups, lost, writes, both);
            REQUIRE(spread(writes, member(lost)) <= 1.5);
            REQUIRE(spread(both, member(lost)) <= 1.5);
            // What the rebuild left behind is declustered too: a second loss finds even shares.
            const auto next = member((lost + 1) % 10);
            auto shares = pool.shared_with(next);
            shares[lost] = shares[(lost + 2) % 10];
            REQUIRE(spread(shares, next) <= 1.5);
        }
    }
}

TEST_CASE("declustering holds for other shapes and after a restart", "[wl][round_robin]") {
    struct Shape {
        std::size_t members;
        std::uint32_t strips;
    };
    for (const Shape shape :
         {Shape{7, 6}, Shape{9, 5}, Shape{12, 6}, Shape{16, 11}, Shape{24, 6}}) {
        FakePool pool(shape.members, 4000);
        for (int part = 0; part < 3; part++) {
            RoundRobin policy;  // a new one each time: what it knows comes from the pool
            policy.start(pool);
            for (int i = 0; i < 300; i++)
                REQUIRE(pool.make_group(policy, shape.strips));
            policy.stop();
        }
        for (std::size_t lost = 0; lost < shape.members; lost++) {
            CAPTURE(shape.members, shape.strips, lost);
            REQUIRE(spread(pool.shared_with(member(lost)), member(lost)) <= 1.5);
        }
    }
}

TEST_CASE("groups that exist count as shared until they are released", "[wl][round_robin]") {
    FakePool pool(4, 1000);
    pool.groups.assign(20, {member(0), member(1)});
    RoundRobin policy;
    policy.start(pool);
    // Of the next twelve groups of two out of four level members, how many are {0, 1}.
    const auto pairs_0_1 = [&] {
        int count = 0;
        for (int i = 0; i < 12; i++) {
            const auto answer = policy.select_members(pool.request(2, 2));
            REQUIRE(answer.has_value());
            if ((*answer)[0] == member(0) && (*answer)[1] == member(1)) count++;
        }
        return count;
    };
    const std::vector<MemberIndex> first{member(0)};
    const std::vector<MemberIndex> second{member(1)};
    const std::vector<MemberIndex> both{member(0), member(1)};
    SECTION("not released") {
        REQUIRE(pairs_0_1() == 0);
    }
    SECTION("released strip by strip") {
        for (int i = 0; i < 20; i++)
            policy.on_strips_released(first, second);
        REQUIRE(pairs_0_1() == 2);
    }
    SECTION("released as whole groups") {
        for (int i = 0; i < 20; i++)
            policy.on_strips_released(both, {});
        REQUIRE(pairs_0_1() == 2);
    }
}

TEST_CASE("fill stays level, also with members of unequal size", "[wl][round_robin]") {
    FakePool pool(6, 1000);
    for (int i = 0; i < 4; i++)
        pool.add(2000);
    RoundRobin policy;
    policy.start(pool);
    for (int i = 0; i < 1000; i++) {
        REQUIRE(pool.make_group(policy, 6));
        double low = 1;
        double high = 0;
        for (const auto& c : pool.candidates) {
            const double used = 1 - static_cast<double>(c.extents_free) / c.extents_total;
            low = std::min(low, used);
            high = std::max(high, used);
        }
        REQUIRE(high - low <= 0.004);
    }
}

TEST_CASE("a pool is filled to its capacity", "[wl][round_robin]") {
    Rng rng(11);
    for (int round = 0; round < 60; round++) {
        FakePool pool(0, 0);
        const std::size_t members = 3 + rng.below(9);
        for (std::size_t i = 0; i < members; i++) {
            pool.add(static_cast<std::uint32_t>(1 + rng.below(rng.chance_percent(50) ? 60 : 300)));
        }
        const bool domains = rng.chance_percent(50);
        std::vector<std::uint64_t> extents(members);
        for (std::size_t i = 0; i < members; i++) {
            const std::uint64_t domain = domains ? rng.below(members) : i;
            if (domains) pool.candidates[i].domain = DomainId{static_cast<std::uint32_t>(domain)};
            extents[domain] += pool.candidates[i].extents_total;
        }
        const auto strips =
            static_cast<std::uint32_t>(1 + rng.below(std::min<std::size_t>(members, 6)));
        const std::uint64_t capacity = group_capacity(extents, strips, false);
        RoundRobin policy;
        policy.start(pool);
        std::uint64_t made = 0;
        while (pool.make_group(policy, strips))
            made++;
        CAPTURE(round, members, strips, domains);
        REQUIRE(made == capacity);
    }
}

TEST_CASE("no two strips of a group lie in one failure domain", "[wl][round_robin]") {
    FakePool pool(12, 100);
    for (std::size_t i = 0; i < 12; i++) {
        pool.candidates[i].domain = DomainId{static_cast<std::uint32_t>(i / 3)};
    }
    RoundRobin policy;
    policy.start(pool);
    for (int i = 0; i < 100; i++)
        REQUIRE(pool.make_group(policy, 4));  // make_group checks the domains

    SECTION("and a group that would need it is refused, or left incomplete where that is allowed") {
        const auto refused = policy.select_members(pool.request(5, 5));
        REQUIRE(refused.error().code == Errc::no_space);
        REQUIRE(refused.error().message.find("failure domain") != std::string::npos);
        FakePool fresh(12, 100);
        for (std::size_t i = 0; i < 12; i++)
            fresh.candidates[i].domain = DomainId{i < 6 ? 0u : 1u};
        const auto partial = policy.select_members(fresh.request(4, 2));
        REQUIRE(partial.has_value());
        REQUIRE(((*partial)[1].has_value() && !(*partial)[2].has_value() &&
                 !(*partial)[3].has_value()));
    }
    SECTION("and a replacement keeps to the domains that its group does not use") {
        FakePool fresh(12, 100);
        for (std::size_t i = 0; i < 12; i++) {
            fresh.candidates[i].domain = DomainId{static_cast<std::uint32_t>(i / 3)};
        }
        const std::vector<MemberIndex> used{member(0), member(4), member(8)};
        const std::vector<DomainId> domains{DomainId{0}, DomainId{1}, DomainId{2}};
        auto r = fresh.request(1, 1);
        r.members_used = used;
        r.domains_used = domains;
        const auto chosen = policy.select_members(r);
        REQUIRE(chosen.has_value());
        REQUIRE((*chosen)[0]->get() >= 9);
    }
}

TEST_CASE("spares, unhealthy and full members never get a new group's strip", "[wl][round_robin]") {
    Rng rng(3);
    for (int round = 0; round < 200; round++) {
        FakePool pool(10, 30);
        pool.seed = rng.next();
        for (auto& c : pool.candidates) {
            c.healthy = !rng.chance_percent(15);
            c.spare = rng.chance_percent(15);
            if (rng.chance_percent(10)) c.extents_free = 0;
        }
        RoundRobin policy;
        policy.start(pool);
        while (pool.make_group(policy, 4, 2)) {  // make_group checks the answer
        }
    }
}

TEST_CASE("a replacement goes to a spare first and to free extents then", "[wl][round_robin]") {
    FakePool pool(6, 100);
    pool.add(20).spare = true;
    RoundRobin policy;
    policy.start(pool);
    for (int i = 0; i < 60; i++)
        REQUIRE(pool.make_group(policy, 4));
    const auto written = pool.rebuild(policy, member(0));
    REQUIRE(written[6] == 20);
    REQUIRE(pool.candidates[6].extents_free == 0);
    std::uint32_t elsewhere = 0;
    for (std::size_t i = 1; i < 6; i++)
        elsewhere += written[i];
    REQUIRE(elsewhere > 0);
}

TEST_CASE("a slow member is chosen only where a group needs it", "[wl][round_robin]") {
    FakePool pool(7, 100);
    pool.candidates[2].slow = true;
    RoundRobin policy;
    policy.start(pool);
    for (int i = 0; i < 50; i++)
        REQUIRE(pool.make_group(policy, 6));
    REQUIRE(pool.candidates[2].extents_free == 100);
    pool.candidates[5].healthy = false;
    REQUIRE(pool.make_group(policy, 6));
    REQUIRE(pool.candidates[2].extents_free == 99);
}

TEST_CASE("the same seed gives the same groups and another seed others", "[wl][round_robin]") {
    const auto make = [](std::uint64_t seed) {
        FakePool pool(10, 100);
        pool.seed = seed;
        RoundRobin policy;
        policy.start(pool);
        for (int i = 0; i < 50; i++)
            REQUIRE(pool.make_group(policy, 6));
        return pool.groups;
    };
    REQUIRE(make(5) == make(5));
    REQUIRE(make(5) != make(6));
}

TEST_CASE("linear fills one member after another", "[wl][round_robin]") {
    FakePool pool(3, 4);
    RoundRobin policy;
    policy.start(pool);
    std::vector<unsigned> order;
    for (int i = 0; i < 12; i++) {
        auto r = pool.request(1, 1);
        r.fill_in_order = true;
        const auto answer = policy.select_members(r);
        REQUIRE(answer.has_value());
        order.push_back((*answer)[0]->get());
        pool[*(*answer)[0]].extents_free--;
    }
    REQUIRE(order == std::vector<unsigned>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2});
}

TEST_CASE("with exactly as many members as strips each strip stays on its member",
          "[wl][round_robin]") {
    FakePool pool(6, 50);
    RoundRobin policy;
    policy.start(pool);
    for (int i = 0; i < 50; i++) {
        const auto answer = policy.select_members(pool.request(6, 6));
        REQUIRE(answer.has_value());
        for (std::size_t s = 0; s < 6; s++)
            REQUIRE((*answer)[s] == member(s));
    }
}

TEST_CASE("neighbouring clusters come from different open groups in turn", "[wl][round_robin]") {
    RoundRobin policy;
    std::vector<OpenGroup> open;
    for (const unsigned g : {3u, 5u, 8u, 9u})
        open.push_back({GroupIndex{g}, 10});
    open[2].clusters_free = 0;
    std::vector<unsigned> order;
    std::optional<GroupIndex> previous;
    for (int i = 0; i < 6; i++) {
        previous = policy.select_group({open, previous});
        REQUIRE(previous.has_value());
        order.push_back(previous->get());
    }
    REQUIRE(order == std::vector<unsigned>{3, 5, 9, 3, 5, 9});
    for (auto& g : open)
        g.clusters_free = 0;
    REQUIRE_FALSE(policy.select_group({open, previous}).has_value());
}

TEST_CASE("reported I/O and wear readings are kept by member", "[wl][round_robin]") {
    FakePool pool(3, 10);
    pool.candidates[1].wear = 42;
    RoundRobin policy;
    policy.start(pool);
    const std::vector<MemberIo> batch{{member(1), 1, 2, 4096, 8192}, {member(2), 0, 1, 0, 512}};
    policy.on_io({batch, {}});
    policy.on_io({batch, {}});
    REQUIRE(policy.totals(member(1)).written_bytes == 16384);
    REQUIRE(policy.totals(member(1)).reads == 2);
    REQUIRE(policy.totals(member(2)).written_bytes == 1024);
    REQUIRE(policy.totals(member(0)).writes == 0);
    REQUIRE(policy.wear_level(member(1)) == 42);
    REQUIRE(policy.wear_level(member(9)) == 0);
}
