// Drives that go wrong, and the budget: within it, no more goes wrong than the contract survives.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/units.h"
#include "meta/superblock.h"
#include "sim/runner.h"

namespace xsan::simtest {
namespace {

std::string fault_name(sim::FaultKind kind, const dev::IoRequest& request) {
    switch (kind) {
        case sim::FaultKind::slow:
            return "slow";
        case sim::FaultKind::lost:
            return "lost write";
        case sim::FaultKind::misdirected:
            return request.kind == dev::IoKind::read ? "misdirected read" : "misdirected write";
        case sim::FaultKind::hold:
            return "held";
        case sim::FaultKind::vanish:
            return "vanish";
        case sim::FaultKind::error:
            break;
    }
    if (request.kind == dev::IoKind::read) return "read error";
    return request.kind == dev::IoKind::flush ? "flush error" : "write error";
}

}  // namespace

std::string_view Runner::state() {
    if (stopping_) return "stop";
    return state_name(*bed_, bed_->pool == nullptr ? 0 : impaired_members(*bed_));
}

void Runner::hit(std::string_view fault, unsigned drive, const dev::IoRequest& request) {
    stats_.cells.hit(
        {fault, state(), region_of(bed_->layout(drive), request), io_name(request.kind)});
}

void Runner::watch_drives() {
    for (unsigned i = 0; i < bed_->drives.size(); i++) {
        sim::SimDevice& drive = *bed_->drives[i];
        drive.on_fault = [this, i](sim::FaultKind kind, const dev::IoRequest& request) {
            const std::string fault = fault_name(kind, request);
            stats_.faults[fault]++;
            hit(fault, i, request);
        };
        drive.on_io = [this, i](dev::IoKind kind, std::uint64_t offset, std::uint64_t length) {
            const meta::MemberLayout layout = bed_->layout(i);
            if (kind == dev::IoKind::write && offset >= meta::kHeadBytes &&
                offset < layout.stripe_log_offset) {
                LastWrites& last = last_writes_[i];
                (offset < layout.log_offset() ? last.checkpoint : last.log) = offset;
            }
            if (kind == dev::IoKind::read && bed_->pool == nullptr)
                count_rot(*bed_, rotten_, {i, offset, length}, stats_);
        };
    }
}

unsigned Runner::impaired() {
    // While it is down: what was impaired before is so until a rebuild has ended.
    if (bed_->pool == nullptr) return impaired_before_;
    // A read error that has hit is over once the request that met it is.
    if (outstanding_ == 0 && !administering_) {
        std::erase_if(armed_, [this](const Armed& a) {
            return a.rule != UINT32_MAX && bed_->drives[a.drive]->faults().fired(a.rule) > 0;
        });
    }
    std::set<unsigned> more;
    for (const Armed& a : armed_)
        more.insert(a.drive);
    return impaired_members(*bed_) + static_cast<unsigned>(more.size());
}

bool Runner::may_impair(unsigned drive) {
    if (bed_->pool == nullptr) return false;
    if (beyond()) return true;
    if (drive >= bed_->drives.size()) return false;
    // Torn parity is not repaired yet: policy resync promises nothing for a loss now.
    const bool resyncing = std::ranges::any_of(bed_->pool->job_status(), [](const auto& job) {
        return job.kind == pool::JobKind::resync && job.state == pool::JobState::running;
    });
    if (resyncing && plan_.config.policy != meta::Consistency::log) return false;
    const unsigned lost = impaired();
    return lost < bed_->losses_promised() && armed_.size() < members_to_spare(*bed_);
}

// One copy of four. The others repair it at the next assembly; but a cut in the middle of a
// superblock update leaves two copies whole, so that until then it costs a member.
void Runner::damage_superblock(const Op& op, unsigned drive) {
    const std::uint64_t size = bed_->drives[drive]->limits().size_bytes;
    const std::uint64_t copy = meta::superblock_offset(op.b % meta::kSuperblockCopies, size);
    if (op.kind == OpKind::rot) {
        rot(drive, copy + op.c % meta::kSuperblockBytes, op.d % 8);
    } else {
        sim::FaultRule rule;
        rule.kind = sim::FaultKind::lost;
        rule.on = dev::IoKind::write;
        rule.count = 1;
        rule.offset = copy;
        rule.length = meta::kSuperblockBytes;
        bed_->drives[drive]->faults().add(rule);
    }
    damaged_superblocks_.insert(drive);
    armed_.push_back({drive, UINT32_MAX});
    say(op, fmt::format("drive {}, copy {}", drive, op.b % meta::kSuperblockCopies));
}

void Runner::rot(unsigned drive, std::uint64_t offset, unsigned bit) {
    stats_.faults["bit rot"]++;
    Rotten rotten{drive, offset, {}};
    bed_->drives[drive]->flip_bit(offset, bit);
    bed_->drives[drive]->peek(offset, {&rotten.value, 1});
    rotten_.push_back(rotten);
}

// One member's metadata: what was written last rots, or the next write is lost or goes to another
// place of the same region. The others have it all; the member is brought up to date at assembly,
// or left out.
void Runner::damage_metadata(const Op& op, unsigned drive) {
    const meta::MemberLayout layout = bed_->layout(drive);
    // Of a commit that only one member still has nobody else can tell that it was there.
    const bool checkpoint = op.c % 2 == 0 || beyond();
    const std::uint64_t begin = checkpoint ? layout.metadata_offset : layout.log_offset();
    if (op.b % 3 == 0) {
        const LastWrites last = last_writes_[drive];
        const std::uint64_t at = checkpoint ? last.checkpoint : last.log;
        if (at == 0) return;
        rot(drive, at + op.d % 64, op.d / 64 % 8);
    } else {
        sim::FaultRule rule;
        rule.kind = op.b % 3 == 1 ? sim::FaultKind::lost : sim::FaultKind::misdirected;
        rule.on = dev::IoKind::write;
        rule.count = 1;
        rule.offset = begin;
        rule.length = checkpoint ? 2 * layout.checkpoint_slot_bytes : layout.metadata_log_bytes;
        rule.target_offset = begin + op.d % 8 * 4096;
        bed_->drives[drive]->faults().add(rule);
    }
    metadata_is_damaged_ = true;
    armed_.push_back({drive, UINT32_MAX, checkpoint});
    say(op, fmt::format("drive {}: {}, {}", drive, checkpoint ? "checkpoint" : "metadata log",
                        op.b % 3 == 0   ? "rot"
                        : op.b % 3 == 1 ? "a lost write"
                                        : "a misdirected write"));
}

void Runner::vanish_at(const Op& op, unsigned drive) {
    const meta::MemberLayout layout = bed_->layout(drive);
    sim::FaultRule rule;
    rule.kind = sim::FaultKind::vanish;
    rule.on = dev::IoKind::write;
    rule.count = 1;
    rule.skip = op.b % 4;
    const std::uint64_t begins[] = {layout.metadata_offset, layout.log_offset(),
                                    layout.stripe_log_offset, layout.data_offset};
    const std::uint64_t ends[] = {layout.log_offset(), layout.stripe_log_offset, layout.data_offset,
                                  layout.size_bytes - meta::kTailBytes};
    rule.offset = begins[op.c % 4];
    rule.length = ends[op.c % 4] - rule.offset;
    armed_.push_back({drive, bed_->drives[drive]->faults().add(rule)});
    say(op, fmt::format("drive {}, at a write to region {}", drive, op.c % 4));
}

// Whoever does not wait for a commit is far ahead of it when the power goes.
void Runner::slow_commit(const Op& op) {
    for (unsigned drive = 0; drive < bed_->drives.size(); drive++) {
        const meta::MemberLayout layout = bed_->layout(drive);
        sim::FaultRule rule;
        rule.kind = sim::FaultKind::slow;
        rule.on = dev::IoKind::write;
        rule.offset = layout.log_offset();
        rule.length = layout.metadata_log_bytes;
        rule.count = 1 + op.b % 4;
        rule.delay = (1 + op.c % 5000) * kMicrosecond;
        bed_->drives[drive]->faults().add(rule);
    }
    say(op, fmt::format("{} of them, by {} us", 1 + op.b % 4, 1 + op.c % 5000));
}

void Runner::inject(const Op& op) {
    if (bed_->pool == nullptr || power_is_off_) return;
    if (op.kind == OpKind::slow_commit) {
        slow_commit(op);
        return;
    }
    const unsigned drive = op.a % static_cast<unsigned>(bed_->drives.size());
    sim::SimDevice& device = *bed_->drives[drive];
    if (device.is_gone()) return;
    const auto& members = bed_->pool->state().members();
    const auto member = std::ranges::find_if(
        members, [drive](const auto& m) { return m && drive_of(*m) == drive; });
    if (member == members.end()) return;
    const std::uint64_t data = (*member)->layout.data_offset;
    sim::FaultRule rule;
    rule.count = 1;
    rule.skip = op.b % 8;
    switch (op.kind) {
        case OpKind::slow:
            rule.kind = sim::FaultKind::slow;
            rule.count = 1 + op.b % 20;
            rule.delay = (1 + op.c % 5000) * kMicrosecond;
            device.faults().add(rule);
            return;
        case OpKind::clone:
            cloned_drive_ = static_cast<int>(drive);
            return;
        default:
            break;
    }
    // The others cost a member.
    if (!may_impair(drive)) return;
    ever_faulty_.insert(drive);
    if (op.kind == OpKind::latent_error) {
        const std::uint64_t block = plan_.config.device_block_bytes;
        const std::uint64_t offset =
            data + op.c % 4 * meta::kSuperblockBytes * 4 + op.b % 8 * block;
        device.add_latent_error(offset, block * (1 + op.d % 3));
        say(op, fmt::format("drive {} at {}", drive, offset));
        return;
    }
    if (op.kind == OpKind::rot || op.kind == OpKind::lost_meta) {
        damage_superblock(op, drive);
        return;
    }
    if (op.kind == OpKind::damage) {
        damage_metadata(op, drive);
        return;
    }
    if (op.kind == OpKind::vanish_at) {
        vanish_at(op, drive);
        return;
    }
    rule.on = op.kind == OpKind::read_error    ? dev::IoKind::read
              : op.kind == OpKind::flush_error ? dev::IoKind::flush
                                               : dev::IoKind::write;
    if (op.kind == OpKind::read_error) {
        rule.offset = data;
        rule.length = device.limits().size_bytes - data - 2 * meta::kSuperblockBytes * 32;
    }
    rule.effect = static_cast<sim::FailedEffect>(op.c % 3);
    const auto id = device.faults().add(rule);
    armed_.push_back({drive, op.kind == OpKind::read_error ? id : UINT32_MAX});
    say(op, fmt::format("drive {}, after {}", drive, rule.skip));
}

}  // namespace xsan::simtest
