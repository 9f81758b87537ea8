// One crash state: drives as a power cut left them, brought up again by the production code and held
// against the model.
//
// Exact in every state: all granules that were ever written are read back through the engine and
// must be what C1..C3 admit; every mapped stripe is a codeword, and all data on the drives, written
// or not, is what was read (raw_check.h). Volumes are there, or not, as C6 says. The cut alone
// costs no member.
// Sampled, by the state's seed: reading with an actual loss set failed; a second cut while the
// assembly runs or after it has served (then everything must read as before: C4), up to three
// deep; superblocks and tables re-read from the drives.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "sim/bed.h"
#include "sim/model.h"
#include "sim/raw_check.h"
#include "sim/report.h"

namespace xsan::simtest {

inline constexpr unsigned kDepthMax = 3;

// A byte of metadata that flipped.
struct Rotten {
    unsigned drive = 0;
    std::uint64_t offset = 0;
    std::byte value{};  // that is there now
};

struct CrashState {
    const Config* config = nullptr;
    const Model* model = nullptr;
    const Observed* observed = nullptr;  // what was read before this cut, once something was
    std::vector<sim::SparseImage> images;
    std::vector<bool> absent;  // drives that are not there at assembly
    unsigned impaired = 0;     // members that do not count as whole: of them at most P
    // Metadata of a member is damaged: without its vote assembly may ask for an administrator.
    bool may_lack_votes = false;
    // Drives that had a damaged copy of their superblock since it was last read: where the cut tore two others, nobody
    // can tell whose drive it is.
    std::set<unsigned> damaged_superblocks;
    std::vector<Rotten> rotten;
    std::vector<bool> informed;  // drives of members in sync: they know of every commit
    std::vector<bool> whole;     // drives whose members nothing but this cut can have harmed
    bool must_refuse = false;  // only a drive that was away is there: it may not start alone
    std::uint64_t seed = 0;
    unsigned depth = 1;

    // Of what is on the drives, and which of them are there.
    std::uint64_t content_hash() const;
};

// The trace hash of all that happened in it goes into `hash`.
MaybeFinding check_crash(const CrashState& state, Stats& stats, std::uint64_t& hash);

// By drive: is its member there and in sync? While no pool runs: yes, as far as is known.
std::vector<bool> whole_drives(Bed& bed);
// By drive: is its member in sync, there or not? The pool is there, or was until now.
std::vector<bool> informed_drives(Bed& bed);
// Of these drives those without two copies of their superblock that agree.
std::set<unsigned> without_superblock(const Bed& bed, const std::set<unsigned>& drives);
// In mode `beyond` a person who says that nobody knows more may be wrong, and gets what was asked for. Here
// one of those that are there knows all.
bool may_accept_missing(const Config& config, const std::vector<bool>& informed, const std::vector<bool>& absent);
// In mode `beyond`: those who know all are away, and are so few that the others, back from where they were, are a
// majority of what they remember. They start, and know too little (docs/decisions/0009).
bool may_be_outvoted(const Config& config, const std::vector<bool>& informed, const std::vector<bool>& absent);

// What the pool is doing, in the words of the matrix.
std::string_view state_name(Bed& bed, unsigned impaired);
// Counts what is outstanding on the drives as hit by the fault.
void count_outstanding(Bed& bed, std::string_view fault, std::string_view state, Stats& stats);

// A read came upon bytes that had rotted, in assembly: counts and forgets those.
struct ReadRange {
    unsigned drive;
    std::uint64_t offset;
    std::uint64_t length;
};
void count_rot(Bed& bed, std::vector<Rotten>& rotten, const ReadRange& read, Stats& stats);

// Members (and strips on no member) that keep the pool from being whole.
unsigned impaired_members(Bed& bed);
// Members in sync beyond those that the scheme cannot do without, whatever groups there are.
unsigned members_to_spare(Bed& bed);

}  // namespace xsan::simtest
