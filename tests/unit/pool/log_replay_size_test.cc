// What replay costs at assembly, counted on the drives: it grows with what the log holds, not with the
// pool.
#include <string>

#include "meta/layout.h"
#include "unit/pool/model.h"

namespace xsan::test {
namespace {

constexpr std::uint64_t kReplayedBlock = 4096;

struct Cost {
    std::uint64_t records = 0;
    std::uint64_t log_bytes = 0;   // read from the rings and tails
    std::uint64_t data_bytes = 0;  // read and written in place
    std::uint64_t ios = 0;         // in both regions
    std::uint64_t all_bytes = 0;   // read by the whole assembly
    friend bool operator==(const Cost&, const Cost&) = default;
};

// Writes so many single blocks, each in a stripe of its own, cuts the power and assembles.
Cost assemble_after(std::uint64_t member_bytes, unsigned writes) {
    RigOptions options;
    options.member_bytes = member_bytes;
    options.strip_bytes = 4096;
    options.reactors = 1;
    options.spread = 0;
    options.consistency = meta::Consistency::log;
    Rig rig(options);
    rig.create();
    pool::Volume& volume = rig.create_volume("data", 8 * kMiB);
    REQUIRE(rig.fill(volume, 0, 8 * kMiB) == Errc::ok);
    rig.world.run_for(20 * kSecond);  // what was logged of that is retired
    for (unsigned i = 0; i < writes; i++) {
        auto data = Rig::pattern(i, kReplayedBlock, i);
        REQUIRE(rig.write(volume, std::uint64_t{i} * 4 * kReplayedBlock, data) == Errc::ok);
    }
    const meta::MemberLayout layout = rig.pool->state().members()[0]->layout;
    sim::CutOptions everything;
    everything.keep_percent = 100;
    for (auto& drive : rig.drives) drive->vanish(everything);
    rig.abandon();

    Cost cost;
    for (auto& drive : rig.drives) {
        drive->come_back();
        drive->on_io = [&](dev::IoKind kind, std::uint64_t offset, std::uint64_t length) {
            if (kind == dev::IoKind::read) cost.all_bytes += length;
            if (kind == dev::IoKind::flush || offset < layout.stripe_log_offset ||
                offset >= layout.size_bytes - meta::kTailBytes) {
                return;
            }
            const bool in_place = offset >= layout.data_offset;
            cost.ios++;
            if (in_place) cost.data_bytes += length;
            if (!in_place && kind == dev::IoKind::read) cost.log_bytes += length;
        };
    }
    rig.require(rig.assemble());
    for (auto& drive : rig.drives) drive->on_io = nullptr;
    // The cleaner may have retired some meanwhile: time is free to pass.
    const std::string& said = rig.log.text();
    const std::size_t at = said.find(" records of the stripe log replayed");
    if (at != std::string::npos) cost.records = std::stoull(said.substr(said.rfind(' ', at - 1)));
    return cost;
}

}  // namespace

TEST_CASE("log: what replay reads and writes grows with the log's fill, not with the pool's size") {
    const Cost small = assemble_after(64 * kMiB, 5);
    const Cost large = assemble_after(kGiB, 5);
    CHECK(small == large);
    const Cost fuller = assemble_after(64 * kMiB, 400);
    REQUIRE(small.records > 0);
    REQUIRE(fuller.records > 3 * small.records);
    CHECK(fuller == assemble_after(kGiB, 400));
    // In place always the same for each record.
    CHECK(fuller.data_bytes * small.records == small.data_bytes * fuller.records);
    const Cost empty = assemble_after(kGiB, 0);
    for (const Cost& cost : {small, fuller}) {
        INFO(cost.records << " records: " << cost.log_bytes << " bytes of the log read");
        // Two copies of three blocks; what is read at a time doubles, so at most twice as much is read.
        CHECK(cost.log_bytes >= empty.log_bytes + cost.records * 6 * kReplayedBlock);
        CHECK(cost.log_bytes <= 2 * (empty.log_bytes + cost.records * 6 * kReplayedBlock));
    }
    // An empty log: tails and the first block of a ring, on each member.
    CHECK(empty.log_bytes <= 6 * 6 * kReplayedBlock);
    CHECK(empty.data_bytes == 0);
}

}  // namespace xsan::test
