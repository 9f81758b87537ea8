// Mutants: known defects of the durability code, built in so that the simulator can be shown to find
// each of them (docs/testing.md, "Mutants"). A mutant is one expression on the line that it breaks:
//
//     if (!mutant(Mutant::flush_before_tail)) XSAN_CO_TRY_VOID(engine_->flush());
//
// Only a build with -DXSAN_MUTANTS=ON (preset `mutants`) has them, and there only the one that the
// main program selected. In every other build mutant() is the constant false, and nothing is left.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

// X(name, class, the defect): the one list. The name begins with a word for the class.
#define XSAN_MUTANTS_LIST(X)                                                                       \
    X(flush_before_tail, "flush order", "tails pass records whose in-place writes no flush covers") \
    X(flush_mark_late, "flush order", "a flush counts for writes that completed while it ran")      \
    X(flush_log_append, "flush order", "records are appended without FUA")                          \
    X(flush_in_place_fua, "flush order", "a FUA write is written in place without FUA")             \
    X(flush_first_member, "flush order", "a flush leaves out the first member")                     \
    X(flush_before_clean, "flush order", "groups become clean without a flush (resync)")            \
    X(ack_before_append, "acknowledgement order", "in-place writes do not wait for the append")     \
    X(ack_write_error, "acknowledgement order", "a failed write is answered, its loss unrecorded")  \
    X(ack_append_error, "acknowledgement order", "an append that failed is taken for done")         \
    X(ack_flush_error, "acknowledgement order", "a flush that failed is answered as done")          \
    X(ack_before_mark, "acknowledgement order", "a group is written before its mark is durable")    \
    X(ack_loss_commit, "acknowledgement order", "a loss counts as recorded before its commit ends") \
    X(tail_open_records, "tail", "tails pass records whose writes are under way")                   \
    X(tail_position_head, "tail", "tails point at the head, whatever batches are open")             \
    X(tail_one_sector, "tail", "each tail goes over the one before")                                \
    X(tail_not_opened, "tail", "no tail is written when the log is set up")                         \
    X(tail_older_read, "tail", "of the two tails the older one is read")                            \
    X(tail_one_fewer, "tail", "tails are written to one member fewer")                              \
    X(tail_passes_kept, "tail", "tails pass records that are kept for the next start")             \
    X(tail_room_early, "tail", "room in a ring is used again before the tail is durable")           \
    X(copies_one_holder_fewer, "number of copies", "records go to one holder fewer")                \
    X(copies_any_will_do, "number of copies", "replay takes a record that some holder lacks")       \
    X(copies_of_lost_too, "number of copies", "replay wants copies of lost members too")            \
    X(copies_of_entry, "number of copies", "metadata entries go to one member fewer")               \
    X(copies_of_mirror, "number of copies", "a mirrored write leaves out the last copy")            \
    X(crc_batch_content, "CRC and epoch", "the checksum of a batch's contents is not compared")     \
    X(crc_entry, "CRC and epoch", "the checksum of a metadata entry is not compared")               \
    X(crc_overwrite, "CRC and epoch", "an overwrite's checksums are not compared at replay")        \
    X(epoch_not_raised, "CRC and epoch", "assembly does not raise the epoch")                       \
    X(epoch_off_by_one, "CRC and epoch", "replay takes the last epoch's log for one of this epoch") \
    X(epoch_oldest, "CRC and epoch", "assembly starts from the lower epoch and sequence")           \
    X(stale_strip_read, "stale members", "stale strips count as good")                              \
    X(stale_member_live, "stale members", "members that are not in sync go live at assembly")       \
    X(stale_readmitted, "stale members", "a member comes back without its strips becoming stale")   \
    X(stale_absent_unmarked, "stale members", "members absent at assembly are not recorded")        \
    X(stale_half_is_enough, "stale members", "half of the members may start the pool")              \
    X(stale_compared_in_part, "stale members", "of a strip that was away only the first half is compared") \
    X(stale_free_space, "stale members", "a member that was away keeps what it has in free space")  \
    X(stale_generation, "stale members", "replay drops records from before a member fell behind")   \
    X(delta_new_data, "delta", "parity takes the old data itself for the difference")               \
    X(delta_first_strip, "delta", "of several strips only the first one's difference counts")       \
    X(delta_first_parity, "delta", "the second parity and those behind it are not updated")         \
    X(delta_coefficient, "delta", "all strips use the coefficients of the first one")               \
    X(delta_first_row, "delta", "old data is taken from the first row of the operation")            \
    X(delta_read_error, "delta", "old data that could not be read is used all the same")            \
    X(replay_skips_last, "replay", "a stripe's last record is left out")                            \
    X(replay_order, "replay", "records of a stripe are applied in the wrong order")                 \
    X(replay_no_flush, "replay", "the log is emptied before what replay wrote is durable")          \
    X(replay_parity, "replay", "data is written again, parity is not")                              \
    X(replay_retired, "replay", "retired records are applied again")                                \
    X(replay_copies, "replay", "copies that differ stay as they are")                               \
    X(replay_row, "replay", "a record's content is taken from its first row")                       \
    X(mover_no_flush, "movers", "the table changes before the targets are durable")                 \
    X(mover_misses_writes, "movers", "writes behind the mover do not reach its targets")            \
    X(mover_done_early, "movers", "a stripe counts as moved before it is copied")                   \
    X(mover_gate, "movers", "writers are not held while the table changes")                         \
    X(mover_log_kept, "movers", "records from before the move stay in the log")                     \
    X(mover_unlogged_writes, "movers", "unlogged writes are not durable when the table changes")    \
    X(mover_commit_in_doubt, "movers", "writes go on after a move whose commit is in doubt")        \
    X(superblock_at_once, "superblock", "all four copies are written at once")                      \
    X(superblock_no_flush, "superblock", "no flush between the two pairs of copies")                \
    X(superblock_quorum, "superblock", "opening needs three copies that agree")                     \
    X(superblock_same_slot, "superblock", "a checkpoint goes over the one in use")                  \
    X(superblock_before_checkpoint, "superblock", "it names a checkpoint that no flush covers")     \
    X(superblock_body_crc, "superblock", "the checksum of its body is not compared")

namespace xsan {

enum class Mutant : std::uint8_t {
    none,
#define XSAN_MUTANT_NAME(name, kind, defect) name,
    XSAN_MUTANTS_LIST(XSAN_MUTANT_NAME)
#undef XSAN_MUTANT_NAME
};

struct MutantInfo {
    Mutant mutant;
    std::string_view name;
    std::string_view kind;  // class
    std::string_view defect;
};
inline constexpr std::array kMutants{
#define XSAN_MUTANT_INFO(name, kind, defect) MutantInfo{Mutant::name, #name, kind, defect},
    XSAN_MUTANTS_LIST(XSAN_MUTANT_INFO)
#undef XSAN_MUTANT_INFO
};

#ifdef XSAN_MUTANTS
inline constexpr bool kHasMutants = true;
// Set before anything runs.
inline Mutant selected_mutant = Mutant::none;
inline bool mutant(Mutant m) { return selected_mutant == m; }
#else
inline constexpr bool kHasMutants = false;
constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace xsan
