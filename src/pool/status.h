// What a pool tells of itself, for `show`: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "meta/records.h"
#include "meta/store.h"
#include "raid/traffic.h"

namespace xsan::pool {

struct MemberStatus {
    MemberIndex index;
    meta::Member member;
    bool live = false;
    bool receives = false;  // holds stale strips, or is the target of a mover
    std::uint64_t used_bytes = 0;
    // Since the pool was started.
    raid::MemberTraffic traffic;
    meta::Store::Written metadata_written;
};
struct RebuildStatus {
    std::uint64_t pending_groups = 0;   // have lost strips that can be placed
    std::uint64_t unplaced_groups = 0;  // have lost strips that no member can take
    std::uint64_t failed_groups = 0;    // have lost more than the code can decode
};
struct GroupStatus {
    enum class Work : std::uint8_t { none, waits, rebuild, relocate };
    struct Strip {
        std::optional<MemberIndex> member;  // where it is, or was when it was lost
        bool is_lost = false;
        std::optional<MemberIndex> to;  // where it goes
    };
    GroupIndex group;
    std::string scheme;
    Work work = Work::none;
    std::vector<Strip> strips;  // by slot
};
enum class PoolHealth : std::uint8_t { online, degraded, failed };

}  // namespace xsan::pool
