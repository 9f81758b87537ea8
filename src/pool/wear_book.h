// WearBook: what the book of a member (meta/book.h) says: the pool's policy, settings and events, alike on all members,
// and the account of the member's own wear. Pure: values and bytes.
//
// Invariant: bytes that are no book of this version, or hold what no pool could have written, are refused as a whole:
// a hostile drive can make a pool forget its figures, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/strong.h"
#include "pool/events.h"
#include "wl/account.h"

namespace xsan::pool {

struct WearBook {
    std::string policy;
    bool task_is_on = false;
    std::vector<std::string> settings;  // KEY=VALUE
    // Since the accounts of all were last reset: written by users, and to members for whatever reason.
    double user_bytes = 0;
    double device_bytes = 0;
    std::uint64_t last_event = 0;
    std::vector<PoolEvent> events;      // ascending
    struct Heat {
        GroupIndex group;
        double rate_bytes = 0;  // a second
    };
    static constexpr std::size_t kHeatMax = 512;
    std::int64_t heat_seconds = 0;  // Unix time of:
    std::vector<Heat> heat;         // the hottest groups, ascending by group, at most kHeatMax
    std::optional<wl::Account> account;
};

// At most `bytes_max`, for which the oldest events are left out, and of single moves those that would take more than
// half of the room. Account and heat need some 11 KiB.
std::vector<std::byte> encode_wear_book(WearBook book, std::size_t bytes_max);
// The account's endurance is not part of it: `rated` takes its place.
std::optional<WearBook> decode_wear_book(std::span<const std::byte> bytes, const wl::Endurance& rated);

}  // namespace xsan::pool
