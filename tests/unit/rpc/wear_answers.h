// Answers of the wear.* methods as the daemon gives them, for tests of what xsanctl makes of them.
#pragma once

#include "rpc/json_guard.h"
#include "support/catch.h"

namespace xsan::test {

inline nlohmann::json answer_of(const char* text) {
    auto value = rpc::parse_json(text);
    if (!value) FAIL(value.error().message);
    return std::move(value).value();
}

inline constexpr const char* kShown = R"({"pool":"tank","time":1795600000,"policy":"adaptive",
  "policies":["adaptive","round_robin"],
  "task":{"state":"waiting","schedule":"22:00-06:00","last_plan_time":1795600000,
    "next_plan_time":null,"levels_wear":true,"moves_waiting":3,"moves_running":2,"moves_done":120,
    "moves_failed":1,"moved_bytes":128849018880,"rate_bytes":209715200,"latency_ns":210000,
    "latency_quiet_ns":null},
  "settings":{"spread_start":3,"rate_max":209715200,"schedule":"22:00-06:00","warn_at":"80,90"},
  "wear":{"mean":53.4,"deviation":41.1,"cv":0.77,"min":12.3,"max":94.5,"max_over_min":7.68},
  "fill":{"mean":0.5,"deviation":0.4,"cv":0.8,"min":0,"max":0.85,"max_over_min":null},
  "write_amplification":1.52,"user_written_bytes":96636764160,"predicted_spread":80.5,
  "hottest":[{"group":17,"rate_bytes":1048576},{"group":3,"rate_bytes":1024}],
  "members":[
   {"index":0,"uuid":"u0","path":"/dev/nvme0n1","model":"M","serial":"xsan0","state":"in_sync",
    "wear":12.3,"endurance_bytes":1.9791209299968e15,"endurance_origin":"assumed",
    "bytes_per_point":1.9791209299968e13,"source":"own","reading":null,"since":1795500000,
    "written":{"data":{"count":1,"bytes":4096},"metadata":{"count":2,"bytes":8192}},
    "write_amplification":1.5,"writes":3,"written_bytes":107374182400,"read_bytes":0,
    "reads":0,"rate_bytes":1048576,"outstanding":0,"slow":false,"healthy":true,"fill":0,
    "used_bytes":0,"size_bytes":1099511627776,"rate_points_per_day":null,
    "days_to_threshold":null,"threshold":80},
   {"index":3,"uuid":"u3","path":"/dev/nvme3n1","model":"M","serial":"xsan3","state":"in_sync",
    "wear":94.5,"endurance_bytes":1099511627776,"endurance_origin":"configured",
    "bytes_per_point":10995116277.76,"source":"drive","reading":{"time":1795599000,
    "percentage_used":94,"written_bytes":null,"spare_percent":5,"spare_threshold_percent":10,
    "media_errors":2,"temperature_celsius":40},"since":1795500000,"written":{},
    "written_bytes":1536,"read_bytes":0,"reads":0,"rate_bytes":null,"outstanding":7,"slow":true,
    "healthy":false,"fill":0.85,"used_bytes":1,"size_bytes":1099511627776,
    "rate_points_per_day":0.0213,"days_to_threshold":258.2,"threshold":100}]})";

inline constexpr const char* kHistory = R"({"pool":"tank","time":1795700000,"members":[
   {"index":0,"uuid":"u0","serial":"xsan0","path":"/dev/nvme0n1","points":[
     {"time":1795600000,"wear":12.25},{"time":1795686400,"wear":12.5}]},
   {"index":3,"uuid":"u3","serial":"a,\"b\"","path":"/dev/nvme3n1","points":[
     {"time":1795686400,"wear":94.5}]}]})";

// `worst`: of the thresholds 80 and 90, what member 3 has reached.
inline nlohmann::json prediction(int worst) {
    auto answer = answer_of(R"({"pool":"tank","time":1795700000,"thresholds":[80,90],"members":[
     {"index":0,"uuid":"u0","serial":"xsan0","path":"/dev/nvme0n1","wear":12.3,
      "rate_points_per_day":null,"rate_low":null,"rate_high":null,"thresholds":[
       {"threshold":80,"reached":false,"days":null,"days_earliest":null,"days_latest":null},
       {"threshold":90,"reached":false,"days":null,"days_earliest":null,"days_latest":null}]},
     {"index":3,"uuid":"u3","serial":"xsan3","path":"/dev/nvme3n1","wear":70.5,
      "rate_points_per_day":0.02,"rate_low":0.01,"rate_high":0.03,"thresholds":[
       {"threshold":80,"reached":false,"days":475,"days_earliest":316.6,"days_latest":950},
       {"threshold":90,"reached":false,"days":975,"days_earliest":650,"days_latest":null}]}],
     "worst_reached":null})");
    if (worst > 0) answer["worst_reached"] = worst;
    auto& thresholds = answer["members"][1]["thresholds"];
    if (worst >= 80) thresholds[0]["reached"] = true;
    if (worst >= 90) thresholds[1]["reached"] = true;
    return answer;
}

inline constexpr const char* kPlan = R"({"levels_wear":true,"spread":12.4,"spread_predicted":9.1,
  "moves":[{"group":17,"slot":1,"from":3,"to":6,"reason":"wear","gain_per_byte":3.21},
           {"group":1017,"slot":0,"from":3,"to":16,"reason":"capacity","gain_per_byte":0}],
  "bytes":1073741824})";

}  // namespace xsan::test
