// Adding up what several runs, or several processes, counted.
#include "sim/report.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace xsan::simtest {
namespace {

constexpr std::array kSums{&Stats::states,       &Stats::repeated,   &Stats::nested,
                           &Stats::runs,         &Stats::operations, &Stats::loss_reads,
                           &Stats::rows_checked, &Stats::refusals,   &Stats::outvoted,
                           &Stats::requests,     &Stats::read_bytes, &Stats::steps,
                           &Stats::at_rest};
constexpr char kEnd[] = "end";

}  // namespace

void add(Stats& sum, const Stats& more) {
    for (const auto field : kSums)
        sum.*field += more.*field;
    sum.deepest = std::max(sum.deepest, more.deepest);
    sum.cells.add(more.cells);
    for (const auto& [kind, count] : more.faults)
        sum.faults[kind] += count;
}

// Numbers, the cells, then the faults, a line each: their names have spaces.
std::string to_text(const Stats& stats) {
    std::ostringstream out;
    for (const auto field : kSums)
        out << stats.*field << ' ';
    out << stats.deepest << '\n';
    for (std::size_t i = 0; i < matrix().size(); i++)
        out << stats.cells.count(i) << ' ';
    out << '\n';
    for (const auto& [kind, count] : stats.faults)
        out << count << ' ' << kind << '\n';
    out << "0 " << kEnd << '\n';
    return out.str();
}

bool add_text(Stats& sum, const std::string& text) {
    std::istringstream in(text);
    Stats more;
    for (const auto field : kSums)
        in >> more.*field;
    in >> more.deepest;
    std::vector<std::uint64_t> cells(matrix().size());
    for (std::uint64_t& cell : cells)
        in >> cell;
    more.cells = MatrixCounts(std::move(cells));
    std::uint64_t count = 0;
    std::string kind;
    while (in >> count && in.get() == ' ' && std::getline(in, kind)) {
        if (kind == kEnd) {
            add(sum, more);
            return true;
        }
        more.faults[kind] += count;
    }
    return false;
}

}  // namespace xsan::simtest
