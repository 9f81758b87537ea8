// Reading the configuration, key by key; its table [wear] in config_wear.cc.
#include "daemon/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "daemon/config_wear.h"
#include "daemon/toml_item.h"
#include "ec/scheme.h"

namespace xsan::daemon {
namespace {

Outcome<void> read_socket(const TomlItem& item, Config& config) {
    XSAN_TRY(config.control.socket, read_text(item, 107));  // sockaddr_un
    if (config.control.socket.empty() || config.control.socket.front() != '/') {
        return item.refuse("must be an absolute path");
    }
    return {};
}

Outcome<void> read_group(const TomlItem& item, Config& config) {
    XSAN_TRY(config.control.group, read_text(item, 32));
    return {};
}

Outcome<void> read_reactor_count(const TomlItem& item, Config& config) {
    XSAN_TRY(const auto count, read_integer(item, 0, kReactorsMax));
    config.reactors.count = static_cast<unsigned>(count);
    return {};
}

Outcome<void> read_cpus(const TomlItem& item, Config& config) {
    const auto* list = item.node.as_array();
    if (list == nullptr) return item.refuse("must be an array of CPU numbers");
    if (list->size() > kReactorsMax) {
        return item.refuse(fmt::format("has more than {} items", kReactorsMax));
    }
    for (const auto& node : *list) {
        XSAN_TRY(const auto cpu, read_integer(TomlItem{node, item.file, item.path}, 0, 8191));
        if (std::find(config.reactors.cpus.begin(), config.reactors.cpus.end(), cpu) !=
            config.reactors.cpus.end()) {
            return item.refuse(fmt::format("CPU {} appears twice", cpu));
        }
        config.reactors.cpus.push_back(static_cast<int>(cpu));
    }
    return {};
}

Outcome<void> read_log_level(const TomlItem& item, Config& config) {
    static constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning",
                                                                "error"};
    XSAN_TRY(const auto level, read_choice(item, kLevels));
    const auto at = std::find(kLevels.begin(), kLevels.end(), level);
    config.log.level = static_cast<LogLevel>(at - kLevels.begin());
    return {};
}

Outcome<void> read_log_target(const TomlItem& item, Config& config) {
    XSAN_TRY(auto target, read_text(item, 4096));
    using Target = Config::Log::Target;
    if (target == "auto") {
        config.log.target = Target::automatic;
    } else if (target == "stderr") {
        config.log.target = Target::stderr_stream;
    } else if (target == "journal") {
        config.log.target = Target::journal;
    } else if (target == "syslog") {
        config.log.target = Target::syslog;
    } else if (!target.empty() && target.front() == '/') {
        config.log.target = Target::file;
        config.log.file = std::move(target);
    } else {
        return item.refuse("must be auto, stderr, journal, syslog or the absolute path of a file");
    }
    return {};
}

Outcome<void> read_strip(const TomlItem& item, Config& config) {
    XSAN_TRY(config.create.strip_bytes, read_size(item, {ec::kStripBytesMin, ec::kStripBytesMax, true}));
    return {};
}

Outcome<void> read_block(const TomlItem& item, Config& config) {
    XSAN_TRY(config.create.block_bytes, read_size(item, {512, 4096, true}));
    if (config.create.block_bytes != 512 && config.create.block_bytes != 4096) {
        return item.refuse("must be 512 or 4096");
    }
    return {};
}

Outcome<void> read_extent(const TomlItem& item, Config& config) {
    XSAN_TRY(const auto bytes, read_size(item, {kMiB, 64 * kGiB, true}));
    config.create.extent_bytes = bytes;
    return {};
}

Outcome<void> read_consistency(const TomlItem& item, Config& config) {
    static constexpr std::array<std::string_view, 3> kPolicies = {"log", "resync", "none"};
    XSAN_TRY(config.create.consistency, read_choice(item, kPolicies));
    return {};
}

Outcome<void> read_queues(const TomlItem& item, Config& config) {
    XSAN_TRY(const auto queues, read_integer(item, 0, kReactorsMax));
    config.ublk.queues = static_cast<unsigned>(queues);
    return {};
}

Outcome<void> read_queue_depth(const TomlItem& item, Config& config) {
    XSAN_TRY(const auto depth, read_integer(item, 1, 4096));
    config.ublk.queue_depth = static_cast<unsigned>(depth);
    return {};
}

Outcome<void> read_request_max(const TomlItem& item, Config& config) {
    XSAN_TRY(config.ublk.request_bytes_max, read_size(item, {4 * kKiB, 32 * kMiB, true}));
    return {};
}

Outcome<void> read_rate_max(const TomlItem& item, Config& config) {
    XSAN_TRY(config.rebuild.rate_max_bytes, read_size(item, {0, INT64_MAX, false}));
    return {};
}

Outcome<void> read_scrub_rate_max(const TomlItem& item, Config& config) {
    XSAN_TRY(config.scrub.rate_max_bytes, read_size(item, {0, INT64_MAX, false}));
    return {};
}

Outcome<void> read_metrics_listen(const TomlItem& item, Config& config) {
    XSAN_TRY(const auto text, read_text(item, 64));
    auto address = parse_loopback(text);
    if (!address) return item.refuse(address.error().message);
    config.metrics.listen = std::move(*address);
    return {};
}

struct Key {
    std::string_view table;
    std::string_view name;
    Outcome<void> (*read)(const TomlItem& item, Config& config);
};

constexpr std::array kKeys = {
    Key{"control", "socket", read_socket},
    Key{"control", "group", read_group},
    Key{"reactors", "count", read_reactor_count},
    Key{"reactors", "cpus", read_cpus},
    Key{"log", "level", read_log_level},
    Key{"log", "target", read_log_target},
    Key{"create", "strip", read_strip},
    Key{"create", "block", read_block},
    Key{"create", "extent", read_extent},
    Key{"create", "consistency", read_consistency},
    Key{"ublk", "queues", read_queues},
    Key{"ublk", "queue_depth", read_queue_depth},
    Key{"ublk", "request_max", read_request_max},
    Key{"rebuild", "rate_max", read_rate_max},
    Key{"scrub", "rate_max", read_scrub_rate_max},
    Key{"wear", "enabled", read_wear_enabled},
    Key{"wear", "endurance", read_wear_endurance},
    Key{"wear", "policy", read_wear_policy},
    Key{"wear", "readings", read_wear_readings},
    Key{"metrics", "listen", read_metrics_listen},
};

Outcome<void> read_table(const toml::table& table, std::string_view table_name,
                         std::string_view file, Config& config) {
    for (const auto& [toml_key, node] : table) {
        const std::string_view name = toml_key.str();
        TomlItem item{node, file, fmt::format("{}.{}", table_name, quotable(name))};
        const auto key = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& k) {
            return k.table == table_name && k.name == name;
        });
        if (key == kKeys.end()) return item.refuse("unknown key");
        XSAN_TRY_VOID(key->read(item, config));
    }
    return {};
}

Outcome<Config> read_document(const toml::table& document, std::string_view file) {
    Config config;
    for (const auto& [toml_key, node] : document) {
        const std::string_view name = toml_key.str();
        const TomlItem item{node, file, quotable(name)};
        const bool known = std::any_of(kKeys.begin(), kKeys.end(),
                                       [&](const Key& key) { return key.table == name; });
        if (!known) return item.refuse("unknown key");
        if (!node.is_table()) return item.refuse("must be a table");
        XSAN_TRY_VOID(read_table(*node.as_table(), name, file, config));
    }
    const auto& reactors = config.reactors;
    if (!reactors.cpus.empty() && reactors.count > 0 && reactors.cpus.size() != reactors.count) {
        return Failure(Errc::invalid_argument,
                       fmt::format("{}: reactors.cpus has {} CPUs for {} reactors", file,
                                   reactors.cpus.size(), reactors.count));
    }
    if (!reactors.cpus.empty()) {
        config.reactors.count = static_cast<unsigned>(reactors.cpus.size());
    }
    return config;
}

}  // namespace

Outcome<Config> parse_config(std::string_view text, std::string_view file_name) {
    XSAN_TRY(const auto document, parse_toml(text, file_name, kConfigBytesMax));
    return read_document(document, file_name);
}

Outcome<Config> load_config(const std::string& path, bool must_exist) {
    const auto text = read_text_file(path, kConfigBytesMax);
    if (!text) {
        if (text.error().code == Errc::not_found && !must_exist) return Config();
        return text.error();
    }
    return parse_config(*text, path);
}

}  // namespace xsan::daemon
