// Model: what each block of a volume may hold, and workers that write it.
// Every block holds one word, repeated; a block that reads as a mix is wrong. Workers keep off each other's
// blocks, so that the versions of a block are in order.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/byte_span.h"
#include "base/rng.h"
#include "unit/pool/rig.h"

namespace xsan::test {

class Model {
  public:
    static constexpr std::uint64_t kBlock = 4096;

    explicit Model(std::uint64_t bytes) : blocks_(bytes / kBlock) {}
    std::uint64_t size() const { return blocks_.size(); }
    std::uint64_t bytes() const { return blocks_.size() * kBlock; }

    bool try_lock(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t b = first; b < first + count; b++) {
            if (blocks_[b].busy) return false;
        }
        for (std::uint64_t b = first; b < first + count; b++) blocks_[b].busy = true;
        return true;
    }
    void unlock(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t b = first; b < first + count; b++) blocks_[b].busy = false;
    }
    // From now on the blocks may hold the word; 0: zeros.
    void begin_write(std::uint64_t first, std::uint64_t count, std::uint64_t word) {
        for (std::uint64_t b = first; b < first + count; b++) blocks_[b].words.push_back(word);
    }
    // Nothing older may be read any more, unless a power cut comes before a flush.
    void acknowledge(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t b = first; b < first + count; b++) {
            blocks_[b].acknowledged = blocks_[b].words.size() - 1;
        }
    }
    std::vector<std::size_t> mark() const {
        std::vector<std::size_t> marks;
        for (const Block& b : blocks_) marks.push_back(b.acknowledged);
        return marks;
    }
    void flushed(const std::vector<std::size_t>& marks) {
        for (std::size_t i = 0; i < blocks_.size(); i++) {
            blocks_[i].durable = std::max(blocks_[i].durable, marks[i]);
        }
    }
    void all_durable() { flushed(mark()); }
    void forget_doubts_of_cut() {
        for (Block& b : blocks_) b.acknowledged = b.durable;
    }

    enum class After { acknowledgement, cut };
    // Empty when the content may be there; else what is wrong.
    std::string judge(std::uint64_t first, std::span<const std::byte> content, After after) const {
        for (std::uint64_t at = 0; at < content.size(); at += kBlock) {
            const std::uint64_t block = first + at / kBlock;
            std::uint64_t word = 0;
            std::memcpy(&word, &content[at], 8);
            const auto bytes = content.subspan(at, kBlock);
            if (!same_bytes(bytes.first(kBlock - 8), bytes.subspan(8))) return fmt::format("block {} is a mix", block);
            const Block& b = blocks_[block];
            std::size_t v = after == After::cut ? b.durable : b.acknowledged;
            while (v < b.words.size() && b.words[v] != word) v++;
            if (v < b.words.size()) continue;
            std::size_t found = 0;
            while (found < b.words.size() && b.words[found] != word) found++;
            return fmt::format("block {}: {} version {} (durable {}, acknowledged {}, written {})", block,
                               word == 0 ? "zeros," : "data,",
                               found == b.words.size() ? -1 : static_cast<int>(found), b.durable,
                               b.acknowledged, b.words.size() - 1);
        }
        return {};
    }

  private:
    struct Block {
        std::vector<std::uint64_t> words{0};  // all versions; the first is zeros
        std::size_t acknowledged = 0;
        std::size_t durable = 0;
        bool busy = false;
    };
    std::vector<Block> blocks_;
};

struct WorkOptions {
    unsigned operations = 100;
    std::uint64_t blocks_max = 80;  // of one request
    bool errors_allowed = false;    // a request may fail; its blocks then hold the old or the new
    bool discards = true;
};

struct Work {
    Model& model;
    dev::BlockDevice& volume;
    std::uint64_t cluster_bytes;
    WorkOptions options;
    unsigned running = 0;
    std::uint64_t errors = 0;
    std::string wrong{};  // the first thing that was
    bool quit = false;

    static std::vector<std::byte> content(std::uint64_t count, std::uint64_t word) {
        std::vector<std::byte> data(count * Model::kBlock);
        for (std::size_t i = 0; i < data.size(); i += 8) std::memcpy(&data[i], &word, 8);
        return data;
    }
    void note(std::string what) {
        if (wrong.empty()) wrong = std::move(what);
    }
    void failed(Errc code, const char* what) {
        errors++;
        if (!options.errors_allowed) note(fmt::format("{} failed: {}", what, errc_name(code)));
    }

    // `self` must stay until running is 0.
    Task<void> worker(std::uint64_t seed) {
        running++;
        Rng rng(seed);
        for (unsigned i = 0; i < options.operations && !quit; i++) {
            const std::uint64_t most = rng.next() % 4 == 0 ? options.blocks_max : 8;
            std::uint64_t count = 1 + rng.next() % std::min(most, model.size());
            std::uint64_t first = rng.next() % (model.size() - count + 1);
            const auto kind = static_cast<unsigned>(rng.next() % 100);
            if (kind < 10) {
                co_await flush();
                continue;
            }
            if (!model.try_lock(first, count)) {
                co_await sleep_for(20 * kMicrosecond);
                continue;
            }
            if (kind < 60) {
                co_await write(first, count, rng.next() | 1, rng.next() % 10 == 0);
            } else if (kind < 85) {
                co_await read(first, count);
            } else {
                co_await zero(first, count, kind < 93 || !options.discards);
            }
            model.unlock(first, count);
        }
        running--;
    }

    Task<void> flush() {
        const auto marks = model.mark();
        const Errc code = co_await Rig::request(volume, dev::IoKind::flush, 0, {}, 0);
        if (code == Errc::ok) {
            model.flushed(marks);
        } else {
            failed(code, "flush");
        }
    }
    Task<void> write(std::uint64_t first, std::uint64_t count, std::uint64_t word, bool fua) {
        auto data = content(count, word);
        model.begin_write(first, count, word);
        const Errc code = co_await Rig::request(volume, dev::IoKind::write, first * Model::kBlock, data, 0,
                                                fua);
        if (code == Errc::ok) {
            model.acknowledge(first, count);
        } else {
            failed(code, "write");
        }
    }
    Task<void> read(std::uint64_t first, std::uint64_t count) {
        std::vector<std::byte> data(count * Model::kBlock, std::byte{0xEE});
        const Errc code = co_await Rig::request(volume, dev::IoKind::read, first * Model::kBlock, data, 0);
        if (code == Errc::ok) {
            auto judged = model.judge(first, data, Model::After::acknowledgement);
            if (!judged.empty()) note("read: " + judged);
        } else {
            failed(code, "read");
        }
    }
    // Write-zeroes of the range, or discard of the whole clusters in it.
    Task<void> zero(std::uint64_t first, std::uint64_t count, bool write_zeroes) {
        std::uint64_t begin = first;
        std::uint64_t end = first + count;
        if (!write_zeroes) {
            const std::uint64_t cluster = cluster_bytes / Model::kBlock;
            begin = (begin + cluster - 1) / cluster * cluster;
            end = std::max(begin, end / cluster * cluster);
        }
        model.begin_write(begin, end - begin, 0);
        const auto kind = write_zeroes ? dev::IoKind::write_zeroes : dev::IoKind::discard;
        const Errc code = co_await Rig::request(volume, kind, first * Model::kBlock, {},
                                                count * Model::kBlock);
        if (code == Errc::ok) {
            model.acknowledge(begin, end - begin);
        } else {
            failed(code, "zero");
        }
    }
};

// Starts `workers` of them, spread over the reactors.
inline void start_workers(Rig& rig, Work& work, unsigned workers, std::uint64_t seed) {
    for (unsigned i = 0; i < workers; i++) {
        rig.world.spawn(work.worker(seed * 131 + i), i % rig.world.reactor_count());
    }
}
inline void finish_workers(Rig& rig, Work& work) {
    REQUIRE(rig.wait_until([&] { return work.running == 0; }, 36000 * kSecond));
    INFO(rig.log.text());
    CHECK(work.wrong == "");
}

// Reads the whole volume; empty when all of it may be there.
inline std::string verify(Rig& rig, pool::Volume& volume, const Model& model, Model::After after,
                          std::uint64_t* digest = nullptr) {
    std::vector<std::byte> data(256 * kKiB);
    for (std::uint64_t at = 0; at < model.bytes(); at += data.size()) {
        const std::uint64_t length = std::min<std::uint64_t>(data.size(), model.bytes() - at);
        const Errc code = rig.read(volume, at, std::span(data).first(length));
        if (code != Errc::ok) return fmt::format("read at {}: {}", at, errc_name(code));
        auto judged = model.judge(at / Model::kBlock, std::span(data).first(length), after);
        if (!judged.empty()) return judged;
        if (digest == nullptr) continue;
        for (std::uint64_t i = 0; i < length; i += Model::kBlock) {
            std::uint64_t word = 0;
            std::memcpy(&word, &data[i], 8);
            *digest = (*digest ^ word) * 0x9E3779B97F4A7C15ull;
        }
    }
    return {};
}

}  // namespace xsan::test
