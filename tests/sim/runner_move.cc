// Relocations, by command and by a background task: some are waited for, others run beside what comes next.
#include <fmt/format.h>

#include <algorithm>

#include "sim/runner.h"

namespace xsan::simtest {
namespace {

constexpr TimeNs kMoveWaitMost = 60 * kSecond;

// The rows of the placement table, those with data first where they are asked for.
std::vector<GroupIndex> groups_to_move(const meta::State& state, bool with_data) {
    std::vector<GroupIndex> groups;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupIndex group{g};
        if (state.row(group) == nullptr) continue;
        if (!with_data || state.mapped_in_group(group) > 0) groups.push_back(group);
    }
    return groups;
}

}  // namespace

// Up to `count` orders that the pool must take, from a group, strip and member on that the operation says.
void Runner::order_moves(const Op& op, unsigned count, bool by_command) {
    pool::Pool& pool = *bed_->pool;
    const auto groups = groups_to_move(pool.state(), op.d / 8 % 4 != 0);
    const std::size_t members = pool.state().members().size();
    for (std::size_t i = 0; i < groups.size() && count > 0; i++) {
        const GroupIndex group = groups[(op.a + i) % groups.size()];
        const auto strips = pool.state().row(group)->strips();
        const StripRef strip = strips[op.b % strips.size()];
        if (strip.state() == StripState::none) continue;
        for (std::size_t j = 0; j < members; j++) {
            const MemberIndex to{static_cast<std::uint16_t>((op.c + j) % members)};
            const pool::MoveOrder order{group, strip.member(), to};
            if (!pool.check_move(order) || pool.moves().find(group) != nullptr) continue;
            Outcome<void> taken;
            if (by_command) {
                const auto answered = pool.relocate(order);
                if (!answered) taken = answered.error();
            } else {
                taken = pool.enqueue_move(order);
            }
            say(op, fmt::format("group {} from member {} to {}{}", group.get(), strip.member().get(), to.get(),
                                taken ? "" : ": " + taken.error().message));
            if (!taken) note("relocate", taken.error().message);
            stats_.faults["group relocated"]++;
            count--;
            break;
        }
    }
}

// What people change in wear leveling, and plans of its own. Books that cannot be written cost nothing but figures.
Task<void> Runner::use_wear(Op op) {
    pool::Wear* wear = bed_->pool->wear();
    if (wear == nullptr) co_return;
    const auto names = bed_->pool->placement_names();
    Outcome<void> changed;
    switch (op.d / 256 % 5) {
        case 0: changed = co_await wear->set_policy(names[op.c % names.size()]); break;
        case 1: changed = co_await wear->set_task(op.b % 2 == 0); break;
        case 2: wear->set_paused(op.b % 2 == 0); break;
        case 3: {
            const auto plan = wear->balance();
            if (plan) say(op, fmt::format("balance: {} moves", plan->moves.size()));
            break;
        }
        default: {
            const auto reset = co_await wear->reset(std::nullopt, op.b % 2 == 0);
            if (!reset) changed = reset.error();
        }
    }
    if (!changed) say(op, changed.error().message);
}

Task<void> Runner::relocate(Op op) {
    const unsigned what = op.d % 8;
    pool::Pool& pool = *bed_->pool;
    co_await use_wear(op);
    order_moves(op, what < 6 ? 1 + op.d / 64 % 2 : 3, what < 6);
    if (what == 6) {
        pool.pause_moves(false);
        pool.set_move_rate(op.d / 64 % 3 * 4 * 1024 * 1024);
    }
    if (what == 7) {
        pool.pause_moves(op.d / 64 % 2 != 0);
        if (op.d / 128 % 4 == 0) (void)pool.cancel_moves();
    }
    // A move that fails ends too.
    const TimeNs end = bed_->world.now() + kMoveWaitMost;
    while (what < 4 && pool.moves().running() > 0 && bed_->world.now() < end) co_await sleep_for(kMillisecond);
    if (what < 4 && pool.moves().running() > 0) note("hang", "a relocation does not end");
}

}  // namespace xsan::simtest
