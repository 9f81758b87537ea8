// An account of which everything is known, for tests of what is told of it.
#pragma once

#include <array>

#include "daemon/metric_set.h"
#include "wl/account.h"

namespace xsan::test {

inline const daemon::MetricLabels kMemberLabels{{"pool", "tank"}, {"member", "3"}, {"serial", "xsan3"}};
inline constexpr std::array kThresholds{10.0, 80.0, 90.0};

// Rated for 1e12 bytes, of which 1.5e11 were written: worn by 15 points, half a point a day for a month.
inline wl::Account worn_account() {
    constexpr int kDays = 30;
    wl::Account account({1e12, wl::EnduranceOrigin::configured}, 1'700'000'000);
    wl::AccountTotals totals;
    totals.written[static_cast<std::size_t>(wl::AccountKind::data)] = {25, 100'000'000'000};
    totals.written[static_cast<std::size_t>(wl::AccountKind::log)] = {5, 50'000'000'000};
    totals.reads = {7, 28672};
    account.wrote(totals);
    for (int day = 0; day < kDays; day++) {
        account.history.add({1.7e9 + day * 86400.0, 15 - 0.5 * (kDays - 1 - day)});
    }
    wl::WearReading reading;
    reading.bytes_written = 150e9;
    reading.spare_percent = 7;
    reading.spare_threshold_percent = 10;
    reading.media_errors = 2;
    reading.temperature_celsius = 41;
    account.read(reading, wl::WearOrigin::drive, 1'702'505'600);
    return account;
}

}  // namespace xsan::test
