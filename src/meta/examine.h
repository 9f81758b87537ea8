// What one device says: the superblock its copies agree on, and how far its metadata log goes.
// Read-only.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "dev/block_device.h"
#include "meta/log.h"
#include "meta/state.h"
#include "meta/superblock.h"
#include "reactor/task.h"

namespace xsan::meta {

// What was found on one device; value of examine().
struct Examined {
    dev::BlockDevice* device = nullptr;
    Superblock superblock;      // the newest valid content
    unsigned copies_valid = 0;  // of 4; two are needed
    std::string note;           // what was wrong with the others, for the log; empty: nothing
    std::uint64_t newest_sequence = 0;  // of the last valid entry in its metadata log
    std::uint64_t newest_epoch = 0;

    // For assembly.
    std::array<bool, kSuperblockCopies> repair{};  // copies that do not hold `superblock`
    LogPosition end;                               // of the chain on this device
    std::uint32_t previous_crc = 0;          // of the entry before the last, where has_entries
    bool has_entries = false;                // behind the checkpoint
    bool is_clean = false;                   // the last entry is a clean mark
    Error write_error;                       // as the assembly found out: it can tell, not take part
    bool is_log_damaged = false;             // entries are missing that were once durable
    std::uint64_t unreachable_sequence = 0;  // the newest entry behind the damage

    const Uuid& lineage() const { return end.lineage; }
    std::string name() const { return device->identity().path; }
};

// Reads the superblock copies and scans the metadata log; writes nothing. Failures: not_found (no
// xsan superblock at all), version_mismatch, corrupt (fewer than two copies); each names the
// device.
Task<Outcome<Examined>> examine(dev::BlockDevice& device);

// The state as an examined device holds it: its checkpoint with its log replayed, up to
// examined.end. Failures, each naming the device: corrupt, checksum_mismatch, version_mismatch,
// io_error.
Task<Outcome<State>> load_state(Examined from);

}  // namespace xsan::meta
