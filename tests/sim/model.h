// Model: what each block of each volume may hold, by the contract (design.md, section 6).
//
// Words: a granule is the block of which C2 speaks. A version is one write of a granule: from its
// submission (start) to its answer (end). Each carries a word that no other version or granule has;
// a granule holds one word, repeated, or zeros.
//
// Rules: version u supersedes w when u was submitted after w was answered. While the pool runs, a
// read may give any version that no acknowledged one supersedes; after a power cut, any that no
// durable one supersedes. Durable is what a FUA write or a flush that was submitted after the
// answer covers. A version whose write failed, or was under way, may be there or not. Versions that
// can never be seen again are forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xsan::simtest {

using Tick = std::uint64_t;
inline constexpr Tick kOpen = UINT64_MAX;

struct Version {
    std::uint64_t word = 0;
    Tick start = 0;
    Tick end = 0;
    bool acknowledged = true;
    bool durable = true;
};

// What an operation does to granules [first, first + count).
struct Range {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint64_t end() const { return first + count; }
};

// The words that were read after a crash, by granule; what was not read is zero.
using Words = std::vector<std::uint64_t>;
inline constexpr std::uint64_t kUnreadable = UINT64_MAX;  // answered with an error (mode beyond)

class VolumeModel {
  public:
    enum class Existence : std::uint8_t { absent, uncertain, present };

    VolumeModel(std::uint64_t size_bytes, std::uint32_t granule_bytes)
        : granule_bytes_(granule_bytes), size_(size_bytes), versions_(size_bytes / granule_bytes) {}

    Existence existence = Existence::uncertain;
    bool deleting = false;

    std::uint32_t granule_bytes() const { return granule_bytes_; }
    std::uint64_t granules() const { return versions_.size(); }
    std::uint64_t size_bytes() const { return size_; }
    bool may_have_size(std::uint64_t bytes) const { return bytes == size_ || sizes_wanted_.contains(bytes); }
    void begin_resize(std::uint64_t bytes);
    void end_resize(std::uint64_t bytes, bool done);
    void settle_size(std::uint64_t bytes);  // after a crash, as found

    // The word that a version of a granule carries; `version` > 0.
    static std::uint64_t word(std::uint64_t version, std::uint64_t granule);

    Tick begin_write(Range range, std::uint64_t version);  // 0: zeros
    // Zeros where anything was ever written: the rest is zeros anyway, and need not be read back.
    Tick begin_zero(Range range);
    void end_write(Range range, Tick start, bool ok, bool fua);
    Tick begin_read();
    void end_read(Tick start) { reads_.erase(reads_.find(start)); }
    Tick begin_flush() { return ++now_; }
    void end_flush(Tick start);
    void all_durable() { end_flush(++now_); }

    // May a read that began at `start` give this?
    bool allows(std::uint64_t granule, std::uint64_t word, Tick start) const;
    bool allows_after_cut(std::uint64_t granule, std::uint64_t word) const;
    // Was it under way, or not durable yet, at the cut? Where a member was lost with it, and its
    // stripe was logged by checksum only, it may be unreadable.
    bool is_unsettled(std::uint64_t granule) const;
    // From now on exactly this is there.
    void settle(const Words& words);

    const std::set<std::uint64_t>& touched() const { return touched_; }
    // Was found unreadable after a crash, and not written since.
    bool is_unreadable(Range range) const;
    // Ranges that hold all touched granules, each widened to `align` granules.
    std::vector<Range> touched_ranges(std::uint64_t align) const;
    std::string describe(std::uint64_t granule, std::uint64_t word) const;

  private:
    std::span<const Version> versions(std::uint64_t granule) const;
    void forget(std::vector<Version>& all) const;

    std::uint32_t granule_bytes_;
    std::uint64_t size_;
    std::set<std::uint64_t> sizes_wanted_;  // by resizes that run, or failed and may be durable all the same
    Tick now_ = 0;
    std::multiset<Tick> reads_;                   // that run
    std::vector<std::vector<Version>> versions_;  // empty: zeros, never written
    std::set<std::uint64_t> touched_;
    std::vector<std::pair<Range, Tick>>
        zeroing_;  // zeros under way: they count for granules that are touched later, too
    std::set<std::uint64_t> unreadable_;
};

using Model = std::map<std::string, VolumeModel>;  // by the volume's name

}  // namespace xsan::simtest
