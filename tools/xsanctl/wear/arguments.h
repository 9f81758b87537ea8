// What the commands of `wear` and `events` were given, unparsed.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xsan::ctl::wear {

struct WearArguments {
    std::optional<std::string> member, policy, threshold, within, since, interval, count, format, what, svg;
    std::vector<std::string> settings;  // KEY=VALUE
    std::string file;
    bool chart = false;
    bool check = false;
    bool history = false;
    bool follow = false;
};

}  // namespace xsan::ctl::wear
