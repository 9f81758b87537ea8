// State to pages.
#include <algorithm>
#include <cstring>

#include "base/units.h"
#include "meta/bytes.h"
#include "meta/checkpoint.h"
#include "meta/page_writer.h"
#include "meta/record_codec.h"

namespace xsan::meta {
namespace {

void add_record(PageWriter& pages, PageType type, const Record& record) {
    std::vector<std::byte> bytes;
    encode_record(record, bytes);
    pages.add_item(type, bytes);
}

void add_members(PageWriter& pages, const State& state) {
    Record r;
    r.kind = RecordKind::member_set;
    for (std::size_t i = 0; i < state.members().size(); i++) {
        if (!state.members()[i]) continue;
        r.member_index = MemberIndex{static_cast<std::uint16_t>(i)};
        r.member = *state.members()[i];
        add_record(pages, PageType::members, r);
    }
}

void add_schemes(PageWriter& pages, const State& state) {
    Record r;
    r.kind = RecordKind::scheme_set;
    for (std::size_t i = 0; i < state.schemes().size(); i++) {
        if (!state.schemes()[i]) continue;
        r.scheme_id = SchemeId{static_cast<std::uint16_t>(i)};
        r.scheme = *state.schemes()[i];
        add_record(pages, PageType::schemes, r);
    }
}

void add_rows(PageWriter& pages, const State& state) {
    std::array<std::byte, sizeof(RowOnDisk) + ec::kStripsMax * sizeof(StripOnDisk)> item;
    for (std::uint32_t g = 0; g < state.group_limit(); g++) {
        const GroupRow* row = state.row(GroupIndex{g});
        if (row == nullptr) continue;
        RowOnDisk raw;
        raw.group = g;
        raw.generation = row->generation();
        raw.scheme = row->scheme().get();
        raw.strip_count = static_cast<std::uint16_t>(row->strips().size());
        std::memcpy(item.data(), &raw, sizeof raw);
        std::size_t at = sizeof raw;
        for (const StripRef strip : row->strips()) {
            StripOnDisk s;
            s.member_and_state = static_cast<std::uint16_t>(
                strip.member().get() | (static_cast<unsigned>(strip.state()) << 14));
            s.extent = strip.extent().get();
            std::memcpy(item.data() + at, &s, sizeof s);
            at += sizeof s;
        }
        pages.add_item(PageType::group_rows, std::span(item).first(at));
    }
}

void add_dirty_bits(PageWriter& pages, const State& state) {
    constexpr std::uint32_t kGroupsPerPage = (PageWriter::kRoom - sizeof(DirtyHeader)) * 8;
    if (state.dirty_count() == 0) return;
    for (std::uint32_t first = 0; first < state.group_limit(); first += kGroupsPerPage) {
        const auto count = std::min(kGroupsPerPage, state.group_limit() - first);
        std::vector<std::uint8_t> bits(divide_up(count, 8));
        for (std::uint32_t i = 0; i < count; i++) {
            if (!state.is_dirty(GroupIndex{first + i})) continue;
            bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | (1u << (i % 8)));
        }
        pages.begin(PageType::dirty_bits);
        const DirtyHeader header{first, count};
        pages.append(&header, sizeof header);
        pages.append(bits.data(), bits.size());
        pages.count_item();
    }
}

// Writes one volume's mapped clusters as runs. A gap of one cluster costs no more inside a run than
// a new run would.
class MapEncoder {
  public:
    MapEncoder(PageWriter& pages, VolumeId volume) : pages_(pages), volume_(volume) {}

    void add(std::uint64_t cluster, MapEntry entry) {
        const bool joins = run_.count > 0 && cluster - next_ <= 1 &&
                           pages_.room() >= (cluster - next_ + 1) * sizeof(Le64);
        if (joins) {
            while (next_ < cluster)
                put(MapEntry{});
        } else {
            begin_run(cluster);
        }
        put(entry);
    }
    void finish() { end_run(); }

  private:
    void begin_run(std::uint64_t cluster) {
        end_run();
        const bool fits = begun_ && pages_.room() >= sizeof(MapRun) + sizeof(Le64) &&
                          cluster - base_ <= UINT32_MAX;
        if (!fits) {
            begun_ = true;
            base_ = cluster;
            pages_.begin(PageType::map);
            MapHeader header{};
            header.volume = volume_.get();
            header.base_cluster = base_;
            pages_.append(&header, sizeof header);
        }
        run_at_ = pages_.used();
        run_.first = static_cast<std::uint32_t>(cluster - base_);
        pages_.append(&run_, sizeof run_);
        next_ = cluster;
    }
    void end_run() {
        if (run_.count == 0) return;
        pages_.patch(run_at_, &run_, sizeof run_);
        pages_.count_item();
        run_ = {};
    }
    void put(MapEntry entry) {
        const Le64 bits(entry.bits);
        pages_.append(&bits, sizeof bits);
        run_.count = run_.count + 1;
        next_++;
    }

    PageWriter& pages_;
    VolumeId volume_;
    bool begun_ = false;
    std::uint64_t base_ = 0;
    std::uint64_t next_ = 0;
    std::size_t run_at_ = 0;
    MapRun run_{};
};

void add_volumes(PageWriter& pages, const State& state) {
    Record r;
    r.kind = RecordKind::volume_set;
    for (const auto& [id, volume] : state.volumes()) {
        r.volume = volume.info;
        add_record(pages, PageType::volumes, r);
    }
    for (const auto& [id, volume] : state.volumes()) {
        MapEncoder encoder(pages, id);
        volume.map->for_each_mapped([&encoder](ClusterIndex cluster, MapEntry entry) {
            encoder.add(cluster.get(), entry);
        });
        encoder.finish();
    }
}

void add_bad_ranges(PageWriter& pages, const State& state) {
    Record r;
    r.kind = RecordKind::bad_set;
    for (const auto& bad : state.bad_ranges()) {
        r.bad = bad;
        add_record(pages, PageType::bad_ranges, r);
    }
}

// Pages for that many bytes of items, each at most `item_max` (which a page's end may leave
// unused).
std::uint64_t pages_for(std::uint64_t bytes, std::uint64_t item_max) {
    const std::uint64_t usable = PageWriter::kRoom - item_max;
    return bytes == 0 ? 0
                      : bytes / usable * kPageBytesMax +
                            round_up(bytes % usable + sizeof(PageHeader), kPageBytesMin);
}

}  // namespace

CheckpointImage encode_checkpoint(const State& state, const CheckpointIdentity& identity) {
    PageWriter pages(identity);
    Record pool;
    pool.kind = RecordKind::pool_set;
    pool.pool = state.pool();
    add_record(pages, PageType::pool, pool);
    add_members(pages, state);
    add_schemes(pages, state);
    add_rows(pages, state);
    add_dirty_bits(pages, state);
    add_volumes(pages, state);
    add_bad_ranges(pages, state);
    return pages.finish();
}

std::uint64_t checkpoint_bytes_max(const StateTally& t) {
    constexpr std::uint64_t kMapRoom = PageWriter::kRoom - sizeof(MapHeader) - 16;
    const std::uint64_t map = t.mapped_count * 16;  // every entry in a run of its own
    return kPageBytesMin + pages_for(t.member_bytes, 1200) + pages_for(t.scheme_count * 24, 24) +
           pages_for(t.row_bytes, 400) + pages_for(divide_up(t.group_limit, 8), 16) +
           pages_for(t.volume_count * 96, 96) + map / kMapRoom * kPageBytesMax +
           round_up(map % kMapRoom + 128, kPageBytesMin) + t.volume_count * kPageBytesMin +
           pages_for(t.bad_count * 32, 32);
}

}  // namespace xsan::meta
