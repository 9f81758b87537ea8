// What the status of a long job means for one who waits for it. Functions of values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace xsan::ctl {

struct JobView {
    enum class End { running, done, failed };
    End end = End::running;
    double percent = 0;
    std::string details;  // "310M/s  eta 0:12", or why it failed
};

// rebuild.status. Done: no job runs and nothing is left. Failed: no job runs and what is left has no
// place or cannot be decoded, or its job has failed. A paused job still counts as running: somebody
// may resume it.
JobView view_rebuild(const nlohmann::json& status);

// scrub.status. A scrub that has found mismatches is done, not failed.
JobView view_scrub(const nlohmann::json& status);

// What the result of `assemble` says beside the pools that were started: pools that were refused and
// superblocks that cannot be used. A failure when nothing was started.
struct Leftovers {
    std::vector<std::string> lines;
    bool is_failure = false;
};
Leftovers leftovers_of(const nlohmann::json& result);

// Lenient access to a result, whose absent fields are shown as "-".
std::string text_of(const nlohmann::json& object, const char* key);
std::string size_of(const nlohmann::json& object, const char* key);
double number_of(const nlohmann::json& object, const char* key, double otherwise);
// The array of that name; an empty one when there is none.
const nlohmann::json& list_of(const nlohmann::json& object, const char* key);
// The object of that name; null when there is none.
const nlohmann::json& object_of(const nlohmann::json& object, const char* key);
// "310M/s  eta 0:12" of one job; empty when it says neither.
std::string pace_of(const nlohmann::json& job);

}  // namespace xsan::ctl
