// Keys of [wear].
#include "daemon/config_wear.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "wl/registry.h"

namespace xsan::daemon {
namespace {

constexpr std::size_t kEnduranceMax = 4096;
constexpr std::uint64_t kEnduranceBytesMax = kTiB << 20;
constexpr double kDriveWritesMin = 0.001;
constexpr double kDriveWritesMax = 1'000'000;

Outcome<std::string> read_name(const TomlItem& item) {
    XSAN_TRY(auto name, read_text(item, 128));
    if (name.empty()) return item.refuse("must not be empty");
    return name;
}

Outcome<void> read_endurance_key(const TomlItem& item, std::string_view key, Config::Wear::Endurance& endurance) {
    if (key == "serial") {
        XSAN_TRY(endurance.serial, read_name(item));
    } else if (key == "model") {
        XSAN_TRY(endurance.model, read_name(item));
    } else if (key == "bytes") {
        XSAN_TRY(endurance.bytes, read_size(item, {1, kEnduranceBytesMax, false}));
    } else if (key == "drive_writes") {
        XSAN_TRY(endurance.drive_writes, read_number(item, kDriveWritesMin, kDriveWritesMax));
    } else {
        return item.refuse("unknown key");
    }
    return {};
}

Outcome<Config::Wear::Endurance> read_one_endurance(const TomlItem& item) {
    if (!item.node.is_table()) return item.refuse("must be a table");
    Config::Wear::Endurance endurance;
    for (const auto& [key, node] : *item.node.as_table()) {
        const TomlItem value{node, item.file, fmt::format("{}.{}", item.path, quotable(key.str()))};
        XSAN_TRY_VOID(read_endurance_key(value, key.str(), endurance));
    }
    if (endurance.serial.empty() == endurance.model.empty()) return item.refuse("needs either serial or model");
    if ((endurance.bytes == 0) == (endurance.drive_writes == 0)) {
        return item.refuse("needs either bytes or drive_writes");
    }
    return endurance;
}

}  // namespace

Outcome<void> read_wear_enabled(const TomlItem& item, Config& config) {
    XSAN_TRY(config.wear.enabled, read_bool(item));
    return {};
}

Outcome<void> read_wear_readings(const TomlItem& item, Config& config) {
    XSAN_TRY(config.wear.readings, read_absolute_path(item));
    return {};
}

Outcome<void> read_wear_policy(const TomlItem& item, Config& config) {
    wl::Registry registry;
    wl::add_builtin_placements(registry);
    const std::vector<std::string> names = registry.names();
    const std::vector<std::string_view> choices(names.begin(), names.end());
    XSAN_TRY(config.wear.policy, read_choice(item, choices));
    return {};
}

Outcome<void> read_wear_endurance(const TomlItem& item, Config& config) {
    const auto* list = item.node.as_array();
    if (list == nullptr) return item.refuse("must be tables: [[wear.endurance]]");
    if (list->size() > kEnduranceMax) return item.refuse(fmt::format("has more than {} tables", kEnduranceMax));
    for (const auto& node : *list) {
        const TomlItem one{node, item.file, item.path};
        XSAN_TRY(auto endurance, read_one_endurance(one));
        const auto is_same = [&](const Config::Wear::Endurance& other) {
            return other.serial == endurance.serial && other.model == endurance.model;
        };
        if (std::any_of(config.wear.endurance.begin(), config.wear.endurance.end(), is_same)) {
            return one.refuse(fmt::format("'{}' appears twice", quotable(endurance.serial + endurance.model)));
        }
        config.wear.endurance.push_back(std::move(endurance));
    }
    return {};
}

}  // namespace xsan::daemon
