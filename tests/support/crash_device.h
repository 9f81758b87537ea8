// CrashDevice: a block device in memory that loses at a power cut what a drive may lose, and no
// more.
//
// Model: a completed write is in the volatile cache until a flush that was submitted after it
// completes; a write with FUA is durable when it completes. At a power cut each 512-byte sector of
// every write that was in the cache or in flight is, independently, there or not. Images are
// copy-on-write maps of pages, so that a test can take thousands of them.
//
//   PowerSupply power(seed);
//   CrashDevice device(power, {.path = "a", .size_bytes = 64 << 20});
//   power.cut_after(17);               // 17 more requests complete, over all devices; no later one
//   does
//   ...run until idle: everything in flight fails with device_gone...
//   DiskImage survived = device.survivors(rng);
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/rng.h"
#include "dev/block_device.h"

namespace xsan::test {

// The bytes of a device; a copy shares pages until one of the two changes them.
class DiskImage {
  public:
    static constexpr std::uint64_t kPage = 4096;

    void read(std::uint64_t offset, std::span<std::byte> to) const {
        pieces(offset, to.size(),
               [&](std::uint64_t page, std::size_t at, std::size_t from, std::size_t n) {
                   const auto found = pages_.find(page);
                   if (found == pages_.end()) {
                       std::memset(to.data() + from, 0, n);
                   } else {
                       std::memcpy(to.data() + from, found->second->data() + at, n);
                   }
               });
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) {
        pieces(offset, data.size(),
               [&](std::uint64_t page, std::size_t at, std::size_t from, std::size_t n) {
                   std::memcpy(own(page).data() + at, data.data() + from, n);
               });
    }
    void flip_bit(std::uint64_t offset, unsigned bit) {
        own(offset / kPage)[offset % kPage] ^= std::byte(1u << bit);
    }
    void zero(std::uint64_t offset, std::uint64_t length) {
        std::vector<std::byte> zeros(length);
        write(offset, zeros);
    }
    // Equal for equal content.
    std::uint32_t digest() const {
        std::uint32_t crc = 0;
        for (const auto& [page, data] : pages_) {
            const bool is_zero =
                std::ranges::all_of(*data, [](std::byte b) { return b == std::byte{0}; });
            if (is_zero) continue;
            crc = crc32c(std::as_bytes(std::span(&page, 1)), crc);
            crc = crc32c(*data, crc);
        }
        return crc;
    }

  private:
    using Page = std::array<std::byte, kPage>;

    template <class F>
    static void pieces(std::uint64_t offset, std::size_t length, F&& each) {
        for (std::size_t done = 0; done < length;) {
            const std::size_t at = (offset + done) % kPage;
            const std::size_t n = std::min<std::size_t>(kPage - at, length - done);
            each((offset + done) / kPage, at, done, n);
            done += n;
        }
    }
    Page& own(std::uint64_t page) {
        auto& place = pages_[page];
        if (!place) place = std::make_shared<Page>();
        if (place.use_count() > 1) place = std::make_shared<Page>(*place);
        return *place;
    }
    std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
};

// What all devices of a test hang on: at a cut they stop together.
class PowerSupply {
  public:
    explicit PowerSupply(std::uint64_t seed = 1) : rng_(seed) {}
    bool is_on() const { return on_; }
    // Lets that many more requests complete, over all devices.
    void cut_after(std::uint64_t requests) { left_ = requests; }
    void cut() { on_ = false; }
    std::uint64_t completed() const { return completed_; }
    Rng& rng() { return rng_; }

    // Whether one more request completes.
    bool draw() {
        if (on_ && left_ == 0) on_ = false;
        if (!on_) return false;
        left_--;
        completed_++;
        return true;
    }

  private:
    Rng rng_;
    bool on_ = true;
    std::uint64_t left_ = UINT64_MAX;
    std::uint64_t completed_ = 0;
};

class CrashDevice final : public dev::BlockDevice {
  public:
    static constexpr std::uint64_t kSector = 512;

    struct Options {
        std::string path = "crash";
        std::uint64_t size_bytes = 64u << 20;
        bool volatile_cache = true;
    };

    CrashDevice(PowerSupply& power, const Options& options, DiskImage image = {})
        : power_(power), stable_(image), current_(std::move(image)) {
        identity_.kind = "sim";
        identity_.path = options.path;
        identity_.serial = options.path;
        identity_.unique_id = options.path;
        limits_.size_bytes = options.size_bytes;
        limits_.volatile_cache = options.volatile_cache;
        limits_.buffer_alignment = 4096;
    }

    const dev::DeviceIdentity& identity() const override { return identity_; }
    const dev::DeviceLimits& limits() const override { return limits_; }

    void submit(dev::IoRequest& request) override {
        // Requests that come after the cut have never reached the drive.
        request.device_word = power_.is_on() ? ++serial_ : 0;
        pending_.push_back(&request);
        Reactor::current().make_ready(
            Work{[](void* self) { static_cast<CrashDevice*>(self)->act(); }, this});
    }

    // Called for each request before it acts; an error is what it completes with, and it does
    // nothing.
    std::function<Error(const dev::IoRequest&)> fault;

    // Called for each request when its turn comes: with that chance, in percent, others overtake
    // it.
    std::function<unsigned(const dev::IoRequest&)> delay_percent;

    // What reads see now.
    const DiskImage& image() const { return current_; }
    // What may be there after a cut: each sector that was not durable, by chance or (percent 0,
    // 100) not at all or wholly.
    DiskImage survivors(Rng& rng, unsigned keep_percent) const {
        DiskImage left = stable_;
        for (const auto* list : {&cached_, &unsure_}) {
            for (const auto& write : *list) {
                for (std::size_t at = 0; at < write.data.size(); at += kSector) {
                    if (write.live[at / kSector] && rng.chance_percent(keep_percent)) {
                        left.write(write.offset + at, std::span(write.data).subspan(at, kSector));
                    }
                }
            }
        }
        return left;
    }
    DiskImage survivors(Rng& rng) const {
        static constexpr unsigned kPercents[] = {0, 10, 50, 50, 90, 100};
        return survivors(rng, kPercents[rng.below(std::size(kPercents))]);
    }

    std::uint64_t writes() const { return writes_; }

  private:
    struct Write {
        std::uint64_t serial = 0;
        std::uint64_t offset = 0;
        std::vector<std::byte> data;
        std::vector<bool> live;  // by sector: not yet overtaken by a later durable write
    };

    void act() {
        // Any of the waiting requests may be the next one that the drive finishes.
        const auto chosen = power_.rng().below(pending_.size());
        dev::IoRequest& request = *pending_[chosen];
        if (delay_percent && power_.is_on() &&
            power_.rng().chance_percent(delay_percent(request))) {
            return Reactor::current().make_ready(
                Work{[](void* self) { static_cast<CrashDevice*>(self)->act(); }, this});
        }
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(chosen));
        const bool was_sent = request.device_word != 0;
        if (!was_sent || !power_.draw()) {
            if (was_sent && is_write(request)) unsure_.push_back(copy_of(request));
            return request.complete({Errc::device_gone});
        }
        const Error error = fault ? fault(request) : Error{};
        if (error.is_ok()) perform(request);
        request.complete(error);
    }

    static bool is_write(const dev::IoRequest& r) {
        return r.kind != dev::IoKind::read && r.kind != dev::IoKind::flush;
    }

    static Write copy_of(const dev::IoRequest& r) {
        Write write;
        write.serial = r.device_word;
        write.offset = r.offset;
        if (r.kind == dev::IoKind::write) {
            for (std::uint32_t i = 0; i < r.iov_count; i++) {
                const auto* first = static_cast<const std::byte*>(r.iov[i].iov_base);
                write.data.insert(write.data.end(), first, first + r.iov[i].iov_len);
            }
        } else {
            write.data.resize(r.length);
        }
        write.live.assign(write.data.size() / kSector, true);
        return write;
    }

    void perform(dev::IoRequest& r) {
        if (r.kind == dev::IoKind::flush) return flush_before(r.device_word);
        if (r.kind == dev::IoKind::read) {
            std::uint64_t offset = r.offset;
            for (std::uint32_t i = 0; i < r.iov_count; i++) {
                current_.read(offset,
                              {static_cast<std::byte*>(r.iov[i].iov_base), r.iov[i].iov_len});
                offset += r.iov[i].iov_len;
            }
            return;
        }
        writes_++;
        Write write = copy_of(r);
        current_.write(write.offset, write.data);
        write.serial = ++serial_;  // of its completion: only a later flush covers it
        if (!r.fua && limits_.volatile_cache) {
            cached_.push_back(std::move(write));
            return;
        }
        stable_.write(write.offset, write.data);
        for (auto& older : cached_)
            overtake(older, write);
    }

    static void overtake(Write& older, const Write& newer) {
        for (std::size_t s = 0; s < older.live.size(); s++) {
            const std::uint64_t at = older.offset + s * kSector;
            if (at >= newer.offset && at < newer.offset + newer.data.size()) older.live[s] = false;
        }
    }

    // Makes durable what had completed before the flush was submitted.
    void flush_before(std::uint64_t serial) {
        std::vector<Write> left;
        for (auto& write : cached_) {
            if (write.serial > serial) {
                left.push_back(std::move(write));
                continue;
            }
            for (std::size_t s = 0; s < write.live.size(); s++) {
                if (!write.live[s]) continue;
                const auto sector = std::span(write.data).subspan(s * kSector, kSector);
                stable_.write(write.offset + s * kSector, sector);
            }
        }
        cached_ = std::move(left);
    }

    PowerSupply& power_;
    dev::DeviceIdentity identity_;
    dev::DeviceLimits limits_;
    std::vector<dev::IoRequest*> pending_;
    std::uint64_t serial_ = 0;
    std::uint64_t writes_ = 0;
    DiskImage stable_;
    DiskImage current_;
    std::vector<Write> cached_;
    std::vector<Write> unsure_;
};

}  // namespace xsan::test
