// Plans: what they may never do, that they end, and that they do what they are for.
#include "wl/planner.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/rng.h"
#include "base/units.h"
#include "support/catch.h"
#include "wl/member_table.h"

using namespace xsan;
using namespace xsan::wl;

namespace {

// Members and groups that plans are carried out on, with every invariant of planner.h checked.
struct World {
    std::vector<MemberCandidate> members;
    std::vector<std::vector<PlannerStrip>> groups;
    std::vector<bool> busy;
    PlannerSettings settings;

    World() { settings.extent_bytes = 1 << 20; }

    MemberCandidate& add_member(std::uint32_t extents, double wear) {
        MemberCandidate c;
        c.member = MemberIndex{static_cast<std::uint16_t>(members.size())};
        c.extents_total = c.extents_free = extents;
        c.wear = wear;
        c.endurance_bytes = extents * 1000.0 * static_cast<double>(settings.extent_bytes);
        members.push_back(c);
        return members.back();
    }
    // Rates in extents per day and strip.
    void add_group(const std::vector<std::uint16_t>& on, double extents_per_day) {
        std::vector<PlannerStrip> strips;
        for (const std::uint16_t m : on) {
            strips.push_back({MemberIndex{m}, extents_per_day * (1 << 20) / kDaySeconds});
            REQUIRE(members[m].extents_free > 0);
            members[m].extents_free--;
        }
        groups.push_back(strips);
        busy.push_back(false);
    }
    std::vector<PlannerGroup> table() const {
        std::vector<PlannerGroup> out;
        for (std::size_t g = 0; g < groups.size(); g++) {
            out.push_back({GroupIndex{static_cast<std::uint32_t>(g)}, groups[g], busy[g]});
        }
        return out;
    }
    double fill() const {
        double used = 0;
        double all = 0;
        for (const auto& c : members) {
            if (!c.healthy || c.spare || c.worn_out) continue;
            used += c.extents_total - c.extents_free;
            all += c.extents_total;
        }
        return all > 0 ? used / all : 0;
    }
    double load(std::uint16_t member) const {
        double sum = 0;
        for (const auto& group : groups) {
            for (const auto& strip : group) {
                if (strip.member.get() == member) sum += strip.write_rate;
            }
        }
        return sum;
    }

    void carry_out(const Plan& plan) {
        const double limit = fill_limit(settings, fill());
        std::set<std::pair<std::uint32_t, std::uint32_t>> moved;
        for (const Move& move : plan.moves) {
            CAPTURE(describe(move));
            REQUIRE(moved.emplace(move.group.get(), move.slot).second);
            REQUIRE_FALSE(busy[move.group.get()]);
            auto& group = groups[move.group.get()];
            REQUIRE(group[move.slot].member == move.from);
            MemberCandidate& to = members[move.to.get()];
            REQUIRE((to.healthy && !to.slow && !to.spare && !to.worn_out && to.extents_free > 0));
            to.extents_free--;
            const double used = to.extents_total - to.extents_free;
            if (move.reason != MoveReason::worn_out) REQUIRE(used <= limit * to.extents_total + 1e-9);
            REQUIRE(used <= 0.95 * to.extents_total);
            members[move.from.get()].extents_free++;
            group[move.slot].member = move.to;
            std::set<DomainKey> domains;
            for (const auto& s : group) {
                REQUIRE(domains.insert(domain_key(members[s.member.get()])).second);
            }
            if (move.reason == MoveReason::wear || move.reason == MoveReason::room) {
                REQUIRE(move.gain_per_byte >= settings.gain_min);
            }
        }
    }
};

World random_world(Rng& rng) {
    World world;
    constexpr WearGoal kGoals[] = {WearGoal::none, WearGoal::placed, WearGoal::level,
                                   WearGoal::stagger};
    world.settings.goal = kGoals[rng.below(4)];
    world.settings.moves_max = rng.chance_percent(20) ? 3 : 1000;
    const std::size_t members = 3 + rng.below(9);
    const bool domains = rng.chance_percent(30);
    for (std::size_t i = 0; i < members; i++) {
        auto& c = world.add_member(static_cast<std::uint32_t>(10 + rng.below(50)),
                                   static_cast<double>(rng.below(90)));
        if (domains) c.domain = DomainId{static_cast<std::uint32_t>(i / 2)};
    }
    const std::size_t strips = domains ? 2 : 1 + rng.below(3);
    for (std::size_t tries = 0; tries < 10 * members; tries++) {
        std::vector<std::uint16_t> on;
        std::set<DomainKey> used;
        for (int draw = 0; draw < 20 && on.size() < strips; draw++) {
            const auto& c = world.members[rng.below(members)];
            if (c.extents_free > 0 && used.insert(domain_key(c)).second) {
                on.push_back(c.member.get());
            }
        }
        if (on.size() < strips) continue;
        world.add_group(on, rng.chance_percent(10) ? 100 : static_cast<double>(rng.below(30)) / 10);
        world.busy.back() = rng.chance_percent(10);
    }
    for (auto& c : world.members) {
        c.healthy = !rng.chance_percent(10);
        c.slow = rng.chance_percent(10);
        c.spare = rng.chance_percent(5);
        c.worn_out = rng.chance_percent(10);
    }
    return world;
}

}  // namespace

TEST_CASE("plans keep their invariants, and planning again and again ends", "[wl][planner]") {
    Rng rng(4);
    for (int round = 0; round < 400; round++) {
        World world = random_world(rng);
        Planner planner(world.settings);
        CAPTURE(round, world.members.size(), world.groups.size());
        int plans = 0;
        for (;; plans++) {
            const Plan plan = planner.plan(world.members, world.table());
            REQUIRE(plan.moves.size() <= world.settings.moves_max);
            if (plan.moves.empty()) break;
            world.carry_out(plan);
            REQUIRE(plans < 500);
        }
    }
}

TEST_CASE("the hottest strips leave the most worn member for the least worn", "[wl][planner]") {
    World world;
    for (const double wear : {50.0, 10.0, 40.0, 40.0})
        world.add_member(100, wear);
    for (int i = 0; i < 10; i++)
        world.add_group({0, 2}, 1 + i);
    Planner planner(world.settings);
    const Plan plan = planner.plan(world.members, world.table());
    REQUIRE(plan.levels_wear);
    REQUIRE(plan.spread == Approx(40));
    REQUIRE(!plan.moves.empty());
    REQUIRE(plan.moves[0].from == MemberIndex{0});
    REQUIRE(plan.moves[0].to == MemberIndex{1});
    REQUIRE(plan.moves[0].group == GroupIndex{9});
    REQUIRE(plan.moves[0].gain_per_byte == Approx(10 * 30));
    world.carry_out(plan);
    REQUIRE(world.load(1) > 0.45 * (world.load(0) + world.load(1) + world.load(2) + world.load(3)));
}

TEST_CASE("a slow member gives strips and takes none", "[wl][planner]") {
    World world;
    for (const double wear : {60.0, 5.0, 5.0, 5.0}) world.add_member(64, wear);
    for (int i = 0; i < 8; i++) world.add_group({0, 1}, 20);
    world.members[0].slow = true;
    const double before = world.load(0);
    world.carry_out(Planner(world.settings).plan(world.members, world.table()));
    CHECK(world.load(0) < before / 2);

    // Over the limit of fill it gives what is cold, too.
    World full;
    full.settings.goal = WearGoal::none;
    for (int i = 0; i < 4; i++) full.add_member(20, 0);
    for (int i = 0; i < 18; i++) full.add_group({0}, 0);
    full.members[0].slow = true;
    const Plan plan = Planner(full.settings).plan(full.members, full.table());
    CHECK_FALSE(plan.moves.empty());
    full.carry_out(plan);
    // A worn one that is the least worn now does not get hot strips.
    World back;
    for (const double wear : {5.0, 60.0, 60.0, 60.0}) back.add_member(64, wear);
    for (int i = 0; i < 8; i++) back.add_group({1, 2}, 20);
    back.members[0].slow = true;
    back.carry_out(Planner(back.settings).plan(back.members, back.table()));
    CHECK(back.load(0) == 0);
}

TEST_CASE("all strips leave a worn-out member, hottest first, and it counts for nothing else", "[wl][planner]") {
    for (const WearGoal goal : {WearGoal::none, WearGoal::placed, WearGoal::level, WearGoal::stagger}) {
        World world;
        world.settings.goal = goal;
        for (int i = 0; i < 5; i++) world.add_member(64, 10);
        for (int i = 0; i < 10; i++) world.add_group({0, 1}, i);
        world.members[0].worn_out = true;
        const Plan plan = Planner(world.settings).plan(world.members, world.table());
        CHECK(plan.spread == 0);
        REQUIRE(plan.moves.size() >= 10);
        CHECK(plan.moves[0].reason == MoveReason::worn_out);
        CHECK(plan.moves[0].group == GroupIndex{9});
        world.carry_out(plan);
        CHECK(world.members[0].extents_free == 64);
    }
}

TEST_CASE("a level pool is left alone, with hysteresis", "[wl][planner]") {
    World world;
    for (const double wear : {50.0, 49.0, 48.0})
        world.add_member(100, wear);
    for (int i = 0; i < 10; i++)
        world.add_group({0, 1}, 1);
    world.settings.outlook_seconds = 0;
    Planner planner(world.settings);
    const auto levels_at = [&](double wear) {
        world.members[0].wear = wear;
        return planner.plan(world.members, world.table()).levels_wear;
    };
    REQUIRE_FALSE(levels_at(50.9));
    REQUIRE(levels_at(51.1));
    REQUIRE(levels_at(50));
    REQUIRE_FALSE(levels_at(48.9));
    REQUIRE_FALSE(levels_at(50.9));
}

TEST_CASE("levelling begins when a spread is only predicted", "[wl][planner]") {
    World world;
    for (int i = 0; i < 4; i++)
        world.add_member(100, 20);
    for (int i = 0; i < 10; i++)
        world.add_group({0, 1}, 20);  // 0.2 points a day on 0 and 1
    world.settings.outlook_seconds = 10 * kDaySeconds;
    REQUIRE_FALSE(Planner(world.settings).plan(world.members, world.table()).levels_wear);
    world.settings.outlook_seconds = 20 * kDaySeconds;
    const Plan plan = Planner(world.settings).plan(world.members, world.table());
    REQUIRE(plan.levels_wear);
    REQUIRE(plan.spread_predicted == Approx(4));
    REQUIRE(!plan.moves.empty());
}

TEST_CASE("cold strips stay: a move never costs more wear than it saves", "[wl][planner]") {
    World world;
    for (const double wear : {80.0, 0.0, 40.0})
        world.add_member(100, wear);
    for (int i = 0; i < 10; i++)
        world.add_group({0, 2}, 1.99 / 30);
    REQUIRE(Planner(world.settings).plan(world.members, world.table()).moves.empty());
    world.add_group({0, 2}, 2.01 / 30);
    const Plan plan = Planner(world.settings).plan(world.members, world.table());
    REQUIRE(plan.moves.size() == 1);
    REQUIRE(plan.moves[0].group == GroupIndex{10});
}

// The limit is 18.2 of 20 extents here.
TEST_CASE("where the target is full a cold strip makes room", "[wl][planner]") {
    World world;
    for (const double wear : {60.0, 0.0, 30.0, 30.0})
        world.add_member(20, wear);
    for (int i = 0; i < 18; i++)
        world.add_group({1, static_cast<std::uint16_t>(2 + i % 2)}, 0.01);
    for (int i = 0; i < 4; i++)
        world.add_group({0, static_cast<std::uint16_t>(2 + i % 2)}, 5);
    const Plan plan = Planner(world.settings).plan(world.members, world.table());
    REQUIRE(plan.moves.size() >= 2);
    REQUIRE(plan.moves[0].reason == MoveReason::room);
    REQUIRE(plan.moves[0].from == MemberIndex{1});
    REQUIRE(plan.moves[1].reason == MoveReason::wear);
    REQUIRE(plan.moves[1].to == MemberIndex{1});
    REQUIRE(plan.moves[1].gain_per_byte == Approx(4.99 * 30 / 2));
}

TEST_CASE("capacity is balanced harder as the pool fills", "[wl][planner]") {
    PlannerSettings settings;
    double above = 1;
    for (double fill = 0; fill <= 0.95; fill += 0.05) {
        const double limit = fill_limit(settings, fill);
        REQUIRE(limit <= 0.95);
        REQUIRE(limit - fill <= above);
        above = limit - fill;
    }
    // A member that came last to a pool without a goal for wear takes its part.
    World world;
    world.settings.goal = WearGoal::none;
    for (int i = 0; i < 4; i++)
        world.add_member(100, 0);
    for (int i = 0; i < 80; i++)
        world.add_group({0, 1, 2}, i);
    Planner planner(world.settings);
    const Plan plan = planner.plan(world.members, world.table());
    REQUIRE(!plan.moves.empty());
    for (const Move& move : plan.moves) {
        REQUIRE(move.reason == MoveReason::capacity);
        REQUIRE(move.to == MemberIndex{3});
        REQUIRE(move.group.get() < 60);  // the cold ones
    }
    world.carry_out(plan);
    for (int i = 0; i < 3; i++)
        REQUIRE(world.members[static_cast<std::size_t>(i)].extents_free >= 30);
}

TEST_CASE("the staggered goal pulls equal members apart", "[wl][planner]") {
    World world;
    world.settings.goal = WearGoal::stagger;
    for (int i = 0; i < 6; i++)
        world.add_member(100, 75);
    for (std::uint16_t i = 0; i < 120; i++) {
        world.add_group(
            {static_cast<std::uint16_t>(i % 6), static_cast<std::uint16_t>((i + 1) % 6)}, 1);
    }
    Planner planner(world.settings);
    world.carry_out(planner.plan(world.members, world.table()));
    REQUIRE(world.load(0) > world.load(1));
    REQUIRE(world.load(0) > 2 * world.load(5));
}

TEST_CASE("settings out of range are refused by name", "[wl][planner]") {
    PlannerSettings settings;
    REQUIRE(check_settings(settings).error().message.starts_with("extent_bytes"));
    settings.extent_bytes = 1;
    REQUIRE(check_settings(settings).has_value());
    settings.fill_max = 0.96;
    REQUIRE(check_settings(settings).error().message.starts_with("fill_max must be"));
    settings.fill_max = 0.9;
    settings.gain_min = 0.5;
    REQUIRE(check_settings(settings).error().message.starts_with("gain_min must be"));
    settings.gain_min = 2;
    settings.spread_stop = settings.spread_start;
    REQUIRE(check_settings(settings).error().message.starts_with("spread_stop must be"));
}
