// MemberIo: what the store reads from and writes to one member, as tasks. No decisions are taken
// here. All of it through dev::BlockDevice; buffers lie at 4096-byte boundaries, since members use
// O_DIRECT.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "dev/aligned_buffer.h"
#include "dev/block_device.h"
#include "meta/checkpoint.h"
#include "meta/superblock.h"
#include "reactor/task.h"

namespace xsan::meta {

// In pieces that the device takes at once. Spans belong to the awaiting caller.
Task<Result<void>> read_fully(dev::BlockDevice& device, std::uint64_t offset,
                              std::span<std::byte> to);
Task<Result<void>> write_fully(dev::BlockDevice& device, std::uint64_t offset,
                               std::span<const std::byte> from, bool fua);

// All four copies as the device holds them; a copy that cannot be read is a media_error with a
// sentence.
Task<SuperblockCopies> read_superblocks(dev::BlockDevice& device);

// A member's superblock as far as we know what its copies hold.
struct SuperblockOnDevice {
    Superblock content;                            // sequence 0: none yet
    std::array<bool, kSuperblockCopies> repair{};  // copies that hold something else
};

// Writes copies 0 and 2, flushes, writes 1 and 3, flushes; `known` follows. Copies that hold
// something else are repaired before: an update must never overwrite the only two that match. An
// error when fewer than three copies were written.
Task<Result<void>> write_superblock(dev::BlockDevice& device, SuperblockOnDevice& known,
                                    Superblock next);

// Overwrites the start and the end of the device, where copies (and foreign signatures) are, with
// zeros; also the end of a member that was smaller than its device is now, where member_bytes says
// so.
Task<Result<void>> erase_superblocks(dev::BlockDevice& device, std::uint64_t member_bytes = 0);

// Writes a checkpoint into a slot and flushes.
Task<Result<void>> write_checkpoint(dev::BlockDevice& device, MemberLayout layout,
                                    std::uint32_t slot, const CheckpointImage& image);

// Runs all tasks at once and returns what each gave.
Task<std::vector<Result<void>>> run_all(std::vector<Task<Result<void>>> tasks);

}  // namespace xsan::meta
