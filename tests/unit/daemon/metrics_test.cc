// The snapshot of metrics: what is in it, that its text form is what Prometheus reads, and that docs/metrics.md has it.
#include "daemon/metrics.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "daemon/names.h"
#include "support/catch.h"
#include "unit/daemon/desk.h"
#include "unit/daemon/metrics_form.h"
#include "unit/daemon/worn_account.h"

using namespace xsan;
using namespace xsan::daemon;
using nlohmann::json;
using prometheus::MetricType;
using test::check_form;
using test::Desk;
using test::has;
using test::Line;
using test::parse_text;
using test::sum_of;
using test::value_of;

namespace {

json mem_pool(int members) {
    json devices = json::array();
    for (int i = 0; i < members; i++) devices.push_back("mem:64M");
    return {{"name", "tank"}, {"scheme", "2+1"}, {"devices", devices}, {"attach", false}};
}

ublk::TargetIo some_io() {
    ublk::IoCounters counters;
    counters.count({dev::IoKind::read, 4096, 2'000'000, false});
    counters.count({dev::IoKind::read, 4096, 1'000'000, false});
    counters.count({dev::IoKind::write, 8192, 500'000'000, false});
    counters.count({dev::IoKind::write, 8192, 0, true});
    counters.count({std::nullopt, 0, 0, true});
    return counters.sum();
}

std::string type_name(MetricType type) {
    if (type == MetricType::Counter) return "counter";
    return type == MetricType::Summary ? "summary" : "gauge";
}

}  // namespace

TEST_CASE("a snapshot says of a pool what show says", "[metrics]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        json params = mem_pool(3);
        const json made = co_await desk.call("create", params);
        CHECK(made.contains("pool"));
        json only_pool = {{"pool", "tank"}};
        const json show = co_await desk.call("show", only_pool);
        const MetricSnapshot snapshot = desk.service().metrics();
        check_form(snapshot);
        const auto value = [&](std::string_view name, const MetricLabels& labels) {
            return value_of(snapshot, name, labels);
        };
        CHECK(value("xsan_pool_state", {{"pool", "tank"}, {"state", "online"}}) == 1.0);
        CHECK(value("xsan_pool_state", {{"pool", "tank"}, {"state", "degraded"}}) == 0.0);
        CHECK(value("xsan_pool_members", {{"state", "in_sync"}}) == 3.0);
        CHECK(value("xsan_pool_members", {{"state", "faulty"}}) == 0.0);
        double size = 0;
        for (const json& member : show["members"]) {
            const std::string index = member["index"].dump();
            size += member["size_bytes"].get<double>();
            CHECK(value("xsan_member_state", {{"member", index}, {"state", "in_sync"}}) == 1.0);
            CHECK(value("xsan_member_size_bytes", {{"member", index}}) == member["size_bytes"].get<double>());
            CHECK(value("xsan_member_used_bytes", {{"member", index}}) == member["used_bytes"].get<double>());
            CHECK(value("xsan_member_info", {{"uuid", member["uuid"].get<std::string>()}}) == 1.0);
            for (const auto& [kind, written] : member["io"]["written"].items()) {
                const MetricLabels labels{{"member", index}, {"kind", kind}};
                CHECK(value("xsan_member_writes_total", labels) == written["count"].get<double>());
                CHECK(value("xsan_member_written_bytes_total", labels) == written["bytes"].get<double>());
            }
        }
        CHECK(value("xsan_pool_size_bytes", {{"pool", "tank"}}) == size);
        CHECK(sum_of(snapshot, "xsan_member_writes_total") > 0);
        const MetricLabels volume{{"pool", "tank"}, {"volume", "data"}};
        CHECK(value("xsan_volume_size_bytes", volume) == show["volumes"][0]["size_bytes"].get<double>());
        CHECK(value("xsan_volume_attached", volume) == 0.0);
        CHECK(!has(snapshot, "xsan_volume_requests_total"));
    });
}

TEST_CASE("a lost member shows in states, and a stopped pool not at all", "[metrics]") {
    Desk desk;
    desk.run([&]() -> Task<void> {
        json params = mem_pool(3);
        co_await desk.call("create", params);
        json fail = {{"pool", "tank"}, {"device", "1"}};
        co_await desk.call("fail", fail);
        const MetricSnapshot snapshot = desk.service().metrics();
        check_form(snapshot);
        CHECK(value_of(snapshot, "xsan_pool_state", {{"state", "degraded"}}) == 1.0);
        CHECK(value_of(snapshot, "xsan_pool_state", {{"state", "online"}}) == 0.0);
        CHECK(value_of(snapshot, "xsan_volume_state", {{"state", "degraded"}}) == 1.0);
        CHECK(value_of(snapshot, "xsan_member_state", {{"member", "1"}, {"state", "faulty"}}) == 1.0);
        CHECK(value_of(snapshot, "xsan_pool_members", {{"state", "in_sync"}}) == 2.0);
        json stop = {{"pool", "tank"}};
        co_await desk.call("stop", stop);
        const MetricSnapshot after = desk.service().metrics();
        CHECK(after.size() == 1);
        CHECK(has(after, "xsan_build_info"));
    });
}

TEST_CASE("every state that show can say has a sample", "[metrics]") {
    for (const auto health : {pool::PoolHealth::online, pool::PoolHealth::degraded, pool::PoolHealth::failed}) {
        MetricSet set;
        const Metric metric{"xsan_test", MetricType::Gauge, "test"};
        set.add_state(metric, {}, kHealthNames, health_name(health));
        CHECK(sum_of(set.take(), "xsan_test") == 1.0);
    }
    for (const auto state :
         {pool::JobState::running, pool::JobState::paused, pool::JobState::done, pool::JobState::failed}) {
        CHECK(std::count(kJobStateNames.begin(), kJobStateNames.end(), job_state_name(state)) == 1);
    }
    for (const auto state : {meta::MemberState::in_sync, meta::MemberState::faulty, meta::MemberState::missing,
                             meta::MemberState::removed}) {
        for (unsigned flags = 0; flags < 16; flags++) {
            pool::MemberStatus status;
            status.member.state = state;
            status.member.spare = (flags & 1) != 0;
            status.member.removing = (flags & 2) != 0;
            status.live = (flags & 4) != 0;
            status.receives = (flags & 8) != 0;
            CHECK(std::count(kMemberStateNames.begin(), kMemberStateNames.end(), member_state_name(status)) == 1);
        }
    }
}

TEST_CASE("requests of a volume are counted by operation, and each has a duration", "[metrics]") {
    MetricSet set;
    add_request_metrics(set, {{"pool", "tank"}, {"volume", "data"}}, some_io());
    const MetricSnapshot snapshot = set.take();
    check_form(snapshot);
    const auto value = [&](std::string_view name, const char* operation) {
        return value_of(snapshot, name, {{"operation", operation}, {"volume", "data"}, {"pool", "tank"}});
    };
    CHECK(value("xsan_volume_requests_total", "read") == 2.0);
    CHECK(value("xsan_volume_requests_total", "write") == 2.0);
    CHECK(value("xsan_volume_requests_total", "other") == 1.0);
    CHECK(value("xsan_volume_request_errors_total", "write") == 1.0);
    CHECK(value("xsan_volume_request_errors_total", "read") == 0.0);
    CHECK(value("xsan_volume_bytes_total", "read") == 8192.0);
    CHECK(value("xsan_volume_bytes_total", "write") == 8192.0);
    std::map<std::string, double> by_line;
    for (const Line& line : parse_text(snapshot)) by_line[line.name + "/" + line.labels.back().value] = line.value;
    CHECK(by_line["xsan_volume_request_duration_seconds_count/read"] == 2.0);
    CHECK(by_line["xsan_volume_request_duration_seconds_sum/read"] == 0.003);
    CHECK(by_line["xsan_volume_request_duration_seconds_count/write"] == 2.0);
    CHECK(by_line["xsan_volume_request_duration_seconds_sum/write"] == 0.5);
}

TEST_CASE("any bytes of a path or serial make a label that can be read back", "[metrics]") {
    const std::string given = "a\"b\\c\nd,e}f{g h=\"i\" \xc3\xa4";
    MetricSet set;
    const Metric metric{"xsan_test", MetricType::Gauge, "test"};
    set.add(metric, {{"serial", given}, {"path", "/x"}}, 7);
    set.add(metric, {{"serial", "\xff\xc3("}, {"path", ""}}, 8);
    const std::vector<Line> lines = parse_text(set.take());
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].labels == MetricLabels{{"serial", given}, {"path", "/x"}});
    CHECK(lines[0].value == 7.0);
    CHECK(lines[1].labels[0].value == "\xef\xbf\xbd\xef\xbf\xbd(");
}

TEST_CASE("the document has every metric with its type and labels, and no other", "[metrics]") {
    std::ifstream file(std::string(XSAN_SOURCE_DIR) + "/docs/metrics.md");
    REQUIRE(file.good());
    std::map<std::string, std::string> rows;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("| `xsan_")) rows[line.substr(3, line.find('`', 3) - 3)] = line;
    }
    for (const Metric* metric : all_metrics()) {
        CAPTURE(metric->name);
        const std::string begin = "| `" + std::string(metric->name) + "` | " + type_name(metric->type) + " | ";
        CHECK(rows[std::string(metric->name)].starts_with(begin));
    }
    CHECK(rows.size() == all_metrics().size() + 1);  // the age, which is added when the snapshot is handed out
    CHECK(rows.contains("xsan_snapshot_age_seconds"));
    Desk desk;
    MetricSnapshot snapshot;
    desk.run([&]() -> Task<void> {
        json params = mem_pool(3);
        co_await desk.call("create", params);
        json fail = {{"pool", "tank"}, {"device", "1"}};
        co_await desk.call("fail", fail);
        snapshot = desk.service().metrics();
    });
    MetricSet set;
    add_request_metrics(set, {{"pool", "tank"}, {"volume", "data"}}, some_io());
    add_account_metrics(set, test::kMemberLabels, test::worn_account(), test::kThresholds);
    for (auto& family : set.take()) snapshot.push_back(std::move(family));
    for (const auto& family : snapshot) {
        for (const auto& sample : family.metric) {
            std::string labels;
            for (const auto& label : sample.label) labels += (labels.empty() ? "" : ", ") + label.name;
            CAPTURE(family.name, labels);
            CHECK(rows[family.name].find(" | " + labels + " | ") != std::string::npos);
        }
    }
}
