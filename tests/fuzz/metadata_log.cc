// Fuzz target: the metadata log of a member, from the region's bytes to the state that its records
// make.
//
// An input is a list of entries, each some records, with damage; the CRCs are made right again or
// not. What scans is a chain inside the region; what decodes encodes to the same bytes; a Draft and
// a State agree about every record; and whatever state comes out has a checkpoint.
#include <array>
#include <cstddef>
#include <vector>

#include "base/crc32c.h"
#include "base/units.h"
#include "fuzz/record_maker.h"
#include "fuzz/state_check.h"
#include "meta/checkpoint.h"
#include "meta/draft.h"
#include "meta/log.h"
#include "meta/record_codec.h"

using namespace xsan;
using namespace xsan::fuzz;
using namespace xsan::meta;

namespace {

constexpr std::size_t kRegionBytes = 10 * kLogBlockBytes;
using Region = std::array<std::byte, kRegionBytes>;

void seal_entry(std::span<std::byte> region, std::size_t offset) {
    LogEntryHeader h;
    std::memcpy(&h, region.data() + offset, sizeof h);
    const std::size_t length = h.length;
    const std::size_t from = offsetof(LogEntryHeader, length);
    if (length < from || length > region.size() - offset) return;
    store_at(region, offset + offsetof(LogEntryHeader, crc),
             crc32c(region.subspan(offset + from, length - from)));
}

// Appends entries to the region, as a pool would, and then damages it.
class Writer {
  public:
    Writer(Input& in, std::span<std::byte> region, const LogPosition& start)
        : in_(in), maker_(in), region_(region), at_(start) {}

    void run() {
        for (unsigned n = 1 + in_.u8() % 6; n > 0; n--)
            append();
        for (unsigned n = in_.u8() % 4; n > 0; n--)
            damage();
    }

  private:
    void append() {
        std::vector<std::byte> records;
        LogEntryInput input;
        const std::uint8_t how = in_.u8();
        for (unsigned n = how % 8; n > 0; n--) {
            encode_record(maker_.next(), records);
            input.record_count++;
        }
        if ((how & 8) != 0) records.resize(records.size() + in_.u16() % 9000);
        if ((how & 16) != 0) patch(in_, records);
        if ((how & 32) != 0) input.record_count = static_cast<std::uint32_t>(in_.number());
        input.after = at_;
        input.epoch = at_.epoch + ((how & 64) != 0 ? in_.u8() : 0u);
        input.lineage = (how & 64) != 0 ? uuid_of(in_.u8() % 4) : at_.lineage;
        input.pool_uuid = uuid_of(1);
        input.flags = (how & 128) != 0 ? kLogClean : 0;
        input.records = records;
        input.region_bytes = region_.size();
        const auto entry = encode_log_entry(input);
        LogPosition next = log_advance(at_, entry.size(), region_.size());
        std::copy(entry.span().begin(), entry.span().end(),
                  region_.begin() + static_cast<std::ptrdiff_t>(next.offset - entry.size()));
        next.sequence++;
        next.epoch = input.epoch;
        next.lineage = input.lineage;
        next.crc = decode_log_crc(entry.span());
        at_ = next;
    }
    void damage() {
        const std::size_t offset = in_.u8() % (kRegionBytes / kLogBlockBytes) * kLogBlockBytes;
        const std::uint8_t how = in_.u8();
        if ((how & 1) != 0) {
            const std::size_t from = in_.u8() % (kRegionBytes / kLogBlockBytes) * kLogBlockBytes;
            std::memmove(region_.data() + offset, region_.data() + from, kLogBlockBytes);
        }
        if ((how & 2) != 0) patch(in_, region_.subspan(offset, kLogBlockBytes));
        if ((how & 4) != 0) patch(in_, region_.subspan(offset, sizeof(LogEntryHeader)));
        if ((how & 8) != 0) {
            const auto raw = in_.bytes(in_.u8());
            std::copy(
                raw.begin(), raw.end(),
                region_.begin() + static_cast<std::ptrdiff_t>(offset + sizeof(LogEntryHeader)));
        }
        if ((how & 16) == 0) seal_entry(region_, offset);
    }

    Input& in_;
    RecordMaker maker_;
    std::span<std::byte> region_;
    LogPosition at_;
};

void check_scan(std::span<const std::byte> region, const LogPosition& start, const LogScan& scan) {
    LogPosition at = start;
    for (const LogEntry& entry : scan.entries) {
        XSAN_ASSERT(entry.sequence == at.sequence + 1 && entry.previous_crc == at.crc);
        XSAN_ASSERT(entry.epoch >= at.epoch && entry.offset + entry.length <= region.size());
        XSAN_ASSERT(log_place(at.offset, entry.length, region.size()) == entry.offset);
        XSAN_ASSERT(entry.records.data() >= region.data() + entry.offset);
        XSAN_ASSERT(entry.records.data() + entry.records.size() <=
                    region.data() + entry.offset + entry.length);
        LogEntryInput input{at,          entry.epoch,        entry.lineage, uuid_of(1),
                            entry.flags, entry.record_count, entry.records, region.size()};
        const auto again = encode_log_entry(input);
        // The padding is under the CRC, but may be more, or other, than it has to be.
        const std::size_t crc_end = offsetof(LogEntryHeader, length);
        const auto fields = again.span().subspan(crc_end, sizeof(LogEntryHeader) - crc_end);
        XSAN_ASSERT(again.size() != entry.length ||
                    is_equal(fields, region.subspan(entry.offset + crc_end, fields.size())));
        at = log_advance(at, entry.length, region.size());
        at.sequence = entry.sequence;
        at.epoch = entry.epoch;
        at.lineage = entry.lineage;
        at.crc = entry.crc;
    }
    XSAN_ASSERT(at.same_point(scan.end) && at.offset == scan.end.offset);
    XSAN_ASSERT(at.total_bytes - start.total_bytes <= region.size());
    XSAN_ASSERT(scan.unreachable_sequence == 0 || scan.unreachable_sequence > scan.end.sequence);
}

// The draft is what a commit is checked against: it says neither less nor more than the state, and
// counts no less.
bool apply_entry(State& state, const std::vector<Record>& records) {
    Draft draft(state);
    bool drafted = true;
    for (const auto& record : records) {
        drafted = drafted && draft.add(record).has_value();
    }
    const StateTally then = draft.tally();
    const auto extent_total = draft.extent_total();
    const auto clusters = draft.cluster_total();
    for (const auto& record : records) {
        const auto applied = state.apply(record);
        if (applied) continue;
        XSAN_ASSERT(!drafted && !applied.error().message.empty());
        return false;
    }
    XSAN_ASSERT(drafted);
    const StateTally now = state.tally();
    XSAN_ASSERT(then.member_bytes == now.member_bytes && then.scheme_count == now.scheme_count &&
                then.group_limit == now.group_limit && then.row_bytes == now.row_bytes &&
                then.volume_count == now.volume_count);
    XSAN_ASSERT(then.mapped_count >= now.mapped_count && then.bad_count >= now.bad_count);
    XSAN_ASSERT(clusters == state.cluster_total());
    XSAN_ASSERT(extent_total == Draft(state).extent_total());
    return true;
}

// As the store replays a log.
void replay(State& state, const LogScan& scan) {
    for (const LogEntry& entry : scan.entries) {
        const auto records = decode_records(entry.records, entry.record_count);
        if (!records) return XSAN_ASSERT(!records.error().message.empty());
        std::vector<std::byte> again;
        for (const auto& record : *records)
            encode_record(record, again);
        XSAN_ASSERT(is_equal(again, entry.records));
        if (!apply_entry(state, *records)) return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Region region;
    region.fill(std::byte{0});
    Input in(data, size);
    LogPosition start;
    start.sequence = 40;
    start.epoch = 3;
    start.lineage = uuid_of(2);
    start.crc = 7;
    start.offset = in.u8() % (kRegionBytes / kLogBlockBytes + 1) * kLogBlockBytes;
    Writer(in, region, start).run();

    const LogScan scan = scan_log(region, start, {uuid_of(1), uuid_of(3)});
    check_scan(region, start, scan);
    (void)scan.is_clean();
    State state;
    for (const auto& record : initial_records())
        XSAN_ASSERT(state.apply(record).has_value());
    replay(state, scan);
    check_state(state);
    (void)check_places(state);
    check_checkpoint(state);
    return 0;
}
