// Properties of the io_uring reactor: slab, back-pressure, cancellation, wake-up, registered files.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "reactor/cross.h"
#include "reactor/thread_offload.h"
#include "support/catch.h"
#include "unit/reactor/run_task.h"

using namespace xsan;
using test::make_pool;
using test::make_reactor;
using test::run_task;

namespace {

// Awaits one ring operation that `fill` describes.
template <class Fill>
class RingOp {
  public:
    explicit RingOp(Fill fill) : fill_(std::move(fill)) {}
    // GCC 12 copies a captured awaitable that can be copied, and awaits the copy.
    RingOp(const RingOp&) = delete;
    RingOp& operator=(const RingOp&) = delete;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        op_.owner = this;
        op_.done = [](UringOp& op, UringResult result) {
            auto& self = *static_cast<RingOp*>(op.owner);
            self.result_ = result;
            self.handle_.resume();
        };
        fill_(*UringReactor::current().prepare(op_));
    }
    UringResult await_resume() const noexcept { return result_; }
    UringOp& op() { return op_; }

  private:
    Fill fill_;
    UringOp op_;
    UringResult result_;
    std::coroutine_handle<> handle_;
};

void fill_nop(io_uring_sqe& sqe) {
    sqe.opcode = IORING_OP_NOP;
}

struct Count {
    int done = 0;
    static void add(UringOp& op, UringResult result) {
        CHECK(result.value == 0);
        static_cast<Count*>(op.owner)->done++;
    }
};

}  // namespace

TEST_CASE("a submission queue that is full is submitted, and no completion is lost", "[uring]") {
    UringOptions options;
    options.entries = 8;  // completion queue: 64, so 1000 at once overflow it
    options.slab_slots = 1024;
    auto reactor = make_reactor(options);
    Count count;
    run_task(*reactor, [&]() -> Task<void> {
        UringReactor& here = UringReactor::current();
        for (int round = 1; round <= 20; round++) {
            std::vector<UringOp> ops(1000);
            for (auto& op : ops) {
                op.owner = &count;
                op.done = Count::add;
                here.prepare(op)->opcode = IORING_OP_NOP;
            }
            CHECK(here.in_flight() == 1000);
            while (here.in_flight() > 0)
                co_await yield();
            CHECK(count.done == round * 1000);
        }
    });
}

TEST_CASE("more operations than the slab was sized for run as well, and it is used again", "[uring]") {
    UringOptions options;
    options.entries = 64;
    options.slab_slots = 1024;
    auto reactor = make_reactor(options);
    Count count;
    run_task(*reactor, [&]() -> Task<void> {
        UringReactor& here = UringReactor::current();
        for (int round = 1; round <= 3; round++) {
            std::vector<UringOp> ops(5000);
            for (auto& op : ops) {
                op.owner = &count;
                op.done = Count::add;
                here.prepare(op)->opcode = IORING_OP_NOP;
            }
            while (here.in_flight() > 0)
                co_await yield();
            CHECK(count.done == round * 5000);
        }
    });
}

TEST_CASE("completions arrive while the ready queue never empties", "[uring]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        bool ended = false;
        auto spinner = [&]() -> Task<void> {
            while (!ended)
                co_await yield();
        };
        TaskGroup group;
        group.spawn(spinner());
        for (int i = 0; i < 100; i++) {
            RingOp nop(fill_nop);
            const auto result = co_await nop;
            CHECK(result.value == 0);
        }
        co_await sleep_for(kMillisecond);
        ended = true;
        co_await group.join();
    });
}

TEST_CASE("a cancelled operation completes with ECANCELED", "[uring]") {
    auto reactor = make_reactor();
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    run_task(*reactor, [&]() -> Task<void> {
        std::uint64_t value = 0;
        RingOp read([&](io_uring_sqe& sqe) {
            sqe.opcode = IORING_OP_READ;
            sqe.fd = fd;
            sqe.addr = reinterpret_cast<std::uintptr_t>(&value);
            sqe.len = sizeof(value);
        });
        auto reader = [&]() -> Task<void> {
            auto& captured = read;  // see RingOp's copy constructor
            const auto result = co_await captured;
            CHECK(result.value == -ECANCELED);
        };
        TaskGroup group;
        group.spawn(reader());
        co_await sleep_for(kMillisecond);
        UringReactor::current().cancel_op(read.op());
        co_await group.join();
        UringReactor::current().cancel_op(read.op());  // has ended: nothing happens
    });
    ::close(fd);
}

TEST_CASE("a registered file serves operations and survives its descriptor", "[uring]") {
    auto reactor = make_reactor();
    run_task(*reactor, []() -> Task<void> {
        UringReactor& here = UringReactor::current();
        const int fd = ::memfd_create("registered", MFD_CLOEXEC);
        REQUIRE(::write(fd, "text", 4) == 4);
        const auto slot = here.register_file(fd);
        REQUIRE(slot.has_value());
        ::close(fd);
        char text[4] = {};
        RingOp read([&](io_uring_sqe& sqe) {
            sqe.opcode = IORING_OP_READ;
            sqe.flags |= IOSQE_FIXED_FILE;
            sqe.fd = static_cast<int>(*slot);
            sqe.addr = reinterpret_cast<std::uintptr_t>(text);
            sqe.len = sizeof(text);
        });
        const auto result = co_await read;
        CHECK(result.value == 4);
        CHECK(std::string(text, 4) == "text");
        here.unregister_file(*slot);
        const auto again = co_await read;
        CHECK(again.value == -EBADF);
    });
}

TEST_CASE("a reactor may be stopped and run again", "[uring]") {
    auto reactor = make_reactor();
    for (int i = 0; i < 3; i++) {
        int ran = 0;
        run_task(*reactor, [&]() -> Task<void> {
            RingOp nop(fill_nop);
            co_await nop;
            co_await sleep_for(kMillisecond);
            ran++;
        });
        CHECK(ran == 1);
        CHECK(reactor->in_flight() == 0);
    }
}

TEST_CASE("post wakes a sleeping reactor, every time", "[uring]") {
    auto pool = make_pool(2);
    run_task(*pool, [&]() -> Task<void> {
        // Each hop finds the other reactor asleep or falling asleep: a lost wake-up hangs the test.
        for (int i = 0; i < 20'000; i++) {
            co_await SwitchTo(pool->at(1));
            co_await SwitchTo(pool->at(0));
        }
    });
}

TEST_CASE("posts of one poster arrive in order, from many threads at once", "[uring]") {
    constexpr int kThreads = 4;
    constexpr int kEach = 5'000;
    struct Node : RemoteWork {
        int thread = 0;
        int number = 0;
        std::vector<int>* last = nullptr;
        int* total = nullptr;
    };
    auto reactor = make_reactor();
    std::vector<int> last(kThreads, -1);
    int total = 0;
    std::vector<std::vector<Node>> nodes(kThreads, std::vector<Node>(kEach));
    run_task(*reactor, [&]() -> Task<void> {
        std::vector<std::thread> threads;
        Reactor& here = Reactor::current();
        for (int t = 0; t < kThreads; t++) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < kEach; i++) {
                    Node& node = nodes[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
                    node.thread = t;
                    node.number = i;
                    node.last = &last;
                    node.total = &total;
                    node.run = [](RemoteWork& work) {
                        auto& self = static_cast<Node&>(work);
                        int& before = (*self.last)[static_cast<std::size_t>(self.thread)];
                        XSAN_ASSERT(self.number == before + 1);
                        before = self.number;
                        ++*self.total;
                    };
                    here.post(node);
                }
            });
        }
        while (total < kThreads * kEach)
            co_await sleep_for(kMillisecond);
        for (auto& thread : threads)
            thread.join();
    });
    CHECK(total == kThreads * kEach);
}

TEST_CASE("blocking calls run on helpers and come home", "[offload]") {
    auto pool = make_pool(2);
    ThreadOffload offload(2);
    run_task(*pool, [&]() -> Task<void> {
        const auto home = std::this_thread::get_id();
        int ran = 0;
        for (int i = 0; i < 200; i++) {
            std::thread::id where;
            std::function<void()> work = [&] {
                where = std::this_thread::get_id();
                ran++;
            };
            co_await offload.run(work);
            CHECK(where != home);
            CHECK(std::this_thread::get_id() == home);
        }
        CHECK(ran == 200);
        // Two that block do not block the loop or each other.
        std::vector<Task<void>> sleepers;
        for (int i = 0; i < 2; i++) {
            sleepers.push_back(offload.run([] { ::usleep(20'000); }));
        }
        bool ticked = false;
        auto tick = [&]() -> Task<void> {
            co_await sleep_for(kMillisecond);
            ticked = true;
        };
        TaskGroup group;
        group.spawn(tick());
        co_await when_all(std::span(sleepers));
        CHECK(ticked);
        co_await group.join();
    });
}

TEST_CASE("the loop says what the kernel granted", "[uring]") {
    auto reactor = make_reactor();
    const auto& features = reactor->features();
    // Linux 6.1, the lowest supported, has all of these.
    CHECK(features.large_entries);
    CHECK((features.single_issuer_defer_taskrun || features.cooperative_taskrun));
    // Two for each of 1024 passthrough members, unless the process may not have so many files.
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(features.file_slots >= std::min<rlim_t>(2048, limit.rlim_cur));
}

TEST_CASE("a turn of the loop has one time, and the next one a later one", "[uring]") {
    auto reactor = make_reactor();
    run_task(*reactor, [&]() -> Task<void> {
        const TimeNs first = reactor->turn_time();
        ::usleep(2'000);
        const TimeNs again = reactor->turn_time();
        CHECK(again == first);
        CHECK(reactor->now() >= first + 2 * kMillisecond);
        co_await sleep_for(kMillisecond);
        CHECK(reactor->turn_time() >= first + 3 * kMillisecond);
        CHECK(reactor->turn_time() <= reactor->now());
    });
}
