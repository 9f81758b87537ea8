// What a run has to say: what it counted, and what it found wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "sim/matrix.h"

namespace xsan::simtest {

// Something that the contract forbids. The kind is short and stays the same while a run is shrunk.
struct Finding {
    std::string kind;  // "C1", "parity", "hang", ...
    std::string what;
    std::uint32_t op = 0;  // the id of the operation at which it was found
};
using MaybeFinding = std::optional<Finding>;
inline MaybeFinding finding(std::string kind, std::string what) {
    return Finding{std::move(kind), std::move(what), 0};
}

struct Stats {
    // Crash states assembled and checked, nested ones too: distinct contents of the drives that are there.
    std::uint64_t states = 0;
    std::uint64_t repeated = 0;  // checked again, when more had been promised; not in `states`
    std::uint64_t nested = 0;  // of them, cuts of an assembly or of what followed one
    std::uint64_t deepest = 0;
    std::uint64_t runs = 0;
    std::uint64_t operations = 0;
    std::uint64_t loss_reads = 0;   // states read back with members failed
    std::uint64_t rows_checked = 0; // of stripes, on the raw images
    std::uint64_t at_rest = 0;      // states of which superblocks and tables were read from the drives
    std::uint64_t refusals = 0;     // assemblies that were right to refuse
    std::uint64_t outvoted = 0;     // that started without those who knew more (docs/decisions/0009)
    std::uint64_t requests = 0;     // of devices, in the worlds of crash states
    std::uint64_t read_bytes = 0;
    std::uint64_t steps = 0;
    MatrixCounts cells;
    std::map<std::string, std::uint64_t> faults;  // that hit, by kind
    std::unordered_set<std::uint64_t> seen;       // states of the current run, by content
};

void add(Stats& sum, const Stats& more);
// For other processes: what to_text() made is added. False: it is not such a text.
std::string to_text(const Stats& stats);
bool add_text(Stats& sum, const std::string& text);

}  // namespace xsan::simtest
