// docs/on-disk-format.md says what the code does, and images of old versions are read as ever.
#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>

#include "meta/book.h"
#include "meta/checkpoint.h"
#include "meta/log.h"
#include "meta/record_codec.h"
#include "meta/stripe_log.h"
#include "meta/superblock.h"
#include "support/catch.h"
#include "unit/meta/golden.h"

using namespace xsan;
using namespace xsan::meta;
using namespace xsan::test;

namespace {

struct Field {
    std::string name;
    std::size_t offset;
    std::size_t size;
    friend bool operator==(const Field&, const Field&) = default;
};
using Fields = std::vector<Field>;

std::ostream& operator<<(std::ostream& out, const Field& f) {
    return out << f.name << "@" << f.offset << "+" << f.size;
}

#define FIELD(type, name)                               \
    Field {                                             \
#name, offsetof(type, name), sizeof(type::name) \
    }

std::map<std::string, Fields> code_tables() {
    std::map<std::string, Fields> t;
    using S = SuperblockCopy;
    t["SuperblockCopy"] = {FIELD(S, magic),
                           FIELD(S, major),
                           FIELD(S, minor),
                           FIELD(S, copy_crc),
                           FIELD(S, copy_index),
                           FIELD(S, body_crc),
                           FIELD(S, own_offset),
                           FIELD(S, length),
                           FIELD(S, reserved_head),
                           FIELD(S, pool_uuid),
                           FIELD(S, pool_name),
                           FIELD(S, member_uuid),
                           FIELD(S, lineage),
                           FIELD(S, epoch),
                           FIELD(S, sequence),
                           FIELD(S, compat),
                           FIELD(S, ro_compat),
                           FIELD(S, incompat),
                           FIELD(S, previous_crc),
                           FIELD(S, member_index),
                           FIELD(S, attribute_bytes),
                           FIELD(S, size_bytes),
                           FIELD(S, metadata_offset),
                           FIELD(S, checkpoint_slot_bytes),
                           FIELD(S, metadata_log_bytes),
                           FIELD(S, stripe_log_offset),
                           FIELD(S, stripe_log_bytes),
                           FIELD(S, data_offset),
                           FIELD(S, extent_bytes),
                           FIELD(S, extent_count),
                           FIELD(S, extents_max),
                           FIELD(S, checkpoint_sequence),
                           FIELD(S, checkpoint_epoch),
                           FIELD(S, checkpoint_lineage),
                           FIELD(S, checkpoint_bytes),
                           FIELD(S, checkpoint_crc),
                           FIELD(S, checkpoint_chain_crc),
                           FIELD(S, checkpoint_log_offset),
                           FIELD(S, checkpoint_slot),
                           FIELD(S, ancestor_count),
                           FIELD(S, ancestors),
                           FIELD(S, reserved),
                           FIELD(S, attributes)};
    using A = AncestorOnDisk;
    t["AncestorOnDisk"] = {FIELD(A, lineage), FIELD(A, epoch), FIELD(A, sequence)};
    using L = LogEntryHeader;
    t["LogEntryHeader"] = {FIELD(L, magic),        FIELD(L, crc),          FIELD(L, length),
                           FIELD(L, version),      FIELD(L, flags),        FIELD(L, record_count),
                           FIELD(L, record_bytes), FIELD(L, previous_crc), FIELD(L, epoch),
                           FIELD(L, sequence),     FIELD(L, own_offset),   FIELD(L, pool_uuid),
                           FIELD(L, lineage),      FIELD(L, reserved)};
    using R = RecordHeader;
    t["RecordHeader"] = {FIELD(R, kind), FIELD(R, version), FIELD(R, length)};
    using P = PageHeader;
    t["PageHeader"] = {FIELD(P, magic),      FIELD(P, crc),      FIELD(P, length),
                       FIELD(P, used_bytes), FIELD(P, type),     FIELD(P, version),
                       FIELD(P, index),      FIELD(P, sequence), FIELD(P, item_count),
                       FIELD(P, pool_uuid),  FIELD(P, reserved)};
    t["RowOnDisk"] = {FIELD(RowOnDisk, group), FIELD(RowOnDisk, generation),
                      FIELD(RowOnDisk, scheme), FIELD(RowOnDisk, strip_count)};
    t["StripOnDisk"] = {FIELD(StripOnDisk, member_and_state), FIELD(StripOnDisk, extent)};
    t["DirtyHeader"] = {FIELD(DirtyHeader, first_group), FIELD(DirtyHeader, group_count)};
    t["MapHeader"] = {FIELD(MapHeader, volume), FIELD(MapHeader, reserved),
                      FIELD(MapHeader, base_cluster)};
    t["MapRun"] = {FIELD(MapRun, first), FIELD(MapRun, count)};
    t["BookHeader"] = {FIELD(BookHeader, magic), FIELD(BookHeader, crc), FIELD(BookHeader, version),
        FIELD(BookHeader, place), FIELD(BookHeader, number), FIELD(BookHeader, payload_bytes),
        FIELD(BookHeader, reserved), FIELD(BookHeader, pool_uuid), FIELD(BookHeader, member_uuid),
        FIELD(BookHeader, reserved_end)};
    using Tail = StripeLogTailOnDisk;
    t["StripeLogTail"] = {FIELD(Tail, magic), FIELD(Tail, crc), FIELD(Tail, version), FIELD(Tail, lanes),
        FIELD(Tail, pool_uuid), FIELD(Tail, member_uuid), FIELD(Tail, epoch),
        FIELD(Tail, incarnation), FIELD(Tail, number), FIELD(Tail, retired),
        FIELD(Tail, lane_bytes), FIELD(Tail, reserved), FIELD(Tail, position),
        FIELD(Tail, reserved_end)};
    using Batch = StripeLogBatchOnDisk;
    t["StripeLogBatch"] = {FIELD(Batch, magic), FIELD(Batch, crc), FIELD(Batch, content_crc),
        FIELD(Batch, incarnation), FIELD(Batch, position), FIELD(Batch, retired),
        FIELD(Batch, header_bytes), FIELD(Batch, content_bytes), FIELD(Batch, lane),
        FIELD(Batch, record_count), FIELD(Batch, bytes), FIELD(Batch, reserved)};
    using Descriptor = StripeLogDescriptorOnDisk;
    t["StripeLogDescriptor"] = {FIELD(Descriptor, sequence), FIELD(Descriptor, touched),
        FIELD(Descriptor, group), FIELD(Descriptor, generation),
        FIELD(Descriptor, stripe), FIELD(Descriptor, row_begin),
        FIELD(Descriptor, row_end), FIELD(Descriptor, content_bytes),
        FIELD(Descriptor, kind), FIELD(Descriptor, strip),
        FIELD(Descriptor, granule_bytes), FIELD(Descriptor, reserved)};
    return t;
}

std::vector<std::string> cells_of(const std::string& line) {
    std::vector<std::string> cells;
    std::stringstream in(line);
    for (std::string cell; std::getline(in, cell, '|');) {
        const auto first = cell.find_first_not_of(' ');
        const auto last = cell.find_last_not_of(' ');
        cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    return cells;
}

// Tables under headings of the form "#### Name", rows "| offset | size | field | ...".
std::map<std::string, Fields> page_tables() {
    std::ifstream in(std::string(XSAN_SOURCE_DIR) + "/docs/on-disk-format.md");
    REQUIRE(in.good());
    std::map<std::string, Fields> tables;
    std::string name;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("#")) name = line.starts_with("#### ") ? line.substr(5) : "";
        if (name.empty() || !line.starts_with("| ")) continue;
        const auto cells = cells_of(line);
        if (cells.size() < 6) continue;  // a table of something else
        if (cells[1].find_first_not_of("0123456789") != std::string::npos) continue;
        tables[name].push_back({cells[3], std::stoul(cells[1]), std::stoul(cells[2])});
    }
    return tables;
}

std::vector<std::byte> read_image(const std::string& name) {
    std::ifstream in(std::string(XSAN_SOURCE_DIR) + "/tests/format/v1/" + name, std::ios::binary);
    REQUIRE(in.good());
    std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
    std::vector<std::byte> out(bytes.size());
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
}

}  // namespace

TEST_CASE("the tables of the format's page are the code's") {
    const auto code = code_tables();
    const auto page = page_tables();
    for (const auto& [name, fields] : code) {
        CAPTURE(name);
        REQUIRE(page.contains(name));
        CHECK(page.at(name) == fields);
        // No padding: each field begins where the one before ends.
        std::size_t at = 0;
        for (const auto& field : fields) {
            CHECK(field.offset == at);
            at += field.size;
        }
    }
    CHECK(page.size() == code.size());
}

TEST_CASE("a superblock of version 1 is read as it was written") {
    const auto bytes = read_image("superblock.bin");
    const auto found = decode_superblock(bytes, CopyPlace{1, 64 * kKiB});
    REQUIRE(found);
    CHECK(found->superblock == golden_superblock());
}

TEST_CASE("a checkpoint and a log entry of version 1 give the state that they gave") {
    const auto superblock = golden_superblock();
    const auto pages = read_image("checkpoint.bin");
    REQUIRE(pages.size() == superblock.checkpoint.bytes);
    auto state =
        decode_checkpoint(pages, superblock.checkpoint.crc,
                          CheckpointIdentity{superblock.pool_uuid, superblock.checkpoint.sequence});
    REQUIRE(state);
    State expected = golden_state();
    CHECK(state->equals(expected));

    std::vector<std::byte> region(superblock.layout.metadata_log_bytes);
    const auto entry = read_image("log_entry.bin");
    REQUIRE(superblock.checkpoint.log_offset + entry.size() <= region.size());
    std::copy(entry.begin(), entry.end(),
              region.begin() + static_cast<std::ptrdiff_t>(superblock.checkpoint.log_offset));
    LogPosition start;
    start.sequence = superblock.checkpoint.sequence;
    start.epoch = superblock.checkpoint.epoch;
    start.lineage = superblock.checkpoint.lineage;
    start.crc = superblock.checkpoint.chain_crc;
    start.offset = superblock.checkpoint.log_offset;
    const auto scan = scan_log(region, start, {superblock.pool_uuid, superblock.lineage});
    REQUIRE(scan.entries.size() == 1);
    CHECK(scan.is_clean());
    const auto records = decode_records(scan.entries[0].records, scan.entries[0].record_count);
    REQUIRE(records);
    const auto wanted = golden_records();
    REQUIRE(records->size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); i++) {
        CAPTURE(i);
        REQUIRE(state->apply((*records)[i]));
        REQUIRE(expected.apply(wanted[i]));
    }
    CHECK(state->equals(expected));
}

TEST_CASE("this version still writes version 1 as it did") {
    const auto image =
        encode_checkpoint(golden_state(), {golden_superblock().pool_uuid, kGoldenSequence});
    const auto pages = read_image("checkpoint.bin");
    CHECK(std::ranges::equal(image.buffer.span().first(image.bytes), pages));
    std::vector<std::byte> copy(kSuperblockBytes);
    encode_superblock(golden_superblock(), 1, copy);
    CHECK(copy == read_image("superblock.bin"));
    const auto entry = golden_entry();
    CHECK(std::ranges::equal(entry.span(), read_image("log_entry.bin")));
}
