// Calls, then a file or an exit code.
#include "xsanctl/wear/run.h"

#include <fmt/format.h>

#include "rpc/json_guard.h"
#include "xsanctl/events.h"
#include "xsanctl/poller.h"
#include "xsanctl/session.h"
#include "xsanctl/status.h"
#include "xsanctl/wear/csv.h"
#include "xsanctl/wear/export.h"
#include "xsanctl/wear/render.h"
#include "xsanctl/wear/whole_file.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl::wear {
namespace {

using nlohmann::json;
using Answer = Result<json, rpc::CallError>;

constexpr std::int64_t kEventsPerCall = 4096;

int refuse(const Invocation& invocation, const Failure& failure) {
    print_error(invocation.wants_json, std::string(errc_name(failure.code)), failure.message);
    return kExitRefused;
}

// All events that are kept, as one answer.
Answer all_events(Poller& poller, const std::string& pool) {
    EventTail tail(0);
    json all;
    json events = json::array();
    for (;;) {
        Answer answer = poller.call("events", tail.params(pool, kEventsPerCall));
        if (!answer) return answer.error();
        EventTail::News news = tail.take(*answer);
        for (auto& event : news.events) events.push_back(std::move(event));
        if (all.is_null()) all = *answer;  // `first` as it was when reading began
        all["last"] = answer->value("last", json());
        if (!news.has_more) break;
    }
    all["events"] = std::move(events);
    return all;
}

// The text of the file. A CSV has one part, for which nothing else is asked.
Result<std::string, rpc::CallError> export_text(const Invocation& invocation) {
    Poller poller(invocation.socket);
    const std::string pool = text_of(invocation.params, "pool");
    const json params = {{"pool", pool}};
    const bool is_csv = invocation.format == "csv";
    if (is_csv && invocation.part == "members") {
        const Answer shown = poller.call("wear.show", params);
        if (!shown) return shown.error();
        return members_csv(*shown);
    }
    if (is_csv && invocation.part == "events") {
        const Answer events = all_events(poller, pool);
        if (!events) return events.error();
        return events_csv(*events);
    }
    const Answer history = poller.call("wear.history", params);
    if (!history) return history.error();
    if (is_csv) return history_csv(*history);
    const Answer show = poller.call("wear.show", params);
    if (!show) return show.error();
    const Answer predict = poller.call("wear.predict", params);
    if (!predict) return predict.error();
    const Answer events = all_events(poller, pool);
    if (!events) return events.error();
    return export_json(*show, *history, *predict, *events);
}

}  // namespace

int run_chart(const Invocation& invocation) {
    Poller poller(invocation.socket);
    const Answer history = poller.call(invocation.method, invocation.params);
    if (!history) return fail(invocation, history.error());
    const auto written = write_whole_file(invocation.file, history_svg(*history));
    if (!written) return refuse(invocation, written.error());
    if (invocation.wants_json) print(rpc::print_json(*history) + "\n");
    return kExitDone;
}

int run_check(const Invocation& invocation) {
    Poller poller(invocation.socket);
    const Answer prediction = poller.call(invocation.method, invocation.params);
    if (!prediction) return fail(invocation, prediction.error());
    // Without thresholds nothing was checked, and silence would say that all is well.
    if (list_of(*prediction, "thresholds").empty()) {
        return refuse(invocation, Failure(Errc::unsupported, "xsand's answer names no thresholds to check"));
    }
    print(invocation.wants_json ? rpc::print_json(*prediction) + "\n" : render_prediction(*prediction));
    const Check check = check_prediction(*prediction, invocation.within_days);
    if (check == Check::foreseen && !invocation.wants_json) {
        const Foreseen next = *next_foreseen(*prediction);
        print(fmt::format("member {} reaches {:g} points in {}\n", next.member, next.threshold, days_text(next.days)));
    }
    switch (check) {
        case Check::none: return kExitDone;
        case Check::foreseen: return kExitForeseen;
        case Check::first: return kExitFirstReached;
        case Check::last: return kExitLastReached;
    }
    return kExitRefused;
}

int run_export(const Invocation& invocation) {
    const auto text = export_text(invocation);
    if (!text) return fail(invocation, text.error());
    const auto written = write_whole_file(invocation.file, *text);
    if (!written) return refuse(invocation, written.error());
    if (invocation.wants_json) {
        const json done = {{"file", invocation.file}, {"format", invocation.format}, {"size_bytes", text->size()}};
        print(rpc::print_json(done) + "\n");
    }
    return kExitDone;
}

}  // namespace xsan::ctl::wear
