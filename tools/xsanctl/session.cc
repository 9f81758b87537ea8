// The calls. Output is flushed line by line: it is often read by a pipe while xsanctl waits.
#include "xsanctl/session.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "rpc/json_guard.h"
#include "xsanctl/follow.h"
#include "xsanctl/poller.h"
#include "xsanctl/render.h"
#include "xsanctl/status.h"
#include "xsanctl/table.h"
#include "xsanctl/wear/run.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

// Without a terminal: one line of progress per so many polls.
constexpr int kPollsPerLine = 6;
constexpr std::size_t kProgressBarWidth = 32;
constexpr long kWidthMost = 10'000;

// The first of these that is set decides, as in setlocale(3).
bool is_utf8_locale() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(name);
        if (value == nullptr || *value == '\0') continue;
        const std::string_view locale = value;
        return locale.find("UTF-8") != std::string_view::npos ||
               locale.find("utf8") != std::string_view::npos;
    }
    return false;
}

void print_result(const Invocation& invocation, const json& result) {
    print(invocation.wants_json ? rpc::print_json(result) + "\n"
                                : render(invocation.method, result, view_of(invocation)));
}

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
    Poller poller(invocation.socket);
    auto result = poller.call(invocation.method, invocation.params);
    if (!result) return fail(invocation, result.error());
    print_result(invocation, *result);
    return report_refusals(invocation, *result);
}

// As often as was asked for, until interrupted, or until the output's reader is gone (SIGPIPE).
int run_watch(const Invocation& invocation) {
    const bool redraws = ::isatty(STDOUT_FILENO) == 1 && !invocation.wants_json;
    Poller poller(invocation.socket);
    for (std::uint64_t shown = 1;; shown++) {
        auto result = poller.call(invocation.method, invocation.params);
        if (!result) return fail(invocation, result.error());
        if (redraws) {
            print("\x1b[H\x1b[J" + render(invocation.method, *result, view_of(invocation)));
        } else {
            print_result(invocation, *result);
            if (!invocation.wants_json) print("\n");
        }
        if (shown == invocation.count) return kExitDone;
        std::this_thread::sleep_for(std::chrono::duration<double>(invocation.interval_seconds));
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
        const std::string line =
            fmt::format("{} {} {:3.0f} %{}", title_, progress_bar(view.percent, kProgressBarWidth),
                        view.percent, details);
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
    Poller poller(invocation.socket);
    ProgressLine progress(title, invocation.wants_json);
    for (;;) {
        auto status = poller.call(invocation.method, invocation.params);
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

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

int fail(const Invocation& invocation, const rpc::CallError& error) {
    print_error(invocation.wants_json, error.code, error.message);
    return error.kind == rpc::CallError::Kind::no_daemon ? kExitNoDaemon : kExitRefused;
}

View view_of(const Invocation& invocation) {
    View view;
    view.chart = invocation.chart;
    const char* columns = std::getenv("COLUMNS");
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        view.width = size.ws_col;
    } else if (columns != nullptr) {
        const long width = std::strtol(columns, nullptr, 10);
        if (width > 0 && width <= kWidthMost) view.width = static_cast<std::size_t>(width);
    }
    // What is written to a file or a pipe is the same everywhere.
    view.unicode = ::isatty(STDOUT_FILENO) == 1 && is_utf8_locale();
    return view;
}

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
        case Invocation::Action::chart_history: return wear::run_chart(invocation);
        case Invocation::Action::check_prediction: return wear::run_check(invocation);
        case Invocation::Action::export_wear: return wear::run_export(invocation);
        case Invocation::Action::follow_events: return run_follow(invocation);
    }
    return kExitUsage;
}

}  // namespace xsan::ctl
