// DoubtTable: the stripes of which a failed write has left something open.
//
// - Unsettled: the write could neither be finished nor undone nor recorded, so that what its strips
//   hold is anybody's guess. Present data strips hold their old or their new content; what lost ones
//   held must not be computed, and nothing is written, until the next start has replayed the write's
//   record, which is kept, or a resync has made the stripe a codeword.
// - Unpassed: all is well in place, but the write's record is still in the log, and a later one must
//   not come behind it: it is passed before the next write.
//
// Invariant: entries change under their stripe's exclusive interlock; who looks holds it too.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "raid/stripe_log.h"
#include "reactor/cross.h"

namespace xsan::raid {

struct Doubt {
    bool is_unsettled = false;
    LogSpan records;  // in the log
};

class DoubtTable {
  public:
    static std::uint64_t key(GroupIndex group, StripeIndex stripe) {
        return (std::uint64_t{group.get()} << 32) | stripe.get();
    }
    // As a rule.
    bool is_empty() const { return count_.load(std::memory_order_acquire) == 0; }
    std::optional<Doubt> find(std::uint64_t key) const {
        if (is_empty()) return std::nullopt;
        std::lock_guard guard(lock_);
        const auto at = doubts_.find(key);
        return at == doubts_.end() ? std::nullopt : std::optional(at->second);
    }
    bool is_unsettled(std::uint64_t key) const {
        const auto doubt = find(key);
        return doubt && doubt->is_unsettled;
    }
    void set(std::uint64_t key, const Doubt& doubt) {
        std::lock_guard guard(lock_);
        doubts_[key] = doubt;
        count_.store(doubts_.size(), std::memory_order_release);
    }
    void erase(std::uint64_t key) {
        std::lock_guard guard(lock_);
        doubts_.erase(key);
        count_.store(doubts_.size(), std::memory_order_release);
    }

  private:
    mutable SpinLock lock_;
    std::map<std::uint64_t, Doubt> doubts_;
    std::atomic<std::size_t> count_{0};
};

}  // namespace xsan::raid
