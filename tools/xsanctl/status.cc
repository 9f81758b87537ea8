// Reading job states.
#include "xsanctl/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "xsanctl/table.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

const json* find(const json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto at = object.find(key);
    return at == object.end() || at->is_null() ? nullptr : &*at;
}

std::uint64_t whole(double number) {
    if (!(number > 0)) return 0;
    return static_cast<std::uint64_t>(std::min(number, 9e18));
}

bool is_rebuild_kind(const std::string& kind) {
    return kind == "rebuild" || kind == "replace" || kind == "relocate";
}

struct Jobs {
    std::size_t active = 0;
    bool failed = false;
    bool paused = false;
    double percent_sum = 0;
    double rate = 0;
    double eta = -1;
};

Jobs sum_up(const json& status) {
    Jobs sum;
    const json* jobs = find(status, "jobs");
    if (jobs == nullptr || !jobs->is_array()) return sum;
    for (const auto& job : *jobs) {
        if (!is_rebuild_kind(text_of(job, "kind"))) continue;
        const std::string state = text_of(job, "state");
        sum.failed = sum.failed || state == "failed";
        if (state != "running" && state != "paused") continue;
        sum.active++;
        sum.paused = sum.paused || state == "paused";
        sum.percent_sum += number_of(job, "percent", 0);
        sum.rate += number_of(job, "rate_bytes", 0);
        sum.eta = std::max(sum.eta, number_of(job, "eta_seconds", -1));
    }
    return sum;
}

}  // namespace

Leftovers leftovers_of(const json& result) {
    Leftovers left;
    for (const char* key : {"refused", "notes"}) {
        const json* list = find(result, key);
        if (list == nullptr || !list->is_array()) continue;
        for (const auto& one : *list) {
            const bool has_pool = find(one, "pool") != nullptr;
            left.lines.push_back((has_pool ? "pool " + text_of(one, "pool") + ": " : std::string()) +
                                 text_of(one, "message"));
        }
    }
    const json* pools = find(result, "pools");
    const bool none = pools == nullptr || !pools->is_array() || pools->empty();
    left.is_failure = none && !left.lines.empty();
    return left;
}

std::string text_of(const json& object, const char* key) {
    const json* value = find(object, key);
    if (value == nullptr) return "-";
    return value->is_string() ? value->get<std::string>() : value->dump();
}

double number_of(const json& object, const char* key, double otherwise) {
    const json* value = find(object, key);
    return value != nullptr && value->is_number() ? value->get<double>() : otherwise;
}

const json& list_of(const json& object, const char* key) {
    static const json kNone = json::array();
    const json* value = find(object, key);
    return value != nullptr && value->is_array() ? *value : kNone;
}

const json& object_of(const json& object, const char* key) {
    static const json kNone;
    const json* value = find(object, key);
    return value != nullptr && value->is_object() ? *value : kNone;
}

std::string size_of(const json& object, const char* key) {
    const json* value = find(object, key);
    if (value == nullptr || !value->is_number_integer()) return "-";
    return format_size(value->get<std::uint64_t>());
}

std::string pace_of(const json& job) {
    std::string text;
    const double rate = number_of(job, "rate_bytes", 0);
    if (rate > 0) text = fmt::format("{}/s", format_size(whole(rate)));
    const double eta = number_of(job, "eta_seconds", -1);
    if (eta >= 0) {
        if (!text.empty()) text += "  ";
        text += fmt::format("eta {}", format_seconds(whole(eta)));
    }
    return text;
}

JobView view_rebuild(const json& status) {
    const Jobs jobs = sum_up(status);
    const double pending = number_of(status, "pending_groups", 0);
    const double unplaced = number_of(status, "unplaced_groups", 0);
    const double lost = number_of(status, "failed_groups", 0);
    JobView view;
    if (jobs.active > 0) {
        view.percent = jobs.percent_sum / static_cast<double>(jobs.active);
        json pace = {{"rate_bytes", jobs.rate}};
        if (jobs.eta >= 0) pace["eta_seconds"] = jobs.eta;
        view.details = jobs.paused ? "paused" : pace_of(pace);
        return view;
    }
    if (pending > 0) {
        if (!jobs.failed) return view;  // a job for them is about to start
        view.end = JobView::End::failed;
        view.details = fmt::format("the rebuild failed with {} groups left: see xsand's log",
                                   whole(pending));
    } else if (lost > 0) {
        view.end = JobView::End::failed;
        view.details = fmt::format("{} groups have lost more than can be rebuilt", whole(lost));
    } else if (unplaced > 0) {
        view.end = JobView::End::failed;
        view.details = fmt::format("{} groups have no place to be rebuilt to: add a drive",
                                   whole(unplaced));
    } else {
        view.end = JobView::End::done;
        view.percent = 100;
    }
    return view;
}

JobView view_scrub(const json& status) {
    const std::string state = text_of(status, "state");
    JobView view;
    view.percent = number_of(status, "percent", 0);
    if (state == "failed") {
        view.end = JobView::End::failed;
        view.details = "the scrub failed: see xsand's log";
        return view;
    }
    view.details = fmt::format("{} stripes, {} mismatches, {} errors",
                               text_of(status, "stripes_checked"), text_of(status, "mismatches"),
                               text_of(status, "errors"));
    if (number_of(status, "repaired", 0) > 0) {
        view.details += fmt::format(", {} repaired", text_of(status, "repaired"));
    }
    if (text_of(status, "resumed") == "true") view.details += ", begun before a restart";
    if (state != "running" && state != "paused") view.end = JobView::End::done;
    if (view.end == JobView::End::done) view.percent = 100;
    return view;
}

}  // namespace xsan::ctl
