// Life of a store: create, close, wipe, and what its owner asks.
#include "meta/store.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace xsan::meta {

Store::Store() = default;

Store::~Store() {
    XSAN_ASSERT(queue_.empty());
    XSAN_ASSERT(!is_pumping_ && !is_checkpointing_);
}

dev::BlockDevice* Store::device(MemberIndex index) const {
    const auto found = slots_.find(index);
    return found == slots_.end() ? nullptr : found->second.device;
}

LayoutInput Store::layout_sizes() const {
    LayoutInput sizes;
    sizes.extent_bytes = state_.pool().extent_bytes;
    sizes.pool_extents_max = state_.pool().extents_max;
    sizes.metadata_log_bytes = log_bytes_;
    return sizes;
}

Outcome<void> Store::set_up(std::vector<Record> initial, std::vector<NewMember> members) {
    for (const auto& record : initial) {
        XSAN_TRY_VOID(state_.apply(record));
    }
    if (state_.pool().uuid.is_nil() || members.empty()) {
        return Failure(Errc::invalid_argument, "a pool needs a name and members");
    }
    std::size_t expected = 0;
    for (const auto& member : state_.members())
        expected += member ? 1 : 0;
    for (const auto& [index, device] : members) {
        const Member* member = state_.find_member(index);
        if (member == nullptr || member->state != MemberState::in_sync || slots_.contains(index)) {
            return Failure(Errc::invalid_argument,
                           fmt::format("member {} is not to be created", index.get()));
        }
        const MemberLayout& l = member->layout;
        if (log_bytes_ == 0) {
            log_bytes_ = l.metadata_log_bytes;
            slot_bytes_ = l.checkpoint_slot_bytes;
        }
        if (l.metadata_log_bytes != log_bytes_ || l.checkpoint_slot_bytes != slot_bytes_ ||
            l.size_bytes > device->limits().size_bytes) {
            return Failure(
                Errc::invalid_argument,
                fmt::format("{}: its layout does not fit the pool", device->identity().path));
        }
        Slot& slot = slots_[index];
        slot.device = device;
        Superblock& s = slot.superblock.content;
        s.pool_uuid = state_.pool().uuid;
        s.member_uuid = member->uuid;
        s.member_index = index;
        s.layout = l;
        s.extent_bytes = state_.pool().extent_bytes;
        s.extents_max = state_.pool().extents_max;
        s.checkpoint.slot = 1;  // the first one goes to the other slot
    }
    if (slots_.size() != expected) {
        return Failure(Errc::invalid_argument, "a member of the new pool has no device");
    }
    if (checkpoint_bytes_max(state_.tally()) > slot_bytes_) {
        return Failure(Errc::invalid_argument, "the pool is too large for its members' metadata");
    }
    return {};
}

Task<Outcome<void>> Store::format() {
    std::vector<Task<Result<void>>> tasks;
    for (auto& [index, slot] : slots_)
        tasks.push_back(erase_superblocks(*slot.device));
    const auto erased = co_await run_all(std::move(tasks));
    std::size_t i = 0;
    for (auto& [index, slot] : slots_) {
        const auto& result = erased[i++];
        if (result) continue;
        co_return Failure(result.error().code,
                          fmt::format("{}: cannot be written ({})", slot.device->identity().path,
                                      errc_name(result.error().code)));
    }
    for (auto& [index, slot] : slots_)
        slot.is_ready = true;
    CheckpointImage image = encode_state();
    const LogPosition at = applied_;
    const Result<void> written = co_await checkpoint_members(std::move(image), at);
    // The first entry is what makes the pool exist: it is written when all superblocks are durable.
    if (written) {
        Batch batch;
        const Result<void> appended = co_await append(std::move(batch));
        if (appended && losses_.empty()) co_return Outcome<void>();
    }
    std::string names;
    for (const auto& [index, error] : losses_) {
        const Member* member = state_.find_member(index);
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", member->path,
                             errc_name(error.code));
    }
    co_return Failure(
        Errc::io_error,
        fmt::format("members cannot be written: {}; replace them and try again", names));
}

Task<Outcome<std::unique_ptr<Store>>> Store::create(std::vector<Record> initial,
                                                    std::vector<NewMember> members, Uuid lineage) {
    std::unique_ptr<Store> store(new Store());
    store->lineage_ = lineage;
    store->epoch_ = 1;
    store->applied_.lineage = lineage;
    store->head_ = store->applied_;
    std::vector<dev::BlockDevice*> devices;
    for (const auto& member : members)
        devices.push_back(member.device);
    const auto set_up = store->set_up(std::move(initial), std::move(members));
    if (!set_up) co_return set_up.error();
    const auto formatted = co_await store->format();
    if (formatted) co_return std::move(store);
    // As far as they can be written, the devices are left without a trace of the pool.
    for (auto* device : devices) {
        const Result<void> ignored = co_await erase_superblocks(*device);
        if (!ignored) log(LogLevel::warning, "{}: cannot be erased", device->identity().path);
    }
    co_return formatted.error();
}

Task<void> Store::close() {
    if (!gate_.is_closed()) co_await gate_.close();
    co_await tasks_.join();
}

Task<Result<void>> Store::close_clean() {
    co_await close();
    XSAN_CO_TRY_VOID(write_checkpoint_now());
    co_await tasks_.join();
    if (is_broken_) co_return Errc::too_many_failures;
    Batch batch;
    batch.flags = kLogClean;
    const Result<void> marked = co_await append(std::move(batch));
    report_losses();
    co_return marked;
}

Task<Result<void>> Store::wipe() {
    co_await close();
    std::vector<Task<Result<void>>> tasks;
    for (auto& [index, slot] : slots_) {
        tasks.push_back(erase_superblocks(*slot.device, slot.superblock.content.layout.size_bytes));
    }
    const auto erased = co_await run_all(std::move(tasks));
    for (const auto& result : erased) {
        if (!result) co_return result;
    }
    co_return Result<void>();
}

Task<void> Store::drained() {
    co_await checkpoint_mutex_.lock();
    AsyncMutex::Guard checkpoints(checkpoint_mutex_);
    co_await append_mutex_.lock();
    AsyncMutex::Guard appends(append_mutex_);
}

}  // namespace xsan::meta
