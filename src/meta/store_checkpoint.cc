// Checkpoints, and how a member is given the metadata of the pool.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "meta/bytes.h"
#include "meta/store.h"

namespace xsan::meta {
namespace {

void set_attribute(std::vector<Attribute>& all, AttributeType type, std::string value) {
    const auto number = static_cast<std::uint16_t>(type);
    std::erase_if(all, [number](const Attribute& a) { return a.type == number; });
    if (!value.empty()) all.push_back({number, std::move(value)});
}

std::string counters_value(const MemberCounters& counters) {
    std::vector<std::byte> bytes;
    ByteWriter writer(bytes);
    writer(counters.written_bytes), writer(counters.read_bytes), writer(counters.corrected_errors);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

CheckpointImage Store::encode_state() const {
    CheckpointIdentity identity;
    identity.pool_uuid = state_.pool().uuid;
    identity.sequence = applied_.sequence;
    return encode_checkpoint(state_, identity);
}

Superblock Store::next_superblock(const Slot& slot) const {
    const Superblock& now = slot.superblock.content;
    Superblock next = now;
    next.sequence++;
    next.previous_crc = now.sequence == 0 ? 0 : superblock_crc(now);
    next.minor = std::max(next.minor, kFormatMinor);
    next.epoch = epoch_;
    next.lineage = lineage_;
    next.ancestors = ancestors_;
    next.pool_name = state_.pool().name;
    const Member* member = state_.find_member(next.member_index);
    if (member != nullptr && member->uuid == next.member_uuid) {
        auto attributes = next.attributes;
        set_attribute(attributes, AttributeType::failure_domain, member->domain);
        set_attribute(attributes, AttributeType::model, member->model);
        set_attribute(attributes, AttributeType::serial, member->serial);
        set_attribute(attributes, AttributeType::counters, counters_value(member->counters));
        if (attributes_fit(attributes)) next.attributes = std::move(attributes);
    }
    auto attributes = next.attributes;
    set_attribute(attributes, AttributeType::scrub_progress,
                  scrub_progress_ ? encode_scrub_progress(*scrub_progress_) : std::string());
    if (attributes_fit(attributes)) next.attributes = std::move(attributes);
    return next;
}

Task<Result<void>> Store::update_superblock(MemberIndex index, Superblock next) {
    dev::BlockDevice& device = *slots_.at(index).device;
    SuperblockOnDevice known = slots_.at(index).superblock;
    XSAN_ASSERT(known.content.sequence == 0 || is_valid_successor(known.content, next));
    const Result<void> written = co_await write_superblock(device, known, std::move(next));
    if (written) count_written(index, kSuperblockCopies, kSuperblockCopies * kSuperblockBytes);
    const auto slot = slots_.find(index);  // it may have been dropped meanwhile
    if (slot == slots_.end()) co_return Errc::aborted;
    slot->second.superblock = std::move(known);
    slot->second.is_ready = slot->second.is_ready || written.has_value();
    co_return written;
}

// Writes the image into the slot that is not in use, then the superblock that names it.
Task<Result<void>> Store::seed(MemberIndex index, const CheckpointImage& image, LogPosition at) {
    const Slot slot = slots_.at(index);
    Superblock next = next_superblock(slot);
    const unsigned other = mutant(Mutant::superblock_same_slot) ? 0 : 1;
    next.checkpoint.slot = slot.superblock.content.checkpoint.slot ^ other;
    next.checkpoint.sequence = at.sequence;
    next.checkpoint.epoch = at.epoch;
    next.checkpoint.lineage = at.lineage;
    next.checkpoint.bytes = image.bytes;
    next.checkpoint.crc = image.crc;
    next.checkpoint.chain_crc = at.crc;
    next.checkpoint.log_offset = at.offset;
    XSAN_CO_TRY_VOID(write_checkpoint(*slot.device, next.layout, next.checkpoint.slot, image));
    count_written(index, 1, image.bytes);
    if (!slots_.contains(index)) co_return Errc::aborted;
    co_return co_await update_superblock(index, std::move(next));
}

// To every member that has one already; the others (which join) get theirs from join().
Task<Result<void>> Store::checkpoint_members(CheckpointImage image, LogPosition at) {
    std::vector<MemberIndex> targets;
    std::vector<Task<Result<void>>> tasks;
    for (const auto& [index, slot] : slots_) {
        if (!slot.is_ready) continue;
        targets.push_back(index);
        tasks.push_back(seed(index, image, at));
    }
    const auto results = co_await run_all(std::move(tasks));
    Result<void> first;
    for (std::size_t i = 0; i < targets.size(); i++) {
        if (results[i]) continue;
        if (first) first = results[i];
        note_loss(targets[i], results[i].error());
    }
    // Those that failed are written to no more, so that what they still need of the log stays.
    log_start_bytes_ = at.total_bytes;
    co_return first;
}

Task<Result<void>> Store::write_checkpoint_now() {
    co_await checkpoint_mutex_.lock();
    AsyncMutex::Guard guard(checkpoint_mutex_);
    CheckpointImage image = encode_state();
    XSAN_ASSERT(image.bytes <= slot_bytes_);
    const LogPosition at = applied_;
    const Result<void> written = co_await checkpoint_members(std::move(image), at);
    if (has_unrecorded_loss()) kick();
    if (slots_.empty()) co_return written ? Error(Errc::too_many_failures) : written.error();
    co_return Result<void>();
}

// The newest that any member has.
void Store::take_scrub_progress(const Superblock& superblock) {
    const auto type = static_cast<std::uint16_t>(AttributeType::scrub_progress);
    for (const Attribute& attribute : superblock.attributes) {
        if (attribute.type != type) continue;
        auto found = decode_scrub_progress(attribute.value);
        if (!found || (scrub_progress_ && scrub_progress_->number >= found->number)) continue;
        scrub_progress_ = std::move(found);
    }
}

void Store::keep_scrub_progress(ScrubProgress progress) {
    progress.number = scrub_progress_ ? scrub_progress_->number + 1 : 1;
    scrub_progress_ = std::move(progress);
}

Task<Result<void>> Store::write_scrub_progress(ScrubProgress progress) {
    if (!gate_.try_enter()) co_return Errc::aborted;
    keep_scrub_progress(std::move(progress));
    const Result<void> written = co_await update_superblocks();
    gate_.leave();
    co_return written;
}

// Of all members that have one; the log stays as it is. A member that cannot take it is lost, as one that
// cannot take a checkpoint.
Task<Result<void>> Store::update_superblocks() {
    co_await checkpoint_mutex_.lock();
    AsyncMutex::Guard guard(checkpoint_mutex_);
    if (is_broken_) co_return Errc::too_many_failures;
    std::vector<MemberIndex> targets;
    std::vector<Task<Result<void>>> tasks;
    for (const auto& [index, slot] : slots_) {
        if (!slot.is_ready) continue;
        targets.push_back(index);
        tasks.push_back(update_superblock(index, next_superblock(slot)));
    }
    const auto results = co_await run_all(std::move(tasks));
    for (std::size_t i = 0; i < targets.size(); i++) {
        if (!results[i]) note_loss(targets[i], results[i].error());
    }
    if (has_unrecorded_loss()) kick();
    co_return slots_.empty() ? Result<void>(Errc::too_many_failures) : Result<void>();
}

void Store::start_checkpoint() {
    if (is_checkpointing_) return;
    is_checkpointing_ = true;
    tasks_.spawn(background_checkpoint());
}

Task<void> Store::background_checkpoint() {
    const Result<void> written = co_await write_checkpoint_now();
    if (!written) {
        log(LogLevel::error, "the metadata of pool '{}' cannot be written ({})", state_.pool().name,
            errc_name(written.error().code));
    }
    is_checkpointing_ = false;
    checkpoint_done_.wake_all();
}

// What is known of the member's superblocks: those of this pool and member are continued, others
// erased.
Task<Outcome<Store::Slot>> Store::prepare_slot(NewMember member, Member wanted) {
    dev::BlockDevice& device = *member.device;
    Slot slot;
    slot.device = &device;
    slot.is_joining = true;
    Superblock& s = slot.superblock.content;
    s.pool_uuid = state_.pool().uuid;
    s.member_uuid = wanted.uuid;
    s.member_index = member.index;
    s.layout = wanted.layout;
    s.extent_bytes = state_.pool().extent_bytes;
    s.extents_max = state_.pool().extents_max;
    s.checkpoint.slot = 1;
    const SuperblockCopies copies = co_await read_superblocks(device);
    const auto known = choose_superblock(copies);
    if (known) {
        const Superblock& old = known->superblock;
        if (old.pool_uuid == s.pool_uuid && old.member_uuid == s.member_uuid &&
            old.member_index == s.member_index && old.layout == s.layout && old.epoch <= epoch_ &&
            old.extent_bytes == s.extent_bytes && old.extents_max == s.extents_max) {
            slot.superblock = {old, known->repair};
            co_return std::move(slot);
        }
    }
    const Result<void> erased = co_await erase_superblocks(device);
    if (erased) co_return std::move(slot);
    co_return Failure(erased.error().code,
                      fmt::format("{}: cannot be written ({})", device.identity().path,
                                  errc_name(erased.error().code)));
}

// Gives the member a checkpoint and a superblock; from its checkpoint on it gets all entries.
Task<Outcome<void>> Store::join(NewMember member, Member wanted) {
    co_await checkpoint_mutex_.lock();
    AsyncMutex::Guard guard(checkpoint_mutex_);
    const std::string name = member.device->identity().path;
    if (slots_.contains(member.index)) {
        co_return Failure(Errc::exists,
                          fmt::format("{}: member {} is in use", name, member.index.get()));
    }
    const MemberLayout& l = wanted.layout;
    if (l.metadata_log_bytes != log_bytes_ || l.checkpoint_slot_bytes != slot_bytes_ ||
        l.size_bytes > member.device->limits().size_bytes) {
        co_return Failure(Errc::invalid_argument,
                          fmt::format("{}: its layout does not fit the pool", name));
    }
    auto slot = co_await prepare_slot(member, wanted);
    if (!slot) co_return slot.error();

    co_await append_mutex_.lock();
    const CheckpointImage image = encode_state();
    const LogPosition at = applied_;
    slots_[member.index] = std::move(*slot);
    append_mutex_.unlock();

    const Result<void> seeded = co_await seed(member.index, image, at);
    if (seeded && slots_.contains(member.index)) co_return Outcome<void>();
    slots_.erase(member.index);
    co_return Failure(Errc::io_error, fmt::format("{}: cannot be written", name));
}

Task<Outcome<void>> Store::add_member(NewMember member, std::vector<Record> records) {
    Overlay overlay;
    overlay_records(overlay, state_, records);
    const Member* found = member_after(overlay, member.index);
    if (found == nullptr || found->state != MemberState::in_sync) {
        co_return Failure(
            Errc::invalid_argument,
            fmt::format("the records do not make member {} in sync", member.index.get()));
    }
    if (!gate_.try_enter()) co_return Failure(Errc::aborted, "the pool is being stopped");
    Member wanted = *found;
    auto joined = co_await join(member, std::move(wanted));
    if (joined) {
        const Result<void> committed = co_await commit(std::move(records));
        const auto slot = slots_.find(member.index);
        if (!committed) {
            if (slot != slots_.end()) slots_.erase(slot);
            joined =
                Failure(committed.error().code, fmt::format("{}: the pool does not take it ({})",
                                                            member.device->identity().path,
                                                            errc_name(committed.error().code)));
        } else if (slot == slots_.end()) {
            joined = Failure(Errc::io_error,
                             fmt::format("{}: cannot be written", member.device->identity().path));
        }
    }
    // The caller takes the device away: nothing may be under way to it.
    if (!joined) co_await drained();
    gate_.leave();
    co_return joined;
}

}  // namespace xsan::meta
