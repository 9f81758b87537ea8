// Pages to State. Small tables are records and go through State::apply(); so do rows and map runs,
// with one Record reused for all of them.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/byte_span.h"
#include "base/crc32c.h"
#include "base/units.h"
#include "meta/bytes.h"
#include "meta/checkpoint.h"
#include "meta/record_codec.h"

namespace xsan::meta {
namespace {

struct Page {
    PageType type{};
    std::uint32_t items = 0;
    std::uint32_t crc = 0;
    std::span<const std::byte> payload;
};

// The kind of record that pages of a type hold.
std::optional<RecordKind> record_kind(PageType type) {
    switch (type) {
        case PageType::pool:
            return RecordKind::pool_set;
        case PageType::members:
            return RecordKind::member_set;
        case PageType::schemes:
            return RecordKind::scheme_set;
        case PageType::volumes:
            return RecordKind::volume_set;
        case PageType::bad_ranges:
            return RecordKind::bad_set;
        default:
            return std::nullopt;
    }
}

class Decoder {
  public:
    explicit Decoder(const CheckpointIdentity& identity) : identity_(identity) {}

    Outcome<Page> take_page(std::span<const std::byte>& in);
    Outcome<void> apply_page(const Page& page);
    State take_state() { return std::move(state_); }

  private:
    Outcome<void> apply_records(const Page& page, RecordKind kind);
    Outcome<void> apply_rows(const Page& page);
    Outcome<void> apply_dirty_bits(const Page& page);
    Outcome<void> apply_map(const Page& page);

    CheckpointIdentity identity_;
    std::uint32_t index_ = 0;
    PageType last_type_ = PageType::pool;
    State state_;
    Record record_;
};

Outcome<Page> Decoder::take_page(std::span<const std::byte>& in) {
    PageHeader h;
    if (in.size() < kPageBytesMin) return broken("a checkpoint page is cut off");
    std::memcpy(&h, in.data(), sizeof h);
    const auto damaged = [this](const char* what) {
        return Failure(Errc::checksum_mismatch, fmt::format("checkpoint page {} {}", index_, what));
    };
    if (h.magic != kPageMagic) return damaged("has no header");
    if (h.length < kPageBytesMin || h.length > kPageBytesMax || h.length % kPageBytesMin != 0 ||
        h.length > in.size()) {
        return damaged("has an odd length");
    }
    const auto bytes = in.first(h.length);
    if (h.crc != crc32c(bytes.subspan(offsetof(PageHeader, length)))) return damaged("is damaged");
    if (h.version != kPageVersion || h.type < static_cast<unsigned>(PageType::pool) ||
        h.type > static_cast<unsigned>(PageType::bad_ranges)) {
        return Failure(
            Errc::version_mismatch,
            fmt::format("checkpoint page {} is of type {}, version {}, which this xsan does not "
                        "know",
                        index_, h.type.get(), h.version.get()));
    }
    if (h.index != index_ || h.sequence != identity_.sequence ||
        h.pool_uuid != identity_.pool_uuid.bytes || h.used_bytes > h.length - sizeof h ||
        !all_zero(std::as_bytes(std::span(h.reserved)))) {
        return broken(fmt::format("checkpoint page {} is not of this checkpoint", index_));
    }
    in = in.subspan(h.length);
    index_++;
    return Page{static_cast<PageType>(h.type.get()), h.item_count, h.crc,
                bytes.subspan(sizeof h, h.used_bytes)};
}

Outcome<void> Decoder::apply_page(const Page& page) {
    if (page.type < last_type_) return broken("checkpoint pages are out of order");
    last_type_ = page.type;
    if (const auto kind = record_kind(page.type)) return apply_records(page, *kind);
    switch (page.type) {
        case PageType::group_rows:
            return apply_rows(page);
        case PageType::dirty_bits:
            return apply_dirty_bits(page);
        default:
            return apply_map(page);
    }
}

Outcome<void> Decoder::apply_records(const Page& page, RecordKind kind) {
    auto in = page.payload;
    for (std::uint32_t i = 0; i < page.items; i++) {
        XSAN_TRY(const Record record, decode_record(in));
        if (record.kind != kind) return broken("a checkpoint page holds a record of another kind");
        XSAN_TRY_VOID(state_.apply(record));
    }
    if (!in.empty()) return broken("a checkpoint page holds too many bytes");
    return {};
}

Outcome<void> Decoder::apply_rows(const Page& page) {
    ByteReader in(page.payload);
    record_.kind = RecordKind::group_set;
    for (std::uint32_t i = 0; i < page.items; i++) {
        std::uint16_t strip_count = 0;
        in(record_.group), in(record_.generation), in(record_.scheme_id), in(strip_count);
        const auto strips = in.take_span(strip_count * sizeof(StripOnDisk));
        if (!in.ok()) return broken("a row of the placement table is cut off");
        if (state_.row(record_.group) != nullptr) return broken("a group has two rows");
        record_.strips.resize(strip_count);
        for (std::size_t s = 0; s < strip_count; s++) {
            StripOnDisk raw;
            std::memcpy(&raw, strips.data() + s * sizeof raw, sizeof raw);
            const unsigned bits = raw.member_and_state.get();
            const MemberIndex member{
                static_cast<std::uint16_t>(bits & (StripRef::kMembersMax - 1))};
            record_.strips[s] = StripRef(member, ExtentIndex{raw.extent.get()},
                                         static_cast<StripState>(bits >> 14));
        }
        XSAN_TRY_VOID(state_.apply(record_));
    }
    if (!in.at_end()) return broken("a page of rows holds too many bytes");
    return {};
}

Outcome<void> Decoder::apply_dirty_bits(const Page& page) {
    ByteReader in(page.payload);
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    in(first), in(count);
    const auto bits = in.take_span(divide_up(std::uint64_t{count}, 8));
    if (!in.at_end() || page.items != 1 || first > kExtentsMax) {
        return broken("a page of dirty bits is odd");
    }
    record_.kind = RecordKind::group_dirty;
    record_.flag = true;
    record_.groups.clear();
    for (std::uint32_t i = 0; i < bits.size() * 8; i++) {
        if ((bits[i / 8] & std::byte(1u << (i % 8))) == std::byte{0}) continue;
        if (i >= count) return broken("a page of dirty bits has bits behind its last group");
        record_.groups.push_back(GroupIndex{first + i});
    }
    return state_.apply(record_);
}

Outcome<void> Decoder::apply_map(const Page& page) {
    ByteReader in(page.payload);
    std::uint32_t reserved = 0;
    std::uint64_t base = 0;
    in(record_.volume.id), in(reserved), in(base);
    if (!in.ok() || reserved != 0) return broken("a page of a volume's map is odd");
    record_.kind = RecordKind::map_set;
    record_.entries.clear();
    for (std::uint32_t i = 0; i < page.items; i++) {
        std::uint32_t first = 0;
        std::uint32_t count = 0;
        in(first), in(count);
        const auto entries = in.take_span(std::size_t{count} * sizeof(Le64));
        if (!in.ok() || base > kClustersMax) return broken("a run of a volume's map is cut off");
        for (std::uint32_t c = 0; c < count; c++) {
            Le64 bits;
            std::memcpy(&bits, entries.data() + c * sizeof bits, sizeof bits);
            if (bits.get() == 0) continue;
            record_.entries.push_back({ClusterIndex{base + first + c}, MapEntry{bits.get()}});
        }
    }
    if (!in.at_end()) return broken("a page of a volume's map holds too many bytes");
    return state_.apply(record_);
}

}  // namespace

Outcome<State> decode_checkpoint(std::span<const std::byte> image, std::uint32_t crc,
                                 const CheckpointIdentity& identity) {
    Decoder decoder(identity);
    std::uint32_t found = 0;
    for (bool first = true; !image.empty(); first = false) {
        XSAN_TRY(const Page page, decoder.take_page(image));
        if (first != (page.type == PageType::pool)) {
            return broken("a checkpoint begins with one page of the pool");
        }
        const Le32 page_crc(page.crc);
        found = crc32c(std::as_bytes(std::span(&page_crc, 1)), found);
        XSAN_TRY_VOID(decoder.apply_page(page));
    }
    if (found != crc) {
        return Failure(Errc::checksum_mismatch,
                       "the checkpoint is not the one the superblock names");
    }
    State state = decoder.take_state();
    if (state.pool().uuid.is_nil()) return broken("a checkpoint says nothing of its pool");
    return state;
}

Outcome<void> check_places(const State& state) {
    std::vector<std::vector<bool>> used(state.group_limit());
    bool shared = false;
    for (const auto& item : state.volumes()) {
        const Volume& volume = item.second;
        volume.map->for_each_mapped([&](ClusterIndex, MapEntry entry) {
            auto& places = used[entry.group().get()];
            if (places.empty()) {
                const auto& scheme = *state.find_scheme(volume.info.scheme);
                // By stripes, which clusters of every size are made of.
                places.resize(state.pool().extent_bytes / scheme.strip_bytes);
            }
            const auto& scheme = *state.find_scheme(volume.info.scheme);
            const auto stripes = volume.info.cluster_bytes / scheme.stripe_data_bytes();
            for (std::uint64_t s = 0; s < stripes; s++) {
                auto place = places[entry.place() * stripes + s];
                shared = shared || place;
                place = true;
            }
        });
    }
    if (shared) return broken("two clusters share a place in a group");
    return {};
}

}  // namespace xsan::meta
