// Trends, bounded histories, heat and spread, against values worked out by hand.
#include "wl/prediction.h"

#include <cmath>

#include "base/rng.h"
#include "base/units.h"
#include "support/catch.h"
#include "wl/heat.h"
#include "wl/spread.h"

using namespace xsan;
using namespace xsan::wl;

TEST_CASE("a straight line is found, and when it reaches a threshold", "[wl][prediction]") {
    std::vector<WearPoint> points;
    for (int day = 0; day <= 100; day++)
        points.push_back({day * kDaySeconds, 10 + 0.1 * day});
    const auto trend = wear_trend(points, 1000 * kDaySeconds, 0);
    REQUIRE(trend.has_value());
    REQUIRE(trend->wear == Approx(20));
    REQUIRE(trend->rate * kDaySeconds == Approx(0.1));
    const auto time = time_to_wear(*trend, 80);
    REQUIRE(time->expected_seconds / kDaySeconds == Approx(600));
    REQUIRE(time->earliest_seconds / kDaySeconds == Approx(600));
    REQUIRE(*time->latest_seconds / kDaySeconds == Approx(600));
    REQUIRE(time_to_wear(*trend, 15)->expected_seconds == 0);
    REQUIRE_FALSE(wear_trend(std::span(points).first(2), 1000 * kDaySeconds, 0).has_value());
    const std::vector<WearPoint> at_once(5, {1, 1});
    REQUIRE_FALSE(wear_trend(at_once, kDaySeconds, 0).has_value());
    const std::vector<WearPoint> flat{{0, 5}, {1, 5}, {2, 5}};
    REQUIRE_FALSE(time_to_wear(*wear_trend(flat, kDaySeconds, 0), 80).has_value());
}

TEST_CASE("only the window counts", "[wl][prediction]") {
    std::vector<WearPoint> points;
    for (int day = 0; day < 50; day++)
        points.push_back({day * kDaySeconds, 0.0});
    for (int day = 50; day <= 80; day++)
        points.push_back({day * kDaySeconds, day - 50.0});
    REQUIRE(wear_trend(points, 20 * kDaySeconds, 0)->rate * kDaySeconds == Approx(1));
    REQUIRE(wear_trend(points, 80 * kDaySeconds, 0)->rate * kDaySeconds < 0.5);
}

TEST_CASE("the confidence interval holds the true rate in about 95 of 100 histories",
          "[wl][prediction]") {
    Rng rng(9);
    int held = 0;
    for (int round = 0; round < 1000; round++) {
        std::vector<WearPoint> points;
        for (int day = 0; day < 12; day++) {
            double noise = -6;  // the sum of twelve uniform numbers is nearly normal
            for (int i = 0; i < 12; i++)
                noise += static_cast<double>(rng.below(1 << 20)) / (1 << 20);
            points.push_back({day * kDaySeconds, 0.5 * day + noise});
        }
        const auto trend = wear_trend(points, 1000 * kDaySeconds, 0);
        held +=
            trend->rate_low * kDaySeconds <= 0.5 && 0.5 <= trend->rate_high * kDaySeconds ? 1 : 0;
    }
    REQUIRE(held >= 925);
    REQUIRE(held <= 975);
}

TEST_CASE("readings in whole points never look exact", "[wl][prediction]") {
    const std::vector<WearPoint> same{{0, 5}, {kDaySeconds, 5}, {2 * kDaySeconds, 5}};
    const auto trend = wear_trend(same, 10 * kDaySeconds, 1);
    REQUIRE(trend->rate == Approx(0).margin(1e-12));
    REQUIRE(trend->rate_high > 0);
    REQUIRE(trend->rate_low < 0);
}

TEST_CASE("a history is bounded, spans a whole life and keeps the newest point",
          "[wl][prediction]") {
    WearHistory history(16);
    for (int hour = 0; hour < 20000; hour++) {
        history.add({hour * 3600.0, hour / 1000.0});
        REQUIRE(history.points().size() <= 16);
        REQUIRE(history.points().back().time_seconds == hour * 3600.0);
        REQUIRE(history.points().front().time_seconds == 0);
    }
    REQUIRE(history.points().size() >= 8);
    double widest = 0;
    for (std::size_t i = 1; i < history.points().size(); i++) {
        widest = std::max(widest,
                          history.points()[i].time_seconds - history.points()[i - 1].time_seconds);
    }
    REQUIRE(widest <= 20000 * 3600.0 / 4);
    REQUIRE(wear_trend(history.points(), 1e9, 0)->rate * 3600 == Approx(0.001));

    history.add({1, 50});  // back in time: ignored
    REQUIRE(history.points().back().time_seconds > 1);
    history.add({20001 * 3600.0, 0});  // a new drive
    REQUIRE(history.points().size() == 1);
}

TEST_CASE("crossing thresholds is told once, upwards", "[wl][prediction]") {
    REQUIRE(threshold_crossed(kWarnAt, 79.9, 80) == 80.0);
    REQUIRE(threshold_crossed(kWarnAt, 70, 95) == 90.0);
    REQUIRE_FALSE(threshold_crossed(kWarnAt, 80, 85).has_value());
    REQUIRE_FALSE(threshold_crossed(kWarnAt, 95, 10).has_value());
}

TEST_CASE("heat rises to a steady rate and halves when writes end", "[wl][heat]") {
    GroupHeat heat(100);
    const std::vector<GroupIo> written{{GroupIndex{3}, 0, 5000}};
    for (int i = 0; i < 200; i++)
        heat.fold(written, 10);
    REQUIRE(heat.rate(GroupIndex{3}) == Approx(500));
    heat.fold({}, 100);
    REQUIRE(heat.rate(GroupIndex{3}) == Approx(250));
    REQUIRE(heat.rate(GroupIndex{2}) == 0);
    REQUIRE(heat.rate(GroupIndex{9}) == 0);
    heat.forget(GroupIndex{3});
    REQUIRE(heat.rate(GroupIndex{3}) == 0);
}

TEST_CASE("parity that does not rotate takes P writes for each small write", "[wl][heat]") {
    REQUIRE(strip_write_shares(4, 2, false, 1) == std::vector<double>(6, 1.0 / 6));
    const auto small = strip_write_shares(4, 1, true, 1);
    for (int i = 0; i < 4; i++)
        REQUIRE(small[static_cast<std::size_t>(i)] == Approx(0.125));
    REQUIRE(small[4] == Approx(0.5));
    const auto full = strip_write_shares(4, 1, true, 0);
    for (const double share : full)
        REQUIRE(share == Approx(0.2));
}

TEST_CASE("spread: deviation, coefficient of variation, range", "[wl][spread]") {
    const Spread spread = spread_of(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
    REQUIRE(spread.mean == Approx(5));
    REQUIRE(spread.deviation == Approx(2));
    REQUIRE(spread.cv == Approx(0.4));
    REQUIRE(spread.ratio == Approx(4.5));
    REQUIRE(std::isinf(spread_of(std::vector<double>{0, 1}).ratio));
    REQUIRE(spread_of({}).cv == 0);
}
