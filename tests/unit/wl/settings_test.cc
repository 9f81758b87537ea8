// Settings: text to values and back, and one clear line for what is wrong.
#include "support/catch.h"
#include "wl/settings.h"

namespace xsan::wl {
namespace {

std::string refusal(const std::string& change) {
    const auto changed = with_changes({}, {change});
    return changed ? "" : changed.error().message;
}

TEST_CASE("what is listed is what is read back", "[wl][settings]") {
    const auto changed = with_changes({}, {"spread_start=7.5", "outlook_days=12", "rate_max=100M", "warn_at=50,75,99.5",
                                           "schedule=22:30-06:00", "moves_max=17", "prevent_days=0"});
    REQUIRE(changed);
    CHECK(changed->planner.spread_start == 7.5);
    CHECK(changed->planner.outlook_seconds == 12 * 86400.0);
    CHECK(changed->rate_max_bytes == 100ull << 20);
    CHECK(changed->schedule.text() == "22:30-06:00");
    WearSettings again;
    for (const SettingValue& setting : list_settings(*changed)) {
        const std::string text = setting_text(setting);
        const std::size_t equals = text.find('=');
        REQUIRE(change_setting(again, text.substr(0, equals), text.substr(equals + 1)));
    }
    const auto before = list_settings(*changed);
    const auto after = list_settings(again);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); i++) CHECK(setting_text(before[i]) == setting_text(after[i]));
}

TEST_CASE("a wrong setting is refused with one line that names it, and nothing changes", "[wl][settings]") {
    struct Case {
        const char* change;
        const char* names;
    };
    for (const Case& one : std::initializer_list<Case>{{"spread_start=no", "spread_start must be a number"},
                                                       {"spread_start=101", "from 0 to 100, not '101'"},
                                                       {"spread_start=nan", "not 'nan'"},
                                                       {"spread_stop=5", "spread_stop must be"},
                                                       {"gain_min=0.5", "gain_min"},
                                                       {"latency_factor=0.5", "latency_factor must be 0 or 1"},
                                                       {"fill_max=0.99", "fill_max"},
                                                       {"moves_max=1.5", "whole number"},
                                                       {"moves_max=0", "whole number"},
                                                       {"rate_max=fast", "rate_max must be a size"},
                                                       {"warn_at=90,80", "ascending"},
                                                       {"warn_at=", "ascending"},
                                                       {"warn_at=1,2,3,4,5,6,7,8,9", "1 to 8"},
                                                       {"schedule=25:00-01:00", "schedule must be"},
                                                       {"schedule=01:00-01:00", "schedule must be"},
                                                       {"schedule=night", "schedule must be"},
                                                       {"colour=blue", "there is no setting 'colour': use spread"},
                                                       {"spread_start", "write KEY=VALUE"},
                                                       {"=3", "write KEY=VALUE"}}) {
        const std::string why = refusal(one.change);
        CAPTURE(one.change, why);
        CHECK(why.find(one.names) != std::string::npos);
        CHECK(why.find('\n') == std::string::npos);
    }
    const auto half = with_changes({}, {"growth=9", "gain_min=0"});
    CHECK_FALSE(half);
}

TEST_CASE("a schedule holds from its first minute to the one before its end, over midnight too", "[wl][settings]") {
    const auto at = [](int hour, int minute) { return std::int64_t{20000} * 86400 + hour * 3600 + minute * 60; };
    const Schedule day = *Schedule::parse("09:00-17:30");
    CHECK(day.contains(at(9, 0)));
    CHECK(day.contains(at(17, 29)));
    CHECK_FALSE(day.contains(at(17, 30)));
    CHECK_FALSE(day.contains(at(8, 59)));
    const Schedule night = *Schedule::parse("22:00-06:00");
    CHECK(night.contains(at(23, 59)));
    CHECK(night.contains(at(0, 0)));
    CHECK_FALSE(night.contains(at(6, 0)));
    CHECK(Schedule{}.contains(at(12, 0)));
    CHECK(Schedule::parse("always")->text() == "always");
}

}  // namespace
}  // namespace xsan::wl
