// The pool's side of the placement extension: which one is in use, and what it is told.
#include "pool/pool.h"
#include "wl/registry.h"

namespace xsan::pool {
namespace {

constexpr const char* kDefaultPlacement = "round_robin";

// What this library brings along, for pools whose owner registered nothing else.
const wl::Registry& builtin_placements() {
    static const wl::Registry registry = [] {
        wl::Registry made;
        wl::add_builtin_placements(made);
        return made;
    }();
    return registry;
}

}  // namespace

const wl::Registry& Pool::placements() const {
    return environment_.placements != nullptr ? *environment_.placements : builtin_placements();
}

std::vector<std::string> Pool::placement_names() const { return placements().names(); }

void Pool::start_placement() {
    auto made = placements().make(kDefaultPlacement);
    XSAN_ASSERT(made.has_value());
    placement_ = std::move(*made);
    placement_->start(*this);
}

Outcome<void> Pool::use_placement(const std::string& placement_name) {
    XSAN_TRY(auto made, placements().make(placement_name));
    placement_->stop();
    placement_ = std::move(made);
    placement_->start(*this);
    return {};
}

// What completed since the last report, one sum per member: the data path itself never calls the extension.
void Pool::report_io() {
    std::vector<wl::MemberIo> report;
    for (unsigned i = 0; i < groups_->member_limit(); i++) {
        const MemberIndex member{static_cast<std::uint16_t>(i)};
        const raid::MemberTraffic now = engine_->traffic().total(member);
        raid::MemberTraffic& last = members_.slot(member).traffic_reported;
        if (now == last) continue;
        wl::MemberIo io;
        io.member = member;
        io.reads = static_cast<std::uint32_t>(now.reads.count - last.reads.count);
        io.writes = static_cast<std::uint32_t>(now.writes().count - last.writes().count);
        io.read_bytes = now.reads.bytes - last.reads.bytes;
        io.written_bytes = now.writes().bytes - last.writes().bytes;
        report.push_back(io);
        last = now;
    }
    if (!report.empty()) placement_->on_io({report, {}});
}

}  // namespace xsan::pool
