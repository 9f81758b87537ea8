// Power cuts at any request, with any survivors, over and over: what a store acknowledged is there,
// as a whole, whichever members come back, and what an assembly once said stays so.
#include <string>
#include <vector>

#include "meta/store.h"
#include "reactor/task_group.h"
#include "support/catch.h"
#include "support/rounds.h"
#include "unit/meta/store_fixture.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

// The history of a pool as its user saw it, and the pool through its crashes.
class CrashRun {
  public:
    CrashRun(std::uint64_t seed, unsigned members)
        // Half of the runs have a log of eight entries, so that it wraps while checkpoints are
        // written.
        : f_(members, seed, seed % 2 == 0 ? 32 * kKiB : 64 * kKiB),
          random_(seed + 1),
          rng_(seed + 2),
          members_(members) {
        random_.touches_members = false;
        f_.slow_percent = seed % 3 == 0 ? 85 : 0;
        REQUIRE(f_.create());
        rebuild_model(0);
    }

    // Issues commits, up to four at once, until the power goes or `count` are acknowledged.
    void commit_until_cut(unsigned count, std::uint64_t requests) {
        f_.power->cut_after(requests);
        for (unsigned i = 0; i < count && f_.power->is_on(); i++)
            f_.reactor.run(commit_some());
    }
    // Stale members join again while commits go on.
    void return_members(std::uint64_t requests) {
        f_.power->cut_after(requests);
        for (const MemberIndex index : f_.store->stale())
            f_.reactor.run(return_member(index));
    }
    void crash() {
        f_.crash();
        f_.power_up();
    }
    // Assembles from a subset, with a cut after `requests`. Whether it started.
    bool assemble(unsigned mask, std::uint64_t requests) {
        f_.power->cut_after(requests);
        const auto started = f_.assemble(mask);
        if (!started) {
            refusal_ = started.error().message;
            return false;
        }
        settle();
        return true;
    }
    // What the user knows, to be taken back when several ways to go on are tried.
    struct History {
        std::vector<std::vector<Record>> commits;
        std::size_t acknowledged = 0;
    };
    History save() const { return {history_, acknowledged_}; }
    void restore(const History& history) {
        history_ = history.commits;
        acknowledged_ = history.acknowledged;
    }
    unsigned all() const { return (1u << members_) - 1; }
    Rng& rng() { return rng_; }
    const std::string& refusal() const { return refusal_; }
    StoreFixture& fixture() { return f_; }
    std::size_t acknowledged() const { return acknowledged_; }

  private:
    Task<void> one_commit(std::vector<Record> records, std::size_t number) {
        const Result<void> done = co_await f_.store->commit(std::move(records));
        if (!done) co_return;
        // Commits become durable in the order of issue; their callers wake up in any.
        acknowledged_ = std::max(acknowledged_, number + 1);
    }
    Task<void> return_member(MemberIndex index) {
        Record back;
        back.kind = RecordKind::member_set;
        back.member_index = index;
        back.member = *f_.store->state().find_member(index);
        back.member.state = MemberState::in_sync;
        TaskGroup commits;
        random_.touches_counters = false;  // those of `back` would undo them
        commits.spawn(commit_some());
        random_.touches_counters = true;
        std::vector<Record> records{back};
        const Store::NewMember member{index, f_.devices[index.get()].get()};
        const auto added = co_await f_.store->add_member(member, std::move(records));
        if (f_.power->is_on()) CHECK(added);
        co_await commits.join();
    }
    Task<void> commit_some() {
        TaskGroup group;
        for (auto n = 1 + rng_.below(4); n > 0; n--) {
            auto records = random_.commit(model_);
            for (const auto& r : records)
                XSAN_ASSERT(model_.apply(r).has_value());
            history_.push_back(records);
            group.spawn(one_commit(std::move(records), history_.size() - 1));
        }
        co_await group.join();
    }
    void rebuild_model(std::size_t commits) {
        model_ = State();
        for (const auto& r : initial_records(members_, f_.layout))
            XSAN_ASSERT(model_.apply(r).has_value());
        for (std::size_t i = 0; i < commits; i++) {
            for (const auto& r : history_[i])
                XSAN_ASSERT(model_.apply(r).has_value());
        }
    }
    // The assembled state is that of some prefix of the history with everything acknowledged; from
    // now on that prefix is the history.
    void settle() {
        for (std::size_t k = history_.size() + 1; k-- > acknowledged_;) {
            rebuild_model(k);
            State patched = std::move(model_);
            for (std::size_t i = 0; i < members_; i++) {
                Record r;
                r.kind = RecordKind::member_set;
                r.member_index = MemberIndex{static_cast<std::uint16_t>(i)};
                r.member = *patched.find_member(r.member_index);
                r.member.state = f_.store->state().find_member(r.member_index)->state;
                XSAN_ASSERT(patched.apply(r).has_value());
            }
            if (!f_.store->state().equals(patched)) continue;
            history_.resize(k);
            acknowledged_ = k;
            rebuild_model(k);
            return;
        }
        FAIL("the state is that of no prefix with the " << acknowledged_
                                                        << " acknowledged commits");
    }

    StoreFixture f_;
    RandomRecords random_;
    Rng rng_;
    unsigned members_;
    State model_;
    std::vector<std::vector<Record>> history_;
    std::size_t acknowledged_ = 0;
    std::string refusal_;
};

unsigned count_bits(unsigned mask) {
    return static_cast<unsigned>(__builtin_popcount(mask));
}

}  // namespace

TEST_CASE("after a power cut every majority holds every acknowledged commit") {
    unsigned states = 0;
    for (std::uint64_t seed = 1; seed <= rounds(150); seed++) {
        CAPTURE(seed);
        const unsigned members = 2 + static_cast<unsigned>(seed % 4);
        CrashRun run(seed, members);
        run.commit_until_cut(20, run.rng().below(300));
        run.crash();
        // Each subset starts from the same images; what one does is not kept for the next.
        const auto images = run.fixture().images;
        const unsigned last = run.all();
        for (unsigned mask = 1; mask <= last; mask++) {
            if (count_bits(mask) * 2 <= members) continue;
            CAPTURE(mask);
            const auto history = run.save();
            run.fixture().images = images;
            run.fixture().power_up();
            const bool started = run.assemble(mask, UINT64_MAX);
            INFO(run.refusal() << run.fixture().log_lines.text());
            REQUIRE(started);
            run.fixture().close();
            run.restore(history);
            states++;
        }
    }
    CHECK(states > 500 / kFewerRounds);
}

TEST_CASE("histories of crashes, of crashes in assembly, of losses and returns stay consistent") {
    unsigned cuts = 0;
    unsigned starts = 0;
    for (std::uint64_t seed = 1; seed <= rounds(400); seed++) {
        CAPTURE(seed);
        const unsigned members = 2 + static_cast<unsigned>(seed % 4);
        CrashRun run(seed, members);
        for (int round = 0; round < 8; round++) {
            CAPTURE(round);
            if (run.fixture().store) {
                if (run.rng().chance_percent(40)) run.return_members(run.rng().below(400));
                if (run.fixture().power->is_on()) run.commit_until_cut(12, run.rng().below(250));
            }
            run.crash();
            cuts++;
            const unsigned mask = run.rng().chance_percent(30)
                                      ? run.all()
                                      : 1 + static_cast<unsigned>(run.rng().below(run.all()));
            const bool is_cut = run.rng().chance_percent(40);
            const bool started = run.assemble(mask, is_cut ? run.rng().below(150) : UINT64_MAX);
            INFO(run.refusal() << run.fixture().log_lines.text());
            // With everybody there and no cut there is no reason to refuse.
            if (mask == run.all() && !is_cut) REQUIRE(started);
            starts += started ? 1 : 0;
        }
        run.fixture().close();
    }
    CHECK(cuts > 3000 / kFewerRounds);
    CHECK(starts > 1000 / kFewerRounds);
}
