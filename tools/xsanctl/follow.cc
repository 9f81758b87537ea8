// Asking for events again and again.
#include "xsanctl/follow.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include "rpc/json_guard.h"
#include "xsanctl/events.h"
#include "xsanctl/poller.h"
#include "xsanctl/session.h"
#include "xsanctl/status.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kInterval{1};
constexpr std::int64_t kEventsPerCall = 256;

// An interrupt is how following ends: nothing is left to put away, also not in the middle of a call.
void end_well(int) { ::_exit(kExitDone); }

// While this lives SIGINT and SIGTERM end the process with 0.
class SignalsEndWell {
  public:
    SignalsEndWell()
        : interrupt_(std::signal(SIGINT, end_well)), terminate_(std::signal(SIGTERM, end_well)) {}
    ~SignalsEndWell() {
        std::signal(SIGINT, interrupt_);
        std::signal(SIGTERM, terminate_);
    }
    SignalsEndWell(const SignalsEndWell&) = delete;
    SignalsEndWell& operator=(const SignalsEndWell&) = delete;

  private:
    using Handler = void (*)(int);
    Handler interrupt_;
    Handler terminate_;
};

// While this lives those signals wait: lines are not cut.
class SignalsHeld {
  public:
    SignalsHeld() {
        sigset_t held;
        sigemptyset(&held);
        sigaddset(&held, SIGINT);
        sigaddset(&held, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &held, &before_);
    }
    ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsHeld(const SignalsHeld&) = delete;
    SignalsHeld& operator=(const SignalsHeld&) = delete;

  private:
    sigset_t before_{};
};

void print_news(const EventTail::News& news, bool wants_json) {
    const SignalsHeld held;
    if (news.missed > 0 && !wants_json) {
        std::fputs(fmt::format("xsanctl: {} events came too fast and are no longer kept\n", news.missed).c_str(),
                   stderr);
    }
    for (const json& event : news.events) {
        print(wants_json ? rpc::print_json(event) + "\n" : event_line(event));
    }
}

}  // namespace

int run_follow(const Invocation& invocation) {
    const SignalsEndWell signals;
    const std::string pool = text_of(invocation.params, "pool");
    std::optional<std::int64_t> since;
    if (invocation.params.contains("since")) since = invocation.params["since"].get<std::int64_t>();
    EventTail tail(since);
    Poller poller(invocation.socket);
    for (bool has_answered = false;; has_answered = true) {
        auto answer = poller.call(invocation.method, tail.params(pool, kEventsPerCall));
        if (!answer) {
            const rpc::CallError& error = answer.error();
            const bool is_gone = has_answered && error.code == errc_name(Errc::not_found);
            if (!is_gone) return fail(invocation, error);
            print_error(invocation.wants_json, error.code, fmt::format("pool '{}' is gone", pool));
            return kExitRefused;
        }
        const EventTail::News news = tail.take(*answer);
        print_news(news, invocation.wants_json);
        if (!news.has_more) std::this_thread::sleep_for(kInterval);
    }
}

}  // namespace xsan::ctl
