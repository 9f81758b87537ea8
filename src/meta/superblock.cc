// Encoding and decoding of one superblock copy.
#include "meta/superblock.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "base/byte_span.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "base/units.h"
#include "meta/bytes.h"
#include "meta/facts.h"

namespace xsan::meta {
namespace {

constexpr std::size_t kHeadBytes = offsetof(SuperblockCopy, pool_uuid);

std::span<const std::byte> body_of(const SuperblockCopy& c) {
    return std::as_bytes(std::span(&c, 1)).subspan(kHeadBytes);
}

// The head with its own CRC field as zero.
std::uint32_t head_crc(SuperblockCopy copy) {
    copy.copy_crc = 0;
    return crc32c(std::as_bytes(std::span(&copy, 1)).first(kHeadBytes));
}

void encode_body(const Superblock& s, SuperblockCopy& c) {
    c.pool_uuid = s.pool_uuid.bytes;
    XSAN_ASSERT(s.pool_name.size() <= c.pool_name.size());
    std::memcpy(c.pool_name.data(), s.pool_name.data(), s.pool_name.size());
    c.member_uuid = s.member_uuid.bytes;
    c.lineage = s.lineage.bytes;
    c.epoch = s.epoch;
    c.sequence = s.sequence;
    c.compat = s.compat;
    c.ro_compat = s.ro_compat;
    c.incompat = s.incompat;
    c.previous_crc = s.previous_crc;
    c.member_index = s.member_index.get();
    c.size_bytes = s.layout.size_bytes;
    c.metadata_offset = s.layout.metadata_offset;
    c.checkpoint_slot_bytes = s.layout.checkpoint_slot_bytes;
    c.metadata_log_bytes = s.layout.metadata_log_bytes;
    c.stripe_log_offset = s.layout.stripe_log_offset;
    c.stripe_log_bytes = s.layout.stripe_log_bytes;
    c.data_offset = s.layout.data_offset;
    c.extent_bytes = s.extent_bytes;
    c.extent_count = s.layout.extent_count;
    c.extents_max = s.extents_max;
    c.checkpoint_sequence = s.checkpoint.sequence;
    c.checkpoint_epoch = s.checkpoint.epoch;
    c.checkpoint_lineage = s.checkpoint.lineage.bytes;
    c.checkpoint_bytes = s.checkpoint.bytes;
    c.checkpoint_crc = s.checkpoint.crc;
    c.checkpoint_chain_crc = s.checkpoint.chain_crc;
    c.checkpoint_log_offset = s.checkpoint.log_offset;
    c.checkpoint_slot = s.checkpoint.slot;
    XSAN_ASSERT(s.ancestors.size() <= kAncestorsMax);
    c.ancestor_count = static_cast<std::uint32_t>(s.ancestors.size());
    for (std::size_t i = 0; i < s.ancestors.size(); i++) {
        c.ancestors[i] = {s.ancestors[i].lineage.bytes, s.ancestors[i].epoch,
                          s.ancestors[i].sequence};
    }
    std::vector<std::byte> attributes;
    ByteWriter writer(attributes);
    for (const auto& attribute : s.attributes)
        writer(attribute.type), writer(attribute.value);
    XSAN_ASSERT(attributes.size() <= kAttributeBytesMax);
    c.attribute_bytes = static_cast<std::uint16_t>(attributes.size());
    std::copy(attributes.begin(), attributes.end(),
              std::as_writable_bytes(std::span(c.attributes)).begin());
}

SuperblockCopy encode_common(const Superblock& s) {
    SuperblockCopy c{};
    encode_body(s, c);
    c.magic = kSuperblockMagic;
    c.major = kFormatMajor;
    c.minor = s.minor;
    c.length = static_cast<std::uint32_t>(kSuperblockBytes);
    c.body_crc = crc32c(body_of(c));
    return c;
}

Outcome<void> decode_lists(const SuperblockCopy& c, Superblock& s) {
    const auto name_end = std::find(c.pool_name.begin(), c.pool_name.end(), 0);
    if (!all_zero(std::as_bytes(std::span(name_end, c.pool_name.end())))) return broken("the pool's name is odd");
    s.pool_name.assign(c.pool_name.begin(), name_end);
    if (!is_name(s.pool_name)) return broken("the pool's name is odd");

    if (c.ancestor_count > kAncestorsMax) return broken("there are too many ancestors");
    for (std::size_t i = 0; i < c.ancestor_count; i++) {
        const auto& a = c.ancestors[i];
        s.ancestors.push_back({Uuid{a.lineage}, a.epoch, a.sequence});
    }
    const auto unused = std::as_bytes(std::span(c.ancestors)).subspan(c.ancestor_count * 32u);
    if (!all_zero(unused) || !all_zero(std::as_bytes(std::span(c.reserved))) ||
        !all_zero(std::as_bytes(std::span(c.reserved_head)))) {
        return broken("reserved space is not zero");
    }
    if (c.attribute_bytes > kAttributeBytesMax) return broken("the attributes are too long");
    const auto area = std::as_bytes(std::span(c.attributes));
    ByteReader reader(area.first(c.attribute_bytes));
    while (reader.ok() && reader.left() > 0) {
        Attribute attribute;
        reader(attribute.type), reader(attribute.value);
        s.attributes.push_back(std::move(attribute));
    }
    const auto behind = area.subspan(c.attribute_bytes);
    if (!reader.ok() || !all_zero(behind)) {
        return broken("the attributes are odd");
    }
    return {};
}

Outcome<void> check_fields(const Superblock& s) {
    if (s.pool_uuid.is_nil() || s.member_uuid.is_nil()) return broken("a UUID is missing");
    if (s.extent_bytes < kMiB || s.extent_bytes > kExtentBytesMax || s.extents_max == 0 ||
        s.extents_max > kExtentsMax || s.layout.extent_count > s.extents_max ||
        s.member_index.get() >= kMembersMax) {
        return broken("a number is out of range");
    }
    for (const auto number : {s.epoch, s.sequence, s.checkpoint.epoch, s.checkpoint.sequence}) {
        if (number >= kSequenceEnd) return broken("an epoch or sequence is out of range");
    }
    XSAN_TRY_VOID(check_layout(s.layout, s.extent_bytes));
    const auto& c = s.checkpoint;
    if (c.slot > 1 || c.bytes == 0 || c.bytes % 4096 != 0 ||
        c.bytes > s.layout.checkpoint_slot_bytes || c.log_offset % 4096 != 0 ||
        c.log_offset > s.layout.metadata_log_bytes) {
        return broken("the place of the checkpoint or the log is out of range");
    }
    return {};
}

Superblock decode_numbers(const SuperblockCopy& c) {
    Superblock s;
    s.minor = c.minor;
    s.compat = c.compat;
    s.ro_compat = c.ro_compat;
    s.incompat = c.incompat;
    s.pool_uuid.bytes = c.pool_uuid;
    s.member_uuid.bytes = c.member_uuid;
    s.member_index = MemberIndex{c.member_index.get()};
    s.lineage.bytes = c.lineage;
    s.epoch = c.epoch;
    s.sequence = c.sequence;
    s.previous_crc = c.previous_crc;
    s.layout = {c.size_bytes,         c.metadata_offset,   c.checkpoint_slot_bytes,
                c.metadata_log_bytes, c.stripe_log_offset, c.stripe_log_bytes,
                c.data_offset,        c.extent_count};
    s.extent_bytes = c.extent_bytes;
    s.extents_max = c.extents_max;
    s.checkpoint.slot = c.checkpoint_slot;
    s.checkpoint.sequence = c.checkpoint_sequence;
    s.checkpoint.epoch = c.checkpoint_epoch;
    s.checkpoint.lineage.bytes = c.checkpoint_lineage;
    s.checkpoint.bytes = c.checkpoint_bytes;
    s.checkpoint.crc = c.checkpoint_crc;
    s.checkpoint.chain_crc = c.checkpoint_chain_crc;
    s.checkpoint.log_offset = c.checkpoint_log_offset;
    return s;
}

}  // namespace

std::uint64_t superblock_offset(unsigned copy, std::uint64_t size_bytes) {
    XSAN_ASSERT(copy < kSuperblockCopies && size_bytes >= 256 * kKiB);
    const std::uint64_t end = round_down(size_bytes, 64 * kKiB);
    const std::uint64_t offsets[] = {0, 64 * kKiB, end - 128 * kKiB, end - 64 * kKiB};
    return offsets[copy];
}

void encode_superblock(const Superblock& superblock, unsigned copy, std::span<std::byte> out) {
    XSAN_ASSERT(out.size() == kSuperblockBytes);
    SuperblockCopy c = encode_common(superblock);
    c.copy_index = copy;
    c.own_offset = superblock_offset(copy, superblock.layout.size_bytes);
    c.copy_crc = head_crc(c);
    std::memcpy(out.data(), &c, sizeof c);
}

bool attributes_fit(const std::vector<Attribute>& attributes) {
    std::size_t bytes = 0;
    for (const auto& attribute : attributes)
        bytes += 4 + attribute.value.size();
    return bytes <= kAttributeBytesMax;
}

std::uint32_t superblock_crc(const Superblock& superblock) {
    return encode_common(superblock).body_crc;
}

Outcome<DecodedCopy> decode_superblock(std::span<const std::byte> in, CopyPlace place) {
    XSAN_ASSERT(in.size() == kSuperblockBytes);
    SuperblockCopy c;
    std::memcpy(&c, in.data(), sizeof c);
    if (c.magic != kSuperblockMagic) return Failure(Errc::not_found, "no superblock there");
    if (c.copy_crc != head_crc(c)) return Failure(Errc::checksum_mismatch, "its head is damaged");
    if (c.major != kFormatMajor) {
        return Failure(Errc::version_mismatch,
                       fmt::format("it has format {}.{}, this xsan reads {}.x", c.major.get(),
                                   c.minor.get(), kFormatMajor));
    }
    if (c.length != kSuperblockBytes) return broken("its length is odd");
    if (c.copy_index != place.copy || c.own_offset != place.offset) {
        return broken(
            fmt::format("it is copy {} of offset {}", c.copy_index.get(), c.own_offset.get()));
    }
    if (c.body_crc != crc32c(body_of(c)) && !mutant(Mutant::superblock_body_crc)) {
        return Failure(Errc::checksum_mismatch, "its body is damaged");
    }
    DecodedCopy decoded;
    decoded.superblock = decode_numbers(c);
    decoded.crc = c.body_crc;
    // What unknown features changed is not for us to judge; choose_superblock() refuses those by
    // name.
    if ((decoded.superblock.incompat & ~kKnownIncompat) != 0) return decoded;
    XSAN_TRY_VOID(decode_lists(c, decoded.superblock));
    XSAN_TRY_VOID(check_fields(decoded.superblock));
    return decoded;
}

}  // namespace xsan::meta
