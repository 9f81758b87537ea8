// Accounts: what is counted, what a reading changes, what a reset takes away.
#include "support/catch.h"
#include "wl/account.h"

namespace xsan::wl {
namespace {

constexpr double kRated = 1e12;
const Endurance kEndurance{kRated, EnduranceOrigin::configured};

AccountTotals wrote(AccountKind kind, std::uint64_t bytes) {
    AccountTotals totals;
    totals.written[static_cast<std::size_t>(kind)] = {1, bytes};
    return totals;
}

TEST_CASE("what we write wears a drive that says nothing itself", "[wl][account]") {
    Account account(kEndurance, 100);
    account.wrote(wrote(AccountKind::data, 200'000'000'000));
    account.wrote(wrote(AccountKind::log, 50'000'000'000));
    account.read(std::nullopt, WearOrigin::own, 110);
    CHECK(account.level() == Approx(25.0));
    CHECK(account.totals.writes().count == 2);
    CHECK(account.totals.of(AccountKind::log).bytes == 50'000'000'000);
    CHECK(account.origin == WearOrigin::own);
}

TEST_CASE("what a drive says goes before what we counted, also when it is silent later", "[wl][account]") {
    Account account(kEndurance, 100);
    account.wrote(wrote(AccountKind::data, 900'000'000'000));
    WearReading reading;
    reading.percentage_used = 40;
    account.read(reading, WearOrigin::file, 120);
    CHECK(account.level() == Approx(40.0).margin(1));
    CHECK(account.origin == WearOrigin::file);
    account.read(WearReading{}, WearOrigin::drive, 130);
    CHECK(account.level() == Approx(40.0).margin(1));
    CHECK(account.origin == WearOrigin::file);
    CHECK(account.reading_seconds == 120);
}

TEST_CASE("a reset begins anew what was counted, and with history all that was known", "[wl][account]") {
    Account account(kEndurance, 100);
    account.wrote(wrote(AccountKind::parity, 100'000'000'000));
    account.read(std::nullopt, WearOrigin::own, 0);
    account.history.add({100, account.level()});
    account.reset(200, false);
    CHECK(account.totals == AccountTotals{});
    CHECK(account.since_seconds == 200);
    CHECK(account.level() == Approx(10.0));
    CHECK(account.history.points().size() == 1);
    account.reset(300, true);
    account.read(std::nullopt, WearOrigin::own, 0);
    CHECK(account.level() == 0);
    CHECK(account.history.points().empty());
}

TEST_CASE("counters that began anew are counted from zero", "[wl][account]") {
    const AccountTotals before = wrote(AccountKind::data, 500);
    CHECK(wrote(AccountKind::data, 700).since(before).writes().bytes == 200);
    AccountTotals anew;
    anew.written[0] = {0, 300};
    CHECK(anew.since(before).writes().bytes == 300);
}

TEST_CASE("another rating changes the level of a drive that says nothing itself", "[wl][account]") {
    Account account(kEndurance, 0);
    account.wrote(wrote(AccountKind::data, 100'000'000'000));
    account.read(std::nullopt, WearOrigin::own, 0);
    CHECK(account.level() == Approx(10.0));
    account.rate({2 * kRated, EnduranceOrigin::model});
    CHECK(account.level() == Approx(5.0));
}

TEST_CASE("a drive below its own threshold of spare blocks is worn out", "[wl][account]") {
    Account account(kEndurance, 0);
    CHECK_FALSE(is_worn_out(account));
    WearReading reading;
    reading.spare_percent = 4;
    account.read(reading, WearOrigin::drive, 1);
    CHECK_FALSE(is_worn_out(account));
    reading.spare_threshold_percent = 5;
    account.read(reading, WearOrigin::drive, 2);
    CHECK(is_worn_out(account));
}

TEST_CASE("write amplification is all that was written for each byte of users", "[wl][account]") {
    AccountTotals totals = wrote(AccountKind::parity, 500);
    CHECK_FALSE(totals.amplification());
    totals.add(wrote(AccountKind::data, 1000));
    CHECK(totals.amplification() == 1.5);
    totals.reads = {9, 9000};
    totals.add(wrote(AccountKind::metadata, 500));
    CHECK(totals.amplification() == 2.0);
}

TEST_CASE("the outlook is of the lowest threshold that was not reached", "[wl][account]") {
    constexpr double kThresholds[] = {10, 20};
    Account account(kEndurance, 0);
    CHECK(outlook_of(account, kThresholds).threshold == 10.0);
    CHECK_FALSE(outlook_of(account, kThresholds).time);
    account.wrote(wrote(AccountKind::data, 100'000'000'000));
    account.read(std::nullopt, WearOrigin::own, 0);
    for (int day = 0; day <= 10; day++) account.history.add({day * 86400.0, day * 1.0});
    const Outlook outlook = outlook_of(account, kThresholds);
    CHECK(outlook.threshold == 20.0);  // 10 is reached
    REQUIRE(outlook.time);
    CHECK(outlook.time->expected_seconds == Approx(10 * 86400.0));
    account.wrote(wrote(AccountKind::data, 100'000'000'000));
    account.read(std::nullopt, WearOrigin::own, 0);
    CHECK_FALSE(outlook_of(account, kThresholds).threshold);
    CHECK_FALSE(outlook_of(account, {}).time);
}

TEST_CASE("a meter and a history go on from what another one knew", "[wl][account]") {
    WearMeter meter(kRated);
    WearReading reading;
    for (const double percent : {10, 11, 12}) {
        reading.percentage_used = percent;
        meter.update(reading, percent * 5e9);
    }
    WearMeter other(kRated);
    REQUIRE(other.restore(meter.state()));
    CHECK(other.level() == meter.level());
    CHECK(other.bytes_per_point() == meter.bytes_per_point());
    WearMeter::State bad = meter.state();
    bad.bytes_per_point = 0;
    CHECK_FALSE(other.restore(bad));

    WearHistory history(8);
    for (int i = 0; i < 30; i++) history.add({i * 60.0, i * 0.1});
    WearHistory copy(8);
    REQUIRE(copy.restore(history.state()));
    history.add({2000, 3});
    copy.add({2000, 3});
    REQUIRE(copy.points().size() == history.points().size());
    WearHistory::State backwards = history.state();
    std::swap(backwards.points.front(), backwards.points.back());
    CHECK_FALSE(copy.restore(backwards));
    backwards.points.assign(9, {0, 0});
    CHECK_FALSE(copy.restore(backwards));
}

}  // namespace
}  // namespace xsan::wl
