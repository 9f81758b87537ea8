// The table [wear] of the configuration.
#pragma once

#include "daemon/config.h"
#include "daemon/toml_item.h"

namespace xsan::daemon {

Outcome<void> read_wear_enabled(const TomlItem& item, Config& config);
Outcome<void> read_wear_readings(const TomlItem& item, Config& config);
Outcome<void> read_wear_policy(const TomlItem& item, Config& config);
// Tables [[wear.endurance]], at most 4096.
Outcome<void> read_wear_endurance(const TomlItem& item, Config& config);

}  // namespace xsan::daemon
