// Lines of events, and the tail.
#include "xsanctl/events.h"

#include <fmt/format.h>

#include <algorithm>

#include "xsanctl/status.h"
#include "xsanctl/wear/words.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

constexpr std::int64_t kNone = -1;

// A number that counts events; kNone where there is none.
std::int64_t count_of(const json& object, const char* key) {
    if (!object.is_object()) return kNone;
    const auto at = object.find(key);
    if (at == object.end() || !at->is_number_integer()) return kNone;
    return std::max(at->get<std::int64_t>(), kNone);
}

}  // namespace

std::string event_line(const json& event) {
    return fmt::format("{:>6}  {:<20}  {:<16}  {}\n", text_of(event, "number"),
                       wear::time_of(event, "time"), wear::printable(text_of(event, "kind")),
                       wear::printable(text_of(event, "text")));
}

std::string render_events(const json& result) {
    const json& events = list_of(result, "events");
    if (events.empty()) return "no events\n";
    std::string text;
    for (const auto& event : events) text += event_line(event);
    return text;
}

json EventTail::params(const std::string& pool, std::int64_t count_max) const {
    json params = {{"pool", pool}, {"count_max", count_max}};
    if (since_) params["since"] = *since_;
    return params;
}

EventTail::News EventTail::take(const json& result) {
    News news;
    const std::int64_t last = std::max<std::int64_t>(count_of(result, "last"), 0);
    if (has_read_ && last < last_) {
        // Numbers began anew, as of another pool of that name: so does the tail.
        since_ = 0;
        last_ = last;
        news.has_more = last > 0;
        return news;
    }
    const std::int64_t first = count_of(result, "first");
    if (has_read_ && first > 0 && since_ && first > *since_ + 1) news.missed = first - *since_ - 1;
    for (const auto& event : list_of(result, "events")) {
        const std::int64_t number = count_of(event, "number");
        if (number == kNone || (since_ && number <= *since_)) continue;
        since_ = number;
        news.events.push_back(event);
    }
    // Without any event the next one is new, whatever its number.
    if (!since_) since_ = last;
    has_read_ = true;
    last_ = last;
    news.has_more = !news.events.empty() && *since_ < last;
    return news;
}

}  // namespace xsan::ctl
