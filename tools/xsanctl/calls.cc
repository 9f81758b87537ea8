// From the options of each command to the call that it means.
#include <fmt/format.h>

#include <charconv>

#include "base/units.h"
#include "xsanctl/arguments.h"
#include "xsanctl/command_line.h"

namespace xsan::ctl {
namespace {

using nlohmann::json;

Failure usage(std::string message) { return {Errc::invalid_argument, std::move(message)}; }

// Puts a size into the parameters when it was given.
Outcome<void> put_size(json& params, const char* name, const char* option,
                       const std::optional<std::string>& text) {
    if (!text) return {};
    const auto size = parse_size(*text);
    if (!size) return usage(fmt::format("{}: {}", option, size.error().message));
    params[name] = *size;
    return {};
}

// A number in decimal digits; the check of the parameters says which.
Outcome<void> put_group(json& params, const std::string& text) {
    std::uint32_t group = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), group);
    if (error != std::errc() || end != text.data() + text.size()) {
        return usage(fmt::format("'{}' is no group: give its number", text));
    }
    params["group"] = group;
    return {};
}

void put_text(json& params, const char* name, const std::optional<std::string>& text) {
    if (text) params[name] = *text;
}

}  // namespace

Invocation CommandLine::on_pool(std::string method) const {
    Invocation invocation;
    invocation.method = std::move(method);
    invocation.params["pool"] = pool_;
    return invocation;
}

json CommandLine::absolute_devices(const std::vector<std::string>& devices) const {
    json list = json::array();
    for (const auto& device : devices) list.push_back(absolute_device(device, directory_));
    return list;
}

Outcome<Invocation> CommandLine::create() const {
    Invocation invocation;
    invocation.method = "create";
    json& params = invocation.params;
    params["name"] = pool_;
    params["scheme"] = scheme_;
    params["devices"] = absolute_devices(devices_);
    params["spares"] = absolute_devices(spares_);
    params["attach"] = !no_attach_;
    params["force"] = force_;
    put_text(params, "volume", volume_name_);
    put_text(params, "consistency", consistency_);
    XSAN_TRY_VOID(put_size(params, "strip_bytes", "--strip", strip_));
    XSAN_TRY_VOID(put_size(params, "block_bytes", "--block", block_));
    XSAN_TRY_VOID(put_size(params, "extent_bytes", "--extent", extent_));
    XSAN_TRY_VOID(put_size(params, "size_bytes", "--size", size_));
    return invocation;
}

Outcome<Invocation> CommandLine::assemble() const {
    Invocation invocation;
    invocation.method = "assemble";
    std::vector<std::string> devices = devices_;
    if (!devices.empty() && !looks_like_device(devices.front())) {
        invocation.params["pool"] = devices.front();
        devices.erase(devices.begin());
    }
    if (scan_ && !devices.empty()) return usage("assemble: give --scan or drives, not both");
    invocation.params["scan"] = devices.empty();
    invocation.params["devices"] = absolute_devices(devices);
    invocation.params["accept_missing"] = accept_missing_;
    return invocation;
}

Outcome<Invocation> CommandLine::destroy() const {
    if (!yes_) {
        return usage(fmt::format("destroy deletes pool '{}' with all its data: say --yes", pool_));
    }
    Invocation invocation = on_pool("destroy");
    invocation.params["yes"] = true;
    return invocation;
}

Outcome<Invocation> CommandLine::add() const {
    Invocation invocation = on_pool("add");
    invocation.params["devices"] = absolute_devices(devices_);
    invocation.params["spare"] = spare_;
    invocation.params["force"] = force_;
    return invocation;
}

Outcome<Invocation> CommandLine::member(const std::string& method) const {
    Invocation invocation = on_pool(method);
    invocation.params["device"] = absolute_member(device_, directory_);
    return invocation;
}

Outcome<Invocation> CommandLine::replace() const {
    Invocation invocation = on_pool("replace");
    invocation.params["old"] = absolute_member(device_, directory_);
    invocation.params["new"] = absolute_device(new_device_, directory_);
    invocation.params["force"] = force_;
    return invocation;
}

Outcome<Invocation> CommandLine::relocate() const {
    Invocation invocation = on_pool("relocate");
    XSAN_TRY_VOID(put_group(invocation.params, group_));
    invocation.params["from"] = absolute_member(device_, directory_);
    invocation.params["to"] = absolute_member(new_device_, directory_);
    return invocation;
}

Outcome<Invocation> CommandLine::rebuild() const {
    const std::string action = action_.empty() ? "start" : action_;
    if (only_group_) {
        if (action != "start" || rate_max_) return usage("rebuild --group takes neither --rate-max nor another action");
        Invocation invocation = on_pool("rebuild.group");
        XSAN_TRY_VOID(put_group(invocation.params, *only_group_));
        return invocation;
    }
    const bool waits = action == "wait";
    if (rate_max_ && (waits || action == "status")) {
        return usage(fmt::format("rebuild {} takes no --rate-max", action));
    }
    Invocation invocation = on_pool(waits ? "rebuild.status" : "rebuild." + action);
    if (waits) invocation.action = Invocation::Action::wait_rebuild;
    XSAN_TRY_VOID(put_size(invocation.params, "rate_max_bytes", "--rate-max", rate_max_));
    return invocation;
}

Outcome<Invocation> CommandLine::scrub() const {
    const std::string action = action_.empty() ? "check" : action_;
    const bool waits = action == "wait";
    if (rate_max_ && (waits || action == "status")) {
        return usage(fmt::format("scrub {} takes no --rate-max", action));
    }
    Invocation invocation = on_pool(waits ? "scrub.status" : "scrub." + action);
    if (waits) invocation.action = Invocation::Action::wait_scrub;
    XSAN_TRY_VOID(put_size(invocation.params, "rate_max_bytes", "--rate-max", rate_max_));
    return invocation;
}

Outcome<Invocation> CommandLine::volume(const std::string& method) const {
    Invocation invocation = on_pool(method);
    invocation.params["name"] = volume_;
    return invocation;
}

Outcome<Invocation> CommandLine::volume_create() const {
    Invocation invocation = on_pool("volume.create");
    json& params = invocation.params;
    params["name"] = volume_;
    params["attach"] = !no_attach_;
    put_text(params, "scheme", volume_scheme_);
    XSAN_TRY_VOID(put_size(params, "size_bytes", "--size", size_));
    XSAN_TRY_VOID(put_size(params, "strip_bytes", "--strip", strip_));
    return invocation;
}

Outcome<Invocation> CommandLine::volume_resize() const {
    if (new_size_.has_value() == size_.has_value()) {
        return usage("volume resize: give the new size once, such as 200G");
    }
    Invocation invocation = on_pool("volume.resize");
    invocation.params["name"] = volume_;
    XSAN_TRY_VOID(put_size(invocation.params, "size_bytes", "SIZE", size_ ? size_ : new_size_));
    return invocation;
}

}  // namespace xsan::ctl
