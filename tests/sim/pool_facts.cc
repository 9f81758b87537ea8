// What a pool is doing, and how whole it is.
#include <algorithm>
#include <map>
#include <set>

#include "meta/superblock.h"
#include "sim/crash_check.h"

namespace xsan::simtest {

std::string_view state_name(Bed& bed, unsigned impaired) {
    if (bed.pool == nullptr) return "assembly";
    for (const auto& job : bed.pool->job_status()) {
        if (job.state != pool::JobState::running) continue;
        if (job.kind == pool::JobKind::scrub) return "scrub";
        if (job.kind == pool::JobKind::resync) return "resync";
    }
    if (bed.pool->rebuild_status().pending_groups > 0) {
        for (const auto& member : bed.pool->member_status()) {
            if (member.receives) return "rebuild";
        }
    }
    if (bed.pool->moves().running() > 0) return "relocating";
    if (impaired == 0) return "healthy";
    return impaired < bed.losses_promised() ? "degraded" : "no parity left";
}

void count_outstanding(Bed& bed, std::string_view fault, std::string_view state, Stats& stats) {
    for (unsigned i = 0; i < bed.drives.size(); i++) {
        const auto& drive = bed.drives[i];
        if (drive->outstanding() == 0) continue;
        const meta::MemberLayout layout = bed.layout(i);
        drive->each_outstanding([&](const dev::IoRequest& request) {
            stats.cells.hit({fault, state, region_of(layout, request), io_name(request.kind)});
        });
    }
}

void count_rot(Bed& bed, std::vector<Rotten>& rotten, const ReadRange& read, Stats& stats) {
    std::erase_if(rotten, [&](const Rotten& r) {
        if (r.drive != read.drive || r.offset < read.offset || r.offset >= read.offset + read.length) {
            return false;
        }
        std::byte now{};
        bed.drives[r.drive]->peek(r.offset, {&now, 1});
        if (now != r.value) return true;  // written over since
        dev::IoRequest request;
        request.kind = dev::IoKind::read;
        request.offset = r.offset;
        request.length = 1;
        stats.cells.hit({"bit rot", "assembly", region_of(bed.layout(r.drive), request), "read"});
        return true;
    });
}

unsigned members_to_spare(Bed& bed) {
    unsigned in_sync = 0;
    for (const auto& member : bed.pool->state().members()) {
        if (member && member->state == meta::MemberState::in_sync) in_sync++;
    }
    const unsigned needed = bed.scheme().total_strips() - bed.losses_promised();
    return in_sync > needed ? in_sync - needed : 0;
}

std::vector<bool> whole_drives(Bed& bed) {
    std::vector<bool> whole(bed.drives.size(), bed.pool == nullptr);
    if (bed.pool != nullptr) {
        for (const auto& member : bed.pool->state().members()) {
            if (member && member->state == meta::MemberState::in_sync) whole[drive_of(*member)] = true;
        }
    }
    for (std::size_t i = 0; i < whole.size(); i++) {
        if (bed.drives[i]->is_gone()) whole[i] = false;
    }
    return whole;
}

std::vector<bool> informed_drives(Bed& bed) {
    std::vector<bool> informed(bed.drives.size());
    for (const auto& member : bed.pool->state().members()) {
        if (member && member->state == meta::MemberState::in_sync) informed[drive_of(*member)] = true;
    }
    return informed;
}

std::set<unsigned> without_superblock(const Bed& bed, const std::set<unsigned>& drives) {
    std::set<unsigned> without;
    std::vector<std::byte> bytes(meta::kSuperblockBytes);
    for (const unsigned drive : drives) {
        const sim::SimDevice& device = *bed.drives[drive];
        std::map<std::uint32_t, unsigned> copies_by_crc;
        unsigned most = 0;
        for (unsigned copy = 0; copy < meta::kSuperblockCopies; copy++) {
            const std::uint64_t offset = meta::superblock_offset(copy, device.limits().size_bytes);
            device.peek(offset, bytes);
            const auto decoded = meta::decode_superblock(bytes, meta::CopyPlace{copy, offset});
            if (decoded) most = std::max(most, ++copies_by_crc[decoded->crc]);
        }
        if (most < meta::kSuperblockOpenQuorum) without.insert(drive);
    }
    return without;
}

namespace {

bool one_knows_all(const std::vector<bool>& informed, const std::vector<bool>& absent) {
    for (std::size_t i = 0; i < std::min(informed.size(), absent.size()); i++) {
        if (informed[i] && !absent[i]) return true;
    }
    return false;
}

}  // namespace

bool may_accept_missing(const Config& config, const std::vector<bool>& informed, const std::vector<bool>& absent) {
    return config.mode != Mode::beyond || one_knows_all(informed, absent);
}

bool may_be_outvoted(const Config& config, const std::vector<bool>& informed, const std::vector<bool>& absent) {
    if (config.mode != Mode::beyond || one_knows_all(informed, absent)) return false;
    return 2 * static_cast<std::size_t>(std::ranges::count(informed, true)) < informed.size();
}

unsigned impaired_members(Bed& bed) {
    std::set<unsigned> drives;
    unsigned nowhere = 0;
    const meta::State& state = bed.pool->state();
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupRow* row = state.row(GroupIndex{g});
        if (row == nullptr) continue;
        unsigned none = 0;
        const ec::SlotMask lost = bed.pool->groups().lost_slots(*row);
        for (std::size_t slot = 0; slot < row->strips().size(); slot++) {
            if ((lost >> slot & 1) == 0) continue;
            const StripRef ref = row->strips()[slot];
            if (ref.state() == StripState::none) {
                none++;
            } else {
                drives.insert(drive_of(*state.members()[ref.member().get()]));
            }
        }
        nowhere = std::max(nowhere, none);
    }
    for (unsigned i = 0; i < bed.drives.size(); i++) {
        if (bed.drives[i]->latent_blocks() > 0) drives.insert(i);
    }
    for (std::size_t i = 0; i < state.members().size(); i++) {
        const auto& member = state.members()[i];
        if (!member) continue;
        // Gone and not noticed yet; or recorded as lost a moment ago, and still live in the tables.
        const unsigned drive = drive_of(*member);
        const MemberIndex index{static_cast<std::uint16_t>(i)};
        const bool in_sync = member->state == meta::MemberState::in_sync;
        const bool live = bed.pool->groups().live_device(index) != nullptr;
        if (in_sync ? bed.drives[drive]->is_gone() : live) drives.insert(drive);
    }
    return static_cast<unsigned>(drives.size()) + nowhere;
}

}  // namespace xsan::simtest
