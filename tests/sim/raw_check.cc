// Codewords on raw images.
#include "sim/raw_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "ec/geometry.h"

namespace xsan::simtest {
namespace {

constexpr std::uint64_t kRow = sim::SparseImage::kPageBytes;
using Page = std::array<std::byte, kRow>;
alignas(64) constexpr Page kZeroPage{};

// One stripe, by strip: where it is on which image.
struct StripeAt {
    ec::StripMask present = 0;
    std::array<const sim::SparseImage*, ec::kStripsMax> image{};
    std::array<std::uint64_t, ec::kStripsMax> offset{};
};

class RawCheck {
  public:
    RawCheck(Bed& bed, const Observed& observed, Stats& stats)
        : bed_(bed), observed_(observed), stats_(stats) {}

    MaybeFinding run() {
        const meta::State& state = bed_.pool->state();
        for (const auto& [id, volume] : state.volumes()) {
            // Deleted: its clusters are being zeroed right now.
            if (volume.info.name.empty()) continue;
            const auto words = observed_.find(volume.info.name);
            words_ = words == observed_.end() ? nullptr : &words->second;
            volume.map->for_each_mapped([&](ClusterIndex cluster, meta::MapEntry entry) {
                if (!found_) check_cluster(volume.info, cluster, entry);
            });
        }
        return found_;
    }

  private:
    void check_cluster(const meta::VolumeInfo& info, ClusterIndex cluster, meta::MapEntry entry);
    StripeAt locate(const GroupRow& row, const ec::Scheme& scheme, std::uint32_t stripe) const;
    void find_written(const GroupRow& row, std::uint64_t offset, std::uint64_t bytes);
    void compare_unwritten(const ec::Scheme& scheme, std::uint64_t row_offset);
    void check_row(const ec::Codec& codec, const StripeAt& at, std::uint64_t row);
    void compare(const ec::Scheme& scheme, std::uint64_t row);
    void note(std::string what, std::string_view kind) {
        if (found_) return;
        found_ = Finding{std::string(kind), fmt::format("{} ({})", what, where_), 0};
    }

    Bed& bed_;
    const Observed& observed_;
    Stats& stats_;
    const Words* words_ = nullptr;
    std::uint64_t stripe_data_offset_ = 0;  // in the volume
    std::string where_;
    MaybeFinding found_;
    // Not zeroed: there is one of these for each crash state.
    std::unique_ptr<Page[]> scratch_ = std::make_unique_for_overwrite<Page[]>(2 * ec::kStripsMax);
    std::vector<bool>
        written_;  // by row of the cluster's part of an extent: any strip holds a page
    std::array<const std::byte*, ec::kStripsMax> page_{};
};

StripeAt RawCheck::locate(const GroupRow& row, const ec::Scheme& scheme,
                          std::uint32_t stripe) const {
    StripeAt at;
    const auto& members = bed_.pool->state().members();
    for (unsigned s = 0; s < scheme.total_strips(); s++) {
        const auto slot = ec::slot_of(scheme, StripeIndex{stripe}, ec::StripIndex{s});
        const StripRef ref = row.strips()[slot.get()];
        if (ref.state() != StripState::ok) continue;
        if (bed_.pool->groups().live_device(ref.member()) == nullptr) continue;
        at.present |= ec::strip_bit(ec::StripIndex{s});
        at.image[s] = &bed_.drives[drive_of(*members[ref.member().get()])]->media().visible();
        at.offset[s] = bed_.pool->groups().extent_offset(ref.member(), ref.extent()) +
                       std::uint64_t{stripe} * scheme.strip_bytes;
    }
    return at;
}

// Most of a cluster was never written: a few words say where there is anything at all.
void RawCheck::find_written(const GroupRow& row, std::uint64_t offset, std::uint64_t bytes) {
    written_.assign(bytes / kRow, false);
    const auto& members = bed_.pool->state().members();
    for (const StripRef ref : row.strips()) {
        if (ref.state() != StripState::ok) continue;
        const sim::SparseImage& image =
            bed_.drives[drive_of(*members[ref.member().get()])]->media().visible();
        const std::uint64_t extent = bed_.pool->groups().extent_offset(ref.member(), ref.extent());
        for (std::uint64_t first = 0; first < written_.size(); first += 64) {
            std::uint64_t held = image.held_pages(extent + offset + first * kRow);
            for (; held != 0; held &= held - 1) {
                const std::uint64_t i = first + static_cast<unsigned>(std::countr_zero(held));
                if (i < written_.size()) written_[i] = true;
            }
        }
    }
}

// Rows that no strip holds are zeros, and must have been read as that.
void RawCheck::compare_unwritten(const ec::Scheme& scheme, std::uint64_t row_offset) {
    if (words_ == nullptr) return;
    const std::uint32_t granule = bed_.config.granule_bytes();
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const std::uint64_t base = row_offset + std::uint64_t{s} * scheme.strip_bytes;
        const std::uint64_t end = std::min<std::uint64_t>((base + kRow) / granule, words_->size());
        for (std::uint64_t g = base / granule; g < end; g++) {
            const std::uint64_t expected = (*words_)[g];
            if (expected == 0 || expected == kUnreadable) continue;
            note(fmt::format("granule {} is zero on the drives, but was read as {:#x};", g,
                             expected),
                 "C4");
            return;
        }
    }
}

void RawCheck::check_cluster(const meta::VolumeInfo& info, ClusterIndex cluster,
                             meta::MapEntry entry) {
    const GroupRow& row = *bed_.pool->state().row(entry.group());
    const ec::Codec& codec = bed_.pool->groups().codec(row.scheme());
    const ec::Scheme& scheme = codec.scheme();
    const auto stripes =
        static_cast<std::uint32_t>(info.cluster_bytes / scheme.stripe_data_bytes());
    const std::uint64_t bytes = std::uint64_t{stripes} * scheme.strip_bytes;
    find_written(row, entry.place() * bytes, bytes);
    for (std::uint32_t i = 0; i < stripes && !found_; i++) {
        const std::uint32_t stripe = entry.place() * stripes + i;
        std::optional<StripeAt> at;
        stripe_data_offset_ = cluster.get() * info.cluster_bytes + i * scheme.stripe_data_bytes();
        for (std::uint64_t r = 0; r < scheme.strip_bytes && !found_; r += kRow) {
            if (!written_[(std::uint64_t{i} * scheme.strip_bytes + r) / kRow]) {
                compare_unwritten(scheme, stripe_data_offset_ + r);
                continue;
            }
            if (!at) at = locate(row, scheme, stripe);
            check_row(codec, *at, r);
        }
        if (found_) {
            found_->what += fmt::format(" volume {} group {} stripe {}", info.name,
                                        entry.group().get(), stripe);
        }
    }
}

void RawCheck::check_row(const ec::Codec& codec, const StripeAt& at, std::uint64_t row) {
    const ec::Scheme& scheme = codec.scheme();
    const unsigned total = scheme.total_strips();
    bool any = false;
    for (unsigned s = 0; s < total; s++) {
        page_[s] = nullptr;
        if (at.image[s] != nullptr) page_[s] = at.image[s]->page_at(at.offset[s] + row);
        any |= page_[s] != nullptr;
        if (page_[s] == nullptr) page_[s] = kZeroPage.data();
    }
    if (any) {
        stats_.rows_checked++;
        const ec::StripMask lost = scheme.all_mask() & ~at.present;
        if (lost != 0) {
            if (!codec.can_decode(lost)) return;  // failed: nothing is promised
            std::array<std::byte*, ec::kStripsMax> strips{};
            for (unsigned s = 0; s < total; s++) {
                const bool gone = (lost >> s & 1) != 0;
                strips[s] = gone ? scratch_[s].data() : const_cast<std::byte*>(page_[s]);
                if (gone) page_[s] = scratch_[s].data();
            }
            XSAN_ASSERT(codec.decode(lost, std::span(strips).first(total), kRow).has_value());
        }
        std::array<std::byte*, ec::kStripsMax> parity{};
        for (unsigned p = 0; p < scheme.parity_strips; p++)
            parity[p] = scratch_[ec::kStripsMax + p].data();
        if (scheme.parity_strips > 0) {
            codec.encode(std::span(page_).first(scheme.data_strips),
                         std::span(parity).first(scheme.parity_strips), kRow);
        }
        for (unsigned p = 0; p < scheme.parity_strips; p++) {
            const std::byte* held = page_[scheme.data_strips + p];
            if (std::memcmp(held, parity[p], kRow) == 0) continue;
            note(fmt::format("parity {} of row {} does not agree with the data;", p, row),
                 "parity");
            return;
        }
    }
    if (words_ != nullptr) compare(scheme, row);
}

// The row's data with what was read.
void RawCheck::compare(const ec::Scheme& scheme, std::uint64_t row) {
    const std::uint32_t granule = bed_.config.granule_bytes();
    for (unsigned s = 0; s < scheme.data_strips; s++) {
        const std::uint64_t base =
            stripe_data_offset_ + std::uint64_t{s} * scheme.strip_bytes + row;
        for (std::uint64_t at = 0; at < kRow; at += granule) {
            const std::uint64_t g = (base + at) / granule;
            if (g >= words_->size()) return;  // behind the volume's end
            const std::uint64_t expected = (*words_)[g];
            if (expected == kUnreadable) continue;
            // One word, repeated: what equals itself shifted by a word holds its first one only.
            const std::byte* block = page_[s] + at;
            std::uint64_t first = 0;
            std::memcpy(&first, block, 8);
            if (first == expected && std::memcmp(block, block + 8, granule - 8) == 0) continue;
            for (std::uint64_t i = 0; i < granule; i += 8) {
                std::uint64_t held = 0;
                std::memcpy(&held, block + i, 8);
                if (held == expected) continue;
                note(fmt::format("byte {} is {:#x} on the drive, but was read as {:#x};",
                                 base + at + i, held, expected),
                     "C4");
                return;
            }
        }
    }
}

}  // namespace

unsigned drive_of(const meta::Member& member) {
    unsigned drive = 0;
    const std::string_view serial = member.serial;  // "simN"
    std::from_chars(serial.data() + 3, serial.data() + serial.size(), drive);
    return drive;
}

MaybeFinding check_raw(Bed& bed, const Observed& observed, Stats& stats) {
    RawCheck check(bed, observed, stats);
    return check.run();
}

}  // namespace xsan::simtest
