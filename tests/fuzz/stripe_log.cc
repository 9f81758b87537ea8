// Fuzz target: the stripe log of a member: tails, batches, and the reading of both from a device.
//
// What decodes encodes to the same bytes, contents lie inside of what was given, and a record that
// the engine says is possible stays inside its stripe. Reading ends, whatever the rings hold.
#include <array>
#include <cstddef>
#include <vector>

#include "base/crc32c.h"
#include "base/units.h"
#include "dev/request_check.h"
#include "fuzz/input.h"
#include "meta/stripe_log.h"
#include "meta/stripe_log_read.h"
#include "raid/replay.h"
#include "support/test_reactor.h"

using namespace xsan;
using namespace xsan::fuzz;
using namespace xsan::meta;

namespace {

constexpr std::uint64_t kRegionOffset = kMiB;
constexpr std::size_t kBatchBytesMax = 64 * kKiB;

StripeLogIdentity identity() {
    StripeLogIdentity id;
    id.pool_uuid.bytes.fill(1);
    id.member_uuid.bytes.fill(2);
    return id;
}

// A CRC field inside what it covers, made right.
void seal(std::span<std::byte> bytes, std::size_t crc_at) {
    store_at(bytes, crc_at, std::uint32_t{0});
    store_at(bytes, crc_at, crc32c(bytes));
}

std::uint64_t region_bytes(unsigned lanes, std::uint64_t lane_bytes) {
    return stripe_log_ring_offset(lanes, lane_bytes);
}

// Zeros but for some pieces; reads of some places fail.
class PieceDevice final : public dev::BlockDevice {
  public:
    struct Piece {
        std::uint64_t offset = 0;
        std::vector<std::byte> bytes;
    };

    explicit PieceDevice(std::uint64_t size_bytes) { limits_.size_bytes = size_bytes; }
    void add(std::uint64_t offset, std::vector<std::byte> bytes) {
        pieces_.push_back({offset, std::move(bytes)});
    }
    void break_at(std::uint64_t offset) { broken_.push_back(offset); }
    std::uint64_t read_bytes() const { return read_bytes_; }

    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return limits_; }
    void submit(dev::IoRequest& request) override {
        XSAN_ASSERT(request.kind == dev::IoKind::read);
        Error error = dev::check_request(limits_, request);
        XSAN_ASSERT(error.is_ok());
        for (const std::uint64_t at : broken_) {
            if (at >= request.offset && at - request.offset < request.length) {
                error = Error{Errc::media_error};
            }
        }
        if (error.is_ok()) copy_out(request);
        dev::complete_later(request, error);
    }

  private:
    void copy_out(const dev::IoRequest& request) {
        read_bytes_ += request.length;
        auto* out = static_cast<std::byte*>(request.single.iov_base);
        std::memset(out, 0, request.length);
        for (const Piece& piece : pieces_) {
            const auto begin = std::max(piece.offset, request.offset);
            const auto end =
                std::min(piece.offset + piece.bytes.size(), request.offset + request.length);
            if (begin >= end) continue;
            std::memcpy(out + (begin - request.offset), piece.bytes.data() + (begin - piece.offset),
                        end - begin);
        }
    }

    dev::DeviceIdentity identity_;
    dev::DeviceLimits limits_;
    std::vector<Piece> pieces_;
    std::vector<std::uint64_t> broken_;
    std::uint64_t read_bytes_ = 0;
};

std::vector<std::byte> make_tail(Input& in, const StripeLogTail& tail) {
    std::vector<std::byte> block(kStripeLogBlockBytes);
    encode_stripe_log_tail(tail, identity(), block);
    const std::uint8_t how = in.u8();
    if ((how & 1) != 0) patch(in, std::span(block).first(256));
    if ((how & 2) != 0) patch(in, block);
    if ((how & 12) != 12) seal(block, offsetof(StripeLogTailOnDisk, crc));
    return block;
}

void check_tail(std::span<const std::byte> block, std::uint64_t bytes) {
    const auto tail = decode_stripe_log_tail(block, identity(), bytes);
    if (!tail) return;
    const std::uint64_t lanes = tail->position.size();
    XSAN_ASSERT(lanes > 0 && lanes <= kStripeLogLanesMax);
    XSAN_ASSERT(region_bytes(static_cast<unsigned>(lanes), tail->lane_bytes) <= bytes);
    std::array<std::byte, kStripeLogBlockBytes> again;
    encode_stripe_log_tail(*tail, identity(), again);
    XSAN_ASSERT(is_equal(again, block));
}

StripeLogDescriptor make_descriptor(Input& in) {
    StripeLogDescriptor d;
    d.sequence = 100 + in.u8();
    d.touched = 1u + in.u8() % 3u;
    d.group = GroupIndex{in.u8()};
    d.generation = in.u8();
    d.stripe = StripeIndex{in.u8()};
    d.row_begin = in.u8() % 4 * 512u;
    d.row_end = d.row_begin + in.u8() % 8 * 512u;
    d.kind = static_cast<std::uint8_t>(1 + in.u8() % 3);
    d.strip = 2;
    d.granule_bytes = static_cast<std::uint16_t>(in.one_in(4) ? in.number() : 512);
    const raid::Rows rows{d.row_begin, d.row_end};
    const auto kind = static_cast<raid::LogKind>(d.kind);
    const std::uint32_t granule = std::max<std::uint32_t>(d.granule_bytes, 1);
    d.content_bytes = static_cast<std::uint32_t>(
        raid::log_content_bytes(kind, rows, d.touched, 3, granule) % 20000);
    return d;
}

// A batch as it lies in a ring, perhaps damaged; the header's CRC is right or not.
std::vector<std::byte> make_batch(Input& in, const StripeLogPlace& place) {
    const std::uint8_t how = in.u8();
    std::vector<StripeLogDescriptor> records;
    std::uint64_t content_bytes = 0;
    for (unsigned n = 1 + how % 4; n > 0; n--) {
        records.push_back(make_descriptor(in));
        content_bytes += records.back().content_bytes;
    }
    if ((how & 4) != 0 && in.one_in(4)) records.resize(records.size() + 70);
    std::vector<std::byte> out(stripe_log_batch_bytes(records.size(), content_bytes));
    const StripeLogBatchHead head{place.incarnation, place.position, 90, place.lane};
    encode_stripe_log_batch(head, records, out);
    if ((how & 8) != 0) patch(in, std::span(out).first(sizeof(StripeLogBatchOnDisk)));
    if ((how & 16) != 0) patch(in, std::span(out).subspan(sizeof(StripeLogBatchOnDisk), 256));
    if ((how & 32) != 0) patch(in, out);
    if ((how & 64) != 0) return out;
    StripeLogBatchOnDisk disk;
    std::memcpy(&disk, out.data(), sizeof disk);
    const std::size_t header = std::clamp<std::size_t>(disk.header_bytes, sizeof disk, out.size());
    const std::size_t content = std::min<std::size_t>(disk.content_bytes, out.size() - header);
    store_at(std::span(out), offsetof(StripeLogBatchOnDisk, content_crc),
             crc32c(std::span(out).subspan(header, content)));
    seal(std::span(out).first(header), offsetof(StripeLogBatchOnDisk, crc));
    return out;
}

// What replay does with one descriptor before it trusts it.
void check_descriptor(const StripeLogDescriptor& d, std::size_t content_bytes) {
    static const ec::Scheme schemes[] = {*ec::parse_scheme("2+1", 3, 65536),
                                         *ec::parse_scheme("raid1", 2, 4096),
                                         *ec::parse_scheme("8+3", 11, 65536)};
    for (const ec::Scheme& scheme : schemes) {
        raid::ReplayRecord record;
        record.kind = static_cast<raid::LogKind>(d.kind);
        record.rows = {d.row_begin, d.row_end};
        record.touched = d.touched;
        record.granule_bytes = d.granule_bytes;
        if (!raid::is_possible(record, scheme, content_bytes)) continue;
        XSAN_ASSERT(d.row_begin < d.row_end && d.row_end <= scheme.strip_bytes);
        XSAN_ASSERT(d.touched != 0 && (d.touched & ~scheme.data_mask()) == 0);
        XSAN_ASSERT(record.kind != raid::LogKind::overwrite || d.granule_bytes >= 512);
    }
}

void check_batch(const StripeLogBatch& batch, std::span<const std::byte> in) {
    XSAN_ASSERT(batch.bytes <= in.size() && !batch.records.empty());
    XSAN_ASSERT(batch.records.size() == batch.contents.size());
    const auto end = in.data() + batch.bytes;
    const auto* at = in.data() + stripe_log_header_bytes(batch.records.size());
    for (std::size_t i = 0; i < batch.records.size(); i++) {
        const auto content = batch.contents[i];
        XSAN_ASSERT(content.size() == batch.records[i].content_bytes && content.data() == at);
        at += content.size();
        XSAN_ASSERT(at <= end);
        check_descriptor(batch.records[i], content.size());
    }
}

void fuzz_batch(Input& in) {
    StripeLogPlace place{5, in.u8() % 4u, in.u8() * kStripeLogBlockBytes, 0};
    place.lane_bytes = in.one_in(4) ? in.number() & ~std::uint64_t{4095} : 512 * kKiB;
    if (place.lane_bytes == 0) place.lane_bytes = 4096;
    const auto bytes = make_batch(in, place);
    // As it lies in a chunk that was read, with nothing behind it.
    const auto chunk = std::span(bytes).first(bytes.size() - (in.one_in(4) ? 4096 : 0));
    const auto peeked = peek_stripe_log_batch(chunk, place);
    XSAN_ASSERT(peeked <= place.lane_bytes - place.position % place.lane_bytes);
    const auto batch = decode_stripe_log_batch(chunk, place);
    if (!batch) return;
    XSAN_ASSERT(batch->bytes == peeked && batch->bytes <= chunk.size());
    check_batch(*batch, chunk);
    std::vector<std::byte> again(chunk.begin(), chunk.begin() + batch->bytes);
    encode_stripe_log_batch(batch->head, batch->records, again);
    const std::size_t header = stripe_log_header_bytes(batch->records.size());
    XSAN_ASSERT(is_equal(std::span(again).first(header), chunk.first(header)));
}

void fuzz_tail(Input& in) {
    StripeLogTail tail{3, 5, in.u8(), in.u8(), 512 * kKiB, {}};
    const unsigned lanes = 1 + (in.one_in(8) ? in.u8() : in.u8() % 4u);
    for (unsigned i = 0; i < lanes; i++)
        tail.position.push_back(in.number() << 12);
    const std::uint64_t bytes =
        in.one_in(4) ? in.number() : region_bytes(lanes, tail.lane_bytes) + in.u8();
    check_tail(make_tail(in, tail), bytes);
}

// Rings with chains of batches in them, read as at an assembly.
void fuzz_reading(Input& in) {
    static test::TestReactor reactor;
    const unsigned lanes = 1 + in.u8() % 3u;
    MemberLayout layout;
    layout.stripe_log_offset = kRegionOffset;
    layout.stripe_log_bytes = region_bytes(lanes, kStripeLogLaneBytesMin);
    PieceDevice device(kRegionOffset + layout.stripe_log_bytes);
    StripeLogTail tail{3, 5, 1, 90, kStripeLogLaneBytesMin, {}};
    for (unsigned lane = 0; lane < lanes; lane++) {
        // Some begin near the ring's end.
        std::uint64_t position = (in.one_in(2) ? 127 - in.u8() % 8u : in.u8()) * 4096ull;
        tail.position.push_back(position);
        for (unsigned n = in.u8() % 6; n > 0; n--) {
            const StripeLogPlace place{5, lane, position, tail.lane_bytes};
            auto batch = make_batch(in, place);
            if (batch.size() > kBatchBytesMax) break;
            const auto at = stripe_log_place(position, batch.size(), tail.lane_bytes);
            if (at != position) {
                position = at;
                continue;  // begins at the next lap
            }
            position += batch.size();
            const auto ring = stripe_log_ring_offset(lane, tail.lane_bytes);
            device.add(kRegionOffset + ring + at % tail.lane_bytes, std::move(batch));
        }
    }
    device.add(kRegionOffset, make_tail(in, tail));
    tail.number += in.u8() % 3;
    device.add(kRegionOffset + kStripeLogBlockBytes, make_tail(in, tail));
    for (unsigned n = in.u8() % 4; n > 0; n--) {
        device.break_at(kRegionOffset + in.u16() * 512ull);
    }
    const auto log = reactor.run(read_stripe_log(device, layout, identity()));
    XSAN_ASSERT(log.has_tail || (log.is_damaged && log.batches.empty()));
    XSAN_ASSERT(device.read_bytes() <= 4 * layout.stripe_log_bytes + kMiB);
    for (const auto& batch : log.batches) {
        for (const auto content : batch.contents) {
            bool is_kept = content.empty();
            for (const auto& memory : log.memory) {
                is_kept =
                    is_kept || (content.data() >= memory.data() &&
                                content.data() + content.size() <= memory.data() + memory.size());
            }
            XSAN_ASSERT(is_kept);
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    switch (in.u8() % 8) {
        case 0:
            fuzz_tail(in);
            break;
        case 1:
            fuzz_reading(in);
            break;
        default:
            fuzz_batch(in);
            break;
    }
    return 0;
}
