// /run/xsan/state.json: which devices the running pools are on, and which ublk devices are ours, for the daemon
// that follows one that was killed. A hint: assembly trusts superblocks only.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "daemon/service.h"

namespace xsan::daemon {
namespace {

constexpr std::uintmax_t kStateBytesMax = 1u << 20;

// Replaces the file as a whole, so that a reader sees the old or the new one.
Outcome<void> write_file(const std::string& folder, const std::string& text) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const std::string path = folder + "/state.json";
    const std::string fresh = path + ".new";
    {
        std::ofstream out(fresh, std::ios::trunc);
        out << text << "\n";
        if (!out.flush()) return Failure(Errc::io_error, fmt::format("cannot write {}", fresh));
    }
    std::filesystem::rename(fresh, path, error);
    if (error) return Failure(Errc::io_error, fmt::format("cannot replace {}: {}", path, error.message()));
    return {};
}

}  // namespace

Task<void> Service::save_state() {
    for (auto& [name, entry] : pools_) {
        Remembered& pool = remembered_[name];
        pool = {member_paths(*entry.pool), {}};
        for (const auto& [id, target] : entry.targets) pool.ublk_numbers.push_back(target->number());
    }
    co_await write_state();
}

std::vector<std::string> Service::member_paths(const pool::Pool& pool) {
    std::vector<std::string> paths;
    for (const pool::MemberStatus& status : pool.member_status()) paths.push_back(status.member.path);
    return paths;
}

Task<void> Service::write_state() {
    Json pools = Json::array();
    for (const auto& [name, pool] : remembered_) {
        pools.push_back(
            Json::object({{"name", name}, {"devices", pool.devices}, {"ublk", pool.ublk_numbers}}));
    }
    const std::string text = Json::object({{"pools", pools}}).dump();
    Outcome<void> written;
    std::function<void()> write = [&]() { written = write_file(options_.run_folder, text); };
    co_await offload_.run(write);
    if (!written) log(LogLevel::warning, "{}", written.error().message);
}

std::vector<std::string> Service::remembered_devices() const {
    std::vector<std::string> devices;
    for (const auto& [name, pool] : remembered_) {
        devices.insert(devices.end(), pool.devices.begin(), pool.devices.end());
    }
    return devices;
}

// Fills remembered_; a file that is not there is no failure.
Outcome<void> Service::load_state() {
    const std::string path = options_.run_folder + "/state.json";
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    if (error) return {};
    const auto unusable = [&]() {
        return Failure(Errc::corrupt, fmt::format("{} cannot be used and is ignored: `xsanctl assemble` "
                                                  "finds the pools again",
                                                  path));
    };
    if (size > kStateBytesMax) return unusable();
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    const Json json = Json::parse(text.str(), nullptr, false);
    if (!json.is_object() || !json.contains("pools") || !json["pools"].is_array()) return unusable();
    std::map<std::string, Remembered> loaded;
    for (const Json& pool : json["pools"]) {
        if (!pool.is_object() || !pool.contains("name") || !pool["name"].is_string()) return unusable();
        Remembered& one = loaded[pool["name"].get<std::string>()];
        for (const Json& device : pool.value("devices", Json::array())) {
            if (!device.is_string()) return unusable();
            one.devices.push_back(device.get<std::string>());
        }
        for (const Json& number : pool.value("ublk", Json::array())) {
            if (!number.is_number_unsigned()) return unusable();
            one.ublk_numbers.push_back(number.get<unsigned>());
        }
    }
    remembered_ = std::move(loaded);
    return {};
}

}  // namespace xsan::daemon
