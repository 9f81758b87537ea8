// A pool whose groups can be moved, and what must hold of places whatever was moved.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "unit/pool/rig.h"

namespace xsan::test {

using pool::MoveOrder;

inline constexpr std::uint64_t kMovedVolume = 6 * kMiB;

inline RigOptions wide(std::uint64_t seed = 1) {
    RigOptions options;
    options.scheme = "2+1";
    options.members = 5;
    options.seed = seed;
    options.consistency = meta::Consistency::log;
    return options;
}

// A pool with data in several groups. The pool is used on its control reactor.
struct MovablePool {
    Rig rig;
    explicit MovablePool(const RigOptions& options = wide()) : rig(options) {
        rig.create();
        rig.create_volume("data", kMovedVolume);
        for (std::uint64_t at = 0; at < kMovedVolume; at += kMiB)
            REQUIRE(rig.fill(rig.volume(), at, kMiB) == Errc::ok);
        REQUIRE(rig.flush(rig.volume()) == Errc::ok);
    }
    // The strip of slot 0 of a group with data, to the first member that may take it.
    MoveOrder order(unsigned skip = 0) const {
        for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
            const GroupRow* row = rig.pool->state().row(GroupIndex{g});
            if (row == nullptr || rig.pool->groups().mapped_places(GroupIndex{g}) == 0 || skip-- > 0) continue;
            for (unsigned to = 0; to < rig.options.members; to++) {
                const MoveOrder order{GroupIndex{g}, row->strips()[0].member(), member(to)};
                if (rig.pool->check_move(order)) return order;
            }
        }
        FAIL("no group can be moved");
        return {};
    }
    template <class F>
    auto on_control(F call) {
        const auto task = [](pool::Pool& pool, F f) -> Task<decltype(call(pool))> { co_return f(pool); };
        return rig.world.run(task(*rig.pool, call));
    }
    Outcome<pool::GroupStatus> relocate(MoveOrder order) {
        return on_control([order](pool::Pool& pool) { return pool.relocate(order); });
    }
    Outcome<void> enqueue(MoveOrder order) {
        return on_control([order](pool::Pool& pool) { return pool.enqueue_move(order); });
    }
    Outcome<pool::GroupStatus> rebuild(GroupIndex group) {
        return on_control([group](pool::Pool& pool) { return pool.rebuild_group(group); });
    }
    std::size_t cancel(std::optional<GroupIndex> group = {}) {
        return on_control([group](pool::Pool& pool) { return pool.cancel_moves(group); });
    }
    void pause(bool paused) {
        (void)on_control([paused](pool::Pool& pool) {
            pool.pause_moves(paused);
            return true;
        });
    }
    bool is_on(const MoveOrder& order, MemberIndex where) const {
        return rig.members_of(order.group).contains(where.get());
    }
    bool wait_for_moves() {
        return rig.wait_until([&] { return rig.pool->moves().is_idle(); });
    }
    std::uint64_t used(MemberIndex where) const { return rig.pool->member_status()[where.get()].used_bytes; }
    void require_content() {
        INFO(rig.log.text());
        for (std::uint64_t at = 0; at < kMovedVolume; at += kMiB)
            REQUIRE(rig.holds(rig.volume(), at, kMiB));
    }
    pool::JobStatus job() const {
        for (const auto& job : rig.pool->job_status()) {
            if (job.kind == pool::JobKind::relocate) return job;
        }
        FAIL("no job of kind relocate");
        return {};
    }
    sim::SimDevice& drive(MemberIndex index) { return *rig.drives[index.get()]; }
};

// Each row has its strips on different members and domains, and what rows hold is what members say is used.
inline void check_places(Rig& rig) {
    const auto& state = rig.pool->state();
    std::map<unsigned, std::uint64_t> extents;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupRow* row = state.row(GroupIndex{g});
        if (row == nullptr) continue;
        std::set<std::string> domains;
        for (const StripRef& strip : row->strips()) {
            if (strip.state() == StripState::none) continue;
            extents[strip.member().get()]++;
            const std::string& domain = state.members()[strip.member().get()]->domain;
            CHECK(domains.insert(domain.empty() ? std::to_string(strip.member().get()) : domain).second);
        }
    }
    for (const auto& status : rig.pool->member_status()) {
        CHECK(status.used_bytes == extents[status.index.get()] * kMiB);
    }
}

}  // namespace xsan::test
