// MoveQueue: relocations that were asked for and wait, and what `show` says of them. Values only: the pool takes
// orders out and carries them out (relocate.cc).
//
// Invariants:
//  - A group waits at most once.
//  - Orders by command come first, in the order in which they were given; they are neither paused nor cancelled.
//  - It lives in memory: after a restart nothing waits, and a move that was cut off has not happened.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>

#include "base/strong.h"
#include "pool/jobs.h"
#include "reactor/reactor.h"

namespace xsan::pool {

// The strip of `group` on member `from` goes to member `to`.
struct MoveOrder {
    GroupIndex group;
    MemberIndex from;
    MemberIndex to;
};

class MoveQueue {
  public:
    struct Entry {
        MoveOrder order;
        bool by_command = false;
        std::string why{};  // of a background task, for its events
    };

    bool is_paused() const { return paused_; }
    void set_paused(bool paused) { paused_ = paused; }
    // Bytes a second that all relocations write at most; 0: no limit; absent: as configured for rebuilds.
    std::optional<std::uint64_t> rate_max() const { return rate_max_; }
    void set_rate_max(std::optional<std::uint64_t> rate) { rate_max_ = rate; }

    std::size_t waiting() const { return queue_.size(); }
    bool has_background() const { return !queue_.empty() && !queue_.back().by_command; }
    const Entry* find(GroupIndex group) const {
        if (!groups_.contains(group)) return nullptr;
        const auto at = std::ranges::find(queue_, group, group_of);
        return at == queue_.end() ? nullptr : &*at;
    }

    // The group does not wait yet. `bytes`: what the move writes.
    void add(const Entry& entry, std::uint64_t bytes, TimeNs now) {
        if (is_idle()) {
            bytes_total_ = bytes_done_ = failed_ = 0;
            began_ = now;
        }
        bytes_total_ += bytes;
        const auto background = std::ranges::find(queue_, false, &Entry::by_command);
        queue_.insert(entry.by_command ? background : queue_.end(), entry);
        groups_.insert(entry.order.group);
        if (entry.by_command) commanded_++;
    }
    // Of those that are not by command: one group, or all. Says how many.
    std::size_t cancel(std::optional<GroupIndex> group, std::uint64_t bytes_each) {
        const std::size_t count = std::erase_if(queue_, [&](const Entry& entry) {
            const bool is_meant = !entry.by_command && (!group || entry.order.group == *group);
            if (is_meant) groups_.erase(entry.order.group);
            return is_meant;
        });
        bytes_total_ -= count * bytes_each;
        if (count > 0) end_if_idle();
        return count;
    }
    // Takes out the first one of which `may_start` is true.
    template <class F>
    std::optional<Entry> take(F may_start) {
        const auto at = std::ranges::find_if(queue_, may_start);
        if (at == queue_.end()) return std::nullopt;
        const Entry entry = *at;
        queue_.erase(at);
        groups_.erase(entry.order.group);
        running_++;
        running_in_background_ += !entry.by_command;
        return entry;
    }

    // One that was taken, and waits again: first of those in the background.
    void put_back(const Entry& entry) {
        running_--;
        running_in_background_ -= !entry.by_command;
        queue_.insert(std::ranges::find(queue_, false, &Entry::by_command), entry);
        groups_.insert(entry.order.group);
    }
    enum class End : std::uint8_t { moved, failed, cancelled };
    // Of one that was taken.
    void ended(const Entry& entry, End how, std::uint64_t bytes) {
        running_--;
        running_in_background_ -= !entry.by_command;
        if (entry.by_command) commanded_--;
        if (how == End::moved) bytes_done_ += bytes;
        if (how != End::moved) bytes_total_ -= bytes;
        if (how == End::failed) failed_++;
        end_if_idle();
    }

    bool is_idle() const { return queue_.empty() && running_ == 0; }
    unsigned running() const { return running_; }
    unsigned running_in_background() const { return running_in_background_; }

    // `bytes_running`: what those that run have written so far.
    std::optional<JobStatus> job(std::uint64_t bytes_running, TimeNs now) const {
        if (is_idle()) return last_;
        JobStatus job;
        job.kind = JobKind::relocate;
        const bool all_wait = paused_ && commanded_ == 0;
        job.state = all_wait ? JobState::paused : JobState::running;
        job.bytes_total = bytes_total_;
        job.bytes_done = std::min(bytes_total_, bytes_done_ + bytes_running);
        const TimeNs elapsed = now - began_;
        if (!all_wait && elapsed > 0 && job.bytes_done > 0) {
            const double rate = static_cast<double>(job.bytes_done) * 1e9 / static_cast<double>(elapsed);
            job.rate_bytes = static_cast<std::uint64_t>(rate);
            if (job.rate_bytes > 0) job.eta_seconds = (job.bytes_total - job.bytes_done) / job.rate_bytes;
        }
        return job;
    }

  private:
    static GroupIndex group_of(const Entry& entry) { return entry.order.group; }
    void end_if_idle() {
        if (!is_idle()) return;
        last_.emplace();
        last_->kind = JobKind::relocate;
        last_->state = failed_ > 0 ? JobState::failed : JobState::done;
        last_->bytes_done = last_->bytes_total = bytes_done_;
    }

    std::deque<Entry> queue_;
    std::set<GroupIndex> groups_;  // of the queue: a plan asks for each group of the pool
    bool paused_ = false;
    std::optional<std::uint64_t> rate_max_;
    unsigned running_ = 0;
    unsigned running_in_background_ = 0;  // of these
    unsigned commanded_ = 0;  // wait or run, by command
    // Since something was last added to an empty queue.
    std::uint64_t bytes_done_ = 0;
    std::uint64_t bytes_total_ = 0;
    std::uint64_t failed_ = 0;
    TimeNs began_ = 0;
    std::optional<JobStatus> last_;  // how that ended
};

}  // namespace xsan::pool
