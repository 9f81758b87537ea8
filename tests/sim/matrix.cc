// The cells.
#include "sim/matrix.h"

#include <fmt/format.h>

#include "meta/layout.h"

namespace xsan::simtest {

const std::vector<Cell>& matrix() {
    static const std::vector<Cell> cells{
        // Power cuts: in user writes, healthy and degraded.
        {"cut", "healthy", "data", "read"},
        {"cut", "healthy", "data", "write"},
        {"cut", "healthy", "data", "flush"},
        {"cut", "healthy", "data", "zero"},
        {"cut", "healthy", "stripe log", "write", true},
        {"cut", "degraded", "data", "read", true},
        {"cut", "degraded", "data", "write", true},
        {"cut", "degraded", "data", "flush", true},
        {"cut", "degraded", "stripe log", "write", true},
        {"cut", "no parity left", "data", "read", true},
        {"cut", "no parity left", "data", "write", true},
        {"cut", "no parity left", "stripe log", "write", true},
        // In background work.
        {"cut", "rebuild", "data", "read", true},
        {"cut", "rebuild", "data", "write", true},
        {"cut", "rebuild", "metadata log", "write", true},
        {"cut", "rebuild", "stripe log", "write", true},
        {"cut", "scrub", "data", "read"},
        {"cut", "resync", "data", "read"},
        // In metadata.
        {"cut", "healthy", "metadata log", "write"},
        {"cut", "degraded", "metadata log", "write", true},
        {"cut", "stop", "metadata log", "write"},
        {"cut", "stop", "checkpoint", "write"},
        {"cut", "stop", "superblock", "write"},
        // In assembly: nested.
        {"cut", "assembly", "superblock", "read"},
        {"cut", "assembly", "superblock", "write"},
        {"cut", "assembly", "checkpoint", "read"},
        {"cut", "assembly", "metadata log", "read"},
        {"cut", "assembly", "metadata log", "write"},
        {"cut", "assembly", "stripe log", "read", true},
        {"cut", "assembly", "stripe log", "write", true},
        {"cut", "assembly", "data", "write", true},
        // A cut together with a loss: of members that have data or parity of the stripe in flight.
        {"cut and loss", "", "data", "write", true},
        {"cut and loss", "", "stripe log", "write", true},
        // Read errors: transient ones and latent ones.
        {"read error", "healthy", "data", "read"},
        {"read error", "degraded", "data", "read"},
        {"read error", "rebuild", "data", "read"},
        {"read error", "scrub", "data", "read"},
        {"read error", "assembly", "stripe log", "read", true},
        // Write and flush errors.
        {"write error", "healthy", "data", "write"},
        {"write error", "degraded", "data", "write"},
        {"write error", "rebuild", "data", "write"},
        {"write error", "healthy", "metadata log", "write"},
        {"write error", "", "stripe log", "write", true},
        {"flush error", "healthy", "data", "flush"},
        {"flush error", "degraded", "data", "flush"},
        {"flush error", "rebuild", "data", "flush"},
        // Drives that go.
        {"vanish", "healthy", "data", "read"},
        {"vanish", "healthy", "data", "write"},
        {"vanish", "healthy", "data", "flush"},
        {"vanish", "degraded", "data", "write"},
        {"vanish", "rebuild", "data", ""},
        {"vanish", "", "metadata log", "write"},
        {"vanish", "", "stripe log", "write", true},
        // Drives that come back.
        {"stale return", "degraded", "", "join"},
        {"stale return", "rebuild", "", "join"},
        {"stale return", "assembly", "", "join"},
        {"clone", "assembly", "", "join"},
        // Silent damage of what is checksummed.
        {"bit rot", "assembly", "superblock", "read"},
        {"lost write", "", "superblock", "write"},
        {"slow", "", "data", "read"},
        {"slow", "", "data", "write"},
        {"slow", "", "", "flush"},
        {"slow", "", "metadata log", "write"},
    };
    return cells;
}

void MatrixCounts::hit(const Hit& hit) {
    const auto& cells = matrix();
    counts_.resize(cells.size());
    const auto fits = [](std::string_view wanted, std::string_view is) {
        return wanted.empty() || wanted == is;
    };
    for (std::size_t i = 0; i < cells.size(); i++) {
        if (cells[i].fault == hit.fault && fits(cells[i].state, hit.state) &&
            fits(cells[i].region, hit.region) && fits(cells[i].io, hit.io)) {
            counts_[i]++;
        }
    }
}

void MatrixCounts::add(const MatrixCounts& other) {
    counts_.resize(matrix().size());
    for (std::size_t i = 0; i < counts_.size(); i++)
        counts_[i] += other.count(i);
}

std::uint64_t empty_cells(const MatrixCounts& counts, bool logged) {
    std::uint64_t empty = 0;
    for (std::size_t i = 0; i < matrix().size(); i++) {
        if ((logged || !matrix()[i].log_only) && counts.count(i) == 0) empty++;
    }
    return empty;
}

std::string print_matrix(const MatrixCounts& counts, bool logged) {
    std::string text;
    const auto any = [](std::string_view name) { return name.empty() ? "any" : name; };
    for (std::size_t i = 0; i < matrix().size(); i++) {
        const Cell& c = matrix()[i];
        const bool counted = logged || !c.log_only;
        text += fmt::format("{:>10}  {:14} {:15} {:13} {:6}{}\n", counts.count(i), c.fault,
                            any(c.state), any(c.region), any(c.io),
                            !counted                 ? "  (with the log)"
                            : counts.count(i) == 0 ? "  EMPTY"
                                                   : "");
    }
    text += fmt::format("{} cells empty\n", empty_cells(counts, logged));
    return text;
}

std::string_view region_of(const meta::MemberLayout& layout, const dev::IoRequest& request) {
    if (request.kind == dev::IoKind::flush) return "data";
    if (request.offset < meta::kHeadBytes) return "superblock";
    if (request.offset >= layout.size_bytes - meta::kTailBytes) return "superblock";
    if (request.offset < layout.log_offset()) return "checkpoint";
    if (request.offset < layout.stripe_log_offset) return "metadata log";
    return request.offset < layout.data_offset ? "stripe log" : "data";
}

std::string_view io_name(dev::IoKind kind) {
    switch (kind) {
        case dev::IoKind::read: return "read";
        case dev::IoKind::write: return "write";
        case dev::IoKind::flush: return "flush";
        case dev::IoKind::write_zeroes:
        case dev::IoKind::discard: break;
    }
    return "zero";
}

}  // namespace xsan::simtest
