// The calls. Output is flushed line by line: it is often read by a pipe while xsanctl waits.
#include "xsanctl/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "rpc/client.h"
#include "rpc/json_guard.h"
#include "xsanctl/render.h"
#include "xsanctl/status.h"
#include "xsanctl/table.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kCallTimeoutMs = 600'000;  // a daemon that stops a pool first flushes everything
constexpr milliseconds kPoll{500};
constexpr milliseconds kWatch{1000};
// Without a terminal: one line of progress per so many polls.
constexpr int kPollsPerLine = 6;
// A daemon that is being restarted answers again within this many polls (30 s).
constexpr int kPollsWithoutDaemon = 60;
constexpr std::size_t kBarWidth = 32;

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

void print_result(const Invocation& invocation, const json& result) {
    print(invocation.wants_json ? rpc::print_json(result) + "\n"
                                : render(invocation.method, result));
}

int fail(const Invocation& invocation, const rpc::CallError& error) {
    print_error(invocation.wants_json, error.code, error.message);
    return error.kind == rpc::CallError::Kind::no_daemon ? kExitNoDaemon : kExitRefused;
}

// Calls the same method again and again, over one connection while it holds.
class Poller {
  public:
    explicit Poller(const Invocation& invocation) : invocation_(invocation) {}

    // The first call fails as it comes. Later ones sit out a restart of the daemon.
    Result<json, rpc::CallError> call() {
        for (int polls = 0;; polls++) {
            auto result = call_once();
            if (result) {
                has_answered_ = true;
                return result;
            }
            client_.reset();
            const bool is_refusal = result.error().kind == rpc::CallError::Kind::refused;
            if (!has_answered_ || is_refusal || polls == kPollsWithoutDaemon) return result;
            std::this_thread::sleep_for(kPoll);
        }
    }

  private:
    Result<json, rpc::CallError> call_once() {
        if (!client_) {
            auto client = rpc::Client::connect(invocation_.socket);
            if (!client) return client.error();
            client_.emplace(std::move(client).value());
        }
        return client_->call(invocation_.method, invocation_.params, kCallTimeoutMs);
    }

    const Invocation& invocation_;
    std::optional<rpc::Client> client_;
    bool has_answered_ = false;
};

// What `assemble` could not use is told beside its result, and is a failure when nothing was started.
int report_refusals(const Invocation& invocation, const json& result) {
    if (invocation.method != "assemble") return kExitDone;
    const Leftovers left = leftovers_of(result);
    if (!invocation.wants_json) {
        for (const std::string& line : left.lines) print_error(false, "", line);
    }
    return left.is_failure ? kExitRefused : kExitDone;
}

int run_call(const Invocation& invocation) {
    Poller poller(invocation);
    auto result = poller.call();
    if (!result) return fail(invocation, result.error());
    print_result(invocation, *result);
    return report_refusals(invocation, *result);
}

// Until interrupted, or until the output's reader is gone (SIGPIPE).
int run_watch(const Invocation& invocation) {
    const bool redraws = ::isatty(STDOUT_FILENO) == 1 && !invocation.wants_json;
    Poller poller(invocation);
    for (;;) {
        auto result = poller.call();
        if (!result) return fail(invocation, result.error());
        if (redraws) {
            print("\x1b[H\x1b[J" + render(invocation.method, *result));
        } else {
            print_result(invocation, *result);
            if (!invocation.wants_json) print("\n");
        }
        std::this_thread::sleep_for(kWatch);
    }
}

// The progress of one wait: a bar that is redrawn on a terminal, otherwise a line now and then.
class ProgressLine {
  public:
    ProgressLine(std::string title, bool silent)
        : title_(std::move(title)), silent_(silent), redraws_(::isatty(STDOUT_FILENO) == 1) {}

    void update(const JobView& view) {
        if (silent_) return;
        const std::string details = view.details.empty() ? "" : "  " + view.details;
        const std::string line = fmt::format("{} {} {:3.0f} %{}", title_,
                                             progress_bar(view.percent, kBarWidth), view.percent,
                                             details);
        if (redraws_) {
            print("\r\x1b[K" + line);
            drawn_ = true;
        } else if (updates_++ % kPollsPerLine == 0) {
            print(line + "\n");
        }
    }
    void finish(const JobView& view) {
        if (silent_) return;
        updates_ = 0;
        if (view.end == JobView::End::done) update(view);
        end_line();
    }
    void end_line() {
        if (drawn_) print("\n");
        drawn_ = false;
    }

  private:
    std::string title_;
    bool silent_;
    bool redraws_;
    bool drawn_ = false;
    int updates_ = 0;
};

int run_wait(const Invocation& invocation, const char* title,
             JobView (*view_of)(const json& status)) {
    Poller poller(invocation);
    ProgressLine progress(title, invocation.wants_json);
    for (;;) {
        auto status = poller.call();
        if (!status) {
            progress.end_line();
            return fail(invocation, status.error());
        }
        const JobView view = view_of(*status);
        if (view.end == JobView::End::running) {
            progress.update(view);
            std::this_thread::sleep_for(kPoll);
            continue;
        }
        progress.finish(view);
        if (view.end == JobView::End::failed) {
            print_error(invocation.wants_json, "failed", view.details);
            return kExitRefused;
        }
        if (invocation.wants_json) print(rpc::print_json(*status) + "\n");
        return kExitDone;
    }
}

}  // namespace

void print_error(bool json_wanted, const std::string& code, const std::string& message) {
    if (json_wanted) {
        json error = json::object();
        error["code"] = code;
        error["message"] = message;
        print(rpc::print_json(error) + "\n");
        return;
    }
    // One line, whatever the daemon has sent.
    std::string line = message;
    for (char& c : line) {
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    std::fputs(fmt::format("xsanctl: {}\n", line).c_str(), stderr);
}

int run(const Invocation& invocation) {
    switch (invocation.action) {
        case Invocation::Action::call: return run_call(invocation);
        case Invocation::Action::watch: return run_watch(invocation);
        case Invocation::Action::wait_rebuild:
            return run_wait(invocation, "rebuild", view_rebuild);
        case Invocation::Action::compare_wear:
            return wear::run_compare(invocation.compare, invocation.wants_json);
        case Invocation::Action::wait_scrub: return run_wait(invocation, "scrub", view_scrub);
    }
    return kExitUsage;
}

}  // namespace xsan::ctl
