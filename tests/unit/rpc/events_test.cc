// Properties of events: their lines, and that following gives out each once and in order.
#include "xsanctl/events.h"

#include <algorithm>
#include <string>
#include <vector>

#include "rpc/methods.h"
#include "support/catch.h"
#include "unit/rpc/wear_answers.h"

using namespace xsan;
using namespace xsan::ctl;
using nlohmann::json;
using xsan::test::answer_of;

namespace {

// What a pool answers that keeps the events first..last.
json pool_answer(const json& params, std::int64_t first, std::int64_t last) {
    const bool has_since = params.contains("since");
    const std::int64_t count_max = params["count_max"].get<std::int64_t>();
    std::int64_t begin = has_since ? params["since"].get<std::int64_t>() + 1 : last - count_max + 1;
    begin = std::max(begin, first);
    json events = json::array();
    for (std::int64_t n = begin; n <= last && n < begin + count_max; n++) {
        events.push_back({{"number", n}, {"time", n}, {"kind", "wear_moved"}, {"text", "t"}});
    }
    return {{"pool", "tank"},
            {"first", first <= last ? json(first) : json()},
            {"last", last},
            {"events", events}};
}

std::vector<std::int64_t> numbers(const EventTail::News& news) {
    std::vector<std::int64_t> list;
    for (const auto& event : news.events) list.push_back(event["number"].get<std::int64_t>());
    return list;
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("an event is one line, whatever its text", "[xsanctl][events]") {
    CHECK(event_line(answer_of(R"({"number":42,"time":1795600000,"kind":"wear_moved",
                                   "text":"group 7\n\u001b[J has moved"})")) ==
          "    42  2026-11-25T09:46:40Z  wear_moved        group 7  [J has moved\n");
    CHECK(render_events(answer_of(R"({"events":[]})")) == "no events\n");
}

TEST_CASE("following begins with the last events and goes on without a gap",
          "[xsanctl][events]") {
    EventTail tail({});
    const auto next = [&](std::int64_t first, std::int64_t last) {
        const json params = tail.params("tank", 3);
        return tail.take(pool_answer(params, first, last));
    };
    CHECK(numbers(next(1, 10)) == Numbers{8, 9, 10});
    CHECK(numbers(next(1, 10)).empty());
    auto news = next(1, 15);
    CHECK(numbers(news) == Numbers{11, 12, 13});
    CHECK(news.has_more);
    news = next(1, 15);
    CHECK(numbers(news) == Numbers{14, 15});
    CHECK(!news.has_more);
    CHECK(news.missed == 0);
    news = next(20, 21);
    CHECK(numbers(news) == Numbers{20, 21});
    CHECK(news.missed == 4);
}

TEST_CASE("following a pool without events sees the first one", "[xsanctl][events]") {
    EventTail tail({});
    CHECK(numbers(tail.take(pool_answer(tail.params("tank", 3), 1, 0))).empty());
    CHECK(numbers(tail.take(pool_answer(tail.params("tank", 3), 1, 1))) == Numbers{1});
}

TEST_CASE("following waits for what comes after the number that was given", "[xsanctl][events]") {
    EventTail tail(12);
    CHECK(tail.params("tank", 3) == answer_of(R"({"pool":"tank","since":12,"count_max":3})"));
    CHECK(numbers(tail.take(pool_answer(tail.params("tank", 3), 1, 10))).empty());
    CHECK(numbers(tail.take(pool_answer(tail.params("tank", 3), 1, 13))) == Numbers{13});
}

TEST_CASE("events whose numbers begin anew are read from their beginning", "[xsanctl][events]") {
    EventTail tail(0);
    tail.take(pool_answer(tail.params("tank", 9), 1, 5));
    const auto restarted = tail.take(pool_answer(tail.params("tank", 9), 1, 2));
    CHECK(restarted.events.empty());
    CHECK(restarted.has_more);
    CHECK(numbers(tail.take(pool_answer(tail.params("tank", 9), 1, 2))) == Numbers{1, 2});
}

TEST_CASE("a tail's calls are those that the table declares", "[xsanctl][events]") {
    for (const auto& since : {std::optional<std::int64_t>(), std::optional<std::int64_t>(7)}) {
        json params = EventTail(since).params("tank", 4096);
        CHECK(rpc::check_params(*rpc::find_method("events"), params));
    }
}

TEST_CASE("a tail survives answers of unexpected shape", "[xsanctl][events]") {
    for (const char* text : {"null", "[]", "{}", R"({"events":7,"last":"x","first":{}})",
                             R"({"events":[null,{"number":-5},{"number":1e9}],"last":-3})"}) {
        EventTail tail({});
        CHECK_NOTHROW(tail.take(answer_of(text)));
        CHECK(tail.take(answer_of(text)).events.empty());
    }
}
