// Events of a pool: their lines, and which of an answer's events are new. Functions of values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace xsan::ctl {

// "    42  2026-11-20T08:41:07Z  wear_moved        group 7 ..."
std::string event_line(const nlohmann::json& event);

// The events of an answer, one to a line.
std::string render_events(const nlohmann::json& result);

// Follows a pool's events from answer to answer. Every event is given out once, in order.
class EventTail {
  public:
    // `since`: as the user asked; absent: begins with the last events that there are.
    explicit EventTail(std::optional<std::int64_t> since) : since_(since) {}

    // Of the next call; `count_max` 1..4096.
    nlohmann::json params(const std::string& pool, std::int64_t count_max) const;

    struct News {
        std::vector<nlohmann::json> events;
        std::int64_t missed = 0;  // events that were dropped before they could be read
        bool has_more = false;    // ask again at once
    };
    News take(const nlohmann::json& result);

  private:
    std::optional<std::int64_t> since_;
    std::int64_t last_ = 0;  // number of the last event there was
    bool has_read_ = false;
};

}  // namespace xsan::ctl
