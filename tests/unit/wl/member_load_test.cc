// Load of members and the verdict "slow": Little's law against queues that are known, and properties of the verdict.
#include "wl/member_load.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "support/catch.h"

using namespace xsan;
using namespace xsan::wl;

namespace {

double uniform(Rng& rng) { return static_cast<double>(rng.below(1u << 30)) / (1u << 30); }

// A member that is asked `rate` requests a second, each taking `seconds`, apart from each other: looks meet a request
// as often as chance has it.
void feed_sparse(MemberLoad& load, Rng& rng, double rate, double seconds, double interval, unsigned looks) {
    double due = 0;
    for (unsigned i = 0; i < looks; i++) {
        due += rate * interval;
        const auto completed = static_cast<std::uint64_t>(due);
        due -= static_cast<double>(completed);
        const double mean = rate * seconds;
        const auto whole = static_cast<unsigned>(mean);
        load.add({whole + (uniform(rng) < mean - whole ? 1 : 0), completed, interval});
    }
}

// A member that always has `depth` requests in flight, each taking `seconds`.
void feed_busy(MemberLoad& load, unsigned depth, double seconds, double interval, unsigned looks) {
    double due = 0;
    for (unsigned i = 0; i < looks; i++) {
        due += depth / seconds * interval;
        load.add({depth, static_cast<std::uint64_t>(due), interval});
        due -= std::floor(due);
    }
}

std::vector<bool> judge(std::vector<MemberLoad>& members) {
    std::vector<MemberLoad*> pointers;
    for (MemberLoad& member : members)
        pointers.push_back(&member);
    judge_slow(pointers);
    std::vector<bool> slow;
    for (const MemberLoad& member : members)
        slow.push_back(member.slow());
    return slow;
}

}  // namespace

TEST_CASE("the time of a request follows from those in flight and their rate", "[wl][load]") {
    for (const double interval : {0.1, 1.0, 2.5}) {
        for (const double seconds : {0.0001, 0.004, 0.25}) {
            for (const unsigned depth : {1u, 8u, 200u}) {
                CAPTURE(interval, seconds, depth);
                MemberLoad load;
                feed_busy(load, depth, seconds, interval, static_cast<unsigned>(60 / interval));
                REQUIRE(load.in_flight() == Approx(depth));
                REQUIRE(load.rate() == Approx(depth / seconds).epsilon(0.2));
                if (depth / seconds * 20 > MemberLoad::kRequestsMin) {
                    REQUIRE(load.service_seconds().has_value());
                    REQUIRE(*load.service_seconds() == Approx(seconds).epsilon(0.2));
                }
            }
        }
    }
}

TEST_CASE("the time is right on average also where looks seldom meet a request", "[wl][load]") {
    Rng rng(3);
    double sum = 0;
    for (int round = 0; round < 200; round++) {
        MemberLoad load;
        feed_sparse(load, rng, 50, 0.002, 0.1, 600);
        sum += *load.service_seconds();
    }
    REQUIRE(sum / 200 == Approx(0.002).epsilon(0.05));
}

TEST_CASE("what is long past does not count, whatever the pace of looks", "[wl][load]") {
    for (const double interval : {0.1, 1.0, 10.0}) {
        MemberLoad load;
        feed_busy(load, 64, 0.1, interval, static_cast<unsigned>(300 / interval));
        REQUIRE(*load.service_seconds() == Approx(0.1));
        feed_busy(load, 1, 0.001, interval, static_cast<unsigned>(300 / interval));
        REQUIRE(load.in_flight() == Approx(1).epsilon(0.01));
        REQUIRE(*load.service_seconds() == Approx(0.001).epsilon(0.01));
    }
}

TEST_CASE("there is no time from few requests, nor from a short while", "[wl][load]") {
    MemberLoad load;
    REQUIRE_FALSE(load.service_seconds().has_value());
    REQUIRE(load.in_flight() == 0);
    REQUIRE(load.rate() == 0);
    feed_busy(load, 8, 0.001, 0.1, 100);  // 10 s
    REQUIRE_FALSE(load.service_seconds().has_value());
    feed_busy(load, 8, 0.001, 0.1, 60);
    REQUIRE(load.service_seconds().has_value());
    for (int i = 0; i < 600; i++)
        load.add({0, 0, 1});
    REQUIRE_FALSE(load.service_seconds().has_value());
    REQUIRE(load.in_flight() == Approx(0).margin(1e-6));
    const double before = load.in_flight();
    load.add({1000, 1000, 0});
    load.add({1000, 1000, -1});
    load.add({1000, 1000, std::nan("")});
    REQUIRE(load.in_flight() == before);
}

TEST_CASE("a look after an hour does not count as an hour's", "[wl][load]") {
    MemberLoad load;
    load.add({5, 3'600'000, 3600});
    feed_busy(load, 1, 0.001, 1, 60);
    REQUIRE(load.in_flight() < 2);
    REQUIRE(load.rate() == Approx(1000).epsilon(0.1));
}

TEST_CASE("the one that takes more than four times the others' median is slow, if that is long", "[wl][load]") {
    const auto verdict_at = [](double seconds, double others) {
        std::vector<MemberLoad> members(6);
        for (std::size_t i = 0; i < members.size(); i++)
            feed_busy(members[i], 8, i == 2 ? seconds : others, 1, 60);
        const auto slow = judge(members);
        REQUIRE(std::count(slow.begin(), slow.end(), true) == (slow[2] ? 1 : 0));
        return static_cast<bool>(slow[2]);
    };
    REQUIRE(verdict_at(0.0410, 0.01));
    REQUIRE_FALSE(verdict_at(0.0390, 0.01));
    REQUIRE(verdict_at(0.0055, 0.0001));
    REQUIRE_FALSE(verdict_at(0.0045, 0.0001));  // 45 times, but who would notice
    REQUIRE_FALSE(verdict_at(0.0001, 0.01));
}

TEST_CASE("a slow member is slow until it takes less than twice the others' median", "[wl][load]") {
    std::vector<MemberLoad> members(4);
    const auto all_at = [&](double seconds, double others) {
        for (std::size_t i = 0; i < members.size(); i++)
            feed_busy(members[i], 8, i == 0 ? seconds : others, 1, 400);
        return static_cast<bool>(judge(members)[0]);
    };
    REQUIRE_FALSE(all_at(0.030, 0.010));
    REQUIRE(all_at(0.050, 0.010));
    REQUIRE(all_at(0.030, 0.010));
    REQUIRE(all_at(0.021, 0.010));
    REQUIRE_FALSE(all_at(0.019, 0.010));
    REQUIRE_FALSE(all_at(0.030, 0.010));
    // Nor is it below half of what is long at all, however fast the others are.
    REQUIRE(all_at(0.006, 0.0001));
    REQUIRE(all_at(0.003, 0.0001));
    REQUIRE_FALSE(all_at(0.002, 0.0001));
}

TEST_CASE("fewer than three members with figures, or too few requests, make nobody slow", "[wl][load]") {
    std::vector<MemberLoad> members(5);
    feed_busy(members[0], 8, 0.5, 1, 60);
    feed_busy(members[1], 8, 0.001, 1, 60);
    REQUIRE(judge(members) == std::vector<bool>(5, false));
    feed_busy(members[2], 8, 0.001, 1, 60);
    REQUIRE(judge(members) == std::vector<bool>{true, false, false, false, false});
    // Asked too seldom, it is not slow any more, and would not have become so.
    std::vector<MemberLoad> seldom(4);
    for (int i = 0; i < 60; i++) {
        seldom[0].add({1, 1, 1});
        for (std::size_t k = 1; k < 4; k++)
            seldom[k].add({8, 8000, 1});
    }
    REQUIRE(judge(seldom) == std::vector<bool>(4, false));
    std::vector<MemberLoad*> pointers{&members[0], nullptr, &members[1], &members[2]};
    judge_slow(pointers);
    REQUIRE(members[0].slow());
    for (int i = 0; i < 200; i++)
        members[0].add({0, 0, 1});
    judge_slow(pointers);
    REQUIRE_FALSE(members[0].slow());
    judge_slow({});
}

TEST_CASE("members of one speed are never slow, however they are asked and looked at", "[wl][load]") {
    for (std::uint64_t seed = 0; seed < 300; seed++) {
        Rng rng(seed);
        CAPTURE(seed);
        std::vector<MemberLoad> members(3 + rng.below(10));
        std::vector<double> rates;
        const double seconds = 0.0001 * std::pow(100.0, uniform(rng));  // 0.1 to 10 ms
        const double interval = rng.below(2) == 0 ? 0.1 : 1;
        for (std::size_t i = 0; i < members.size(); i++)
            rates.push_back(4 * std::pow(1000.0, uniform(rng)));
        for (int round = 0; round < 20; round++) {
            for (std::size_t i = 0; i < members.size(); i++)
                feed_sparse(members[i], rng, rates[i], seconds, interval, static_cast<unsigned>(5 / interval));
            for (const bool slow : judge(members))
                REQUIRE_FALSE(slow);
        }
    }
}

TEST_CASE("fewer than half of the members are slow, and none that is faster than one that is not", "[wl][load]") {
    for (std::uint64_t seed = 0; seed < 300; seed++) {
        Rng rng(seed);
        CAPTURE(seed);
        std::vector<MemberLoad> members(1 + rng.below(9));
        for (MemberLoad& member : members) {
            if (rng.below(6) != 0) feed_busy(member, 4, 0.0002 * std::pow(1000.0, uniform(rng)), 1, 60);
        }
        const auto slow = judge(members);
        REQUIRE(2 * std::count(slow.begin(), slow.end(), true) <= static_cast<long>(members.size()));
        for (std::size_t a = 0; a < members.size(); a++) {
            for (std::size_t b = 0; b < members.size(); b++) {
                if (!slow[a] || slow[b] || !members[b].service_seconds()) continue;
                REQUIRE(*members[a].service_seconds() > *members[b].service_seconds());
            }
        }
    }
}
