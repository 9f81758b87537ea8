// Joins control commands on helper threads with queues on reactors.
#include "ublk/target.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "reactor/cross.h"

namespace xsan::ublk {
namespace {

// Runs fn() on a helper thread and brings its value here. Pass a named callable.
template <class F>
Task<std::invoke_result_t<F&>> on_helper(Offload& offload, F& fn) {
    std::optional<std::invoke_result_t<F&>> value;
    std::function<void()> work = [&value, &fn] { value.emplace(fn()); };
    co_await offload.run(std::move(work));
    co_return std::move(*value);
}

// The same for a function without a value.
template <class F>
Task<void> do_on_helper(Offload& offload, F& fn) {
    std::function<void()> work = [&fn] { fn(); };
    co_await offload.run(std::move(work));
}

}  // namespace

Target::~Target() {
    XSAN_ASSERT(state_ != State::serving);
}

Outcome<void> Target::make_queues(ReadyDevice ready, Reactors reactors, bool recovered) {
    info_ = ready.info;
    file_ = std::move(ready.file);
    size_bytes_ = ready.size_bytes;
    for (unsigned index = 0; index < info_.queues; index++) {
        QueueConfig config;
        config.number = info_.number;
        config.index = index;
        config.depth = info_.depth;
        config.io_bytes_max = info_.io_bytes_max;
        config.size_bytes = ready.size_bytes;
        config.char_fd = file_.fd();
        config.recovered = recovered;
        config.repetition_window_ns = ready.repetition_window_ns;
        auto queue = Queue::create(config, device_, *reactors[index % reactors.size()]);
        if (!queue.has_value()) {
            return Failure(queue.error().code,
                           fmt::format("cannot map queue {} of {}: {}", index, path(),
                                       std::strerror(queue.error().os_errno)));
        }
        queues_.push_back(std::move(queue).value());
    }
    return {};
}

Task<void> Target::start_queues() {
    for (auto& queue : queues_) {
        auto start = [&queue] { return queue->start(); };
        co_await call_on(queue->reactor(), start);
    }
}

Task<void> Target::wait_queues_ended() {
    for (auto& queue : queues_) {
        auto wait = [&queue] { return queue->wait_ended(); };
        co_await call_on(queue->reactor(), wait);
    }
}

Task<void> Target::leave_queues() {
    for (auto& queue : queues_) {
        auto abandon = [&queue] { return queue->abandon(); };
        co_await call_on(queue->reactor(), abandon);
        auto leave = [&queue] { return queue->leave_fetches(); };
        co_await call_on(queue->reactor(), leave);
    }
}

TargetIo Target::io() const {
    TargetIo sum = ended_io_;
    for (const auto& queue : queues_) sum += queue->io();
    return sum;
}

// After they have ended.
void Target::drop_queues() {
    ended_io_ = io();
    queues_.clear();
}

// After the queues have ended.
Task<void> Target::close_device() {
    drop_queues();
    file_.close();
    auto delete_it = [this] { forget(info_.number); };
    co_await do_on_helper(offload_, delete_it);
}

Task<Outcome<std::unique_ptr<Target>>> Target::start(dev::BlockDevice& device,
                                                     TargetOptions options, Reactors reactors,
                                                     Offload& offload) {
    XSAN_ASSERT(!reactors.empty());
    if (options.queues == 0) options.queues = static_cast<unsigned>(reactors.size());
    std::unique_ptr<Target> target(new Target(device, offload));
    auto add = [&]() -> Outcome<void> {
        XSAN_TRY(ReadyDevice ready, add_device(device.limits(), options));
        auto made = target->make_queues(std::move(ready), reactors, false);
        if (made.has_value()) return {};
        target->queues_.clear();
        target->file_.close();
        forget(target->number());
        return made;
    };
    XSAN_CO_TRY_VOID(on_helper(offload, add));
    co_await target->start_queues();

    auto go = [&] {
        if (options.before_start) options.before_start(target->number());
        return start_device(target->number());
    };
    const auto started = co_await on_helper(offload, go);
    if (started.has_value()) {
        target->state_ = State::serving;
        co_return std::move(target);
    }
    auto stop_it = [&] { return stop_failed(target->number()); };
    const auto stopped = co_await on_helper(offload, stop_it);
    if (stopped.has_value()) {
        co_await target->wait_queues_ended();
        co_await target->close_device();
    } else {
        // The kernel keeps the fetches and with them our buffers, until this process ends.
        log(LogLevel::error, "ublk: {}", stopped.error().message);
        co_await target->leave_queues();
        (void)target.release();
    }
    co_return Unexpected{started.error()};
}

Task<Outcome<std::unique_ptr<Target>>> Target::recover(dev::BlockDevice& device, unsigned number,
                                                       TargetOptions options, Reactors reactors,
                                                       Offload& offload) {
    XSAN_ASSERT(!reactors.empty());
    std::unique_ptr<Target> target(new Target(device, offload));
    auto take = [&]() -> Outcome<void> {
        XSAN_TRY(ReadyDevice ready, take_over(number, device.limits(), options));
        return target->make_queues(std::move(ready), reactors, true);
    };
    XSAN_CO_TRY_VOID(on_helper(offload, take));
    co_await target->start_queues();

    auto go = [&] { return finish_take_over(number); };
    const auto ended = co_await on_helper(offload, go);
    if (ended.has_value()) {
        target->state_ = State::serving;
        co_return std::move(target);
    }
    // The device waits on; what the kernel got of ours stays with it until this process ends.
    co_await target->leave_queues();
    (void)target.release();
    co_return Unexpected{ended.error()};
}

Task<Outcome<void>> Target::stop() {
    if (state_ != State::serving) co_return Outcome<void>();
    auto stop_it = [this] { return stop_unused(info_.number); };
    XSAN_CO_TRY_VOID(on_helper(offload_, stop_it));
    co_await wait_queues_ended();
    co_await close_device();
    state_ = State::stopped;
    co_return Outcome<void>();
}

Task<void> Target::abandon() {
    if (state_ != State::serving) co_return;
    for (auto& queue : queues_) {
        auto abandon_it = [&queue] { return queue->abandon(); };
        co_await call_on(queue->reactor(), abandon_it);
    }
    auto give = [this] { return give_back(info_); };
    const bool given = co_await on_helper(offload_, give);
    if (given) {
        co_await wait_queues_ended();
        drop_queues();
        file_.close();
    } else {
        co_await leave_queues();
    }
    state_ = State::abandoned;
}

Task<void> Target::set_queue_sizes(std::uint64_t bytes) {
    for (auto& queue : queues_) {
        auto set = [&queue, bytes] { return queue->set_size(bytes); };
        co_await call_on(queue->reactor(), set);
    }
}

Task<Outcome<void>> Target::resize(std::uint64_t bytes) {
    if (state_ != State::serving) {
        co_return Failure(Errc::invalid_argument, path() + " is not attached");
    }
    // Queues learn a larger size first and a smaller one last: requests up to the kernel's end are
    // served.
    const std::uint64_t old_bytes = size_bytes_;
    if (bytes > old_bytes) co_await set_queue_sizes(bytes);
    auto tell = [this, bytes] { return set_device_size(info_, bytes); };
    const auto told = co_await on_helper(offload_, tell);
    if (told.has_value()) size_bytes_ = bytes;
    co_await set_queue_sizes(size_bytes_);
    co_return told;
}

}  // namespace xsan::ublk
