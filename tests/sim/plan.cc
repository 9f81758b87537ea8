// Drawing plans from a seed.
#include "sim/plan.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/units.h"
#include "ec/scheme.h"
#include "meta/stripe_log.h"
#include "sim/choice_stream.h"

namespace xsan::simtest {
namespace {

using sim::ChoiceLabel;
using sim::ChoiceStream;
using sim::Subsystem;

constexpr ChoiceLabel kConfig{Subsystem::workload, 0};
constexpr ChoiceLabel kOps{Subsystem::workload, 1};
constexpr ChoiceLabel kCuts{Subsystem::workload, 2};
constexpr ChoiceLabel kMore{Subsystem::workload, 3};  // apart, so that older seeds keep their plans
constexpr ChoiceLabel kLog{Subsystem::workload, 4};
constexpr ChoiceLabel kRoom{Subsystem::workload, 5};

struct Weight {
    OpKind kind;
    unsigned weight;
};

// What users and administrators do.
constexpr Weight kUse[] = {
    {OpKind::write, 520},        {OpKind::write_zeroes, 40}, {OpKind::discard, 20},
    {OpKind::read, 60},          {OpKind::flush, 110},       {OpKind::drain, 50},
    {OpKind::pause, 14},         {OpKind::create_volume, 6}, {OpKind::resize_volume, 6},
    {OpKind::delete_volume, 4},  {OpKind::fail_member, 8},   {OpKind::pull_member, 10},
    {OpKind::return_member, 16}, {OpKind::add_spare, 2},     {OpKind::rebuild_wait, 14},
    {OpKind::scrub, 5},          {OpKind::restart, 6},       {OpKind::power_cut, 8},
};
// What drives do. A run has faults of a few kinds only, so that they do not hide each other.
constexpr Weight kFaults[] = {
    {OpKind::read_error, 25}, {OpKind::latent_error, 25}, {OpKind::write_error, 20},
    {OpKind::flush_error, 20}, {OpKind::slow, 25},        {OpKind::rot, 20},
    {OpKind::lost_meta, 15},  {OpKind::clone, 10},
};
constexpr Weight kMoreFaults[] = {
    {OpKind::damage, 30},
    {OpKind::vanish_at, 10},
    {OpKind::rot_scrub, 15},
};

// Beside a sum of some 900 of the others.
constexpr unsigned kFocusWeight = 150;

OpKind pick(ChoiceStream& choices, std::span<const Weight> weights) {
    unsigned total = 0;
    for (const Weight& w : weights)
        total += w.weight;
    std::uint32_t value = choices.below(total, kOps);
    for (const Weight& w : weights) {
        if (value < w.weight) return w.kind;
        value -= w.weight;
    }
    return weights[0].kind;
}

// An append, which is half a ring at most, carries a row of a stripe and its parity.
std::uint32_t ring_bytes_min(const Config& c) {
    const auto scheme = ec::parse_scheme(c.scheme, c.members, c.strip_bytes);
    return 2 * (4 + scheme->data_strips + 1) * static_cast<std::uint32_t>(meta::kStripeLogBlockBytes);
}

Config draw_config(ChoiceStream& choices, const PlanOptions& options) {
    const auto one_of = [&](auto... values) {
        const std::array all{values...};
        return all[choices.below(static_cast<std::uint32_t>(all.size()), kConfig)];
    };
    Config c;
    const auto index = choices.below(static_cast<std::uint32_t>(shapes().size()), kConfig);
    Shape shape = shapes()[index];
    for (const Shape& s : shapes()) {
        if (s.scheme == options.shape) shape = s;
    }
    c.scheme = shape.scheme;
    c.members = shape.members;
    c.spares = shape.spares;
    c.strip_bytes = one_of(4096u, 4096u, 16384u);
    // Drives with 4 KiB and 512-byte blocks; in the latter a 4 KiB block may be torn.
    const bool small = choices.below(3, kConfig) == 2;
    c.device_block_bytes = small ? 512 : 4096;
    c.atomic_bytes = small ? one_of(512u, 1024u, 4096u) : 4096u;
    c.volume_block_bytes = small ? one_of(512u, 4096u) : 4096u;
    c.volatile_cache = one_of(true, true, true, false);
    c.discard_zeroes = one_of(true, true, false);
    c.reorder = one_of(true, true, false);
    c.reactors = one_of(1u, 2u);
    c.depth = one_of(1u, 2u, 4u, 8u);
    c.spread = one_of(TimeNs{0}, 20 * kMicrosecond, 200 * kMicrosecond);
    c.metadata_log_bytes = choices.below(4, kMore) == 0 ? 256 * 1024 : 64 * 1024;
    c.stripe_log_bytes = choices.below(4, kMore) == 0 ? 0 : 1024 * 1024;
    constexpr std::uint64_t kPayload[] = {UINT64_MAX, UINT64_MAX, 0, 32 * 1024};
    c.log_payload_bytes_max = kPayload[choices.below(4, kMore)];
    c.policy = options.policy;
    c.mode = options.mode;
    c.degraded_cuts = options.degraded_cuts;
    const std::array<std::uint32_t, 3> rings{0, 128 * 1024, 512 * 1024};
    c.log_ring_bytes = rings[choices.below(3, kLog)];
    c.leaves_drives = c.logs_all_payload() && choices.flip(kLog);
    if (options.log_ring_bytes != 0) c.log_ring_bytes = std::max(options.log_ring_bytes, ring_bytes_min(c));
    if (options.reactors != 0) {
        // A lane of the stripe log for each; the log takes a sixteenth of a drive at most.
        c.reactors = options.reactors;
        const std::uint64_t lanes = 2 * meta::kStripeLogBlockBytes + c.reactors * meta::kStripeLogLaneBytesMin;
        c.stripe_log_bytes = static_cast<std::uint32_t>(round_up(lanes, kMiB));
        c.drive_mib = std::max<std::uint32_t>(c.drive_mib, 16 * c.stripe_log_bytes / kMiB);
    }
    // A level's name takes all members for each group; a group of K+P leaves out those beyond its width.
    if (options.relocates() && c.scheme.find('+') != std::string::npos) c.members += 1 + choices.below(3, kRoom);
    c.wear = options.relocates();
    return c;
}

}  // namespace

bool PlanOptions::relocates() const { return std::ranges::find(focus, OpKind::relocate) != focus.end(); }

const std::vector<Shape>& shapes() {
    static const std::vector<Shape> all{
        {"4+0", 4, 0}, {"1+1", 2, 0}, {"raid10", 4, 0}, {"4+1", 5, 0}, {"4+2", 6, 0},
        {"8+3", 11, 0}, {"2+1", 5, 0}, {"4+2", 8, 1},  {"1+2", 3, 0}, {"raid4", 3, 1},
    };
    return all;
}

Plan generate(std::uint64_t seed, const PlanOptions& options) {
    ChoiceStream choices(seed);
    Plan plan;
    plan.seed = seed;
    plan.config = draw_config(choices, options);
    const bool faults = choices.below(3, kConfig) > 0;
    const bool members_come_and_go = choices.below(3, kConfig) > 0;
    std::vector<Weight> weights(std::begin(kUse), std::end(kUse));
    std::erase_if(weights, [&](const Weight& w) {
        return !members_come_and_go && w.kind >= OpKind::fail_member && w.kind <= OpKind::scrub;
    });
    if (faults) {
        for (const Weight& w : kFaults) {
            if (choices.flip(kConfig)) weights.push_back(w);
        }
        for (const Weight& w : kMoreFaults) {
            if (choices.below(3, kMore) == 0) weights.push_back(w);
        }
    }
    for (const OpKind kind : options.focus) weights.push_back({kind, kFocusWeight});
    const unsigned count = 40 + choices.below(80, kConfig);
    for (unsigned i = 0; i < count; i++) {
        Op op;
        op.id = i;
        op.kind = pick(choices, weights);
        op.a = choices.below(1u << 16, kOps);
        op.b = choices.below(1u << 16, kOps);
        op.c = choices.below(1u << 16, kOps);
        op.d = choices.below(1u << 16, kOps);
        const std::array<std::uint32_t, 4> spans{4, 30, 120, 500};
        op.steps = choices.below(spans[choices.below(4, kCuts)], kCuts);
        op.cuts = choices.below(100, kCuts) < 45 ? 1 + choices.below(2, kCuts) : 0;
        plan.ops.push_back(op);
    }
    return plan;
}

}  // namespace xsan::simtest
