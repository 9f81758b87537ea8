// Relocation: a healthy strip goes to another member while its group serves, wholly or not at all; what is refused.
#include "unit/pool/after_cut.h"
#include "unit/pool/model.h"
#include "unit/pool/movable_pool.h"

namespace xsan::test {
namespace {

// Orders are refused with this in the sentence, and nothing moves.
void check_refused(MovablePool& filled, const MoveOrder& order, Errc code,
                   const std::string& words) {
    CAPTURE(words);
    const auto answer = filled.relocate(order);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == code);
    CHECK(answer.error().message.find(words) != std::string::npos);
    CHECK(answer.error().message.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("a strip moves under load: nothing is lost, and its old extent is free again") {
    for (const auto consistency : {meta::Consistency::log, meta::Consistency::resync}) {
        RigOptions options = wide(3);
        options.consistency = consistency;
        MovablePool filled(options);
        Rig& rig = filled.rig;
        pool::Volume& busy = rig.create_volume("busy", 2 * kMiB);
        Model model(2 * kMiB);
        Work work{model, busy, busy.cluster_bytes(), {.operations = 300}};
        start_workers(rig, work, 4, 5);
        rig.world.run_for(kMillisecond);
        for (unsigned round = 0; round < 12; round++) {
            const MoveOrder order = filled.order(round % 3);
            const std::uint32_t generation = rig.pool->state().row(order.group)->generation();
            const auto answer = filled.relocate(order);
            rig.require(answer);
            CHECK(answer->work == pool::GroupStatus::Work::relocate);
            CHECK(answer->strips[0].member == order.from);
            CHECK(answer->strips[0].to == order.to);
            CHECK(filled.job().state == pool::JobState::running);
            REQUIRE(filled.wait_for_moves());
            CHECK(filled.job().state == pool::JobState::done);
            CHECK(rig.pool->state().row(order.group)->strips()[0].member() == order.to);
            CHECK(rig.pool->state().row(order.group)->generation() > generation);
            CHECK_FALSE(filled.is_on(order, order.from));
        }
        finish_workers(rig, work);
        check_places(rig);
        filled.require_content();
        REQUIRE(rig.wait_for_resync());
        rig.require_clean_scrub();
        rig.stop();
        rig.require(rig.assemble());
        check_places(rig);
        filled.require_content();
        rig.stop();
    }
}

TEST_CASE("a power cut at any step of a move leaves the group at its old or its new place, with all it held") {
    unsigned moved = 0;
    unsigned kept = 0;
    for (const std::uint64_t seed : {1u, 2u}) {
        MovablePool filled(wide(seed));
        Rng rng(seed);
        for (unsigned round = 0; round < rounds(10); round++) {
            const MoveOrder order = filled.order(round % 3);
            filled.rig.require(filled.relocate(order));
            while (!filled.rig.pool->moves().is_idle()) {
                for (std::uint64_t s = rng.next() % 120; s > 0; s--) filled.rig.world.step();
                AfterCut after(filled.rig, rng.next());
                after.rig.require(after.rig.assemble());
                const auto members = after.rig.members_of(order.group);
                CHECK(members.contains(order.from.get()) != members.contains(order.to.get()));
                (members.contains(order.to.get()) ? moved : kept)++;
                for (std::uint64_t at = 0; at < kMovedVolume; at += kMiB) {
                    REQUIRE(after.rig.holds(after.rig.volume(), at, kMiB));
                }
                check_places(after.rig);
                after.rig.require_clean_scrub();
                after.rig.abandon();
            }
        }
        filled.rig.stop();
    }
    CHECK(moved > 0);
    CHECK(kept > 0);
}

TEST_CASE("wrong orders are refused with one sentence, and nothing moves") {
    RigOptions options = wide();
    options.members = 8;
    options.domains = 4;
    options.spares = 1;
    MovablePool filled(options);
    Rig& rig = filled.rig;
    const MoveOrder good = filled.order();
    const auto with = [&](auto change) {
        MoveOrder order = good;
        change(order);
        return order;
    };
    const auto others = rig.members_of(good.group);
    unsigned other = 0;
    for (const unsigned m : others) {
        if (m != good.from.get()) other = m;
    }
    check_refused(filled, with([](auto& o) { o.group = GroupIndex{4000}; }), Errc::not_found, "has no group 4000");
    check_refused(filled, with([&](auto& o) { o.from = good.to; }), Errc::not_found, "has no strip on member");
    check_refused(filled, with([&](auto& o) { o.to = good.from; }), Errc::invalid_argument, "holds a strip of group");
    check_refused(filled, with([&](auto& o) { o.to = member(other); }), Errc::invalid_argument, "holds a strip of");
    // Drives are in domains in turn: four further on is the same one.
    check_refused(filled, with([&](auto& o) { o.to = member((other + 4) % 8); }), Errc::invalid_argument,
                  "is in failure domain");
    check_refused(filled, with([](auto& o) { o.to = member(8); }), Errc::invalid_argument, "a spare");
    check_refused(filled, with([](auto& o) { o.to = member(77); }), Errc::not_found, "has no member 77");
    rig.require(filled.relocate(good));
    check_refused(filled, good, Errc::busy, "is being moved");
    CHECK_FALSE(filled.enqueue(good).has_value());
    REQUIRE(filled.wait_for_moves());
    check_places(rig);
    // Back within the domain that it came from: its own does not count.
    const MoveOrder back{good.group, good.to, good.from};
    rig.require(filled.relocate(back));
    REQUIRE(filled.wait_for_moves());
    CHECK(filled.is_on(good, good.from));

    rig.require(rig.world.run(rig.pool->set_rebuild(true, std::nullopt)));
    rig.require(rig.fail_drive(good.to.get()));
    check_refused(filled, good, Errc::invalid_argument, "is missing or faulty");
    rig.require(rig.fail_drive(other));
    const MoveOrder elsewhere = with([&](auto& o) { o.to = member((good.to.get() + 4) % 8); });
    check_refused(filled, elsewhere, Errc::busy, "has lost strips");
    filled.require_content();
    rig.stop();
}

TEST_CASE("a move to a member without a free extent is refused") {
    MovablePool filled;
    Rig& rig = filled.rig;
    const MoveOrder order = filled.order();
    // All that the member has is taken by other groups' strips.
    unsigned taken = 0;
    for (std::uint32_t g = 0; g < rig.pool->state().group_limit(); g++) {
        const GroupRow* row = rig.pool->state().row(GroupIndex{g});
        if (row != nullptr && GroupIndex{g} != order.group) taken++;
    }
    REQUIRE(taken > 0);
    pool::Volume& more = rig.create_volume("more", 0);
    std::uint64_t at = 0;
    const std::uint64_t size = more.limits().size_bytes;
    while (rig.pool->check_move(order) && at < size && rig.fill(more, at, 4096) == Errc::ok) at += kMiB;
    while (rig.pool->check_move(order)) {
        // The space that is kept for rebuilds: other moves take it.
        bool any = false;
        for (unsigned skip = 0; skip < 300 && !any; skip++) {
            for (std::uint32_t g = skip; g < rig.pool->state().group_limit() && !any; g++) {
                const GroupRow* row = rig.pool->state().row(GroupIndex{g});
                if (row == nullptr || GroupIndex{g} == order.group) continue;
                for (const StripRef& strip : row->strips()) {
                    any = any || filled.relocate({GroupIndex{g}, strip.member(), order.to}).has_value();
                }
            }
        }
        REQUIRE(any);
        REQUIRE(filled.wait_for_moves());
    }
    check_refused(filled, order, Errc::no_space, "has no free extent");
    filled.require_content();
    check_places(rig);
    rig.stop();
}

TEST_CASE("a target that fails ends the move: the group is as before and nothing stays taken") {
    for (const auto on : {dev::IoKind::write, dev::IoKind::flush}) {
        for (unsigned skip = 0; skip < 20; skip += 3) {
            CAPTURE(static_cast<int>(on), skip);
            MovablePool filled;
            Rig& rig = filled.rig;
            const MoveOrder order = filled.order();
            sim::FaultRule rule;
            rule.on = on;
            rule.count = 1;
            rule.skip = skip;
            rule.offset = rig.pool->state().members()[order.to.get()]->layout.data_offset;
            const auto id = filled.drive(order.to).faults().add(rule);
            rig.require(filled.relocate(order));
            REQUIRE(filled.wait_for_moves());
            if (filled.drive(order.to).faults().fired(id) == 0) {
                CHECK(filled.is_on(order, order.to));
                break;
            }
            if (filled.job().state == pool::JobState::failed) {
                CHECK(filled.is_on(order, order.from));
                CHECK(rig.log.text().find("stays where it is") != std::string::npos);
            }
            REQUIRE(rig.wait_for_rebuild());
            filled.require_content();
            check_places(rig);
            rig.require_clean_scrub();
            rig.stop();
        }
    }
}

// Of a scheme without parity the source is all there is: it must not be given up for a target that is lost in the
// very commit that puts the group there.
TEST_CASE("a target that fails in the commit of its move takes nothing with it") {
    RigOptions options = wide();
    options.scheme = "2+0";
    options.members = 2;
    MovablePool filled(options);
    Rig& rig = filled.rig;
    rig.add_drive(options.member_bytes);
    std::vector<pool::NewDevice> devices;
    devices.push_back(rig.plug(2));
    rig.require(rig.world.run(rig.pool->add(devices)));
    const MoveOrder order{GroupIndex{0}, rig.pool->state().row(GroupIndex{0})->strips()[0].member(), member(2)};
    REQUIRE(rig.pool->groups().mapped_places(order.group) > 0);
    sim::FaultRule rule;
    rule.on = dev::IoKind::write;
    const meta::MemberLayout layout = rig.pool->state().members()[order.to.get()]->layout;
    rule.offset = layout.log_offset();
    rule.length = layout.metadata_log_bytes;
    filled.drive(order.to).faults().add(rule);
    REQUIRE(filled.relocate(order));
    REQUIRE(filled.wait_for_moves());
    filled.require_content();
    if (rig.state_of(order.to.get()) != meta::MemberState::in_sync) {
        // Lost before the commit.
        CHECK(filled.is_on(order, order.from));
    }
    filled.drive(order.to).faults().clear();
    rig.abandon();
    rig.require(rig.assemble());
    filled.require_content();
    rig.stop();
}

TEST_CASE("a source that fails while its strip moves: the rebuild takes over, under load too") {
    for (unsigned when = 0; when < 12; when++) {
        CAPTURE(when);
        MovablePool filled(wide(10 + when));
        Rig& rig = filled.rig;
        pool::Volume& busy = rig.create_volume("busy", 2 * kMiB);
        Model model(2 * kMiB);
        Work work{model, busy, busy.cluster_bytes(), {.operations = 150}};
        start_workers(rig, work, 4, when);
        const MoveOrder order = filled.order(when % 3);
        rig.require(filled.relocate(order));
        rig.world.run_for(when * 400 * kMicrosecond);
        // By a failed request, a pulled drive, or a command.
        if (when % 3 == 0) {
            sim::FaultRule rule;
            rule.on = dev::IoKind::write;
            rule.count = 1;
            filled.drive(order.from).faults().add(rule);
        } else if (when % 3 == 1) {
            filled.drive(order.from).vanish();
        } else {
            rig.require(rig.fail_drive(order.from.get()));
        }
        finish_workers(rig, work);
        REQUIRE(filled.wait_for_moves());
        REQUIRE(rig.wait_for_rebuild());
        CHECK(rig.pool->rebuild_status().failed_groups == 0);
        filled.require_content();
        REQUIRE(verify(rig, busy, model, Model::After::acknowledgement) == "");
        rig.require_clean_scrub();
        rig.stop();
    }
}

TEST_CASE("the vacated extent is free only when nobody reads there any more") {
    MovablePool filled;
    Rig& rig = filled.rig;
    const MoveOrder order = filled.order();
    const StripRef old = rig.pool->state().row(order.group)->strips()[0];
    sim::FaultRule rule;
    rule.kind = sim::FaultKind::hold;
    rule.on = dev::IoKind::read;
    rule.count = 1;
    rule.offset = rig.pool->groups().extent_offset(old.member(), old.extent());
    rule.length = kMiB;
    filled.drive(order.from).faults().add(rule);
    // Reads everything; one of them meets the rule.
    unsigned ended = 0;
    bool all_good = true;
    const auto read_all = [&](std::uint64_t at) -> Task<void> {
        std::vector<std::byte> found(4096);
        const Errc code = co_await Rig::request(rig.volume(), dev::IoKind::read, at, found, 0);
        all_good = all_good && code == Errc::ok && same_bytes(found, Rig::pattern(at, 4096, 1));
        ended++;
    };
    for (std::uint64_t at = 0; at < kMovedVolume; at += 4096)
        rig.world.spawn(read_all(at), 0);
    REQUIRE(rig.wait_until(
        [&] { return filled.drive(order.from).held() == 1 && ended == kMovedVolume / 4096 - 1; }));
    const std::uint64_t before = filled.used(order.from);
    rig.require(filled.relocate(order));
    REQUIRE(rig.wait_until([&] { return filled.is_on(order, order.to); }));
    rig.world.run_for(kSecond);
    CHECK(filled.used(order.from) == before);
    filled.drive(order.from).release_held();
    REQUIRE(filled.wait_for_moves());
    CHECK(ended == kMovedVolume / 4096);
    CHECK(all_good);
    CHECK(filled.used(order.from) == before - kMiB);
    rig.stop();
}

TEST_CASE("what can neither be read nor computed ends the move, and is given up by nobody") {
    RigOptions options = wide();
    options.scheme = "3+0";
    MovablePool filled(options);
    Rig& rig = filled.rig;
    const MoveOrder order = filled.order();
    const StripRef old = rig.pool->state().row(order.group)->strips()[0];
    filled.drive(order.from).add_latent_error(rig.pool->groups().extent_offset(old.member(), old.extent()), 4096);
    rig.require(filled.relocate(order));
    REQUIRE(filled.wait_for_moves());
    CHECK(filled.job().state == pool::JobState::failed);
    CHECK(filled.is_on(order, order.from));
    CHECK(rig.pool->state().bad_ranges().empty());
    rig.stop();
}

}  // namespace xsan::test
