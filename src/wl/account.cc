// What accounts make of what they are told.
#include "wl/account.h"

#include <algorithm>

namespace xsan::wl {
namespace {

IoTotal difference(const IoTotal& now, const IoTotal& before) {
    if (now.count < before.count || now.bytes < before.bytes) return now;
    return {now.count - before.count, now.bytes - before.bytes};
}

}  // namespace

IoTotal AccountTotals::writes() const {
    IoTotal sum;
    for (const IoTotal& kind : written) sum = {sum.count + kind.count, sum.bytes + kind.bytes};
    return sum;
}

std::optional<double> AccountTotals::amplification() const {
    const std::uint64_t of_users = of(AccountKind::data).bytes;
    if (of_users == 0) return std::nullopt;
    return static_cast<double>(writes().bytes) / static_cast<double>(of_users);
}

AccountTotals AccountTotals::since(const AccountTotals& before) const {
    AccountTotals more;
    for (std::size_t i = 0; i < kAccountKinds; i++) more.written[i] = difference(written[i], before.written[i]);
    more.reads = difference(reads, before.reads);
    return more;
}

void AccountTotals::add(const AccountTotals& more) {
    for (std::size_t i = 0; i < kAccountKinds; i++) {
        written[i].count += more.written[i].count;
        written[i].bytes += more.written[i].bytes;
    }
    reads.count += more.reads.count;
    reads.bytes += more.reads.bytes;
}

double Account::resolution() const {
    return reading && reading->percentage_used ? 1.0 : 0.0;
}

void Account::wrote(const AccountTotals& more) {
    totals.add(more);
    own_bytes += static_cast<double>(more.writes().bytes);
}

void Account::read(const std::optional<WearReading>& now, WearOrigin from, std::int64_t now_seconds) {
    if (now && says_anything(*now)) {
        reading = now;
        reading_seconds = now_seconds;
        origin = from;
    }
    // What the drive counts stands still between its readings.
    meter.update(reading.value_or(WearReading{}), own_bytes);
}

void Account::rate(const Endurance& rated) {
    if (rated.bytes != endurance.bytes) meter.set_endurance(rated.bytes);
    endurance = rated;
}

void Account::forget_reading() {
    reading.reset();
    origin = WearOrigin::own;
    meter = WearMeter(endurance.bytes, own_bytes);
}

void Account::reset(std::int64_t now_seconds, bool with_history) {
    totals = {};
    since_seconds = now_seconds;
    if (!with_history) return;
    history.clear();
    own_bytes = 0;
    warned_at = 0;
    forget_reading();
}

bool says_anything(const WearReading& r) {
    return r.percentage_used || r.bytes_written || r.spare_percent || r.spare_threshold_percent || r.media_errors ||
           r.temperature_celsius;
}

bool is_worn_out(const Account& account) {
    if (!account.reading) return false;
    const WearReading& r = *account.reading;
    return r.spare_percent && r.spare_threshold_percent && *r.spare_percent < *r.spare_threshold_percent;
}

std::optional<WearTrend> trend_of(const Account& account) {
    return wear_trend(account.history.points(), kTrendSeconds, account.resolution());
}

Outlook outlook_of(const Account& account, std::span<const double> thresholds) {
    Outlook outlook;
    const auto next = std::ranges::upper_bound(thresholds, account.level());
    if (next == thresholds.end()) return outlook;
    outlook.threshold = *next;
    if (const auto trend = trend_of(account)) outlook.time = time_to_wear(*trend, *next);
    return outlook;
}

}  // namespace xsan::wl
