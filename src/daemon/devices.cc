// Opening of devices with every check that stands between a typing error and somebody's data.
#include "daemon/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "base/log.h"

namespace xsan::daemon {
namespace {

struct Probe {
    dev::DeviceSpec spec;
    dev::DeviceIdentity identity;
    std::optional<std::string> signature;
};

// Blocking: what a name stands for, and whether it is free.
Outcome<Probe> probe(const std::string& name) {
    Probe p;
    XSAN_TRY(p.spec, dev::parse_device(name));
    XSAN_TRY(p.identity, dev::identify(p.spec));
    XSAN_TRY_VOID(dev::check_unused(p.spec));
    XSAN_TRY(p.signature, dev::find_signature(p.spec));
    return p;
}

Outcome<std::vector<Probe>> probe_all(const std::vector<std::string>& names) {
    std::vector<Probe> probes;
    std::map<std::string, std::string> seen;
    for (const std::string& name : names) {
        XSAN_TRY(auto p, probe(name));
        const bool real = p.spec.kind != dev::DeviceKind::mem && p.spec.kind != dev::DeviceKind::null;
        if (real) {
            const auto [at, is_new] = seen.emplace(p.identity.unique_id, name);
            if (!is_new && at->second == name) {
                return Failure(Errc::invalid_argument, fmt::format("{} is given twice", name));
            }
            if (!is_new) {
                return Failure(Errc::invalid_argument,
                               fmt::format("{} and {} are the same drive: give it once", at->second, name));
            }
        }
        probes.push_back(std::move(p));
    }
    return probes;
}

Outcome<void> refuse_content(const std::string& name, const std::string& what) {
    return Failure(Errc::exists,
                   fmt::format("{} carries {}: use --force to destroy it, or choose another drive", name, what));
}

Outcome<void> check_superblock(const OpenedDevice& one, const OpenRules& rules) {
    if (one.examined) {
        const meta::Superblock& superblock = one.examined->superblock;
        if (rules.own_pool && superblock.pool_uuid == *rules.own_pool) return {};
        if (rules.force) return {};
        return refuse_content(one.given, fmt::format("a member of pool '{}'", superblock.pool_name));
    }
    if (!one.unreadable || rules.force) return {};
    return refuse_content(one.given,
                          fmt::format("damaged or foreign xsan superblocks ({})", one.unreadable->message));
}

// Reads the superblocks of an open device.
Task<void> examine_device(OpenedDevice& opened) {
    auto examined = co_await meta::examine(*opened.device);
    if (examined) {
        opened.examined = std::move(*examined);
    } else if (examined.error().code != Errc::not_found) {
        opened.unreadable = examined.error();
    }
}

}  // namespace

Task<void> close_devices(std::vector<OpenedDevice>& devices) {
    for (OpenedDevice& one : devices) {
        if (one.device != nullptr) co_await one.device->close();
        one.device.reset();
    }
}

Task<Outcome<std::vector<OpenedDevice>>> open_for_pool(std::vector<std::string> names, OpenRules rules,
                                                       Offload& offload) {
    Outcome<std::vector<Probe>> probes = std::vector<Probe>{};
    std::function<void()> look = [&]() { probes = probe_all(names); };
    co_await offload.run(look);
    if (!probes) co_return probes.error();
    for (std::size_t i = 0; i < names.size(); i++) {
        const auto& signature = (*probes)[i].signature;
        if (signature && !rules.force) {
            XSAN_CO_CHECK_VOID(refuse_content(names[i], *signature));
        }
    }
    std::vector<OpenedDevice> opened;
    Outcome<void> all_open;
    std::function<void()> open_all = [&]() {
        for (std::size_t i = 0; i < names.size() && all_open; i++) {
            auto device = dev::open_device((*probes)[i].spec);
            if (!device) {
                all_open = device.error();
                return;
            }
            opened.push_back({names[i], (*probes)[i].spec.domain, std::move(*device), {}, {}});
        }
    };
    co_await offload.run(open_all);
    if (!all_open) {
        co_await close_devices(opened);
        co_return all_open.error();
    }
    for (OpenedDevice& one : opened) {
        co_await examine_device(one);
        if (all_open) all_open = check_superblock(one, rules);
    }
    if (!all_open) {
        co_await close_devices(opened);
        co_return all_open.error();
    }
    co_return opened;
}

Task<Outcome<FoundDevices>> open_for_assembly(std::vector<std::string> names, AssemblyRules rules,
                                              Offload& offload) {
    std::vector<OpenedDevice> opened;
    Outcome<void> result;
    const bool must = rules.must;
    std::function<void()> open_all = [&]() {
        const auto deadline = std::chrono::steady_clock::now() + rules.busy_wait;
        std::map<std::string, std::string> seen;
        for (const std::string& name : names) {
            const auto refuse = [&](const Failure& why) {
                log(LogLevel::debug, "assembly leaves {} out: {}", name, why.message);
                if (must && result) result = why;
            };
            auto spec = dev::parse_device(name);
            if (!spec) {
                refuse(spec.error());
                continue;
            }
            const auto identity = dev::identify(*spec);
            if (!identity) {
                refuse(identity.error());
                continue;
            }
            if (!seen.emplace(identity->unique_id, name).second) continue;
            auto device = dev::open_device(*spec);
            while (!device && device.error().code == Errc::busy &&
                   std::chrono::steady_clock::now() < deadline) {
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                device = dev::open_device(*spec);
            }
            if (!device) {
                refuse(device.error());
                continue;
            }
            opened.push_back({name, spec->domain, std::move(*device), {}, {}});
        }
    };
    co_await offload.run(open_all);
    if (!result) {
        co_await close_devices(opened);
        co_return result.error();
    }
    FoundDevices found;
    for (OpenedDevice& one : opened) {
        co_await examine_device(one);
        if (!one.unreadable) continue;
        log(LogLevel::warning, "{}", one.unreadable->message);
        found.notes.push_back(*one.unreadable);
        if (must && result) result = *one.unreadable;
    }
    for (OpenedDevice& one : opened) {
        if (result && one.examined) found.members.push_back(std::move(one));
    }
    co_await close_devices(opened);
    if (!result) co_return result.error();
    co_return found;
}

std::string unique_id_of(const std::string& name) {
    const auto spec = dev::parse_device(name);
    if (!spec) return {};
    const auto identity = dev::identify(*spec);
    return identity ? identity->unique_id : std::string();
}

std::vector<std::string> scan_device_names() {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/block", error)) {
        const std::string name = entry.path().filename();
        // Partitions, and devices that are made of others, carry no members of their own.
        const bool skip = name.starts_with("ublkb") || name.starts_with("loop") ||
                          name.starts_with("ram") || name.starts_with("zram") || name.starts_with("dm-") ||
                          name.starts_with("md") || name.starts_with("sr") || name.starts_with("fd") ||
                          std::filesystem::exists(entry.path() / "partition", error);
        // nvmeXcYnZ is one path of a namespace, not the namespace.
        const bool is_path = name.starts_with("nvme") && name.find('c') != std::string::npos;
        if (!skip && !is_path) names.push_back("/dev/" + name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace xsan::daemon
