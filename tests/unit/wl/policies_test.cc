// What every placement of the registry keeps, and what each of them is for.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "fake_pool.h"
#include "wl/adaptive.h"
#include "wl/capacity.h"
#include "wl/registry.h"
#include "wl/wear_policies.h"
#include "wl/weighted_random.h"

using namespace xsan;
using namespace xsan::wl;
using wl::test::FakePool;

namespace {

Registry& registry() {
    static Registry made = [] {
        Registry r;
        add_builtin_placements(r);
        return r;
    }();
    return made;
}

std::unique_ptr<Placement> make(const std::string& name, const PoolView& pool) {
    auto made = registry().make(name);
    REQUIRE(made.has_value());
    (*made)->start(pool);
    return std::move(*made);
}

void age(FakePool& pool, const std::vector<double>& wear) {
    for (std::size_t i = 0; i < wear.size(); i++)
        pool.candidates[i].wear = wear[i];
}

std::vector<double> fills(const FakePool& pool) {
    std::vector<double> out;
    for (const auto& c : pool.candidates) {
        out.push_back(1 - static_cast<double>(c.extents_free) / c.extents_total);
    }
    return out;
}

FakePool random_pool(Rng& rng) {
    FakePool pool(0, 0);
    pool.seed = rng.next();
    const std::size_t members = 3 + rng.below(12);
    const bool domains = rng.chance_percent(40);
    for (std::size_t i = 0; i < members; i++) {
        MemberCandidate& c = pool.add(static_cast<std::uint32_t>(1 + rng.below(60)));
        c.wear = static_cast<double>(rng.below(1001)) / 10;
        c.outstanding = static_cast<std::uint32_t>(rng.below(200));
        if (domains) c.domain = DomainId{static_cast<std::uint32_t>(rng.below(members))};
    }
    return pool;
}

}  // namespace

TEST_CASE("every policy fills a pool to its capacity, in domains", "[wl][policies]") {
    Rng rng(5);
    for (const std::string& name : registry().names()) {
        for (int round = 0; round < 25; round++) {
            FakePool pool = random_pool(rng);
            std::map<std::uint64_t, std::uint64_t> by_domain;
            for (const auto& c : pool.candidates) {
                by_domain[c.domain == kNoDomain ? 1000u + c.member.get() : c.domain.get()] +=
                    c.extents_total;
            }
            std::vector<std::uint64_t> extents;
            for (const auto& [domain, sum] : by_domain)
                extents.push_back(sum);
            const auto strips =
                static_cast<std::uint32_t>(1 + rng.below(std::min<std::size_t>(extents.size(), 6)));
            const auto policy = make(name, pool);
            std::uint64_t groups = 0;
            while (pool.make_group(*policy, strips))
                groups++;
            CAPTURE(name, round, strips, pool.candidates.size());
            REQUIRE(groups == group_capacity(extents, strips, false));
        }
    }
}

TEST_CASE("no policy chooses a spare, unhealthy, full or needlessly slow member",
          "[wl][policies]") {
    Rng rng(6);
    for (const std::string& name : registry().names()) {
        for (int round = 0; round < 25; round++) {
            FakePool pool = random_pool(rng);
            for (auto& c : pool.candidates) {
                c.healthy = !rng.chance_percent(15);
                c.spare = rng.chance_percent(15);
                c.slow = rng.chance_percent(20);
            }
            const auto policy = make(name, pool);
            for (int group = 0; group < 200; group++) {
                std::set<std::uint64_t> fast;
                for (const auto& c : pool.candidates) {
                    if (!c.healthy || c.spare || c.slow || c.extents_free == 0) continue;
                    fast.insert(c.domain == kNoDomain ? 1000u + c.member.get() : c.domain.get());
                }
                if (!pool.make_group(*policy, 3, 2)) break;
                if (fast.size() < 3) continue;
                for (const MemberIndex m : pool.groups.back())
                    REQUIRE_FALSE(pool[m].slow);
            }
        }
    }
}

TEST_CASE("every policy repeats itself for a seed and keeps to rules in rebuilds",
          "[wl][policies]") {
    for (const std::string& name : registry().names()) {
        const auto run = [&](std::uint64_t seed) {
            FakePool pool(9, 100);
            age(pool, {1, 1, 1, 40, 4, 4, 4, 0, 0});
            pool.candidates[2].domain = pool.candidates[3].domain = DomainId{1};
            pool.add(40).spare = true;
            pool.seed = seed;
            const auto policy = make(name, pool);
            for (int i = 0; i < 100; i++)
                REQUIRE(pool.make_group(*policy, 4));
            pool.rebuild(*policy, MemberIndex{1});  // checks each answer
            return pool.groups;
        };
        CAPTURE(name);
        REQUIRE(run(5) == run(5));
        REQUIRE(run(5) != run(6));
    }
}

TEST_CASE("groups stay declustered where wear is level", "[wl][policies]") {
    for (const char* name : {"least_worn", "mixed", "load", "adaptive"}) {
        FakePool pool(10, 1000);
        const auto policy = make(name, pool);
        for (int i = 0; i < 100; i++)
            REQUIRE(pool.make_group(*policy, 6));
        for (std::uint16_t lost = 0; lost < 10; lost++) {
            CAPTURE(name, lost);
            REQUIRE(wl::test::spread(pool.shared_with(MemberIndex{lost}), MemberIndex{lost}) <=
                    1.5);
        }
    }
}

TEST_CASE("least_worn fills the least worn members, mixed keeps fill apart by wear",
          "[wl][policies]") {
    FakePool young(6, 100);
    age(young, {50, 10, 20, 30, 40, 60});
    const auto least = make("least_worn", young);
    for (int i = 0; i < 90; i++)
        REQUIRE(young.make_group(*least, 3));
    REQUIRE(fills(young) == std::vector<double>{0, 0.9, 0.9, 0.9, 0, 0});

    FakePool mixed(6, 1000);
    age(mixed, {50, 10, 20, 30, 40, 60});
    const auto policy = make("mixed", mixed);
    for (int i = 0; i < 800; i++)
        REQUIRE(mixed.make_group(*policy, 3));
    const auto fill = fills(mixed);
    for (std::size_t i = 0; i < 6; i++) {
        CAPTURE(i, fill);
        REQUIRE(fill[i] + mixed.candidates[i].wear / 100 == Approx(0.4 + 0.35).margin(0.005));
    }
}

TEST_CASE("weighted_random draws in proportion to weight", "[wl][policies]") {
    FakePool pool(5, 100000);
    age(pool, {0, 20, 40, 60, 80});
    const auto policy = make("weighted_random", pool);
    double weights = 0;
    for (const auto& c : pool.candidates)
        weights += WeightedRandom::weight(c);
    std::vector<double> expected;
    for (const auto& c : pool.candidates)
        expected.push_back(WeightedRandom::weight(c) / weights);
    for (std::uint64_t i = 0; i < 8000; i++) {
        pool.seed = i;
        REQUIRE(pool.make_group(*policy, 1));
    }
    for (std::size_t i = 0; i < 5; i++) {
        const double part =
            (pool.candidates[i].extents_total - pool.candidates[i].extents_free) / 8000.0;
        CAPTURE(i, part, expected[i]);
        REQUIRE(part == Approx(expected[i]).margin(0.015));
    }
}

TEST_CASE("load avoids busy members", "[wl][policies]") {
    FakePool pool(6, 1000);
    pool.candidates[2].outstanding = 128;
    const auto policy = make("load", pool);
    for (int i = 0; i < 300; i++)
        REQUIRE(pool.make_group(*policy, 3));
    REQUIRE(pool.candidates[2].extents_free == 1000);
}

TEST_CASE("staggered places as if the offsets were wear", "[wl][policies]") {
    FakePool pool(5, 1000);
    age(pool, {80, 80, 80, 80, 80});
    const auto policy = make("staggered", pool);
    REQUIRE(policy->goal() == WearGoal::stagger);
    for (int i = 0; i < 800; i++)
        REQUIRE(pool.make_group(*policy, 3));
    const auto fill = fills(pool);
    for (std::size_t i = 1; i < 5; i++) {
        CAPTURE(i, fill);
        REQUIRE(fill[i - 1] - fill[i] == Approx(StaggerSettings{}.gap / 100).margin(0.01));
    }
}

TEST_CASE("adaptive changes its mode with hysteresis", "[wl][policies]") {
    FakePool pool(6, 1000);
    Adaptive policy;
    policy.start(pool);
    const auto mode_at = [&](double wear, std::uint32_t outstanding) {
        pool.candidates[0].wear = wear;
        pool.candidates[1].outstanding = outstanding;
        REQUIRE(pool.make_group(policy, 3));
        return policy.mode();
    };
    REQUIRE(mode_at(0, 0) == Adaptive::Mode::even);
    REQUIRE(mode_at(3.9, 0) == Adaptive::Mode::even);
    REQUIRE(mode_at(4.1, 0) == Adaptive::Mode::wear);
    REQUIRE(mode_at(2.1, 100) == Adaptive::Mode::wear);
    REQUIRE(mode_at(1.9, 100) == Adaptive::Mode::load);
    REQUIRE(mode_at(1.9, 20) == Adaptive::Mode::load);
    REQUIRE(mode_at(1.9, 2) == Adaptive::Mode::even);
    REQUIRE(mode_at(3.9, 2) == Adaptive::Mode::even);
}

TEST_CASE("parity that does not rotate lies on the least worn member of its group",
          "[wl][policies]") {
    for (const std::string& name : registry().names()) {
        FakePool pool(6, 100);
        age(pool, {10, 20, 5, 30, 15, 25});
        const auto policy = make(name, pool);
        MemberRequest request = pool.request(4, 4);
        request.parity_strips = 1;
        request.parity_fixed = true;
        for (int i = 0; i < 20; i++) {
            request.seed = static_cast<std::uint64_t>(i);
            const auto answer = policy->select_members(request);
            REQUIRE(answer.has_value());
            for (std::size_t strip = 0; strip < 3; strip++) {
                REQUIRE(pool[*(*answer)[3]].wear < pool[*(*answer)[strip]].wear);
            }
            REQUIRE(std::is_sorted(answer->begin(), answer->end() - 1));
        }
        // With no member to spare each keeps its place: raid4's parity member stays what it is.
        request.strips = request.strips_min = 6;
        const auto exact = policy->select_members(request);
        REQUIRE(exact.has_value());
        REQUIRE(std::is_sorted(exact->begin(), exact->end()));
    }
}

TEST_CASE("reasons are given when they are asked for", "[wl][policies]") {
    for (const std::string& name : registry().names()) {
        FakePool pool(6, 100);
        const auto policy = make(name, pool);
        std::string reasons;
        MemberRequest request = pool.request(3, 3);
        request.reasons = &reasons;
        REQUIRE(policy->select_members(request).has_value());
        CAPTURE(name, reasons);
        REQUIRE(std::count(reasons.begin(), reasons.end(), '\n') == 3);
        REQUIRE(reasons.starts_with(name + ": member "));
    }
}
