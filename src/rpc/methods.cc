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

// Which policies and settings there are, and what values they take, the pool says.
constexpr ParamSpec maybe_member() { return {"member", ParamType::text}; }
constexpr std::array kWearHistory = {name("pool"), maybe_member()};
constexpr std::array kWearPolicy = {name("pool"), ParamSpec{"policy", ParamType::text, false, 1, 64}};
constexpr std::array kWearSet = {name("pool"), ParamSpec{"settings", ParamType::texts, true, 1, 64}};
constexpr std::array kWearEndurance = {name("pool"), device("member"),
                                       integer("endurance_bytes", 0, kSizeMost, true)};
constexpr std::array kWearPredict = {name("pool"), integer("threshold", 1, 100)};
constexpr std::array kWearReset = {name("pool"), maybe_member(), flag("history", "false")};
constexpr std::array kEvents = {
    name("pool"),
    integer("since", 0, INT64_MAX),
    ParamSpec{"count_max", ParamType::integer, false, 1, 4096, {}, "256"},
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
    MethodSpec{"wear.show", Role::viewer, kPool, "how a pool's members wear, and why"},
    MethodSpec{"wear.history", Role::viewer, kWearHistory, "wear of the members over time"},
    MethodSpec{"wear.policy", Role::admin, kWearPolicy, "tell or choose the placement policy"},
    MethodSpec{"wear.set", Role::admin, kWearSet, "change settings of wear leveling"},
    MethodSpec{"wear.endurance", Role::admin, kWearEndurance, "say what a member is rated for"},
    MethodSpec{"wear.start", Role::admin, kPool, "let wear be levelled in the background"},
    MethodSpec{"wear.stop", Role::admin, kPool, "level wear no longer"},
    MethodSpec{"wear.pause", Role::admin, kPool, "hold the moves of wear leveling"},
    MethodSpec{"wear.resume", Role::admin, kPool, "go on with held moves"},
    MethodSpec{"wear.balance", Role::admin, kPool, "level wear now"},
    MethodSpec{"wear.plan", Role::viewer, kPool, "what wear.balance would move"},
    MethodSpec{"wear.predict", Role::viewer, kWearPredict, "when members reach thresholds of wear"},
    MethodSpec{"wear.reset", Role::admin, kWearReset, "begin the members' accounts anew"},
    MethodSpec{"events", Role::viewer, kEvents, "what happened in a pool"},
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
