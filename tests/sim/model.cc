// Versions: which supersedes which.
#include "sim/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/plan.h"

namespace xsan::simtest {
namespace {

constexpr Version kZeros{};
constexpr std::size_t kForgetAbove = 6;  // versions of a granule

}  // namespace

std::uint64_t VolumeModel::word(std::uint64_t version, std::uint64_t granule) {
    return mix_seed(version, granule) | 1;  // never zero, never kUnreadable but by a miracle
}

std::span<const Version> VolumeModel::versions(std::uint64_t granule) const {
    const auto& all = versions_[granule];
    return all.empty() ? std::span(&kZeros, 1) : std::span(all);
}

void VolumeModel::begin_resize(std::uint64_t bytes) {
    sizes_wanted_.insert(bytes);
    versions_.resize(std::max<std::uint64_t>(versions_.size(), bytes / granule_bytes_));
}

void VolumeModel::end_resize(std::uint64_t bytes, bool done) {
    if (!done) return;
    size_ = bytes;
    sizes_wanted_.clear();
}

void VolumeModel::settle_size(std::uint64_t bytes) {
    size_ = bytes;
    sizes_wanted_.clear();
}

Tick VolumeModel::begin_write(Range range, std::uint64_t version) {
    const Tick start = ++now_;
    for (std::uint64_t g = range.first; g < range.end(); g++) {
        auto& all = versions_[g];
        if (all.empty()) {
            all.push_back(kZeros);
            touched_.insert(g);
            for (const auto& [zeroing, begin] : zeroing_) {
                if (zeroing.first <= g && g < zeroing.end()) all.push_back({0, begin, kOpen, false, false});
            }
        }
        if (all.size() > kForgetAbove) forget(all);
        all.push_back({version == 0 ? 0 : word(version, g), start, kOpen, false, false});
    }
    return start;
}

Tick VolumeModel::begin_zero(Range range) {
    const Tick start = ++now_;
    for (auto at = touched_.lower_bound(range.first); at != touched_.end() && *at < range.end();
         ++at) {
        auto& all = versions_[*at];
        if (all.size() > kForgetAbove) forget(all);
        all.push_back({0, start, kOpen, false, false});
    }
    zeroing_.emplace_back(range, start);
    return start;
}

void VolumeModel::end_write(Range range, Tick start, bool ok, bool fua) {
    const Tick end = ++now_;
    std::erase_if(zeroing_, [&](const auto& zeroing) { return zeroing.second == start; });
    if (ok)
        unreadable_.erase(unreadable_.lower_bound(range.first),
                          unreadable_.lower_bound(range.end()));
    for (std::uint64_t g = range.first; g < range.end(); g++) {
        for (Version& v : versions_[g]) {
            if (v.start != start || v.end != kOpen) continue;
            v.end = end;
            v.acknowledged = ok;
            v.durable = ok && fua;
        }
    }
}

Tick VolumeModel::begin_read() {
    reads_.insert(++now_);
    return now_;
}

void VolumeModel::end_flush(Tick start) {
    for (const std::uint64_t g : touched_) {
        for (Version& v : versions_[g])
            v.durable |= v.acknowledged && v.end < start;
    }
}

bool VolumeModel::allows(std::uint64_t granule, std::uint64_t word, Tick start) const {
    const auto all = versions(granule);
    return std::ranges::any_of(all, [&](const Version& w) {
        return w.word == word && std::ranges::none_of(all, [&](const Version& u) {
                   return u.acknowledged && u.end <= start && u.start > w.end;
               });
    });
}

bool VolumeModel::allows_after_cut(std::uint64_t granule, std::uint64_t word) const {
    const auto all = versions(granule);
    return std::ranges::any_of(all, [&](const Version& w) {
        return w.word == word && std::ranges::none_of(all, [&](const Version& u) {
                   return u.durable && u.start > w.end;
               });
    });
}

bool VolumeModel::is_unsettled(std::uint64_t granule) const {
    return std::ranges::any_of(versions(granule), [](const Version& v) { return !v.durable; });
}

bool VolumeModel::is_unreadable(Range range) const {
    const auto at = unreadable_.lower_bound(range.first);
    return at != unreadable_.end() && *at < range.end();
}

// A running read may still give what was superseded after it began.
void VolumeModel::forget(std::vector<Version>& all) const {
    const Tick oldest = reads_.empty() ? now_ : *reads_.begin();
    Tick newest = 0;
    for (const Version& u : all) {
        if (u.durable && u.end <= oldest) newest = std::max(newest, u.start);
    }
    std::erase_if(all, [&](const Version& w) { return w.end < newest; });
}

void VolumeModel::settle(const Words& words) {
    XSAN_ASSERT(reads_.empty());
    const Tick now = ++now_;
    for (const std::uint64_t g : touched_) {
        if (g >= words.size()) continue;
        if (words[g] == kUnreadable) {
            unreadable_.insert(g);
        } else {
            unreadable_.erase(g);
            versions_[g].assign(1, Version{words[g], now, now, true, true});
        }
    }
}

std::vector<Range> VolumeModel::touched_ranges(std::uint64_t align) const {
    std::vector<Range> ranges;
    for (const std::uint64_t g : touched_) {
        const std::uint64_t first = g / align * align;
        const std::uint64_t end = std::min(first + align, size_ / granule_bytes_);
        if (first >= end) continue;
        if (ranges.empty() || ranges.back().end() < first) {
            ranges.push_back({first, end - first});
        } else {
            ranges.back().count = std::max(ranges.back().end(), end) - ranges.back().first;
        }
    }
    return ranges;
}

std::string VolumeModel::describe(std::uint64_t granule, std::uint64_t word) const {
    std::string text = fmt::format("granule {} holds {:#x}; versions:", granule, word);
    for (const Version& v : versions(granule)) {
        text += fmt::format(" [{:#x} {}..{}{}{}]", v.word, v.start,
                            v.end == kOpen ? "" : std::to_string(v.end),
                            v.acknowledged ? " acknowledged" : "", v.durable ? " durable" : "");
    }
    return text;
}

}  // namespace xsan::simtest
