// WearBook: what is written is read back; damaged or hostile bytes are refused, never worse.
#include "base/rng.h"
#include "pool/wear_book.h"
#include "support/catch.h"

namespace xsan::pool {
namespace {

const wl::Endurance kRated{1e12, wl::EnduranceOrigin::assumed};

WearBook some_book(std::size_t events) {
    WearBook book;
    book.policy = "adaptive";
    book.task_is_on = true;
    book.settings = {"growth=5", "schedule=22:00-06:00"};
    book.user_bytes = 12345;
    book.device_bytes = 23456;
    book.last_event = 1000 + events;
    for (std::size_t i = 1; i <= events; i++) {
        book.events.push_back({1000 + i, static_cast<std::int64_t>(1'700'000'000 + i), EventKind::wear_move,
                               "group 7 slot 2: member 4 -> 1"});
    }
    book.heat_seconds = 1'700'000'000;
    for (unsigned g = 0; g < 40; g += 3) book.heat.push_back({GroupIndex{g}, g * 1000.0});
    wl::Account& account = book.account.emplace(kRated, 1'700'000'000);
    account.totals.written[2] = {5, 5 << 20};
    account.totals.reads = {7, 7 << 12};
    account.own_bytes = 5 << 20;
    account.warned_at = 80;
    wl::WearReading reading;
    reading.percentage_used = 81;
    reading.media_errors = 3;
    account.read(reading, wl::WearOrigin::file, 1'700'000'100);
    for (int i = 0; i < 200; i++) account.history.add({1.7e9 + i * 60, 80 + i * 0.001});
    return book;
}

TEST_CASE("a book of wear is read back as it was", "[pool][wear]") {
    const WearBook book = some_book(20);
    const auto bytes = encode_wear_book(book, 60000);
    const auto back = decode_wear_book(bytes, kRated);
    REQUIRE(back);
    CHECK(back->policy == book.policy);
    CHECK(back->task_is_on);
    CHECK(back->settings == book.settings);
    CHECK(back->user_bytes == book.user_bytes);
    CHECK(back->device_bytes == book.device_bytes);
    CHECK(back->last_event == book.last_event);
    REQUIRE(back->events.size() == 20);
    CHECK(back->events.back().text == book.events.back().text);
    CHECK(back->events.back().number == 1020);
    CHECK(back->heat_seconds == book.heat_seconds);
    REQUIRE(back->heat.size() == book.heat.size());
    CHECK(back->heat.back().group == GroupIndex{39});
    CHECK(back->heat.back().rate_bytes == 39000);
    REQUIRE(back->account);
    CHECK(back->account->totals == book.account->totals);
    CHECK(back->account->level() == book.account->level());
    CHECK(back->account->warned_at == 80);
    CHECK(back->account->origin == wl::WearOrigin::file);
    REQUIRE(back->account->reading);
    CHECK(back->account->reading->media_errors == 3u);
    CHECK_FALSE(back->account->reading->temperature_celsius);
    CHECK(back->account->history.points().size() == book.account->history.points().size());
}

TEST_CASE("a book without heat, of an older xsan, is read", "[pool][wear]") {
    WearBook book = some_book(0);
    book.heat.clear();
    auto bytes = encode_wear_book(book, 60000);
    // Time and count of heat lie before the count of events.
    bytes.erase(bytes.end() - 14, bytes.end() - 4);
    bytes[0] = std::byte{1};
    const auto back = decode_wear_book(bytes, kRated);
    REQUIRE(back);
    CHECK(back->policy == book.policy);
    CHECK(back->heat.empty());
    bytes[0] = std::byte{3};
    CHECK_FALSE(decode_wear_book(bytes, kRated));
}

TEST_CASE("moves take half of the room of events at most", "[pool][wear]") {
    EventLog log;
    log.add(0, EventKind::wear_policy, "first");
    for (int i = 0; i < 5000; i++) {
        log.add(1, EventKind::wear_move, "begins");
        log.add(1, EventKind::wear_moved, "ended");
    }
    CHECK(log.all().size() == 1 + EventLog::kMovesMax);
    CHECK(log.first() == 1u);
    CHECK(log.last() == 10001);
    CHECK(log.since(10000, 5).size() == 1);
    REQUIRE(log.newest(600).size() == 1 + EventLog::kMovesMax);
    REQUIRE(log.newest(2).size() == 2);
    CHECK(log.newest(2)[0].number == 10000);
    for (std::size_t i = 0; i < 2 * EventLog::kEventsMax; i++) log.add(2, EventKind::wear_plan, "plan");
    CHECK(log.all().size() == EventLog::kEventsMax);

    WearBook book = some_book(1000);
    book.events.front().kind = EventKind::wear_policy;
    const auto back = decode_wear_book(encode_wear_book(book, 60000), kRated);
    REQUIRE(back);
    CHECK(back->events.front().kind == EventKind::wear_policy);
    CHECK(back->events.back().number == 2000);
    CHECK(back->events.size() < 1000);
}

TEST_CASE("the newest events stay where there is not room for all", "[pool][wear]") {
    const WearBook book = some_book(1000);
    const auto bytes = encode_wear_book(book, 10000);
    CHECK(bytes.size() <= 10000);
    const auto back = decode_wear_book(bytes, kRated);
    REQUIRE(back);
    REQUIRE_FALSE(back->events.empty());
    CHECK(back->events.size() < 1000);
    CHECK(back->events.back().number == 2000);
    REQUIRE(back->account);
}

TEST_CASE("bytes that are cut off or changed are refused or read, never worse", "[pool][wear][fuzz]") {
    const auto bytes = encode_wear_book(some_book(5), 60000);
    for (std::size_t length = 0; length < bytes.size(); length++) {
        REQUIRE_FALSE(decode_wear_book(std::span(bytes).first(length), kRated));
    }
    constexpr std::uint64_t kSeed = 20261129;
    Rng rng(kSeed);
    for (int round = 0; round < 20000; round++) {
        auto changed = bytes;
        for (std::uint64_t n = rng.below(4) + 1; n > 0; n--) {
            changed[rng.below(changed.size())] = static_cast<std::byte>(rng.below(256));
        }
        const auto book = decode_wear_book(changed, kRated);
        if (!book) continue;
        CAPTURE(kSeed, round);
        // What is accepted can be used: by arithmetic and by writing it again.
        if (book->account) REQUIRE((book->account->level() >= 0 && book->account->level() <= 100));
        REQUIRE(decode_wear_book(encode_wear_book(*book, 60000), kRated));
    }
}

}  // namespace
}  // namespace xsan::pool
