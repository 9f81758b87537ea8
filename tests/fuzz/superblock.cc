// Fuzz target: the four superblock copies of a member, and which of them count.
// What decodes must encode to the same bytes; what is chosen can be updated.
#include <array>
#include <cstddef>
#include <vector>

#include "base/crc32c.h"
#include "base/units.h"
#include "fuzz/input.h"
#include "meta/superblock.h"

using namespace xsan;
using namespace xsan::fuzz;
using namespace xsan::meta;

namespace {

using CopyBytes = std::array<std::byte, kSuperblockBytes>;

constexpr std::uint64_t kSizeBytes = 64 * kMiB;
constexpr std::size_t kBodyFrom = offsetof(SuperblockCopy, pool_uuid);

Superblock first_version() {
    Superblock s;
    s.pool_uuid.bytes.fill(1);
    s.pool_name = "tank";
    s.member_uuid.bytes.fill(2);
    s.lineage.bytes.fill(3);
    s.epoch = 5;
    s.sequence = 17;
    s.layout = {kSizeBytes, 128 * kKiB,      256 * kKiB, 64 * kKiB,
                1 * kMiB,   kMiB - 4 * kKiB, 2 * kMiB,   32};
    s.extent_bytes = kMiB;
    s.extents_max = 4096;
    s.checkpoint.bytes = 8192;
    s.checkpoint.log_offset = 4096;
    s.ancestors = {{s.member_uuid, 3, 30}, {s.pool_uuid, 2, 20}};
    s.attributes = {{1, "rack1"}, {999, std::string(300, 'x')}, {2, ""}};
    return s;
}

std::vector<Superblock> make_versions() {
    std::vector<Superblock> versions(6, first_version());
    versions[1].sequence++;
    versions[1].epoch++;
    versions[1].previous_crc = superblock_crc(versions[0]);
    versions[2].sequence++;
    versions[2].member_uuid.bytes.fill(7);
    versions[3].incompat = 4;
    versions[4].ro_compat = 1;
    versions[5].ancestors.assign(kAncestorsMax, {versions[5].lineage, 1, 1});
    versions[5].attributes = {{1, std::string(kAttributeBytesMax - 4, 'a')}};
    versions[5].pool_name = std::string(kNameBytesMax, 'n');
    return versions;
}

const std::vector<Superblock>& versions() {
    static const auto made = make_versions();
    return made;
}

// By version and copy.
const CopyBytes& encoded(std::size_t version, unsigned copy) {
    static const auto made = [] {
        std::vector<std::array<CopyBytes, kSuperblockCopies>> all(versions().size());
        for (std::size_t v = 0; v < all.size(); v++) {
            for (unsigned i = 0; i < kSuperblockCopies; i++) {
                encode_superblock(versions()[v], i, all[v][i]);
            }
        }
        return all;
    }();
    return made[version][copy];
}

void seal(CopyBytes& bytes, unsigned what) {
    const auto all = std::span<std::byte>(bytes);
    if ((what & 1) != 0) {
        store_at(all, offsetof(SuperblockCopy, body_crc), crc32c(all.subspan(kBodyFrom)));
    }
    if ((what & 2) != 0) {
        store_at(all, offsetof(SuperblockCopy, copy_crc), std::uint32_t{0});
        store_at(all, offsetof(SuperblockCopy, copy_crc), crc32c(all.first(kBodyFrom)));
    }
}

// What one copy's place holds.
void make_copy(Input& in, unsigned copy, CopyBytes& bytes) {
    const std::uint8_t from = in.u8() % 16;
    if (from == 15) {
        bytes.fill(std::byte{0});
    } else {
        bytes = encoded(from % versions().size(), from == 14 ? copy ^ 1u : copy);
    }
    const std::uint8_t how = in.u8();
    if ((how & 4) != 0) patch(in, bytes);
    if ((how & 8) != 0) patch(in, std::span(bytes).subspan(kBodyFrom, 256));
    if ((how & 16) != 0) patch(in, std::span(bytes).subspan(offsetof(SuperblockCopy, attributes)));
    if ((how & 32) != 0) patch(in, std::span(bytes).first(kBodyFrom));
    if ((how & 64) != 0) {
        const auto raw = in.bytes(in.u8());
        std::copy(raw.begin(), raw.end(), bytes.begin() + offsetof(SuperblockCopy, attributes));
    }
    seal(bytes, (how & 128) != 0 ? how & 3u : 3u);
}

void check_copy(const CopyBytes& bytes, unsigned copy, const Outcome<DecodedCopy>& decoded) {
    if (!decoded) {
        XSAN_ASSERT(!decoded.error().message.empty());
        return;
    }
    const Superblock& s = decoded->superblock;
    if ((s.incompat & ~kKnownIncompat) != 0) return;  // read as far as is known what it means
    if (superblock_offset(copy, s.layout.size_bytes) != superblock_offset(copy, kSizeBytes)) return;
    XSAN_ASSERT(attributes_fit(s.attributes) && superblock_crc(s) == decoded->crc);
    CopyBytes again;
    encode_superblock(s, copy, again);
    XSAN_ASSERT(is_equal(again, bytes));
}

void check_choice(const SuperblockCopies& copies, const SuperblockChoice& choice) {
    unsigned valid = 0;
    for (unsigned i = 0; i < kSuperblockCopies; i++) {
        if (choice.repair[i]) continue;
        valid++;
        XSAN_ASSERT(copies[i].has_value() && copies[i]->superblock == choice.superblock);
    }
    XSAN_ASSERT(valid == choice.copies_valid && valid >= kSuperblockOpenQuorum);
    XSAN_ASSERT(choice.note.empty() == (valid == kSuperblockCopies));
    Superblock next = choice.superblock;
    next.sequence++;
    next.epoch++;
    next.previous_crc = superblock_crc(choice.superblock);
    XSAN_ASSERT(is_valid_successor(choice.superblock, next));
    CopyBytes bytes;
    encode_superblock(next, 0, bytes);
    const auto decoded = decode_superblock(bytes, {0, superblock_offset(0, kSizeBytes)});
    XSAN_ASSERT(decoded.has_value() == (next.sequence < kSequenceEnd && next.epoch < kSequenceEnd));
    next.extents_max++;
    XSAN_ASSERT(!is_valid_successor(choice.superblock, next));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    static CopyBytes bytes;
    const auto one = [&in](unsigned i) {
        make_copy(in, i, bytes);
        auto decoded = decode_superblock(bytes, {i, superblock_offset(i, kSizeBytes)});
        check_copy(bytes, i, decoded);
        return decoded;
    };
    Outcome<DecodedCopy> first = one(0), second = one(1), third = one(2), fourth = one(3);
    const SuperblockCopies copies{std::move(first), std::move(second), std::move(third),
                                  std::move(fourth)};
    const auto choice = choose_superblock(copies);
    if (choice) {
        check_choice(copies, *choice);
    } else {
        XSAN_ASSERT(!choice.error().message.empty());
    }
    return 0;
}
