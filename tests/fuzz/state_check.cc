// See state_check.h.
#include "fuzz/state_check.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "fuzz/record_maker.h"
#include "meta/checkpoint.h"

namespace xsan::fuzz {
namespace {

using meta::State;

// Strips by member and extent: each extent carries at most one.
void check_rows(const State& state) {
    std::vector<std::uint64_t> places;
    std::uint64_t dirty = 0;
    std::uint64_t row_bytes = 0;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupIndex group{g};
        const GroupRow* row = state.row(group);
        dirty += state.is_dirty(group) ? 1 : 0;
        XSAN_ASSERT(row != nullptr || !state.is_dirty(group));
        XSAN_ASSERT(row != nullptr || state.mapped_in_group(group) == 0);
        if (row == nullptr) continue;
        row_bytes += meta::stored_row_bytes(row->strips().size());
        const ec::Scheme* scheme = state.find_scheme(row->scheme());
        XSAN_ASSERT(scheme != nullptr && scheme->total_strips() == row->strips().size());
        for (const StripRef strip : row->strips()) {
            XSAN_ASSERT(strip.state() <= StripState::none);
            if (strip.state() == StripState::none) continue;
            const meta::Member* member = state.find_member(strip.member());
            XSAN_ASSERT(member != nullptr && strip.extent().get() < member->layout.extent_count &&
                        state.is_extent_used(strip.member(), strip.extent()));
            places.push_back(std::uint64_t{strip.member().get()} << 32 | strip.extent().get());
        }
    }
    XSAN_ASSERT(dirty == state.dirty_count() && row_bytes == state.tally().row_bytes);
    std::sort(places.begin(), places.end());
    XSAN_ASSERT(std::adjacent_find(places.begin(), places.end()) == places.end());
    std::uint64_t used = 0;
    for (std::size_t i = 0; i < state.members().size(); i++) {
        used += state.used_extents(MemberIndex{static_cast<std::uint16_t>(i)});
    }
    XSAN_ASSERT(used == places.size());
}

void check_volumes(const State& state) {
    std::vector<std::uint64_t> mapped(state.group_limit());
    std::uint64_t total = 0;
    std::uint64_t clusters = 0;
    std::set<std::string> names;
    for (const auto& [id, volume] : state.volumes()) {
        const meta::VolumeInfo& info = volume.info;
        XSAN_ASSERT(info.id == id && (info.name.empty() || names.insert(info.name).second));
        const ec::Scheme* scheme = state.find_scheme(info.scheme);
        XSAN_ASSERT(scheme != nullptr && info.cluster_bytes % scheme->stripe_data_bytes() == 0);
        clusters += info.clusters();
        const auto places = meta::places_in_group(state.pool(), *scheme, info.cluster_bytes);
        volume.map->for_each_mapped([&](ClusterIndex cluster, meta::MapEntry entry) {
            XSAN_ASSERT(cluster.get() < info.clusters() && entry.is_mapped());
            const GroupRow* row = state.row(entry.group());
            XSAN_ASSERT(row != nullptr && row->scheme() == info.scheme && entry.place() < places);
            mapped[entry.group().get()]++;
            total++;
        });
    }
    XSAN_ASSERT(clusters == state.cluster_total() && total == state.tally().mapped_count);
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        XSAN_ASSERT(mapped[g] == state.mapped_in_group(GroupIndex{g}));
    }
}

void check_bad_ranges(const State& state) {
    const meta::BadRange* last = nullptr;
    for (const meta::BadRange& bad : state.bad_ranges()) {
        const GroupRow* row = state.row(bad.group);
        XSAN_ASSERT(row != nullptr && bad.length > 0);
        XSAN_ASSERT(bad.end() <=
                    state.pool().extent_bytes * state.find_scheme(row->scheme())->data_strips);
        XSAN_ASSERT(last == nullptr || last->group < bad.group ||
                    (last->group == bad.group && last->end() < bad.offset));
        last = &bad;
    }
}

}  // namespace

void check_state(const State& state) {
    check_rows(state);
    check_volumes(state);
    check_bad_ranges(state);
}

void check_checkpoint(const State& state) {
    const meta::CheckpointIdentity identity{uuid_of(9), 77};
    const auto image = meta::encode_checkpoint(state, identity);
    XSAN_ASSERT(image.bytes <= meta::checkpoint_bytes_max(state.tally()));
    const auto again = meta::decode_checkpoint(image.buffer.span(), image.crc, identity);
    if (!again) std::fprintf(stderr, "its checkpoint: %s\n", again.error().message.c_str());
    XSAN_ASSERT(again.has_value() && again->equals(state));
}

}  // namespace xsan::fuzz
