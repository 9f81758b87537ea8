// Plan: one run of the simulator, spelled out: what the pool is made of, and the operations, faults
// and power cuts that it goes through.
//
// Invariants:
//  - generate() draws a plan from the workload's labels of a choice stream; the run that executes it
//    draws schedule, latencies and what a cut keeps from other labels of the same seed, keyed by the
//    operation's id. So a seed is a run, and a plan with operations taken out is the same run
//    without them: that is what the shrinker does.
//  - Arguments of operations are raw numbers that are brought into range when they are used: any
//    plan can be executed.
//  - to_text() and parse_plan() are inverses: a replay file is a plan.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/result.h"
#include "meta/records.h"
#include "reactor/reactor.h"

namespace xsan::simtest {

enum class Mode : std::uint8_t {
    within,  // no more goes wrong than C1..C4 promise to survive
    beyond,  // more than that: errors and refusals are right, wrong data is not (C5)
};

struct Config {
    std::string scheme = "4+2";
    unsigned members = 6;
    unsigned spares = 0;
    std::uint32_t strip_bytes = 4096;
    std::uint32_t device_block_bytes = 4096;
    std::uint32_t atomic_bytes = 4096;  // what a power cut tears at
    std::uint32_t volume_block_bytes = 4096;
    bool volatile_cache = true;
    bool discard_zeroes = true;
    bool reorder = true;
    unsigned reactors = 1;
    unsigned depth = 4;     // requests outstanding
    TimeNs spread = 0;      // of latencies
    // Small ones are full now and then, and quick to read. 0: what the pool chooses.
    std::uint32_t metadata_log_bytes = 0;
    std::uint32_t stripe_log_bytes = 0;  // of the first members
    std::uint32_t drive_mib = 64;        // of each drive
    // Up to this whole stripes are logged with their payload (pool::Environment); beyond it blocks that
    // were under way when a cut and a loss met may become I/O errors.
    std::uint64_t log_payload_bytes_max = UINT64_MAX;
    unsigned variants = 4;  // surviving subsets tried at each cut point
    std::uint32_t log_ring_bytes = 0;  // of each lane of the stripe log; 0: all there is
    bool leaves_drives = false;        // a drive may stay away at a power cut of the run
    bool wear = false;  // accounts of wear are kept, and relocations come from plans as well
    meta::Consistency policy = meta::Consistency::resync;
    Mode mode = Mode::within;
    bool degraded_cuts = false;  // also cut while members are missing (policy `log` promises it)

    bool logs_all_payload() const { return log_payload_bytes_max == UINT64_MAX; }
    // The blocks of which C2 speaks.
    std::uint32_t granule_bytes() const {
        return volume_block_bytes < atomic_bytes ? volume_block_bytes : atomic_bytes;
    }
};

enum class OpKind : std::uint8_t {
    // requests of users
    write,
    write_zeroes,
    discard,
    read,
    flush,
    // time
    drain,  // until nothing is outstanding
    pause,  // some milliseconds or seconds pass: cleaner, checkpoints, rebuild
    // administration
    create_volume,
    resize_volume,
    delete_volume,
    fail_member,
    pull_member,    // the drive vanishes
    return_member,  // and comes back, stale
    add_spare,
    rebuild_wait,
    scrub,
    restart,    // clean stop, assemble
    power_cut,  // of the whole run, which goes on after assembly
    // drives that go wrong
    read_error,    // one read fails, the next does not
    latent_error,  // until rewritten
    write_error,
    flush_error,
    slow,
    rot,        // bits flip in metadata
    lost_meta,  // a write of metadata that reports success and changes nothing
    clone,      // assembly sees one member twice
    damage,     // of the metadata log or a checkpoint: rot, a write that is lost or goes astray
    vanish_at,  // the drive vanishes as a write to some region arrives
    rot_scrub,  // bits flip in data, and a scrub has to find them
    slow_commit,  // all drives take long for what is written to their metadata logs next; with --focus only
    relocate,     // administration: groups move to other members; with --focus only
    count_,
};
inline constexpr std::size_t kOpKinds = static_cast<std::size_t>(OpKind::count_);
std::string_view op_name(OpKind kind);
OpKind parse_op(std::string_view name);  // count_: no such operation

struct Op {
    std::uint32_t id = 0;  // in the plan as generated; keys the choices of its cuts
    OpKind kind = OpKind::write;
    std::uint32_t a = 0, b = 0, c = 0, d = 0;
    std::uint32_t steps = 0;  // of the world before each cut, and before the next operation
    std::uint32_t cuts = 0;   // crash points: so many, each `variants` crash states
};

struct Plan {
    std::uint64_t seed = 0;
    Config config;
    std::vector<Op> ops;
};

struct PlanOptions {
    meta::Consistency policy = meta::Consistency::resync;
    Mode mode = Mode::within;
    bool degraded_cuts = false;
    std::string shape;  // one of shapes(); empty: the seed chooses
    // 0: the seed chooses. Rings that are so small that they are full all the time; so many reactors that a
    // tail of the stripe log is larger than what a power cut tears at.
    std::uint32_t log_ring_bytes = 0;
    unsigned reactors = 0;
    // Operations and faults that every plan has, far more often than others.
    std::vector<OpKind> focus;
    bool relocates() const;  // members beyond the width of a group are there to move to
};

struct Shape {
    std::string scheme;
    unsigned members;
    unsigned spares;
};
// The shapes of design.md, section 10, and declustered ones.
const std::vector<Shape>& shapes();

Plan generate(std::uint64_t seed, const PlanOptions& options);
std::string to_text(const Plan& plan);
Outcome<Plan> parse_plan(std::string_view text);

std::string_view policy_name(meta::Consistency policy);
Outcome<meta::Consistency> parse_policy(std::string_view text);

// A seed for a part of the run, from others.
constexpr std::uint64_t mix_seed(std::uint64_t a, std::uint64_t b) {
    std::uint64_t z = a + 0x9E3779B97F4A7C15ull * (b + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

}  // namespace xsan::simtest
