// Workload: many concurrent random requests against a Rig, each checked against the model.
#pragma once

#include <string>
#include <vector>

#include "unit/raid/fixture.h"

namespace xsan::test {

class Workload {
  public:
    Workload(Rig& rig, Model& model, std::uint64_t seed) : rig_(rig), model_(model), seed_(seed) {}

    // `workers` tasks, spread over the reactors, of `count` requests each.
    void run(unsigned workers, unsigned count) {
        start(workers, count);
        finish();
    }
    void start(unsigned workers, unsigned count) {
        for (unsigned w = 0; w < workers; w++) {
            rig_.world.spawn(work(++seed_ * 7919, count), w % rig_.world.reactor_count());
        }
    }
    bool running() const { return rig_.world.spawned_running() > 0; }
    void finish() {
        REQUIRE(rig_.world.run_until([&] { return !running(); }));
        INFO(wrong_);
        REQUIRE(wrong_.empty());
    }
    void require_content() {
        std::vector<std::byte> found(model_.bytes());
        const Model::Op op = model_.begin_read(0, found.size());
        REQUIRE(rig_.read(0, found) == Errc::ok);
        const auto bad = model_.check_read(op, found);
        CAPTURE(bad.value_or(0));
        REQUIRE(!bad.has_value());
    }
    unsigned errors() const { return errors_; }
    unsigned stripes_max = 2;  // longest request
    // Requests that touch such blocks may answer with an error.
    bool errors_expected = false;

  private:
    Task<void> work(std::uint64_t seed, unsigned count) {
        Rng rng(seed);
        for (unsigned i = 0; i < count; i++) {
            const std::uint64_t blocks = model_.bytes() / model_.block_bytes();
            const std::uint64_t most = std::min<std::uint64_t>(
                blocks, stripes_max * rig_.scheme().stripe_data_bytes() / model_.block_bytes());
            const std::uint64_t length =
                1 + (rng.chance_percent(60) ? rng.below(std::min<std::uint64_t>(4, most))
                                            : rng.below(most));
            const std::uint64_t first = rng.below(blocks - length + 1);
            const std::uint64_t offset = first * model_.block_bytes();
            const std::uint64_t bytes = length * model_.block_bytes();
            const std::uint64_t what = rng.below(100);
            if (what < 40) {
                co_await one_read(offset, bytes);
            } else {
                raid::WriteFlags flags;
                flags.fua = rng.chance_percent(10);
                flags.stable_buffer = rng.chance_percent(50);
                flags.may_be_torn = rng.chance_percent(10);
                co_await one_write(offset, bytes, what >= 90, flags);
            }
            if (rng.chance_percent(20)) co_await sleep_for(rng.below(300) * kMicrosecond);
            if (rng.chance_percent(5)) co_await flush();
        }
    }
    Task<void> flush() {
        const auto flushed = co_await rig_.engine.flush();
        if (!flushed) errors_++;
    }
    Task<void> one_read(std::uint64_t offset, std::uint64_t bytes) {
        std::vector<std::byte> data(bytes);
        const Model::Op op = model_.begin_read(offset, bytes);
        const auto done = co_await rig_.scoped_read(offset, data);
        if (!done) {
            errors_++;
            co_return;
        }
        if (const auto bad = model_.check_read(op, data)) {
            wrong_ += "wrong content of block " + std::to_string(*bad) + "\n";
        }
    }
    Task<void> one_write(std::uint64_t offset, std::uint64_t bytes, bool zeros,
                         raid::WriteFlags flags) {
        std::vector<std::byte> data(zeros ? 0 : bytes);
        const Model::Op op = model_.begin_write(offset, bytes, data);
        const auto done =
            co_await rig_.scoped_write(offset, bytes, zeros ? nullptr : data.data(), flags);
        model_.end_write(op, done.has_value());
        if (!done) errors_++;
    }

    Rig& rig_;
    Model& model_;
    std::uint64_t seed_;
    unsigned errors_ = 0;
    std::string wrong_;
};

}  // namespace xsan::test
