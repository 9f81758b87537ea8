// Wear levels from readings, bytes and ratings.
#include "wl/wear.h"

#include "support/catch.h"

using namespace xsan;
using namespace xsan::wl;

namespace {

WearReading reading(double percent, std::optional<double> bytes = std::nullopt) {
    WearReading r;
    r.percentage_used = percent;
    r.bytes_written = bytes;
    return r;
}

constexpr double kTera = 1e12;

}  // namespace

TEST_CASE("without the drive's own figure wear is bytes over endurance", "[wl][wear]") {
    WearMeter meter(1000 * kTera, 50 * kTera);
    REQUIRE(meter.level() == Approx(5));
    meter.update({}, 123 * kTera);
    REQUIRE(meter.level() == Approx(12.3));
    meter.update({}, 5000 * kTera);
    REQUIRE(meter.level() == 100);
    // The drive knows what others wrote, too.
    WearReading total;
    total.bytes_written = 400 * kTera;
    meter.update(total, 1 * kTera);
    REQUIRE(meter.level() == Approx(40));
}

TEST_CASE("between the drive's steps wear goes on by bytes, below the next step", "[wl][wear]") {
    WearMeter meter(1000 * kTera);
    meter.update(reading(7), 100 * kTera);
    REQUIRE(meter.level() == Approx(7));
    meter.update(reading(7), 105 * kTera);  // a point is 10 T by rating
    REQUIRE(meter.level() == Approx(7.5));
    meter.update(reading(7), 150 * kTera);
    REQUIRE(meter.level() == Approx(7.99));
    meter.update(reading(8), 151 * kTera);  // when 7 was reached is not known: no rate from it
    REQUIRE(meter.bytes_per_point() == Approx(10 * kTera));
    meter.update(reading(9), 156 * kTera);  // a whole step in 5 T: it writes twice what it is told
    REQUIRE(meter.bytes_per_point() == Approx(5 * kTera));
    meter.update(reading(9), 158.5 * kTera);
    REQUIRE(meter.level() == Approx(9.5));
    meter.update(reading(130), 200 * kTera);
    REQUIRE(meter.level() == 100);
    meter.update(reading(0), 200 * kTera);  // another drive
    REQUIRE(meter.level() == 0);
    REQUIRE(meter.bytes_per_point() == Approx(10 * kTera));
}

TEST_CASE("endurance is configured, by model, or assumed, and goes with capacity", "[wl][wear]") {
    const Endurance given = endurance_of("SAMSUNG MZQL23T8HCLS", 100, 5);
    REQUIRE((given.bytes == 5 && given.origin == EnduranceOrigin::configured));
    const Endurance known = endurance_of("SAMSUNG MZQL23T8HCLS", 100, 0);
    REQUIRE((known.bytes == 182500 && known.origin == EnduranceOrigin::model));
    const Endurance assumed = endurance_of("QEMU NVMe Ctrl", 100, 0);
    REQUIRE((assumed.bytes == 60000 && assumed.origin == EnduranceOrigin::assumed));
    REQUIRE(endurance_of("QEMU NVMe Ctrl", 200, 0).bytes == 2 * assumed.bytes);
    REQUIRE(write_amplification(30, 20) == Approx(1.5));
    REQUIRE(write_amplification(30, 0) == 1);
}

TEST_CASE("a star matches any text", "[wl][wear]") {
    REQUIRE(matches_model("a*c", "abc"));
    REQUIRE(matches_model("a*c", "ac"));
    REQUIRE(matches_model("*b*d", "abcbd"));
    REQUIRE(matches_model("*", ""));
    REQUIRE_FALSE(matches_model("a*c", "acd"));
    REQUIRE_FALSE(matches_model("a", "ab"));
    REQUIRE_FALSE(matches_model("", "a"));
}
