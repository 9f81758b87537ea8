// The fault x state matrix: which faults must have met which I/O in which state of the pool.
//
// The list of cells is in matrix.cc and is committed; it follows research/reliability.md, 8.3. A
// cell counts only when the fault hit a request of that kind, in that region of a member, while the
// pool was in that state: a power cut counts for each request that was outstanding, an error for the
// request that it answered, rot for the read that met it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dev/block_device.h"
#include "meta/records.h"

namespace xsan::simtest {

struct Hit {
    std::string_view fault;   // "cut", "read error", ...
    std::string_view state;   // "healthy", "degraded", "no parity left", "rebuild", ...
    std::string_view region;  // "superblock", "checkpoint", "metadata log", "stripe log", "data"
    std::string_view io;      // "read", "write", "zero", "flush"
};

struct Cell {
    std::string_view fault;
    std::string_view state;  // empty: any; so for the others
    std::string_view region;
    std::string_view io;
    enum class Policy : std::uint8_t { any, log, resync };
    Policy policy = Policy::any;  // that it needs
    bool relocates = false;       // only plans with relocations come by it
};
const std::vector<Cell>& matrix();

class MatrixCounts {
  public:
    MatrixCounts() = default;
    explicit MatrixCounts(std::vector<std::uint64_t> counts) : counts_(std::move(counts)) {}
    void hit(const Hit& hit);
    std::uint64_t count(std::size_t cell) const {
        return cell < counts_.size() ? counts_[cell] : 0;
    }
    void add(const MatrixCounts& other);

  private:
    std::vector<std::uint64_t> counts_;
};

// Which cells are due: those of the policy log, else of resync; and those of relocations or not.
struct MatrixScope {
    bool logged = false;
    bool relocates = false;
};
// One line per cell, and at the end how many are empty.
std::string print_matrix(const MatrixCounts& counts, MatrixScope scope);
std::uint64_t empty_cells(const MatrixCounts& counts, MatrixScope scope);

std::string_view region_of(const meta::MemberLayout& layout, const dev::IoRequest& request);
std::string_view io_name(dev::IoKind kind);

}  // namespace xsan::simtest
