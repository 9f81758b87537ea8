// Reading back.
#include "sim/reader.h"

#include <fmt/format.h>

#include <cstring>

#include "support/volume_io.h"

namespace xsan::simtest {
namespace {

constexpr std::uint64_t kReadBytes = 128 * 1024;  // of one request

// The word that a granule holds; nullopt when it holds more than one.
std::optional<std::uint64_t> word_of(std::span<const std::byte> granule) {
    std::uint64_t word = 0;
    std::memcpy(&word, granule.data(), 8);
    // A block is one word repeated when it equals itself, shifted by one word.
    if (std::memcmp(granule.data(), granule.data() + 8, granule.size() - 8) != 0) return {};
    return word;
}

MaybeFinding judge_granule(const VolumeModel& model, std::uint64_t granule,
                           std::span<const std::byte> content, const Words* before, Words& words) {
    const auto word = word_of(content);
    if (!word) return finding("C2", fmt::format("granule {} is a mix", granule));
    words[granule] = *word;
    if (before != nullptr) {
        const std::uint64_t expected = granule < before->size() ? (*before)[granule] : 0;
        if (expected == *word || expected == kUnreadable) return {};
        return finding("C4", fmt::format("was read as {:#x} before; {}", expected,
                                         model.describe(granule, *word)));
    }
    if (model.allows_after_cut(granule, *word)) return {};
    return Finding{"C1", model.describe(granule, *word), 0};
}

// A volume that the model knows: is it there as it must be?
MaybeFinding judge_volume(const std::string& name, const VolumeModel& model,
                          const pool::Volume* found, const Judge& judge) {
    if (judge.before != nullptr) {
        if (judge.before->contains(name) == (found != nullptr)) return {};
        return finding("C6", fmt::format("volume {} was {} before", name,
                                         found == nullptr ? "there" : "not there"));
    }
    if (found == nullptr && model.existence == VolumeModel::Existence::present)
        return finding("C6", fmt::format("volume {} is gone", name));
    if (found != nullptr && model.existence == VolumeModel::Existence::absent)
        return finding("C6", fmt::format("volume {} was deleted and is there", name));
    if (found == nullptr) return {};
    const std::uint64_t size = found->info().size_bytes;
    if (model.may_have_size(size)) return {};
    return finding("C6", fmt::format("volume {} has {} bytes", name, size));
}

Task<MaybeFinding> read_range(pool::Volume& volume, const VolumeModel& model, Range range,
                              const Judge& judge, const Words* before, Words& words) {
    const std::uint32_t granule = model.granule_bytes();
    const std::uint64_t align = volume.limits().logical_block_bytes / granule;
    std::vector<std::byte> data(std::min(range.count * granule, kReadBytes));
    for (std::uint64_t done = 0; done < range.count * granule; done += data.size()) {
        const std::uint64_t length = std::min<std::uint64_t>(data.size(), range.count * granule - done);
        const std::uint64_t offset = range.first * granule + done;
        const Errc code = co_await test::request(volume, dev::IoKind::read, offset,
                                                 std::span(data).first(length), 0);
        if (code != Errc::ok && !judge.errors_allowed && length > align * granule) {
            // Block by block: only some of them may have been given up.
            data.resize(align * granule);
            done -= data.size();
            continue;
        }
        if (code != Errc::ok) {
            bool admitted = judge.errors_allowed;
            for (std::uint64_t g = offset / granule; g < (offset + length) / granule; g++) {
                admitted |= before != nullptr ? (*before)[g] == kUnreadable
                                              : model.is_unreadable({g, 1}) ||
                                                    (judge.may_give_up && model.is_unsettled(g));
            }
            if (!admitted) {
                auto failed = finding("read", fmt::format("read of {} bytes at {}: {}", length,
                                                          offset, errc_name(code)));
                co_return failed;
            }
            for (std::uint64_t at = 0; at < length; at += granule)
                words[(offset + at) / granule] = kUnreadable;
            continue;
        }
        for (std::uint64_t at = 0; at < length; at += granule) {
            auto wrong = judge_granule(model, (offset + at) / granule,
                                       std::span(data).subspan(at, granule), before, words);
            if (wrong) co_return wrong;
        }
    }
    co_return MaybeFinding{};
}

}  // namespace

Task<MaybeFinding> read_back(Bed& bed, Judge judge, Observed& observed) {
    for (const auto& [name, model] : *judge.model) {
        pool::Volume* volume = bed.pool->find_volume(name);
        auto misplaced = judge_volume(name, model, volume, judge);
        if (misplaced) co_return misplaced;
        if (volume == nullptr) continue;
        const std::uint64_t granules = volume->info().size_bytes / model.granule_bytes();
        Words& words = observed[name];
        words.assign(granules, 0);
        const Words* before = nullptr;
        if (judge.before != nullptr) before = &judge.before->at(name);
        const std::uint64_t align = volume->limits().logical_block_bytes / model.granule_bytes();
        for (Range range : model.touched_ranges(align)) {
            if (range.first >= granules) continue;
            range.count = std::min(range.count, granules - range.first);
            auto wrong = co_await read_range(*volume, model, range, judge, before, words);
            if (wrong) {
                wrong->what = fmt::format("volume {}: {}", name, wrong->what);
                co_return wrong;
            }
        }
    }
    co_return MaybeFinding{};
}

}  // namespace xsan::simtest
