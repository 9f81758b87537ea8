// Metrics of wear: what is known of a member is there in base units and what is not is absent, and they say what
// wear.show says.
#include "daemon/metrics.h"

#include <algorithm>
#include <fstream>

#include "daemon/names.h"
#include "support/catch.h"
#include "unit/daemon/desk.h"
#include "unit/daemon/metrics_form.h"
#include "unit/daemon/worn_account.h"

using namespace xsan;
using namespace xsan::daemon;
using nlohmann::json;
using test::check_form;
using test::Desk;
using test::has;
using test::sum_of;
using test::value_of;

TEST_CASE("what is known of a member's wear is told in base units", "[metrics][wear]") {
    MetricSet set;
    add_account_metrics(set, test::kMemberLabels, test::worn_account(), test::kThresholds);
    const MetricSnapshot snapshot = set.take();
    check_form(snapshot);
    const auto value = [&](std::string_view name, const MetricLabels& more = {}) {
        MetricLabels labels = test::kMemberLabels;
        labels.insert(labels.end(), more.begin(), more.end());
        return value_of(snapshot, name, labels).value_or(-1);
    };
    CHECK(value("xsan_member_wear_points") == Approx(15));
    CHECK(value("xsan_member_endurance_bytes") == 1e12);
    CHECK(value("xsan_member_bytes_per_point") == 1e10);
    CHECK(value("xsan_member_wear_points_per_day") == Approx(0.5));
    CHECK(value("xsan_member_wear_info", {{"source", "drive"}, {"endurance_origin", "configured"}}) == 1);
    CHECK(value("xsan_member_next_threshold_points") == 80);
    for (const char* when : {"expected", "earliest", "latest"}) {
        const std::string name = std::string("xsan_member_next_threshold_") + when + "_seconds";
        CHECK(value(name) == Approx(130 * 86400.0));
    }
    CHECK(value("xsan_member_account_start_timestamp_seconds") == 1.7e9);
    CHECK(value("xsan_member_account_writes_total", {{"kind", "data"}}) == 25);
    CHECK(value("xsan_member_account_written_bytes_total", {{"kind", "log"}}) == 5e10);
    CHECK(value("xsan_member_account_written_bytes_total", {{"kind", "metadata"}}) == 0);
    CHECK(value("xsan_member_account_reads_total") == 7);
    CHECK(value("xsan_member_account_read_bytes_total") == 28672);
    CHECK(value("xsan_member_write_amplification_ratio") == 1.5);
    CHECK(value("xsan_member_reading_timestamp_seconds") == 1'702'505'600.0);
    CHECK(value("xsan_member_drive_written_bytes_total") == 150e9);
    CHECK(value("xsan_member_spare_ratio") == 0.07);
    CHECK(value("xsan_member_spare_threshold_ratio") == 0.1);
    CHECK(value("xsan_member_media_errors") == 2);
    CHECK(value("xsan_member_temperature_celsius") == 41);
    CHECK(!has(snapshot, "xsan_member_drive_used_ratio"));
}

TEST_CASE("what is not known of a member's wear is absent", "[metrics][wear]") {
    MetricSet set;
    const wl::Account account({1e12, wl::EnduranceOrigin::assumed}, 1'700'000'000);
    add_account_metrics(set, test::kMemberLabels, account, test::kThresholds);
    const MetricSnapshot fresh = set.take();
    check_form(fresh);
    CHECK(value_of(fresh, "xsan_member_next_threshold_points", {}) == 10.0);
    for (const auto& family : fresh) {
        CAPTURE(family.name);
        CHECK(family.name.find("next_threshold_e") == std::string::npos);
        CHECK(family.name.find("amplification") == std::string::npos);
        CHECK(family.name.find("drive_") == std::string::npos);
        CHECK(family.name.find("reading") == std::string::npos);
    }
    MetricSet other;
    wl::Account worn = test::worn_account();
    wl::WearReading reading;
    reading.percentage_used = 120;
    worn.read(reading, wl::WearOrigin::file, 1'702'505'700);
    add_account_metrics(other, test::kMemberLabels, worn, test::kThresholds);
    const MetricSnapshot old = other.take();
    CHECK(value_of(old, "xsan_member_drive_used_ratio", {}) == 1.2);
    CHECK(!has(old, "xsan_member_next_threshold_points"));
    CHECK(!has(old, "xsan_member_next_threshold_expected_seconds"));
}

TEST_CASE("metrics say of wear what wear.show says", "[metrics][wear]") {
    Desk desk;
    desk.config.wear.readings = desk.folder.file("wear.toml");
    std::ofstream(desk.config.wear.readings) << "[[drive]]\npath = \"" << desk.folder.file("d0")
                                             << "\"\npercentage_used = 30\n"
                                             << "[[drive]]\npath = \"" << desk.folder.file("d1")
                                             << "\"\npercentage_used = 60\n";
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 2);
        params["scheme"] = "raid1";
        const json made = co_await desk.call("create", params);
        CHECK(made.contains("pool"));
        json only_pool = {{"pool", "tank"}};
        const json shown = co_await desk.call("wear.show", only_pool);
        const MetricSnapshot snapshot = desk.service().metrics();
        check_form(snapshot);
        for (const json& member : shown["members"]) {
            const MetricLabels labels{{"member", member["index"].dump()}};
            CHECK(value_of(snapshot, "xsan_member_wear_points", labels) == member["wear"].get<double>());
            CHECK(value_of(snapshot, "xsan_member_fill_ratio", labels) == member["fill"].get<double>());
            CHECK(value_of(snapshot, "xsan_member_healthy", labels) == 1.0);
            CHECK(member["write_amplification"].is_null());
            CHECK(member["days_earliest"].is_null());
        }
        CHECK(value_of(snapshot, "xsan_member_drive_used_ratio", {{"member", "1"}}) == 0.6);
        for (const char* of : {"wear", "fill"}) {
            const std::string name = std::string("xsan_pool_") + of;
            const std::string unit = of == std::string("wear") ? "_points" : "_ratio";
            CHECK(value_of(snapshot, name + "_mean" + unit, {}) == shown[of]["mean"].get<double>());
            CHECK(value_of(snapshot, name + "_deviation" + unit, {}) == shown[of]["deviation"].get<double>());
            CHECK(value_of(snapshot, name + "_variation_ratio", {}) == shown[of]["cv"].get<double>());
            CHECK(value_of(snapshot, name + "_min" + unit, {}) == shown[of]["min"].get<double>());
            CHECK(value_of(snapshot, name + "_max" + unit, {}) == shown[of]["max"].get<double>());
            CHECK(has(snapshot, name + "_max_min_ratio") == !shown[of]["max_over_min"].is_null());
        }
        CHECK(value_of(snapshot, "xsan_pool_wear_max_min_ratio", {}).value_or(0) == Approx(2.0).epsilon(0.05));
        CHECK(sum_of(snapshot, "xsan_pool_leveling_state") == 1.0);
        CHECK(value_of(snapshot, "xsan_pool_leveling_state", {{"state", "stopped"}}) == 1.0);
        CHECK(value_of(snapshot, "xsan_pool_moves_running", {}) == 0.0);
        CHECK(value_of(snapshot, "xsan_pool_moved_bytes_total", {}) == 0.0);
        CHECK(!has(snapshot, "xsan_pool_moves_limit_bytes_per_second"));
        CHECK(!has(snapshot, "xsan_pool_write_amplification_ratio"));
        CHECK(!has(snapshot, "xsan_group_heat_bytes_per_second"));
    });
}

TEST_CASE("the task's states and events are counted as they come", "[metrics][wear]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 3);
        co_await desk.call("create", params);
        json only_pool = {{"pool", "tank"}};
        const MetricSnapshot before = desk.service().metrics();
        co_await desk.call("wear.start", only_pool);
        co_await desk.call("wear.pause", only_pool);
        const MetricSnapshot after = desk.service().metrics();
        const json events = co_await desk.call("events", only_pool);
        CHECK(value_of(after, "xsan_pool_leveling_state", {{"state", "paused"}}) == 1.0);
        CHECK(value_of(after, "xsan_pool_leveling_state", {{"state", "stopped"}}) == 0.0);
        CHECK(value_of(before, "xsan_pool_events_total", {{"kind", "wear_task"}}) == 0.0);
        CHECK(value_of(after, "xsan_pool_events_total", {{"kind", "wear_task"}}) == 2.0);
        CHECK(value_of(after, "xsan_pool_last_event_number", {}) == events["last"].get<double>());
        CHECK(has(after, "xsan_pool_next_plan_timestamp_seconds"));
        CHECK(!has(before, "xsan_pool_next_plan_timestamp_seconds"));
    });
}

TEST_CASE("every state of the background task has a sample", "[metrics][wear]") {
    using State = pool::Wear::TaskView::State;
    for (const State state : {State::stopped, State::idle, State::running, State::paused, State::waiting}) {
        CHECK(std::count(kLevelingStateNames.begin(), kLevelingStateNames.end(), leveling_state_name(state)) == 1);
    }
}

TEST_CASE("without accounts of wear there are events and the policy, and wear is refused", "[metrics][wear]") {
    Desk desk;
    desk.config.wear.enabled = false;
    desk.run([&]() -> Task<void> {
        json params = desk.create_params(0, 4);
        co_await desk.call("create", params);
        json only_pool = {{"pool", "tank"}};
        const json none = co_await desk.call("events", only_pool);
        CHECK(none["events"].empty());
        CHECK(none["last"] == 0);
        CHECK(none["first"].is_null());
        json fail = {{"pool", "tank"}, {"device", "1"}};
        co_await desk.call("fail", fail);
        const json events = co_await desk.call("events", only_pool);
        CHECK(events["events"][0]["kind"] == "member_lost");
        CHECK(events["events"][0]["number"] == 1);
        json unknown = {{"pool", "tnak"}};
        const json wrong = co_await desk.call("events", unknown);
        CHECK(wrong["error"]["code"] == "not_found");
        for (const char* method : {"wear.show", "wear.history", "wear.predict", "wear.plan", "wear.start"}) {
            const json refused = co_await desk.call(method, only_pool);
            CHECK(refused["error"]["code"] == "unsupported");
        }
        const MetricSnapshot snapshot = desk.service().metrics();
        check_form(snapshot);
        CHECK(value_of(snapshot, "xsan_pool_events_total", {{"kind", "member_lost"}}) == 1.0);
        CHECK(value_of(snapshot, "xsan_pool_placement_info", {{"policy", "round_robin"}}) == 1.0);
        CHECK(!has(snapshot, "xsan_member_wear_points"));
    });
}
