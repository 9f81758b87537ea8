// The table of methods.
#include "rpc/methods.h"

#include <array>

#include "base/units.h"
#include "ec/scheme.h"

namespace xsan::rpc {
namespace {

constexpr std::int64_t bytes(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// 8 EiB less one: everything that fits int64. The pool says what it can really hold.
constexpr std::int64_t kSizeMost = INT64_MAX;
constexpr std::int64_t kDevicesMost = 1024;
constexpr std::int64_t kStripLeast = bytes(ec::kStripBytesMin);
constexpr std::int64_t kStripMost = bytes(ec::kStripBytesMax);
constexpr std::int64_t kExtentMost = bytes(64 * kGiB);

constexpr ParamSpec name(std::string_view param) { return {param, ParamType::name, true}; }
constexpr ParamSpec flag(std::string_view param, std::string_view fallback) {
    return {param, ParamType::boolean, false, 0, 1, {}, fallback};
}
constexpr ParamSpec integer(std::string_view param, std::int64_t least, std::int64_t most,
                            bool required = false) {
    return {param, ParamType::integer, required, least, most};
}
constexpr ParamSpec device(std::string_view param) { return {param, ParamType::text, true}; }
constexpr ParamSpec scheme(bool required) { return {"scheme", ParamType::text, required, 1, 16}; }
constexpr ParamSpec devices() {
    return {"devices", ParamType::texts, true, 1, kDevicesMost};
}
constexpr ParamSpec maybe_devices(std::string_view param) {
    return {param, ParamType::texts, false, 0, kDevicesMost, {}, "[]"};
}

constexpr std::array kPool = {name("pool")};
constexpr std::array kCreate = {
    name("name"),
    scheme(true),
    integer("strip_bytes", kStripLeast, kStripMost),
    ParamSpec{"block_bytes", ParamType::integer, false, 512, 4096, "512|4096"},
    integer("extent_bytes", bytes(kMiB), kExtentMost),
    ParamSpec{"consistency", ParamType::text, false, 1, 16, "log|resync|none"},
    maybe_devices("spares"),
    ParamSpec{"volume", ParamType::name, false, 1, 32, {}, "\"data\""},
    integer("size_bytes", 1, kSizeMost),
    flag("attach", "true"),
    flag("force", "false"),
    devices(),
};
constexpr std::array kAssemble = {
    ParamSpec{"pool", ParamType::name},
    maybe_devices("devices"),
    flag("scan", "false"),
    flag("accept_missing", "false"),
};
constexpr std::array kDestroy = {name("pool"), flag("yes", "false")};
constexpr std::array kAdd = {name("pool"), devices(), flag("spare", "false"),
                             flag("force", "false")};
constexpr std::array kMember = {name("pool"), device("device")};
constexpr std::array kReplace = {name("pool"), device("old"), device("new"),
                                 flag("force", "false")};
constexpr std::array kPacedJob = {name("pool"), integer("rate_max_bytes", 0, kSizeMost)};
constexpr ParamSpec group() { return integer("group", 0, UINT32_MAX, true); }
constexpr std::array kGroup = {name("pool"), group()};
constexpr std::array kRelocate = {name("pool"), group(), device("from"), device("to")};
constexpr std::array kVolume = {name("pool"), name("name")};
constexpr std::array kVolumeCreate = {
    name("pool"),
    name("name"),
    scheme(false),
    integer("size_bytes", 1, kSizeMost),
    integer("strip_bytes", kStripLeast, kStripMost),
    flag("attach", "true"),
};
constexpr std::array kVolumeResize = {
    name("pool"),
    name("name"),
    integer("size_bytes", 1, kSizeMost, true),
};

constexpr std::array kMethods = {
    MethodSpec{"ping", Role::viewer, {}, "answer at once"},
    MethodSpec{"version", Role::viewer, {}, "the daemon's version and what the kernel offers"},
    MethodSpec{"create", Role::admin, kCreate, "make a pool and one volume"},
    MethodSpec{"list", Role::viewer, {}, "all pools"},
    MethodSpec{"show", Role::viewer, kPool, "one pool with members, volumes and jobs"},
    MethodSpec{"assemble", Role::admin, kAssemble, "start pools from their superblocks"},
    MethodSpec{"stop", Role::admin, kPool, "detach the volumes and let go of the members"},
    MethodSpec{"destroy", Role::admin, kDestroy, "delete a pool and everything on it"},
    MethodSpec{"add", Role::admin, kAdd, "add members or spares"},
    MethodSpec{"fail", Role::admin, kMember, "declare a member faulty"},
    MethodSpec{"remove", Role::admin, kMember, "move everything off a member and drop it"},
    MethodSpec{"replace", Role::admin, kReplace, "copy a member to another while it serves"},
    MethodSpec{"relocate", Role::admin, kRelocate, "move a strip of a group to another member"},
    MethodSpec{"rebuild.start", Role::admin, kPacedJob, "start what can be rebuilt"},
    MethodSpec{"rebuild.pause", Role::admin, kPacedJob, "hold the rebuild"},
    MethodSpec{"rebuild.resume", Role::admin, kPacedJob, "go on with a held rebuild"},
    MethodSpec{"rebuild.group", Role::admin, kGroup, "rebuild one group before all others"},
    MethodSpec{"rebuild.status", Role::viewer, kPool, "progress of the rebuild"},
    MethodSpec{"scrub.check", Role::admin, kPacedJob, "read all strips and count mismatches"},
    MethodSpec{"scrub.repair", Role::admin, kPacedJob, "read all strips and correct mismatches"},
    MethodSpec{"scrub.pause", Role::admin, kPacedJob, "hold the scrub"},
    MethodSpec{"scrub.resume", Role::admin, kPacedJob, "go on with a held scrub"},
    MethodSpec{"scrub.status", Role::viewer, kPool, "progress of the scrub"},
    MethodSpec{"volume.attach", Role::admin, kVolume, "give a volume its block device"},
    MethodSpec{"volume.detach", Role::admin, kVolume, "take the block device away"},
    MethodSpec{"volume.create", Role::admin, kVolumeCreate, "make a volume"},
    MethodSpec{"volume.resize", Role::admin, kVolumeResize, "change a volume's size"},
    MethodSpec{"volume.delete", Role::admin, kVolume, "delete a volume and its data"},
    MethodSpec{"volume.list", Role::viewer, kPool, "a pool's volumes"},
};

}  // namespace

std::span<const MethodSpec> methods() { return kMethods; }

const MethodSpec* find_method(std::string_view name) {
    for (const auto& method : kMethods) {
        if (method.name == name) return &method;
    }
    return nullptr;
}

}  // namespace xsan::rpc
