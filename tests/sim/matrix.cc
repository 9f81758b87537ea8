// The cells.
#include "sim/matrix.h"

#include <fmt/format.h>

#include "meta/layout.h"

namespace xsan::simtest {

namespace {

bool is_due(const Cell& cell, MatrixScope scope) {
    if (cell.relocates && !scope.relocates) return false;
    return cell.policy == Cell::Policy::any || (cell.policy == Cell::Policy::log) == scope.logged;
}

}  // namespace

const std::vector<Cell>& matrix() {
    static const std::vector<Cell> cells{
        // Power cuts: in user writes, healthy and degraded.
        {"cut", "healthy", "data", "read"},
        {"cut", "healthy", "data", "write"},
        {"cut", "healthy", "data", "flush"},
        {"cut", "healthy", "data", "zero"},
        {"cut", "healthy", "stripe log", "write", Cell::Policy::log},
        {"cut", "degraded", "data", "read", Cell::Policy::log},
        {"cut", "degraded", "data", "write", Cell::Policy::log},
        {"cut", "degraded", "data", "flush", Cell::Policy::log},
        {"cut", "degraded", "stripe log", "write", Cell::Policy::log},
        {"cut", "no parity left", "data", "read", Cell::Policy::log},
        {"cut", "no parity left", "data", "write", Cell::Policy::log},
        {"cut", "no parity left", "stripe log", "write", Cell::Policy::log},
        // In background work.
        {"cut", "rebuild", "data", "read", Cell::Policy::log},
        {"cut", "rebuild", "data", "write", Cell::Policy::log},
        {"cut", "rebuild", "metadata log", "write", Cell::Policy::log},
        {"cut", "rebuild", "stripe log", "write", Cell::Policy::log},
        {"cut", "scrub", "data", "read"},
        {"cut", "resync", "data", "read", Cell::Policy::resync},
        // In metadata.
        {"cut", "healthy", "metadata log", "write"},
        {"cut", "healthy", "checkpoint", "write"},
        {"cut", "healthy", "superblock", "write"},
        {"cut", "degraded", "metadata log", "write", Cell::Policy::log},
        {"cut", "stop", "metadata log", "write"},
        {"cut", "stop", "checkpoint", "write"},
        {"cut", "stop", "superblock", "write"},
        // In assembly: nested.
        {"cut", "assembly", "superblock", "read"},
        {"cut", "assembly", "superblock", "write"},
        {"cut", "assembly", "checkpoint", "read"},
        {"cut", "assembly", "metadata log", "read"},
        {"cut", "assembly", "metadata log", "write"},
        {"cut", "assembly", "stripe log", "read", Cell::Policy::log},
        {"cut", "assembly", "stripe log", "write", Cell::Policy::log},
        {"cut", "assembly", "data", "write", Cell::Policy::log},
        // A cut together with a loss: of members that have data or parity of the stripe in flight.
        {"cut and loss", "", "data", "write", Cell::Policy::log},
        {"cut and loss", "", "stripe log", "write", Cell::Policy::log},
        // Read errors: transient ones and latent ones.
        {"read error", "healthy", "data", "read"},
        {"read error", "degraded", "data", "read"},
        {"read error", "rebuild", "data", "read"},
        {"read error", "scrub", "data", "read"},
        {"read error", "assembly", "stripe log", "read", Cell::Policy::log},
        // Write and flush errors.
        {"write error", "healthy", "data", "write"},
        {"write error", "degraded", "data", "write"},
        {"write error", "rebuild", "data", "write"},
        {"write error", "healthy", "metadata log", "write"},
        {"write error", "", "stripe log", "write", Cell::Policy::log},
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
        {"vanish", "", "stripe log", "write", Cell::Policy::log},
        // Drives that come back.
        {"stale return", "degraded", "", "join"},
        {"stale return", "rebuild", "", "join"},
        {"stale return", "assembly", "", "join"},
        {"clone", "assembly", "", "join"},
        // Silent damage of what is checksummed, and of data where a scrub can tell.
        {"bit rot", "assembly", "superblock", "read"},
        {"bit rot", "assembly", "metadata log", "read", Cell::Policy::log},
        {"bit rot", "assembly", "checkpoint", "read", Cell::Policy::log},
        {"bit rot", "scrub", "data", "read"},
        {"lost write", "", "superblock", "write"},
        {"lost write", "", "metadata log", "write"},
        {"lost write", "", "checkpoint", "write"},
        {"misdirected write", "", "metadata log", "write"},
        {"misdirected write", "", "checkpoint", "write"},
        {"misdirected read", "assembly", "metadata log", "read", Cell::Policy::log},
        {"misdirected read", "assembly", "checkpoint", "read", Cell::Policy::log},
        {"read error", "assembly", "metadata log", "read", Cell::Policy::log},
        {"read error", "assembly", "checkpoint", "read", Cell::Policy::log},
        {"read error", "assembly", "superblock", "read", Cell::Policy::log},
        {"slow", "", "data", "read"},
        {"slow", "", "data", "write"},
        {"slow", "", "", "flush"},
        {"slow", "", "metadata log", "write"},
        // While healthy strips move to other members.
        {"cut", "relocating", "data", "read", Cell::Policy::any, true},
        {"cut", "relocating", "data", "write", Cell::Policy::any, true},
        {"cut", "relocating", "data", "zero", Cell::Policy::any, true},
        {"cut", "relocating", "data", "flush", Cell::Policy::any, true},
        {"cut", "relocating", "metadata log", "write", Cell::Policy::any, true},
        {"cut", "relocating", "stripe log", "write", Cell::Policy::log, true},
        {"read error", "relocating", "data", "read", Cell::Policy::any, true},
        {"write error", "relocating", "data", "write", Cell::Policy::any, true},
        {"write error", "relocating", "metadata log", "write", Cell::Policy::any, true},
        {"write error", "relocating", "stripe log", "write", Cell::Policy::log, true},
        {"flush error", "relocating", "data", "flush", Cell::Policy::any, true},
        {"vanish", "relocating", "data", "read", Cell::Policy::any, true},
        {"vanish", "relocating", "data", "write", Cell::Policy::any, true},
        {"vanish", "relocating", "data", "flush", Cell::Policy::any, true},
        {"slow", "relocating", "data", "write", Cell::Policy::any, true},
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

std::uint64_t empty_cells(const MatrixCounts& counts, MatrixScope scope) {
    std::uint64_t empty = 0;
    for (std::size_t i = 0; i < matrix().size(); i++) {
        if (is_due(matrix()[i], scope) && counts.count(i) == 0) empty++;
    }
    return empty;
}

std::string print_matrix(const MatrixCounts& counts, MatrixScope scope) {
    std::string text;
    const auto any = [](std::string_view name) { return name.empty() ? "any" : name; };
    for (std::size_t i = 0; i < matrix().size(); i++) {
        const Cell& c = matrix()[i];
        const bool counted = is_due(c, scope);
        text += fmt::format("{:>10}  {:14} {:15} {:13} {:6}{}\n", counts.count(i), c.fault,
                            any(c.state), any(c.region), any(c.io),
                            !counted                 ? "  (another campaign's)"
                            : counts.count(i) == 0 ? "  EMPTY"
                                                   : "");
    }
    text += fmt::format("{} cells empty\n", empty_cells(counts, scope));
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
