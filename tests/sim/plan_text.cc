// Plans as text: a line for the seed, one `name=value` line for the pool, one line per operation.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "sim/plan.h"

namespace xsan::simtest {
namespace {

constexpr std::string_view kFirstLine = "xsan-sim plan 1";

constexpr std::string_view kOpNames[kOpKinds] = {
    "write",         "write_zeroes", "discard",       "read",          "flush",
    "drain",         "pause",        "create_volume", "resize_volume", "delete_volume",
    "fail_member",   "pull_member",  "return_member", "add_spare",     "rebuild_wait",
    "scrub",         "restart",      "power_cut",     "read_error",    "latent_error",
    "write_error",   "flush_error",  "slow",          "rot",           "lost_meta",
    "clone",         "damage",       "vanish_at",     "rot_scrub",     "slow_commit",
    "relocate",
};

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    std::size_t at = 0;
    while (at < line.size()) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        if (end > at) words.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Outcome<void> parse_config(const std::vector<std::string_view>& words, Config& c) {
    std::map<std::string_view, std::string_view> values;
    for (std::size_t i = 1; i < words.size(); i++) {
        const std::size_t equals = words[i].find('=');
        if (equals == std::string_view::npos) continue;
        values[words[i].substr(0, equals)] = words[i].substr(equals + 1);
    }
    const auto u32 = [&](std::string_view name) {
        return static_cast<std::uint32_t>(number(values[name]));
    };
    c.scheme = std::string(values["scheme"]);
    c.members = u32("members");
    c.spares = u32("spares");
    c.strip_bytes = u32("strip");
    c.device_block_bytes = u32("device_block");
    c.atomic_bytes = u32("atomic");
    c.volume_block_bytes = u32("volume_block");
    c.volatile_cache = u32("volatile") != 0;
    c.discard_zeroes = u32("discard_zeroes") != 0;
    c.reorder = u32("reorder") != 0;
    c.reactors = u32("reactors");
    c.depth = u32("depth");
    c.spread = number(values["spread"]);
    c.metadata_log_bytes = u32("metadata_log");  // not in older plans
    c.stripe_log_bytes = u32("stripe_log");
    if (values.contains("payload_max")) c.log_payload_bytes_max = number(values["payload_max"]);
    c.variants = u32("variants");
    c.degraded_cuts = u32("degraded_cuts") != 0;
    c.log_ring_bytes = u32("log_ring");  // 0 in plans from before there was a choice
    c.leaves_drives = u32("leaves_drives") != 0;
    if (values.contains("drive_mib")) c.drive_mib = u32("drive_mib");
    c.wear = u32("wear") != 0;  // not in older plans
    c.mode = values["mode"] == "beyond" ? Mode::beyond : Mode::within;
    XSAN_TRY(c.policy, parse_policy(values["policy"]));
    return {};
}

}  // namespace

std::string_view op_name(OpKind kind) {
    return kOpNames[static_cast<std::size_t>(kind)];
}

OpKind parse_op(std::string_view name) {
    const auto at = std::ranges::find(kOpNames, name);
    return static_cast<OpKind>(at - std::begin(kOpNames));
}

std::string_view policy_name(meta::Consistency policy) {
    if (policy == meta::Consistency::log) return "log";
    return policy == meta::Consistency::resync ? "resync" : "none";
}

Outcome<meta::Consistency> parse_policy(std::string_view text) {
    for (const auto p :
         {meta::Consistency::none, meta::Consistency::resync, meta::Consistency::log}) {
        if (policy_name(p) == text) return p;
    }
    return Failure(Errc::invalid_argument,
                   fmt::format("'{}' is no policy: use log, resync or none", text));
}

std::string to_text(const Plan& plan) {
    const Config& c = plan.config;
    std::string text = fmt::format("{}\nseed {}\n", kFirstLine, plan.seed);
    text += fmt::format(
        "pool scheme={} members={} spares={} strip={} device_block={} atomic={} volume_block={} "
        "volatile={} discard_zeroes={} reorder={} reactors={} depth={} spread={} "
        "metadata_log={} stripe_log={} payload_max={} variants={} "
        "policy={} mode={} degraded_cuts={} log_ring={} leaves_drives={} drive_mib={} wear={}\n",
        c.scheme, c.members, c.spares, c.strip_bytes, c.device_block_bytes, c.atomic_bytes,
        c.volume_block_bytes, int{c.volatile_cache}, int{c.discard_zeroes}, int{c.reorder},
        c.reactors, c.depth, c.spread, c.metadata_log_bytes, c.stripe_log_bytes, c.log_payload_bytes_max,
        c.variants, policy_name(c.policy),
        c.mode == Mode::beyond ? "beyond" : "within", int{c.degraded_cuts},
        c.log_ring_bytes, int{c.leaves_drives}, c.drive_mib, int{c.wear});
    for (const Op& op : plan.ops) {
        text += fmt::format("op {} {} {} {} {} {} steps {} cuts {}\n", op.id, op_name(op.kind),
                            op.a, op.b, op.c, op.d, op.steps, op.cuts);
    }
    return text;
}

Outcome<Plan> parse_plan(std::string_view text) {
    Plan plan;
    bool is_plan = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto words = words_of(line);
        if (line == kFirstLine) is_plan = true;
        if (words.size() == 2 && words[0] == "seed") plan.seed = number(words[1]);
        if (!words.empty() && words[0] == "pool") {
            XSAN_TRY_VOID(parse_config(words, plan.config));
        }
        if (words.size() != 11 || words[0] != "op") continue;
        Op op;
        op.id = static_cast<std::uint32_t>(number(words[1]));
        op.kind = parse_op(words[2]);
        if (op.kind == OpKind::count_) {
            return Failure(Errc::invalid_argument, fmt::format("no such operation: {}", line));
        }
        std::uint32_t* const arguments[] = {&op.a, &op.b, &op.c, &op.d};
        for (std::size_t i = 0; i < 4; i++)
            *arguments[i] = static_cast<std::uint32_t>(number(words[3 + i]));
        op.steps = static_cast<std::uint32_t>(number(words[8]));
        op.cuts = static_cast<std::uint32_t>(number(words[10]));
        plan.ops.push_back(op);
    }
    if (!is_plan) return Failure(Errc::invalid_argument, "this file holds no plan of xsan-sim");
    return plan;
}

}  // namespace xsan::simtest
